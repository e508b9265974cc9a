#include "world/postgres_programs.h"

#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

std::optional<int> leading_number(std::string_view text) {
    int number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{}) return std::nullopt;
    return number;
}

bool is_program(const fs::path& path) {
    return access(path.c_str(), X_OK) == 0;
}

// Debian: /usr/lib/postgresql/15/bin; the RPMs: /usr/pgsql-15/bin. Their names say the version, without starting
// anything.
std::vector<PostgresProgram> in_version_folders(const std::string& name) {
    std::vector<PostgresProgram> found;
    const auto look = [&](const fs::path& parent, std::string_view prefix) {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(parent, ignored)) {
            const std::string folder = entry.path().filename();
            if (!folder.starts_with(prefix)) continue;
            const auto major = leading_number(std::string_view(folder).substr(prefix.size()));
            const fs::path path = entry.path() / "bin" / name;
            if (major && is_program(path)) found.push_back({path, *major});
        }
    };
    look("/usr/lib/postgresql", "");
    look("/usr/pgsql", "");
    look("/usr", "pgsql-");
    return found;
}

std::optional<PostgresProgram> in_path(const std::string& name) {
    const auto path = find_program(name);
    if (!path) return std::nullopt;
    ChildControl control;
    control.deadline = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::steady_clock::now()) +
                       std::chrono::seconds(10);
    const ChildResult said =
        run_child({.argv = {path->string(), "--version"}, .environment = clean_environment()}, control);
    // "pg_dump (PostgreSQL) 15.20 (Debian …)"
    const std::size_t at = said.output.find(") ");
    const auto major =
        at == std::string::npos ? std::nullopt : leading_number(std::string_view(said.output).substr(at + 2));
    if (said.exit_code != 0 || !major) return std::nullopt;
    return PostgresProgram{*path, *major};
}

std::string conninfo_value(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

constexpr std::string_view password_prefix = ".pgpass-";

}  // namespace

void remove_password_leftovers(const fs::path& workspace) {
    const std::string own = std::string(password_prefix) + std::to_string(getpid()) + "-";
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(workspace, ignored)) {
        const std::string name = entry.path().filename();
        if (name.starts_with(password_prefix) && !name.starts_with(own)) fs::remove(entry.path(), ignored);
    }
}

namespace {

fs::path write_password_file(const fs::path& workspace, const Secret& password) {
    std::string line;
    if (!password.empty()) {
        if (password.reveal().find('\n') != std::string::npos) {
            throw Error{ErrorCode::unsupported,
                        "a password with a line break cannot be given to PostgreSQL's programs"};
        }
        line = "*:*:*:*:";
        for (const char c : password.reveal()) {
            if (c == ':' || c == '\\') line += '\\';
            line += c;
        }
        line += '\n';
    }
    for (int number = 0;; ++number) {
        const fs::path path =
            workspace / (std::string(password_prefix) + std::to_string(getpid()) + "-" + std::to_string(number));
        const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 && errno == EEXIST && number < 1000) continue;
        if (fd < 0) throw_errno("make '" + path.string() + "'", errno);
        const auto written = write(fd, line.data(), line.size());
        const int failure = errno;
        close(fd);
        if (written != static_cast<ssize_t>(line.size())) {
            unlink(path.c_str());
            throw_errno("write '" + path.string() + "'", written < 0 ? failure : ENOSPC);
        }
        return path;
    }
}

}  // namespace

PostgresProgram find_postgres_program(const std::string& name, int server_major) {
    std::vector<PostgresProgram> found = in_version_folders(name);
    const auto fits = [server_major](const PostgresProgram& program) { return program.major >= server_major; };
    if (std::none_of(found.begin(), found.end(), fits)) {
        if (const auto other = in_path(name)) found.push_back(*other);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.major < b.major; });
    if (server_major == 0 && !found.empty()) return found.back();
    const auto first = std::find_if(found.begin(), found.end(), fits);
    if (first != found.end()) return *first;
    if (found.empty()) {
        throw Error{ErrorCode::program_missing, "'" + name + "' is not installed",
                    "Install PostgreSQL's client programs."};
    }
    throw Error{ErrorCode::program_missing,
                "'" + name + "' is installed in version " + std::to_string(found.back().major) +
                    ", the server is version " + std::to_string(server_major),
                "Install the client programs of PostgreSQL " + std::to_string(server_major) + " or newer."};
}

PostgresLogin::PostgresLogin(const PostgresTarget& target, const fs::path& workspace,
                             const std::map<std::string, std::string>& settings)
    : workspace_(workspace) {
    remove_password_leftovers(workspace);
    password_file_ = write_password_file(workspace, target.password);

    const bool local = target.host.starts_with('/');
    const std::string none = "/dev/null/none";
    const std::pair<std::string_view, std::string> parts[] = {
        {"host", target.host},
        {"port", std::to_string(target.port)},
        {"dbname", target.database},
        {"user", target.user},
        {"application_name", target.application_name},
        {"connect_timeout", std::to_string(std::max<std::int64_t>(
                                2, std::chrono::ceil<std::chrono::seconds>(target.connect_timeout).count()))},
        {"sslmode", local ? "disable" : target.sslmode},
        {"sslrootcert", target.sslrootcert.empty() ? none : target.sslrootcert},
        {"sslcert", none},
        {"sslkey", none},
        {"sslcrl", none},
        {"gssencmode", "disable"},
    };
    for (const auto& [keyword, value] : parts) {
        if (!conninfo_.empty()) conninfo_ += ' ';
        conninfo_ += std::string(keyword) + "=" + conninfo_value(value);
    }

    environment_ = clean_environment();
    environment_["PGPASSFILE"] = password_file_;
    environment_["PGAPPNAME"] = target.application_name;
    std::string options;
    for (const auto& [name, value] : settings) {
        if (!options.empty()) options += ' ';
        options += "-c " + name + "=";
        for (const char c : value) {
            if (c == ' ' || c == '\\') options += '\\';
            options += c;
        }
    }
    if (!options.empty()) environment_["PGOPTIONS"] = options;
}

PostgresLogin::~PostgresLogin() {
    std::error_code ignored;
    fs::remove(password_file_, ignored);
}

Command PostgresLogin::command(const PostgresProgram& program, std::vector<std::string> arguments) const {
    Command command;
    command.argv.push_back(program.path);
    command.argv.insert(command.argv.end(), std::make_move_iterator(arguments.begin()),
                        std::make_move_iterator(arguments.end()));
    command.argv.insert(command.argv.end(), {"--no-password", "-d", conninfo_});
    command.environment = environment_;
    command.folder = workspace_;
    return command;
}

Error program_error(std::string_view tried, const ChildResult& result) {
    if (result.timed_out) return {ErrorCode::timed_out, std::string(tried) + ": the time for it was over"};
    if (result.cancelled) return {ErrorCode::cancelled, std::string(tried) + ": asked to stop"};
    std::string last;
    for (const std::string& line : split(result.errors, '\n')) {
        if (const std::string_view text = trim(line); !text.empty()) last = text;
    }
    std::string ended = result.signal != 0 ? "ended by signal " + std::to_string(result.signal)
                                           : "exit code " + std::to_string(result.exit_code);
    if (!last.empty()) ended += ": " + printable(last);
    return {ErrorCode::child_failed, std::string(tried) + ": " + ended};
}

}  // namespace lifeboat
