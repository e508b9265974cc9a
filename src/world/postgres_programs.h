// PostgreSQL's own programs (pg_dump, pg_restore, psql, initdb …) as children: which one, and how it logs in. The
// password stands in a 0600 file of the workspace that goes away with the PostgresLogin, never in an argument or an
// environment (R11); the environment is clean (R6); sessions carry the target's application name, so that orphans can
// be found.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "world/postgres.h"
#include "world/process.h"

namespace lifeboat {

struct PostgresProgram {
    std::filesystem::path path;
    int major = 0;  // 15
};

// The program of the lowest major version that is at least `server_major` (a client must not be older than its server),
// looked for in Debian's and the RPMs' version folders and in PATH. Throws Error{program_missing} naming what was found
// instead.
PostgresProgram find_postgres_program(const std::string& name, int server_major = 0);

// Removes the password files that killed processes left in `workspace`; this process's own stay.
void remove_password_leftovers(const std::filesystem::path& workspace);

class PostgresLogin {
  public:
    // `settings` become PGOPTIONS: server settings of the program's sessions. Removes what a killed process left in
    // `workspace`.
    PostgresLogin(const PostgresTarget& target, const std::filesystem::path& workspace,
                  const std::map<std::string, std::string>& settings = {});
    ~PostgresLogin();
    PostgresLogin(const PostgresLogin&) = delete;
    PostgresLogin& operator=(const PostgresLogin&) = delete;

    // For `-d`: host, port, database, user and the rest, without the password. Use with `--no-password`.
    const std::string& conninfo() const { return conninfo_; }
    const std::map<std::string, std::string>& environment() const { return environment_; }

    // {program, arguments…, "--no-password", "-d", conninfo} in that environment, with the workspace as its folder.
    Command command(const PostgresProgram& program, std::vector<std::string> arguments) const;

  private:
    std::filesystem::path workspace_;
    std::filesystem::path password_file_;
    std::string conninfo_;
    std::map<std::string, std::string> environment_;
};

// The error of a client program that ended with `result` (not 0): what kind of refusal its last line is about is not
// guessed from its text, so the code is child_failed, except where the run of the child itself says more (timed_out,
// cancelled).
Error program_error(std::string_view tried, const ChildResult& result);

}  // namespace lifeboat
