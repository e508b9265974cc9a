// Loads a proven dump into a database that is there and empty, with PostgreSQL's own programs. All or nothing is not
// promised: a load that fails leaves a database that has to be dropped.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "actions/postgres_dump.h"
#include "world/postgres.h"

namespace lifeboat {

struct PostgresLoad {
    PostgresTarget target;  // the database to load into
    int server_major = 0;
    int jobs = 1;
    std::map<std::string, std::string> settings;    // of the programs' sessions
    std::function<std::optional<Progress>()> look;  // how far the server is
};

// Everything but owners and privileges, and without the entries of `left_out` lines of the contents. Any error ends it.
// Throws Error{child_failed | program_missing | timed_out | cancelled}.
void load_archive(const PostgresLoad& load, const PostgresDump& dump, const ArchiveContents& contents,
                  const std::function<bool(std::string_view line)>& left_out, Context& context);

// The given ranges, in one transaction. Throws Error{the class of the SQLSTATE, else child_failed | …}.
void load_plain(const PostgresLoad& load, const PostgresDump& dump, const std::vector<ByteRange>& ranges,
                Context& context);

}  // namespace lifeboat
