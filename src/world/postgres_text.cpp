#include <algorithm>

#include "base/json.h"
#include "world/postgres.h"

namespace lifeboat {

ErrorCode postgres_error_code(std::string_view sqlstate) {
    using enum ErrorCode;
    struct Row {
        std::string_view prefix;
        ErrorCode code;
    };
    // the first that fits; classes of SQLSTATE are its first two characters
    static constexpr Row rows[] = {
        {"28", denied},              // invalid authorization
        {"42501", denied},           // insufficient privilege
        {"3D000", not_found},        // no such database
        {"42P04", already_exists},   // duplicate database
        {"42P07", already_exists},   // duplicate table
        {"42710", already_exists},   // duplicate object
        {"55006", busy},             // object in use
        {"55P03", busy},             // lock not available
        {"40001", busy},             // serialization failure
        {"40P01", busy},             // deadlock
        {"53300", busy},             // too many connections
        {"57P03", busy},             // the server is starting, stopping or recovering
        {"57014", timed_out},        // cancelled, and not by us: the server's own statement_timeout
        {"57P05", connection_lost},  // idle session timeout
        {"57P01", connection_lost},  // terminated by an administrator
        {"57P02", connection_lost},  // crash of another backend
        {"08", connection_lost},     // connection exceptions
        {"53100", disk_full},
        {"53", limit_exceeded},  // memory and other resources
        {"54", limit_exceeded},  // program limits
        {"58030", io_failed},
        {"XX001", corrupt},  // data corrupted
        {"XX002", corrupt},  // index corrupted
        {"0A000", unsupported},
    };
    for (const Row& row : rows) {
        if (sqlstate.starts_with(row.prefix)) return row.code;
    }
    return sql_failed;
}

std::string sqlstate_of(const Error& error) {
    if (!error.details.is_object()) return {};
    const auto found = error.details.find("sqlstate");
    return found != error.details.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string sqlstate_in_message(std::string_view message) {
    for (std::size_t at = message.find(":  "); at != std::string_view::npos; at = message.find(":  ", at + 1)) {
        const std::string_view rest = message.substr(at + 3);
        if (rest.size() < 7 || rest.substr(5, 2) != ": ") continue;
        const std::string_view state = rest.substr(0, 5);
        const bool is_state = std::all_of(state.begin(), state.end(),
                                          [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
        if (is_state) return std::string(state);
    }
    return {};
}

namespace {

void refuse_zero_byte(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
        throw Error{ErrorCode::sql_failed, "text with a zero byte cannot stand in a statement"};
    }
}

std::string doubled(std::string_view text, char quote) {
    std::string out;
    out.reserve(text.size() + 2);
    for (const char c : text) {
        if (c == quote || (c == '\\' && quote == '\'')) out += c;
        out += c;
    }
    return out;
}

}  // namespace

std::string quote_identifier(std::string_view name) {
    refuse_zero_byte(name);
    return '"' + doubled(name, '"') + '"';
}

std::string quote_literal(std::string_view text) {
    refuse_zero_byte(text);
    const bool escapes = text.find('\\') != std::string_view::npos;
    return (escapes ? " E'" : "'") + doubled(text, '\'') + '\'';
}

std::string postgres_name(std::string_view name, std::string_view suffix) {
    constexpr std::size_t longest = 63;
    std::size_t keep = std::min(name.size(), longest - std::min(longest, suffix.size()));
    // never inside a character: continuation bytes are 10xxxxxx
    while (keep > 0 && keep < name.size() && (static_cast<unsigned char>(name[keep]) & 0xC0U) == 0x80U)
        --keep;
    return std::string(name.substr(0, keep)) + std::string(suffix);
}

}  // namespace lifeboat
