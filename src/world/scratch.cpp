#include "world/scratch.h"

#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "world/files.h"
#include "world/postgres_programs.h"
#include "world/process.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;

SteadyTime soon(Duration from_now) {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::steady_clock::now()) + from_now;
}

bool over(SteadyTime deadline) {
    return std::chrono::steady_clock::now() >= deadline;
}

// Servers refuse to run as root: then the account that the packages make is used.
struct Account {
    uid_t user = 0;
    gid_t group = 0;
    std::string name;
};

std::optional<Account> server_account() {
    if (geteuid() != 0) return std::nullopt;
    const passwd* found = getpwnam("postgres");
    if (found == nullptr) {
        throw Error{ErrorCode::program_missing, "PostgreSQL does not run as root, and there is no user 'postgres'",
                    "Install the server's package, or run as an ordinary user."};
    }
    return Account{found->pw_uid, found->pw_gid, found->pw_name};
}

std::vector<std::string> as_account(const std::optional<Account>& account, std::vector<std::string> argv) {
    if (!account) return argv;
    std::vector<std::string> wrapped{"setpriv", "--reuid=" + account->name, "--regid=" + std::to_string(account->group),
                                     "--init-groups"};
    wrapped.insert(wrapped.end(), argv.begin(), argv.end());
    return wrapped;
}

bool can_enter(const fs::path& folder, const Account& account) {
    fs::path ancestor;
    for (const fs::path& part : fs::absolute(folder)) {
        ancestor /= part;
        struct stat found {};
        if (stat(ancestor.c_str(), &found) != 0) return false;
        const bool open_to_all = (found.st_mode & S_IXOTH) != 0;
        const bool as_owner = found.st_uid == account.user && (found.st_mode & S_IXUSR) != 0;
        const bool as_group = found.st_gid == account.group && (found.st_mode & S_IXGRP) != 0;
        if (!open_to_all && !as_owner && !as_group) return false;
    }
    return true;
}

void give_to(const fs::path& path, const std::optional<Account>& account) {
    if (account && lchown(path.c_str(), account->user, account->group) != 0) {
        throw_errno("give '" + path.string() + "' to '" + account->name + "'", errno);
    }
}

fs::path note_file(const fs::path& folder) {
    return folder / "scratch.json";
}

Json read_note(const fs::path& folder) {
    std::error_code ignored;
    if (!fs::exists(note_file(folder), ignored)) return nullptr;
    return parse_json(read_small_file(note_file(folder)), note_file(folder).string());
}

void write_note(const ScratchPostgres& scratch) {
    const Json note{{"v", 1},
                    {"kind", "postgres"},
                    {"nonce", scratch.nonce},
                    {"place", scratch.place},
                    {"programs", scratch.programs},
                    {"port", scratch.port},
                    {"pid", scratch.pid}};
    write_durably(note_file(scratch.folder), to_pretty_text(note) + "\n");
}

// Where the cluster can be: the server's user has to be able to enter it, and a socket's path has at most 107 bytes.
fs::path choose_place(const fs::path& folder, const std::optional<Account>& account) {
    const fs::path beside = fs::canonical(folder) / "cluster";
    const bool short_enough = beside.string().size() + std::string_view("/s/.s.PGSQL.65535").size() < 100;
    if (short_enough && (!account || can_enter(folder, *account))) {
        if (mkdir(beside.c_str(), 0700) != 0) throw_errno("make '" + beside.string() + "'", errno);
        return beside;
    }
    std::string pattern = "/var/tmp/lifeboat-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw_errno("make '" + pattern + "'", errno);
    return fs::canonical(pattern);
}

int free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw_errno("make a socket", errno);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    // the socket interface is older than types of its own for each family
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    const bool bound = bind(fd, plain, length) == 0 && getsockname(fd, plain, &length) == 0;
    const int failure = errno;
    close(fd);
    if (!bound) throw_errno("find a free port", failure);
    return ntohs(address.sin_port);
}

fs::path data_folder(const fs::path& place) {
    return place / "data";
}

