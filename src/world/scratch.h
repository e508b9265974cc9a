// Throw-away servers for drills and tests. A ScratchPostgres is a cluster of its own with a unix socket and a port on
// loopback, made in under a second, without any durability; its `cluster_name` is the nonce it was made with, which is
// how a session proves that it talks to this sandbox (law 9). It outlives the process that made it, killed or not,
// until `destroy_scratch_postgres`.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "world/postgres.h"

namespace lifeboat {

struct ScratchPostgresWish {
    // Of this cluster alone; made when missing. Notes about it stay here wherever it really runs.
    std::filesystem::path folder;
    std::string nonce;  // 1 to 63 letters, digits, '-' or '_'
    int version = 0;    // major; 0: the newest installed
    Secret password;    // of the superuser "postgres", by SCRAM; empty: every local user is trusted
    std::map<std::string, std::string> settings;  // more lines for its configuration
};

struct ScratchPostgres {
    std::filesystem::path folder;
    // Where it really is: inside `folder`, or in /var/tmp when the server's user cannot enter `folder`.
    std::filesystem::path place;
    std::string nonce;
    std::string host = "127.0.0.1";
    int port = 0;
    std::string user = "postgres";
    Secret password;                 // as it was wished; empty after an attach
    std::filesystem::path socket;    // directory of the unix socket
    std::filesystem::path programs;  // its bin folder
    int pid = 0;                     // of the postmaster

    // Over loopback, as the superuser.
    PostgresTarget target(std::string database = "postgres") const;
};

// Makes and starts the cluster and waits until it answers. A cluster that a killed process left half made in `folder`
// is removed first. As root it runs as user postgres. Throws Error{program_missing | child_failed | timed_out |
// cancelled | already_exists (it runs)}.
ScratchPostgres start_scratch_postgres(const ScratchPostgresWish& wish, const PostgresPatience& patience = {});

// What runs in `folder`, proven by its nonce. Throws Error{not_found} where nothing runs.
ScratchPostgres attach_scratch_postgres(const std::filesystem::path& folder);

// Stops the server and leaves its files, so that they can be copied; false when it did not run. Throws Error{busy} when
// it does not end.
bool stop_scratch_postgres(const std::filesystem::path& folder);
// Starts a stopped server again, on the port that it had, and waits until it answers. Throws as start_scratch_postgres,
// and Error{not_found} where there is no cluster.
ScratchPostgres restart_scratch_postgres(const std::filesystem::path& folder, const PostgresPatience& patience = {});
// Where the files of the cluster in `folder` are, running or not. Error{not_found}.
std::filesystem::path scratch_postgres_files(const std::filesystem::path& folder);

// Ends every process of the cluster and removes it; false when there was nothing. Can be called again, also after a
// kill half way. Throws Error{busy} when something of it cannot be ended or removed.
bool destroy_scratch_postgres(const std::filesystem::path& folder);

// Looks at the end of the server's log: for messages.
std::string scratch_postgres_log(const ScratchPostgres& scratch);

}  // namespace lifeboat
