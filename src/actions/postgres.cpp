#include "actions/postgres_family.h"

namespace lifeboat {

ActionList postgres_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(postgres_assess(world));
    list.push_back(postgres_fence(world));
    list.push_back(postgres_restore(world));
    list.push_back(postgres_swap(world));
    list.push_back(postgres_unfence(world));
    list.push_back(postgres_drop(world));
    return list;
}

std::vector<ResourceSpec> postgres_resources() {
    ResourceSpec postgres;
    postgres.type = "postgres";
    postgres.kinds = {"postgres", "database"};
    postgres.summary = "A database on a PostgreSQL server";
    postgres.fields = {
        {.name = "host",
         .doc = "Name or address of the server, or the directory of its unix socket.",
         .required = true},
        {.name = "port", .type = ValueType::integer, .doc = "TCP port, also of a socket.", .default_value = 5432},
        {.name = "database", .doc = "Name of the database.", .required = true},
        {.name = "user",
         .doc =
             "Role that owns the database and may create databases, or a superuser; ending other users' sessions takes "
             "pg_signal_backend.",
         .required = true},
        {.name = "password", .doc = "Its password, where the server asks for one.", .may_be_secret = true},
        {.name = "sslmode",
         .doc = "How TLS is used over TCP, as libpq says it.",
         .default_value = "prefer",
         .choices = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
        {.name = "sslrootcert",
         .type = ValueType::path,
         .doc = "File with the certificates that the server's is checked against."},
        {.name = "maintenance_database",
         .doc = "Another database of the same server, used while this one is fenced, renamed or missing.",
         .default_value = "postgres"},
    };
    postgres.usable_in_sandbox = true;
    postgres.example =
        "shop: {type: postgres, host: db1, database: shop, user: lifeboat, password: \"${{ secrets.shop_pw }}\"}";
    return {postgres};
}

std::string short_run_id(const std::string& run_id) {
    // 2026-02-01T02-03-04-<runbook>-ab12
    constexpr std::size_t stamp = 19;
    std::string digits;
    for (const char c : run_id.substr(0, stamp)) {
        if (c >= '0' && c <= '9') digits += c;
        if (c == 'T') digits += '_';
    }
    if (run_id.size() > stamp + 5 && digits.size() == 15 && run_id[stamp] == '-') {
        return digits + "_" + run_id.substr(run_id.rfind('-') + 1);
    }
    std::string plain;
    for (const char c : run_id) {
        const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_';
        if (c >= 'A' && c <= 'Z') {
            plain += static_cast<char>(c - 'A' + 'a');
        } else if (letter) {
            plain += c;
        } else {
            plain += '_';
        }
    }
    constexpr std::size_t longest = 24;
    return plain.size() > longest ? plain.substr(plain.size() - longest) : plain;
}

}  // namespace lifeboat
