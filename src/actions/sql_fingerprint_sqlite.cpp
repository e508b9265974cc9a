#include <algorithm>

#include "actions/files_family.h"
#include "actions/sql_digest.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace {

std::string quoted(const std::string& name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"') out += c;
        out += c;
    }
    return out + '"';
}

// Each value with its type and length in front: no two different rows have the same bytes.
void append_value(std::string& row, const SqliteRow& from, int column) {
    std::string value;
    char type = 'n';
    switch (from.type(column)) {
        case SqliteType::null:
            break;
        case SqliteType::integer:
            type = 'i';
            value = std::to_string(from.integer(column));
            break;
        case SqliteType::real: {
            type = 'r';
            char text[40];
            value.assign(text, static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.17g", from.real(column))));
            break;
        }
        case SqliteType::text:
            type = 't';
            value = from.bytes(column);
            break;
        case SqliteType::blob:
            type = 'b';
            value = from.bytes(column);
            break;
    }
    row += type + std::to_string(value.size()) + ":" + value;
}

}  // namespace

Fingerprint fingerprint_sqlite(const ActionWorld& world, const ResolvedResource& resource, Context& context) {
    const WorkControl control = paced(context, "reading '" + resource.name + "'");
    const SqliteDatabase database =
        look_at_sqlite(place_of_resource(world, resource), context.workspace, {UINT64_MAX}, control);
    Fingerprint fingerprint;
    for (const std::string& table : database.tables(control)) {
        RowSum& sum = fingerprint.tables[table];
        std::string row;
        database.each_row(
            "select * from " + quoted(table), Json::array(),
            [&](const SqliteRow& from) {
                row.clear();
                for (int column = 0; column < from.columns(); ++column)
                    append_value(row, from, column);
                sum.add(row);
                if (sum.rows() % 65536 == 0) control.advance(row.size() * 65536);
            },
            control);
    }
    const SqliteRows definitions = database.query(
        "select type, name, tbl_name, sql from sqlite_schema where name not like 'sqlite\\_%' escape '\\' order by "
        "type, name",
        Json::array(), control);
    fingerprint.catalogue = sha256_hex(to_text(to_json(definitions)));
    const bool counts = database.value("select count(*) from sqlite_schema where name = 'sqlite_sequence'",
                                       Json::array(), control) == 1;
    if (counts) {
        for (const auto& row : database.query("select name, seq from sqlite_sequence", Json::array(), control).rows) {
            fingerprint.sequences[row[0].get<std::string>()] = row[1];
        }
    }
    if (!database.still_as_opened()) {
        throw Error{ErrorCode::busy, "somebody wrote to '" + resource.name + "' while it was read",
                    "Stop its writers, then look again."};
    }
    return fingerprint;
}

}  // namespace lifeboat
