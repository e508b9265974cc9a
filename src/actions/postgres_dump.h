// Dumps as files: which kind one is, by its content, and the proof that it is whole before anything is loaded (R8).
// `pg_restore` alone does not prove it: of a cut tar dump it reads on for ever, and it accepts cut files of an
// uncompressed directory dump.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "actions/postgres_plain_dump.h"
#include "engine/action.h"
#include "world/postgres_programs.h"

namespace lifeboat {

struct PostgresDump {
    enum class Format { custom, directory, tar, plain };
    Format format = Format::custom;
    bool gzipped = false;  // plain only
    std::filesystem::path path;
    std::uint64_t size = 0;

    std::string name() const { return path.filename().string(); }
};
std::string_view to_text(PostgresDump::Format format);

// Throws Error{not_found | corrupt (no dump of pg_dump) | incomplete (nothing in it)}.
PostgresDump recognise_dump(const std::filesystem::path& path);

// What an archive (every format but plain) says about itself.
struct ArchiveContents {
    int server_major = 0;
    int program_major = 0;
    std::vector<std::string> list;        // the lines of `pg_restore --list`
    std::vector<std::string> extensions;  // that it creates
    std::vector<OptionalStatement> optional;
};

// Reads the archive to its end. Throws Error{incomplete | corrupt | dump_leaves_database | program_missing}.
ArchiveContents prove_archive(const PostgresDump& dump, Context& context);

// A gzipped dump unpacked into the workspace; any other dump as it is. Throws Error{corrupt} when its checksum is wrong
// or its end is missing.
PostgresDump unpacked(const PostgresDump& dump, Context& context);

// Reads it through; see postgres_plain_dump.h.
PlainDump prove_plain(const PostgresDump& dump, const std::string& database, Context& context);

// run_for, with what the child reads told as progress.
ChildResult run_reading(Context& context, const Command& command, const std::string& what, std::uint64_t total);

}  // namespace lifeboat
