#include "base/error.h"

#include <array>
#include <cerrno>
#include <system_error>

#include "base/text.h"

namespace lifeboat {

namespace {

using enum ErrorCode;

// In the order of the enumerators: `info` indexes it.
constexpr std::array table{
    ErrorInfo{usage, "usage", false, "The command line is wrong."},
    ErrorInfo{invalid_file, "invalid_file", false,
              "A file is not what it should be: wrong syntax, unknown keys, wrong types."},
    ErrorInfo{refused, "refused", false, "Going on would break a safety rule, so nothing was done."},
    ErrorInfo{locked, "locked", false, "Another run holds the target."},
    ErrorInfo{stale_plan, "stale_plan", false, "Something that the saved plan was made from is different now."},
    ErrorInfo{moved, "moved", false,
              "The world is no longer as it was when the step was prepared, so nothing was done."},
    ErrorInfo{timed_out, "timed_out", true, "The time allowed for an attempt was over before it ended."},
    ErrorInfo{stalled, "stalled", true, "An attempt made no progress for longer than its heartbeat."},
    ErrorInfo{cancelled, "cancelled", false, "The attempt was stopped because the run was."},
    ErrorInfo{expression_failed, "expression_failed", false, "An expression is wrong or could not be evaluated."},
    ErrorInfo{secret_missing, "secret_missing", false, "A secret could not be fetched from its source."},
    ErrorInfo{secret_exposed, "secret_exposed", false, "A structured value contains the text of a secret."},
    ErrorInfo{limit_exceeded, "limit_exceeded", false, "A limit of memory, size, depth, count or time was reached."},
    ErrorInfo{script_failed, "script_failed", false, "A Lua script ended with an error or called `fail`."},
    ErrorInfo{injected, "injected", true, "A drill made the call fail on purpose."},
    ErrorInfo{internal, "internal", false, "Lifeboat itself is wrong: this is a bug."},
    ErrorInfo{unreachable, "unreachable", true, "A server could not be reached."},
    ErrorInfo{connection_lost, "connection_lost", true, "A connection broke while it was used."},
    ErrorInfo{denied, "denied", false, "The other side refused access: credentials or permissions."},
    ErrorInfo{not_found, "not_found", false, "A file, object, database or other thing does not exist."},
    ErrorInfo{already_exists, "already_exists", false, "A thing that should be made is already there."},
    ErrorInfo{busy, "busy", true, "A thing is in use by somebody else at the moment."},
    ErrorInfo{disk_full, "disk_full", false, "A file system or quota has no room left."},
    ErrorInfo{io_failed, "io_failed", false, "Reading or writing failed below the file system."},
    ErrorInfo{protocol_failed, "protocol_failed", true,
              "A server answered something that its protocol does not allow here."},
    ErrorInfo{program_missing, "program_missing", false, "A program that the step needs is not installed or too old."},
    ErrorInfo{child_failed, "child_failed", true, "A program that was started ended with an error or by a signal."},
    ErrorInfo{slow, "slow", true, "A transfer stayed below its lowest acceptable speed."},
    ErrorInfo{archived, "archived", false, "An object lies in cold storage and has to be thawed first."},
    ErrorInfo{unsupported, "unsupported", false, "The other side, or this build, cannot do what is asked."},
    ErrorInfo{corrupt, "corrupt", false, "Data does not match its checksum or its format."},
    ErrorInfo{incomplete, "incomplete", false, "Parts of a backup or an archive are missing."},
    ErrorInfo{no_candidate, "no_candidate", false, "No backup satisfies the conditions."},
    ErrorInfo{check_failed, "check_failed", false, "A check of data did not give what was expected."},
    ErrorInfo{not_healthy, "not_healthy", true, "A service did not become healthy."},
    ErrorInfo{sql_failed, "sql_failed", false, "The database refused a statement."},
    ErrorInfo{dump_leaves_database, "dump_leaves_database", false,
              "A plain dump holds statements that reach beyond the database it is loaded into."},
    ErrorInfo{journal_damaged, "journal_damaged", false, "A run's journal is broken before its last record."},
};

constexpr bool in_order() {
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (static_cast<std::size_t>(table[i].code) != i) return false;
    }
    return table.size() == static_cast<std::size_t>(journal_damaged) + 1;
}
static_assert(in_order());

ErrorCode code_of(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            return disk_full;
        case EACCES:
        case EPERM:
        case EROFS:
            return denied;
        case ENOENT:
        case ENOTDIR:
        case ESRCH:
            return not_found;
        case EEXIST:
        case ENOTEMPTY:
            return already_exists;
        case EBUSY:
        case ETXTBSY:
        case EAGAIN:
        case EADDRINUSE:
            return busy;
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EHOSTDOWN:
        case ENETDOWN:
        case EADDRNOTAVAIL:
            return unreachable;
        case ECONNRESET:
        case ECONNABORTED:
        case EPIPE:
        case ENOTCONN:
            return connection_lost;
        case ETIMEDOUT:
            return timed_out;
        case ENOMEM:
        case EMFILE:
        case ENFILE:
        case E2BIG:
        case EFBIG:
        case ENAMETOOLONG:
            return limit_exceeded;
        case ENOSYS:
        case EOPNOTSUPP:
        case EAFNOSUPPORT:
            return unsupported;
        case ECANCELED:
            return cancelled;
        default:
            return io_failed;
    }
}

}  // namespace

