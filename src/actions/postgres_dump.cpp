#include "actions/postgres_dump.h"

#include <atomic>
#include <charconv>
#include <fstream>

#include "actions/family.h"
#include "actions/postgres_pulse.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t tar_block = 512;

std::string head_of(const fs::path& path, std::size_t length) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw_errno("open '" + path.string() + "'", errno);
    std::string head(length, '\0');
    file.read(head.data(), static_cast<std::streamsize>(length));
    head.resize(static_cast<std::size_t>(file.gcount()));
    return head;
}

std::string tail_of(const fs::path& path, std::size_t length) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw_errno("open '" + path.string() + "'", errno);
    file.seekg(0, std::ios::end);
    const auto size = static_cast<std::streamoff>(file.tellg());
    file.seekg(std::max<std::streamoff>(0, size - static_cast<std::streamoff>(length)));
    std::string tail(length, '\0');
    file.read(tail.data(), static_cast<std::streamsize>(length));
    tail.resize(static_cast<std::size_t>(file.gcount()));
    return tail;
}

Error cut_off(const PostgresDump& dump, const std::string& where) {
    return {ErrorCode::incomplete, "dump '" + dump.name() + "' is cut off: " + where, "Take another backup."};
}

// From header to header to the two empty blocks at the end: pg_restore itself goes round for ever in a tar file that is
// cut.
void walk_tar(const PostgresDump& dump) {
    std::ifstream file(dump.path, std::ios::binary);
    if (!file) throw_errno("open '" + dump.path.string() + "'", errno);
    const std::string empty(tar_block, '\0');
    std::uint64_t at = 0;
    for (;;) {
        std::string header(tar_block, '\0');
        file.seekg(static_cast<std::streamoff>(at));
        file.read(header.data(), static_cast<std::streamsize>(tar_block));
        if (static_cast<std::size_t>(file.gcount()) != tar_block) throw cut_off(dump, "its end marker is missing");
        if (header == empty) {
            if (at + 2 * tar_block > dump.size) throw cut_off(dump, "its end marker is not whole");
            return;
        }
        std::uint64_t size = 0;
        const char* digits = header.data() + 124;
        const auto base256 = static_cast<unsigned char>(*digits);
        if ((base256 & 0x80U) != 0) {
            for (std::size_t i = 4; i < 12; ++i)
                size = size << 8U | static_cast<unsigned char>(digits[i]);
        } else {
            const auto [end, failure] = std::from_chars(digits, digits + 11, size, 8);
            if (failure != std::errc{} || end == digits) {
                throw Error{ErrorCode::corrupt,
                            "dump '" + dump.name() + "' is damaged: byte " + std::to_string(at) + " is no tar header"};
            }
        }
        at += tar_block + (size + tar_block - 1) / tar_block * tar_block;
        if (at > dump.size) throw cut_off(dump, "a member ends behind the end of the file");
    }
}

// pg_restore takes what it finds in an uncompressed file: its last line is the only mark of its end. gzip's own check
// sees both what is cut and what is flipped.
void check_directory(const PostgresDump& dump, Context& context) {
    std::vector<std::string> packed;
    for (const auto& entry : fs::directory_iterator(dump.path)) {
        const std::string name = entry.path().filename();
        if (name.ends_with(".gz")) packed.push_back(entry.path());
        const bool rows = name.ends_with(".dat") && name.find_first_not_of("0123456789") == name.size() - 4;
        if (rows && tail_of(entry.path(), 5) != "\\.\n\n\n")
            throw cut_off(dump, "the last line of '" + name + "' is missing");
    }
    constexpr std::size_t most_at_once = 500;
    for (std::size_t first = 0; first < packed.size(); first += most_at_once) {
        Command command;
        command.argv = {"gzip", "--test", "--"};
        const std::size_t last = std::min(packed.size(), first + most_at_once);
        for (std::size_t i = first; i < last; ++i)
            command.argv.push_back(packed[i]);
        command.environment = clean_environment();
        const ChildResult result = run_reading(context, command, "testing '" + dump.name() + "'", dump.size);
        if (result.exit_code != 0) {
            throw Error{ErrorCode::corrupt, program_error("dump '" + dump.name() + "' is damaged", result).message,
                        "Take another backup."};
        }
    }
}

