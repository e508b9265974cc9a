#include "drill/leftovers.h"

#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "runs/directory_run_store.h"
#include "world/files.h"
#include "world/process.h"
#include "world/scratch.h"
#include "world/tree.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

constexpr Duration grace = std::chrono::seconds(5);

Json read_note(const fs::path& folder) {
    std::error_code ignored;
    if (!fs::exists(folder / "drill.json", ignored)) return nullptr;
    return parse_json(read_small_file(folder / "drill.json"), (folder / "drill.json").string());
}

// Children that the journals of unfinished runs name: of a run that was killed nobody else ends them.
void end_children_of_runs(const fs::path& state) {
    std::error_code ignored;
    if (!fs::exists(state / "runs", ignored)) return;
    const SystemClock clock;
    const DirectoryRunStore store(state, clock);
    for (const StoredRun& run : store.list()) {
        if (run.ended) continue;
        for (const Event& event : store.read(run.run_id).events) {
            if (const auto* started = std::get_if<ChildStarted>(&event.body))
                end_group({.pid = started->child.group,
                           .start_ticks = started->child.start_ticks,
                           .boot_id = started->child.boot_id},
                          grace);
        }
    }
}

template <typename Work>
void attempt(std::vector<std::string>& left, const std::string& what, Work&& work) {
    try {
        work();
    } catch (const Error& error) {
        left.push_back(what + ": " + error.full_message());
    } catch (const std::exception& error) {
        left.push_back(what + ": " + error.what());
    }
}

bool is_ours(const fs::path& folder) {
    struct stat found {};
    return ::lstat(folder.c_str(), &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == ::geteuid();
}

// Without its note nobody would know any more that it is a sandbox: when this is cut short, it can be called again.
void remove_note_last(const fs::path& folder) {
    std::vector<fs::path> content;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().filename() != "drill.json") content.push_back(entry.path());
    for (const fs::path& path : content)
        remove_tree(path);
    remove_tree(folder);
}

bool runner_is_alive(const Json& note) {
    const Json runner = note.value("runner", Json::object());
    return is_alive({.pid = runner.value("pid", 0),
                     .start_ticks = runner.value("start_ticks", std::uint64_t{0}),
                     .boot_id = runner.value("boot_id", "")});
}

}  // namespace

fs::path sandbox_parent() {
    const char* chosen = std::getenv("TMPDIR");
    return chosen != nullptr && *chosen == '/' ? fs::path(chosen) : fs::path("/tmp");
}

std::vector<std::string> remove_sandbox(const fs::path& folder) {
    std::vector<std::string> left;
    std::error_code ignored;
    if (!fs::exists(folder, ignored)) return left;
    const Json note = read_note(folder);
    attempt(left, "the run of '" + folder.string() + "'", [&folder] {
        if (const auto child = read_pid_file(folder / "child")) end_group(*child, grace);
    });
    attempt(left, "the processes of '" + folder.string() + "'", [&folder] { end_children_of_runs(folder / "state"); });
    if (note.is_object()) {
        for (const Json& each : note.value("services", Json::array())) {
            const fs::path pid_file = each.get<std::string>();
            // a drill that was refused may have named the service of somebody else
            if (!lies_within(pid_file, folder)) continue;
            attempt(left, "the service of '" + pid_file.string() + "'", [&pid_file] { stop_daemon(pid_file, grace); });
        }
    }
    std::vector<fs::path> servers;
    for (const auto& entry : fs::directory_iterator(folder / "resources", ignored)) {
        std::error_code missing;
        if (fs::exists(entry.path() / "scratch.json", missing)) servers.push_back(entry.path());
    }
    for (const fs::path& server : servers)
        attempt(left, "the server in '" + server.string() + "'", [&server] { destroy_scratch_postgres(server); });
    if (left.empty()) attempt(left, "the folder '" + folder.string() + "'", [&folder] { remove_note_last(folder); });
    return left;
}

Leftovers remove_leftovers(const fs::path& parent, bool also_kept) {
    Leftovers found;
    std::vector<fs::path> folders;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(parent, ignored)) {
        if (entry.path().filename().string().starts_with(sandbox_prefix) && is_ours(entry.path()))
            folders.push_back(entry.path());
    }
    for (const fs::path& folder : folders) {
        attempt(found.left, "'" + folder.string() + "'", [&] {
            const Json note = read_note(folder);
            // without a note it is being made at this moment, or it is not a sandbox
            if (!note.is_object() || runner_is_alive(note) || (note.value("kept", false) && !also_kept)) return;
            const std::vector<std::string> left = remove_sandbox(folder);
            if (left.empty()) found.removed.push_back(folder.string());
            found.left.insert(found.left.end(), left.begin(), left.end());
        });
    }
    return found;
}

}  // namespace lifeboat