// Servers and helpers whose working folder lies in `place`: a postmaster and its children stay in their data folder.
std::vector<int> processes_of(const fs::path& place) {
    static const std::set<std::string> programs{"postgres", "initdb", "setpriv", "pg_ctl"};
    std::vector<int> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::error_code gone;
        const fs::path folder = fs::read_symlink(entry.path() / "cwd", gone);
        if (gone || !lies_within(folder, place)) continue;
        const std::string program = fs::read_symlink(entry.path() / "exe", gone).filename();
        if (!gone && programs.contains(program)) found.push_back(std::stoi(name));
    }
    return found;
}

std::optional<int> postmaster_of(const fs::path& place) {
    std::ifstream file(data_folder(place) / "postmaster.pid");
    int pid = 0;
    if (!(file >> pid) || pid <= 1) return std::nullopt;
    std::error_code gone;
    const fs::path folder = fs::read_symlink("/proc/" + std::to_string(pid) + "/cwd", gone);
    if (gone || folder != data_folder(place)) return std::nullopt;
    return pid;
}

void end_processes(const fs::path& place) {
    const auto wait_until_gone = [&place](Duration limit) {
        for (const SteadyTime deadline = soon(limit); !over(deadline); std::this_thread::sleep_for(5ms)) {
            if (processes_of(place).empty()) return true;
        }
        return false;
    };
    // an immediate shutdown also frees the shared memory, which killing does not
    if (const auto postmaster = postmaster_of(place); postmaster && kill(*postmaster, SIGQUIT) == 0) {
        if (wait_until_gone(3s)) return;
    }
    for (const int pid : processes_of(place))
        kill(pid, SIGKILL);
    if (!wait_until_gone(5s)) {
        throw Error{ErrorCode::busy, "processes of the throw-away cluster in '" + place.string() + "' do not end"};
    }
}

void remove_tree(const fs::path& path) {
    std::error_code failure;
    fs::remove_all(path, failure);
    if (failure) throw Error{ErrorCode::busy, "cannot remove '" + path.string() + "': " + failure.message()};
}

void make_cluster(const ScratchPostgres& scratch, const std::optional<Account>& account,
                  const PostgresPatience& patience) {
    for (const char* name : {"s", "log"}) {
        const fs::path path = scratch.place / name;
        if (mkdir(path.c_str(), 0700) != 0) throw_errno("make '" + path.string() + "'", errno);
        give_to(path, account);
    }
    give_to(scratch.place, account);
    Command command;
    command.argv = {scratch.programs / "initdb",
                    "-D",
                    data_folder(scratch.place),
                    "-U",
                    scratch.user,
                    "--no-sync",
                    "--no-instructions",
                    "--data-checksums",
                    "-E",
                    "UTF8",
                    "--locale=C.UTF-8"};
    const fs::path password_file = scratch.place / "password";
    if (scratch.password.empty()) {
        command.argv.insert(command.argv.end(), {"-A", "trust"});
    } else {
        write_durably(password_file, scratch.password.reveal() + "\n", 0600);
        give_to(password_file, account);
        command.argv.insert(command.argv.end(), {"-A", "scram-sha-256", "--pwfile", password_file});
    }
    command.argv = as_account(account, std::move(command.argv));
    command.environment = clean_environment();
    command.folder = scratch.place;
    ChildControl control;
    control.stop = patience.stop;
    control.deadline = std::min(patience.deadline, soon(60s));
    run_child_checked(command, control);
    std::error_code ignored;
    fs::remove(password_file, ignored);
}

std::string setting_line(const std::string& name, const std::string& value) {
    std::string quoted;
    for (const char c : value) {
        if (c == '\'') quoted += '\'';
        quoted += c;
    }
    return name + " = '" + quoted + "'\n";
}

void write_settings(const ScratchPostgres& scratch, const ScratchPostgresWish& wish) {
    std::map<std::string, std::string> settings{
        {"listen_addresses", "127.0.0.1"},
        {"unix_socket_directories", scratch.socket},
        {"unix_socket_permissions", "0700"},
        {"fsync", "off"},
        {"synchronous_commit", "off"},
        {"full_page_writes", "off"},
        {"shared_buffers", "64MB"},
        {"max_connections", "60"},
        {"max_wal_size", "2GB"},
        {"log_line_prefix", "%m [%p] %d "},
    };
    for (const auto& [name, value] : wish.settings)
        settings[name] = value;
    std::string text = "\n";
    for (const auto& [name, value] : settings)
        text += setting_line(name, value);
    std::ofstream file(data_folder(scratch.place) / "postgresql.conf", std::ios::app);
    file << text;
    if (!file.flush()) throw Error{ErrorCode::io_failed, "cannot write the configuration of the throw-away cluster"};
}

