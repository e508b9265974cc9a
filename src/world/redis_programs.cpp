#include "world/redis_programs.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "world/files.h"
#include "world/rdb.h"

namespace lifeboat {

namespace {

std::filesystem::path find_checker() {
    for (const char* name : {"redis-check-rdb", "valkey-check-rdb"})
        if (const auto program = find_program(name)) return *program;
    throw Error{ErrorCode::program_missing, "the program 'redis-check-rdb' is not in PATH",
                "Install the package redis-tools."};
}

// A snapshot of that format without any key: what the program says of it tells whether it knows the format.
std::string empty_snapshot(int version) {
    std::string digits = std::to_string(version);
    digits.insert(0, 4 - std::min<std::size_t>(4, digits.size()), '0');
    return "REDIS" + digits + '\xFF' + std::string(8, '\0');
}

Command check_of(const std::filesystem::path& program, const std::filesystem::path& file) {
    return {.argv = {program.string(), file.string()}, .environment = clean_environment()};
}

std::optional<std::uint64_t> number_before(std::string_view line, std::string_view words) {
    const std::size_t end = line.rfind(words);
    if (end == std::string_view::npos) return std::nullopt;
    const std::size_t blank = line.rfind(' ', end - 1);
    const std::size_t begin = blank == std::string_view::npos ? 0 : blank + 1;
    std::uint64_t number = 0;
    const auto [stop, failure] = std::from_chars(line.data() + begin, line.data() + end, number);
    if (failure != std::errc{} || stop != line.data() + end) return std::nullopt;
    return number;
}

}  // namespace

CheckedSnapshot check_redis_snapshot(const std::filesystem::path& file, const std::filesystem::path& workspace,
                                     const ChildRunner& run) {
    const std::filesystem::path program = find_checker();
    const RdbHeader header = read_rdb_frame(file);
    const ChildResult result = run(check_of(program, file));
    CheckedSnapshot checked;
    for (const std::string& line : split(result.output, '\n'))
        if (const auto keys = number_before(line, " keys read")) checked.keys = keys;
    if (result.exit_code == 0) return checked;

    const PrivateDirectory folder(workspace, "snapshot-");
    const std::filesystem::path empty = folder.path() / "empty.rdb";
    write_durably(empty, empty_snapshot(header.version));
    if (run(check_of(program, empty)).exit_code != 0)
        throw Error{ErrorCode::unsupported,
                    "'" + program.string() + "' does not know the format of the snapshot '" + file.string() +
                        "', version " + std::to_string(header.version),
                    "Install Redis' programs in the version of the server that made it, or a newer one."};
    // "--- RDB ERROR DETECTED ---", then "[offset 123] what"
    checked.complaint = "redis-check-rdb ended with exit code " + std::to_string(result.exit_code);
    bool next = false;
    for (const std::string& line : split(result.output, '\n')) {
        if (next) {
            checked.complaint = printable(trim(line));
            break;
        }
        next = line.find("RDB ERROR DETECTED") != std::string::npos;
    }
    return checked;
}

}  // namespace lifeboat
