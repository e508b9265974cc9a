#include "actions/scratch_redis.h"

#include <algorithm>

#include "actions/family.h"
#include "actions/waiting.h"
#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char byte : text) {
        if (byte == '"' || byte == '\\') result += '\\';
        result += byte;
    }
    return result + "\"";
}

std::filesystem::path find_server() {
    for (const char* name : {"redis-server", "valkey-server"})
        if (const auto program = find_program(name)) return *program;
    throw Error{ErrorCode::program_missing, "the program 'redis-server' is not in PATH",
                "Install the package redis-server, or verify on a machine that has it."};
}

std::string last_line(const std::string& text) {
    std::string last;
    for (const std::string& line : split(text, '\n'))
        if (!trim(line).empty()) last = std::string(trim(line));
    return printable(last);
}

}  // namespace

ScratchRedis::ScratchRedis(const std::filesystem::path& snapshot, int databases, const Context& context)
    // the path of a socket is short
    : context_(context), folder_(std::filesystem::temp_directory_path(), "lifeboat-redis-"), snapshot_(snapshot) {
    Command command;
    command.argv = {find_server().string(), "-"};
    command.environment = clean_environment();
    command.folder = folder_.path();
    command.input = "port 0\nunixsocket " + quoted((folder_.path() / "s").string()) +
                    "\nunixsocketperm 700\ndaemonize no\nsave \"\"\nappendonly no\ndatabases " +
                    std::to_string(std::max(databases, 16)) + "\ndir " + quoted(snapshot.parent_path().string()) +
                    "\ndbfilename " + quoted(snapshot.filename().string()) + "\n";
    ChildControl control = control_of(context);
    control.stop = stop_.get_token();
    thread_ = std::jthread([this, command = std::move(command), control = std::move(control)] {
        std::string said;
        try {
            said = last_line(run_child(command, control).output);
        } catch (const Error& error) {
            said = error.full_message();
        }
        const std::lock_guard lock(mutex_);
        end_ = said;
    });
    try {
        wait_until_loaded();
    } catch (...) {
        stop_.request_stop();
        throw;
    }
}

ScratchRedis::~ScratchRedis() {
    stop_.request_stop();
}

std::optional<std::string> ScratchRedis::ended() const {
    const std::lock_guard lock(mutex_);
    return end_;
}

RedisConnection ScratchRedis::connect() const {
    return {RedisTarget{.socket = (folder_.path() / "s").string()},
            WorkControl{.stop = context_.stop, .deadline = context_.deadline}};
}

void ScratchRedis::wait_until_loaded() {
    std::string before;
    for (;; wait_for(context_, std::chrono::milliseconds(10))) {
        if (const auto said = ended())
            throw Error{ErrorCode::corrupt,
                        "a Redis server does not load the snapshot '" + snapshot_.filename().string() + "': " + *said};
        try {
            RedisConnection session = connect();
            const auto state = session.info("persistence");
            const auto loading = state.find("loading");
            if (loading != state.end() && loading->second == "0") return;
            const auto loaded = state.find("loading_loaded_bytes");
            if (loaded == state.end() || loaded->second == before) continue;
            before = loaded->second;
            context_.progress(Progress{.what = "loading '" + snapshot_.filename().string() + "'"});
        } catch (const Error& error) {
            // it does not listen yet, or has just ended
            if (error.code != ErrorCode::unreachable && error.code != ErrorCode::connection_lost &&
                error.code != ErrorCode::busy)
                throw;
        }
    }
}

}  // namespace lifeboat