std::string last_log_line(const ScratchPostgres& scratch) {
    std::string last;
    for (const std::string& line : split(scratch_postgres_log(scratch), '\n')) {
        if (!trim(line).empty()) last = line;
    }
    return last;
}

// True when it answers, false when it ended by itself (most likely somebody else took the port meanwhile).
bool wait_until_ready(const ScratchPostgres& scratch, const ChildIdentity& server, const PostgresPatience& patience) {
    const SteadyTime deadline = std::min(patience.deadline, soon(60s));
    for (;;) {
        if (patience.stop.stop_requested()) {
            throw Error{ErrorCode::cancelled, "cannot start a throw-away cluster: asked to stop"};
        }
        if (!is_alive(server)) return false;
        // the eighth line of the pid file: "ready" once connections are accepted
        std::ifstream file(data_folder(scratch.place) / "postmaster.pid");
        std::string line;
        for (int number = 0; number < 8 && std::getline(file, line); ++number) {
            if (number == 7 && trim(line) == "ready") return true;
        }
        if (over(deadline)) {
            throw Error{ErrorCode::timed_out, "the throw-away cluster in '" + scratch.place.string() +
                                                  "' did not get ready: " + last_log_line(scratch)};
        }
        std::this_thread::sleep_for(5ms);
    }
}

enum class Port { any, same };

void start_server(ScratchPostgres& scratch, Port port, const std::optional<Account>& account,
                  const PostgresPatience& patience) {
    for (int attempt = 1;; ++attempt) {
        if (port == Port::any) scratch.port = free_port();
        write_note(scratch);
        Command command;
        // on the command line, where no ALTER SYSTEM reaches it
        command.argv = as_account(account, {scratch.programs / "postgres", "-D", data_folder(scratch.place), "-p",
                                            std::to_string(scratch.port), "-c", "cluster_name=" + scratch.nonce});
        command.environment = clean_environment();
        command.folder = scratch.place;
        const ChildIdentity server = start_daemon(command, scratch.folder / "pid", scratch.folder / "server.log");
        if (wait_until_ready(scratch, server, patience)) {
            scratch.pid = server.pid;
            write_note(scratch);
            return;
        }
        if (attempt == 5) {
            throw Error{ErrorCode::child_failed, "the throw-away cluster in '" + scratch.place.string() +
                                                     "' does not start: " + last_log_line(scratch)};
        }
    }
}

void require_nonce(const std::string& nonce) {
    const auto allowed = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
    };
    if (nonce.empty() || nonce.size() > 63 || !std::all_of(nonce.begin(), nonce.end(), allowed)) {
        throw Error{ErrorCode::usage, "'" + nonce + "' is no nonce for a throw-away cluster",
                    "Use 1 to 63 letters, digits, '-' or '_'."};
    }
}

// What the note says of the cluster in `folder`, whether it runs or not.
ScratchPostgres noted_cluster(const fs::path& folder) {
    const Json note = read_note(folder);
    if (!note.is_object()) {
        throw Error{ErrorCode::not_found, "there is no throw-away cluster in '" + folder.string() + "'"};
    }
    ScratchPostgres scratch;
    scratch.folder = fs::canonical(folder);
    scratch.place = note.value("place", "");
    scratch.nonce = note.value("nonce", "");
    scratch.programs = note.value("programs", "");
    scratch.port = note.value("port", 0);
    scratch.socket = scratch.place / "s";
    return scratch;
}

}  // namespace

PostgresTarget ScratchPostgres::target(std::string database) const {
    PostgresTarget target;
    target.host = host;
    target.port = port;
    target.user = user;
    target.password = password;
    target.database = std::move(database);
    return target;
}

