#include "actions/sql_digest.h"
#include "actions/sql_family.h"

namespace lifeboat {

void RowSum::add(std::string_view row) {
    hash_.update(row);
    const Digest digest = hash_.finish();
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        high = high << 8U | digest[i];
        low = low << 8U | digest[i + 8];
    }
    low_ += low;
    high_ += high + (low_ < low ? 1 : 0);
    ++rows_;
}

void RowSum::add(const RowSum& other) {
    low_ += other.low_;
    high_ += other.high_ + (low_ < other.low_ ? 1 : 0);
    rows_ += other.rows_;
}

std::string RowSum::digest() const {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < 8; ++i) {
        bytes[i] = static_cast<std::uint8_t>(high_ >> (56 - 8 * i));
        bytes[i + 8] = static_cast<std::uint8_t>(low_ >> (56 - 8 * i));
    }
    return to_hex(bytes);
}

Json Fingerprint::tables_as_json() const {
    Json all = Json::object();
    for (const auto& [name, sum] : tables)
        all[name] = Json{{"rows", sum.rows()}, {"digest", sum.digest()}};
    return all;
}

std::string Fingerprint::digest() const {
    return sha256_hex(to_text(Json{{"tables", tables_as_json()}, {"catalogue", catalogue}, {"sequences", sequences}}));
}

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "sql.fingerprint";
    spec.summary = "Reduce a database to digests that can be compared";
    spec.doc =
        "Reads every row once and hashes it here: per table the number of rows and a digest that does not depend on "
        "their order, and a "
        "digest of the definitions and of where the sequences stand. The same content has the same digest whatever the "
        "database is "
        "called and wherever it was restored. It proves nothing by itself.";
    spec.parameters = {
        {.name = "database",
         .type = ValueType::resource,
         .doc = "The database to read.",
         .required = true,
         .kind = "sqlite|postgres"},
        {.name = "jobs",
         .type = ValueType::integer,
         .doc = "Sessions that read at the same time (PostgreSQL).",
         .default_value = 2},
    };
    spec.outputs = {
        {.name = "digest", .doc = "Of everything below but the ownership."},
        {.name = "tables", .type = ValueType::map, .doc = "Name: rows and digest."},
        {.name = "rows", .type = ValueType::integer, .doc = "In all tables together."},
        {.name = "catalogue", .doc = "Digest of the definitions."},
        {.name = "sequences", .type = ValueType::map, .doc = "Where each sequence stands."},
        {.name = "ownership", .doc = "Digest of owners and privileges inside the database; empty for SQLite."},
    };
    spec.effect = Effect::read;
    spec.repeatable = true;
    spec.errors = {{ErrorCode::unreachable, true}, {ErrorCode::denied, true},  {ErrorCode::not_found, true},
                   {ErrorCode::corrupt, true},     {ErrorCode::refused, true}, {ErrorCode::connection_lost, true},
                   {ErrorCode::sql_failed, true}};
    spec.example = "- id: truth\n  uses: sql.fingerprint\n  with: {database: db}\n";
    return spec;
}

class FingerprintAction final : public Action {
  public:
    explicit FingerprintAction(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context&) const override { return Json::object(); }

    Outputs run(const Intent&, Context& context) const override {
        const ResolvedResource resource = world_.resources.resolve(context.arguments.at("database"));
        const Fingerprint found = look(resource, context);
        std::uint64_t rows = 0;
        for (const auto& [name, sum] : found.tables)
            rows += sum.rows();
        return {{"digest", found.digest()},     {"tables", found.tables_as_json()}, {"rows", rows},
                {"catalogue", found.catalogue}, {"sequences", found.sequences},     {"ownership", found.ownership}};
    }

  private:
    Fingerprint look(const ResolvedResource& resource, Context& context) const {
        if (resource.type == "sqlite") return fingerprint_sqlite(world_, resource, context);
        if (resource.type == "postgres") {
            return fingerprint_postgres(world_, resource, context, std::max(1, context.arguments.value("jobs", 2)));
        }
        throw Error{ErrorCode::invalid_file,
                    "resource '" + resource.name + "' is no database: its type is '" + resource.type + "'"};
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> sql_fingerprint(const ActionWorld& world) {
    return std::make_unique<FingerprintAction>(world);
}

}  // namespace lifeboat