std::span<const ErrorInfo> error_table() {
    return table;
}

const ErrorInfo& info(ErrorCode code) {
    return table.at(static_cast<std::size_t>(code));
}

std::optional<ErrorCode> error_code_named(std::string_view name) {
    for (const ErrorInfo& row : table) {
        if (row.name == name) return row.code;
    }
    return std::nullopt;
}

Error::Error(ErrorCode error_code, std::string what_failed, std::string what_to_do)
    : code(error_code), message(std::move(what_failed)), hint(std::move(what_to_do)) {}

Error& Error::during(std::string place) {
    trail.push_back(std::move(place));
    return *this;
}

std::string Error::full_message() const {
    if (trail.empty()) return message;
    return message + " (" + join(trail, "; ") + ")";
}

Json to_json(const Error& error) {
    Json value = Json::object();
    value["code"] = info(error.code).name;
    value["message"] = error.message;
    if (!error.hint.empty()) value["hint"] = error.hint;
    if (!error.trail.empty()) value["trail"] = error.trail;
    if (!error.details.is_null()) value["details"] = error.details;
    return value;
}

Error error_from_json(const Json& value) {
    if (!value.is_object()) return Error{internal, "an error was written as " + std::string(value.type_name())};
    const auto text = [&value](const char* key) {
        const auto found = value.find(key);
        return found != value.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    Error error{error_code_named(text("code")).value_or(internal), text("message"), text("hint")};
    if (const auto trail = value.find("trail"); trail != value.end() && trail->is_array()) {
        for (const Json& place : *trail) {
            if (place.is_string()) error.trail.push_back(place.get<std::string>());
        }
    }
    if (const auto details = value.find("details"); details != value.end()) error.details = *details;
    return error;
}

void throw_errno(std::string_view tried, int error_number) {
    std::string reason = std::generic_category().message(error_number);
    // "No such file" → "no such file", but "RPC version wrong" keeps its capitals
    if (reason.size() > 1 && reason[0] >= 'A' && reason[0] <= 'Z' && !(reason[1] >= 'A' && reason[1] <= 'Z')) {
        reason[0] = static_cast<char>(reason[0] - 'A' + 'a');
    }
    const ErrorCode code = code_of(error_number);
    throw Error{code, "cannot " + std::string(tried) + ": " + reason,
                code == disk_full ? "Free some space on that file system, then go on." : ""};
}

}  // namespace lifeboat