int number_behind(std::string_view line, std::string_view label) {
    const std::size_t at = line.find(label);
    if (at == std::string_view::npos) return 0;
    int number = 0;
    std::from_chars(line.data() + at + label.size(), line.data() + line.size(), number);
    return number;
}

// pg_restore reads an archive without any server.
ChildResult run_pg_restore(Context& context, const PostgresProgram& program, const PostgresDump& dump,
                           std::vector<std::string> arguments, const std::string& what, const fs::path& output = {}) {
    Command command;
    command.argv = {program.path.string()};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.argv.push_back(dump.path);
    command.environment = clean_environment();
    command.output_file = output;
    ChildResult result = run_reading(context, command, what, dump.size);
    if (result.exit_code != 0) {
        throw Error{ErrorCode::incomplete,
                    program_error("dump '" + dump.name() + "' cannot be read to its end", result).message,
                    "Take another backup."};
    }
    return result;
}

std::uint64_t size_of(const fs::path& path) {
    std::error_code ignored;
    if (!fs::is_directory(path)) return fs::file_size(path, ignored);
    std::uint64_t size = 0;
    for (const auto& entry : fs::directory_iterator(path)) {
        if (entry.is_regular_file(ignored)) size += entry.file_size(ignored);
    }
    return size;
}

void each_chunk(const fs::path& path, Context& context, const std::string& what,
                const std::function<void(std::string_view)>& take) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw_errno("open '" + path.string() + "'", errno);
    std::error_code ignored;
    const std::uint64_t total = fs::file_size(path, ignored);
    std::string buffer(1U << 20, '\0');
    std::uint64_t done = 0;
    auto next_word = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    for (;;) {
        file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        const auto length = static_cast<std::size_t>(file.gcount());
        if (length == 0) break;
        take(std::string_view(buffer.data(), length));
        done += length;
        if (context.stop.stop_requested()) throw Error{ErrorCode::cancelled, what + ": asked to stop"};
        const auto now = std::chrono::steady_clock::now();
        if (context.deadline != SteadyTime::max() && now >= context.deadline) {
            throw Error{ErrorCode::timed_out, what + ": the time for it was over"};
        }
        if (now >= next_word) {
            context.progress({.what = what, .done = done, .total = total});
            next_word = now + std::chrono::seconds(1);
        }
    }
    if (file.bad()) throw Error{ErrorCode::io_failed, "cannot read '" + path.string() + "'"};
}

}  // namespace

std::string_view to_text(PostgresDump::Format format) {
    switch (format) {
        case PostgresDump::Format::custom:
            return "custom";
        case PostgresDump::Format::directory:
            return "directory";
        case PostgresDump::Format::tar:
            return "tar";
        case PostgresDump::Format::plain:
            return "plain";
    }
    return "";
}

PostgresDump recognise_dump(const fs::path& path) {
    std::error_code failure;
    const fs::file_status status = fs::status(path, failure);
    if (!fs::exists(status)) throw Error{ErrorCode::not_found, "there is no dump '" + path.string() + "'"};
    PostgresDump dump{.path = path, .size = size_of(path)};
    const auto no_dump = [&path](const std::string& why) {
        return Error{ErrorCode::corrupt, "'" + path.string() + "' is no dump of PostgreSQL: " + why};
    };
    if (fs::is_directory(status)) {
        dump.format = PostgresDump::Format::directory;
        if (!fs::exists(path / "toc.dat")) throw no_dump("the directory has no 'toc.dat'");
        if (!head_of(path / "toc.dat", 5).starts_with("PGDMP")) throw no_dump("its 'toc.dat' is something else");
        return dump;
    }
    if (dump.size == 0)
        throw Error{ErrorCode::incomplete, "dump '" + path.string() + "' is empty", "Take another backup."};
    const std::string head = head_of(path, tar_block);
    if (head.starts_with("PGDMP")) {
        dump.format = PostgresDump::Format::custom;
    } else if (head.size() == tar_block && head.compare(257, 5, "ustar") == 0) {
        // the name of the first member, ended by a zero
        using namespace std::string_view_literals;
        if (!head.starts_with("toc.dat\0"sv)) throw no_dump("it is another tar archive");
        dump.format = PostgresDump::Format::tar;
    } else if (head.starts_with("\x1f\x8b")) {
        dump.format = PostgresDump::Format::plain;
        dump.gzipped = true;
    } else if (head.find('\0') == std::string::npos) {
        dump.format = PostgresDump::Format::plain;
    } else {
        throw no_dump("its beginning is none of pg_dump's formats");
    }
    return dump;
}

