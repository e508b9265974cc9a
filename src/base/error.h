// The world's refusals. Ports and actions throw one Error; it is caught at the step's boundary and in main, nowhere
// else. An error is recognised by its code, never by its text. Mistakes of a file's author are Diagnostics
// (diagnostic.h).
#pragma once

#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lifeboat {

enum class ErrorCode {
    // the person at the keyboard
    usage,
    invalid_file,
    refused,
    locked,
    stale_plan,
    // the engine
    moved,
    timed_out,
    stalled,
    cancelled,
    expression_failed,
    secret_missing,
    secret_exposed,
    limit_exceeded,
    script_failed,
    injected,
    internal,
    // the world
    unreachable,
    connection_lost,
    denied,
    not_found,
    already_exists,
    busy,
    disk_full,
    io_failed,
    protocol_failed,
    program_missing,
    child_failed,
    slow,
    archived,
    unsupported,
    // data
    corrupt,
    incomplete,
    no_candidate,
    check_failed,
    not_healthy,
    sql_failed,
    dump_leaves_database,
    journal_damaged,
};

// One row of the table from which retries, `docs/reference/errors.md` and the JSON spelling are derived.
struct ErrorInfo {
    ErrorCode code;
    std::string_view name;     // as written in `retry_on:`, journals and reports
    bool transient;            // may go away by itself: `retry:` tries again
    std::string_view meaning;  // one sentence for the reference
};

std::span<const ErrorInfo> error_table();
const ErrorInfo& info(ErrorCode code);
std::optional<ErrorCode> error_code_named(std::string_view name);

class Error : public std::exception {
  public:
    ErrorCode code;
    std::string message;  // lowercase, no full stop, names in 'single quotes': what was tried, on what, why it failed
    std::string hint;     // one sentence on what to do, or empty
    std::vector<std::string> trail;  // innermost first: "while fetching 'orders.dump' from 'nas'"
    Json details;                    // facts a report can show (null when there are none); never a secret

    Error(ErrorCode error_code, std::string what_failed, std::string what_to_do = {});

    // Adds where the caller was; returns itself, for `throw error.during("while …")` in a handler.
    Error& during(std::string place);

    const char* what() const noexcept override { return message.c_str(); }

    // "message (while …; while …)", without the hint.
    std::string full_message() const;
};

// {code, message, hint, trail, details}; empty fields are left out.
Json to_json(const Error& error);
Error error_from_json(const Json& value);

// Throws Error from errno: maps ENOSPC, EACCES, ENOENT … to their codes. `tried` is "open '/x/y'".
[[noreturn]] void throw_errno(std::string_view tried, int error_number);

}  // namespace lifeboat
