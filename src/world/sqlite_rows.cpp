// The part of sqlite.h that reads the current row of a query.
#include <sqlite3.h>

#include "base/sha256.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace {

sqlite3_stmt* of(void* statement) {
    return static_cast<sqlite3_stmt*>(statement);
}

}  // namespace

int SqliteRow::columns() const {
    return ::sqlite3_column_count(of(statement_));
}

std::string_view SqliteRow::name(int column) const {
    const char* name = ::sqlite3_column_name(of(statement_), column);
    return name == nullptr ? "" : name;
}

SqliteType SqliteRow::type(int column) const {
    switch (::sqlite3_column_type(of(statement_), column)) {
        case SQLITE_INTEGER:
            return SqliteType::integer;
        case SQLITE_FLOAT:
            return SqliteType::real;
        case SQLITE_TEXT:
            return SqliteType::text;
        case SQLITE_BLOB:
            return SqliteType::blob;
        default:
            return SqliteType::null;
    }
}

std::int64_t SqliteRow::integer(int column) const {
    return ::sqlite3_column_int64(of(statement_), column);
}

double SqliteRow::real(int column) const {
    return ::sqlite3_column_double(of(statement_), column);
}

std::string_view SqliteRow::bytes(int column) const {
    const void* begin = ::sqlite3_column_blob(of(statement_), column);
    if (begin == nullptr) return {};
    return {static_cast<const char*>(begin), static_cast<std::size_t>(::sqlite3_column_bytes(of(statement_), column))};
}

Json SqliteRow::value(int column) const {
    switch (type(column)) {
        case SqliteType::null:
            return nullptr;
        case SqliteType::integer:
            return integer(column);
        case SqliteType::real:
            return real(column);
        case SqliteType::text:
            return std::string{bytes(column)};
        case SqliteType::blob: {
            const auto blob = bytes(column);
            return to_hex(std::span{reinterpret_cast<const std::uint8_t*>(blob.data()), blob.size()});
        }
    }
    return nullptr;
}

Json to_json(const SqliteRows& rows) {
    Json all = Json::array();
    for (const auto& row : rows.rows) {
        Json one = Json::object();
        for (std::size_t i = 0; i < row.size(); ++i)
            one[rows.columns[i]] = row[i];
        all.push_back(std::move(one));
    }
    return all;
}

}  // namespace lifeboat