ChildResult run_reading(Context& context, const Command& command, const std::string& what, std::uint64_t total) {
    context.progress({.what = what, .done = 0, .total = total});
    std::atomic<int> pid = 0;
    Context watched = context;
    watched.child_started = [&](const ChildGroup& group) {
        context.child_started(group);
        pid = group.group;
    };
    std::uint64_t before = 0;
    const PostgresPulse pulse(context, [&]() -> std::optional<Progress> {
        std::ifstream io("/proc/" + std::to_string(pid.load()) + "/io");
        std::string label;
        std::uint64_t read = 0;
        if (!(io >> label >> read) || read <= before) return std::nullopt;
        before = read;
        return Progress{.what = what, .done = std::min(read, total), .total = total};
    });
    return run_for(watched, command);
}

ArchiveContents prove_archive(const PostgresDump& dump, Context& context) {
    if (dump.format == PostgresDump::Format::tar) walk_tar(dump);
    if (dump.format == PostgresDump::Format::directory) check_directory(dump, context);

    const PostgresProgram program = find_postgres_program("pg_restore");
    ArchiveContents contents;
    const fs::path listing = context.workspace / "contents.list";
    run_pg_restore(context, program, dump, {"--list"}, "listing '" + dump.name() + "'", listing);
    std::ifstream lines(listing);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(";")) {
            contents.server_major =
                std::max(contents.server_major, number_behind(line, "Dumped from database version: "));
            contents.program_major =
                std::max(contents.program_major, number_behind(line, "Dumped by pg_dump version: "));
        } else if (const std::size_t at = line.find(" EXTENSION - ");
                   at != std::string::npos && line.find(" COMMENT ") == std::string::npos) {
            const std::string rest = line.substr(at + 13);
            contents.extensions.push_back(rest.substr(0, rest.find(' ')));
        }
        contents.list.push_back(std::move(line));
    }
    fs::remove(listing);

    run_pg_restore(context, program, dump, {"-f", "/dev/null"}, "reading '" + dump.name() + "' to its end");

    const fs::path definitions = context.workspace / "definitions.sql";
    run_pg_restore(context, program, dump, {"--section=pre-data", "--section=post-data", "-f", definitions.string()},
                   "reading the definitions in '" + dump.name() + "'");
    std::ifstream file(definitions, std::ios::binary);
    const std::string script{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    fs::remove(definitions);
    contents.optional = optional_statements(script, dump.name());
    return contents;
}

PostgresDump unpacked(const PostgresDump& dump, Context& context) {
    if (!dump.gzipped) return dump;
    PostgresDump plain{.format = PostgresDump::Format::plain, .path = context.workspace / "unpacked.sql"};
    Command command;
    command.argv = {"gzip", "--decompress", "--stdout", "--", dump.path};
    command.environment = clean_environment();
    command.output_file = plain.path;
    std::error_code ignored;
    fs::remove(plain.path, ignored);
    const ChildResult result = run_reading(context, command, "unpacking '" + dump.name() + "'", dump.size);
    if (result.exit_code != 0) {
        fs::remove(plain.path, ignored);
        throw Error{ErrorCode::corrupt,
                    program_error("dump '" + dump.name() + "' is damaged or cut off", result).message,
                    "Take another backup."};
    }
    plain.size = fs::file_size(plain.path);
    return plain;
}

PlainDump prove_plain(const PostgresDump& dump, const std::string& database, Context& context) {
    return read_plain_dump(
        [&](const std::function<void(std::string_view)>& take) {
            each_chunk(dump.path, context, "reading '" + dump.name() + "' to its end", take);
        },
        dump.name(), database);
}

}  // namespace lifeboat