ScratchPostgres start_scratch_postgres(const ScratchPostgresWish& wish, const PostgresPatience& patience) {
    require_nonce(wish.nonce);
    const std::optional<Account> account = server_account();
    const PostgresProgram server = find_postgres_program("postgres", wish.version);
    if (wish.version != 0 && server.major != wish.version) {
        throw Error{ErrorCode::program_missing, "PostgreSQL " + std::to_string(wish.version) +
                                                    " is not installed, version " + std::to_string(server.major) +
                                                    " is"};
    }
    std::error_code ignored;
    if (!fs::exists(wish.folder, ignored)) {
        make_directories(wish.folder, 0711);
        if (chmod(wish.folder.c_str(), 0711) != 0) throw_errno("open '" + wish.folder.string() + "'", errno);
    }
    if (const Json note = read_note(wish.folder); note.is_object()) {
        if (postmaster_of(note.value("place", ""))) {
            throw Error{ErrorCode::already_exists,
                        "a throw-away cluster runs in '" + wish.folder.string() + "' already"};
        }
        destroy_scratch_postgres(wish.folder);
        make_directories(wish.folder, 0711);
        if (chmod(wish.folder.c_str(), 0711) != 0) throw_errno("open '" + wish.folder.string() + "'", errno);
    }

    ScratchPostgres scratch;
    scratch.folder = fs::canonical(wish.folder);
    scratch.nonce = wish.nonce;
    scratch.password = wish.password;
    scratch.programs = server.path.parent_path();
    scratch.place = choose_place(scratch.folder, account);
    scratch.socket = scratch.place / "s";
    write_note(scratch);  // from here on a killed start can be cleaned up
    try {
        make_cluster(scratch, account, patience);
        write_settings(scratch, wish);
        start_server(scratch, Port::any, account, patience);
    } catch (...) {
        try {
            destroy_scratch_postgres(scratch.folder);
        } catch (const Error&) {  // the failure of the start is the one to tell
        }
        throw;
    }
    return scratch;
}

ScratchPostgres attach_scratch_postgres(const fs::path& folder) {
    ScratchPostgres scratch = noted_cluster(folder);
    const auto none = [&folder] {
        return Error{ErrorCode::not_found, "no throw-away cluster runs in '" + folder.string() + "'"};
    };
    const auto postmaster = postmaster_of(scratch.place);
    if (!postmaster) throw none();
    scratch.pid = *postmaster;
    std::ifstream file("/proc/" + std::to_string(scratch.pid) + "/cmdline");
    std::stringstream arguments;
    arguments << file.rdbuf();
    const std::vector<std::string> argv = split(arguments.str(), '\0');
    if (std::find(argv.begin(), argv.end(), "cluster_name=" + scratch.nonce) == argv.end()) throw none();
    return scratch;
}

bool stop_scratch_postgres(const fs::path& folder) {
    const ScratchPostgres scratch = noted_cluster(folder);
    const auto postmaster = postmaster_of(scratch.place);
    if (!postmaster) return false;
    // a fast shutdown: sessions end, and what is in memory is written
    kill(*postmaster, SIGINT);
    for (const SteadyTime deadline = soon(30s); !over(deadline); std::this_thread::sleep_for(5ms)) {
        if (processes_of(scratch.place).empty()) return true;
    }
    throw Error{ErrorCode::busy, "the throw-away cluster in '" + scratch.place.string() + "' does not stop"};
}

ScratchPostgres restart_scratch_postgres(const fs::path& folder, const PostgresPatience& patience) {
    ScratchPostgres scratch = noted_cluster(folder);
    if (postmaster_of(scratch.place)) {
        throw Error{ErrorCode::already_exists, "the throw-away cluster in '" + folder.string() + "' runs already"};
    }
    start_server(scratch, Port::same, server_account(), patience);
    return scratch;
}

fs::path scratch_postgres_files(const fs::path& folder) {
    return data_folder(noted_cluster(folder).place);
}

bool destroy_scratch_postgres(const fs::path& folder) {
    std::error_code ignored;
    if (!fs::exists(folder, ignored)) return false;
    const Json note = read_note(folder);
    if (!note.is_object()) return false;
    const fs::path place = note.value("place", "");
    if (place.is_absolute() && place.has_relative_path()) {
        end_processes(place);
        remove_tree(place);
    }
    // the note goes last: as long as it is there a killed clean-up can be repeated
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path() != note_file(folder)) remove_tree(entry.path());
    }
    remove_tree(folder);
    return true;
}

std::string scratch_postgres_log(const ScratchPostgres& scratch) {
    std::ifstream file(scratch.folder / "server.log", std::ios::binary);
    file.seekg(0, std::ios::end);
    const auto size = static_cast<std::streamoff>(file.tellg());
    file.seekg(std::max<std::streamoff>(0, size - 8192));
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace lifeboat
