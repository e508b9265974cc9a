#include "actions/service_resource.h"

#include <fstream>

#include <unistd.h>

#include "actions/waiting.h"
#include "base/text.h"
#include "world/files.h"
#include "world/machine.h"

namespace lifeboat {

namespace {

constexpr Duration between_looks = std::chrono::milliseconds(20);

std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : to_text(value);
}

std::vector<std::string> words(const ResolvedResource& resource, const char* field) {
    std::vector<std::string> argv;
    const auto found = resource.fields.find(field);
    if (found == resource.fields.end() || !found->is_array()) return argv;
    if (!secrets_in(*found).empty()) {
        throw Error{ErrorCode::refused, "a secret stands in '" + std::string(field) + "' of '" + resource.name + "'",
                    "Give it to the service in its environment."};
    }
    for (const Json& word : *found)
        argv.push_back(text_of(word));
    return argv;
}

std::filesystem::path path_or(const ResolvedResource& resource, const char* field,
                              const std::filesystem::path& otherwise) {
    const auto found = resource.fields.find(field);
    return found != resource.fields.end() && found->is_string() ? std::filesystem::path(found->get<std::string>())
                                                                : otherwise;
}

// What is journaled of services: where their pid file is, unless the site says it.
std::filesystem::path services_folder(const ActionWorld& world) {
    return world.state / "services";
}

}  // namespace

CommandService::CommandService(const ActionWorld& world, const Json& reference)
    : world_(world), resource_(world.resources.resolve(reference)) {
    if (resource_.type != "command") {
        throw Error{ErrorCode::invalid_file,
                    "'" + resource_.name + "' is a " + resource_.type + ", not a command-driven service"};
    }
    static_cast<void>(world.resources.nonce_of(resource_.name));
    start_ = words(resource_, "start");
    stop_ = words(resource_, "stop");
    status_ = words(resource_, "status");
    pid_file_ = path_or(resource_, "pid_file", services_folder(world) / (resource_.name + ".pid"));
    log_ = path_or(resource_, "log", services_folder(world) / (resource_.name + ".log"));
}

Command CommandService::command(const std::vector<std::string>& argv) const {
    Command command{.argv = argv, .environment = clean_environment(), .folder = path_or(resource_, "folder", {})};
    if (const auto declared = resource_.fields.find("environment");
        declared != resource_.fields.end() && declared->is_object()) {
        for (const auto& [name, value] : declared->items()) {
            command.environment[name] =
                is_secret(value) ? resolve_secret(value, world_.secrets).reveal() : text_of(value);
        }
    }
    return command;
}

std::optional<ChildIdentity> CommandService::process() const {
    std::optional<ChildIdentity> daemon = read_pid_file(pid_file_);
    if (daemon && !is_alive(*daemon)) daemon.reset();
    return daemon;
}

Life CommandService::life(Context& context) const {
    if (process()) return Life::running;
    if (status_.empty()) return Life::stopped;
    Command status = command(status_);
    status.on_output = context.log;
    status.on_error = context.log;
    // the codes of the Linux Standard Base: 0 runs, 1 to 3 does not, the others do not know
    const ChildResult result = run_for(context, status);
    if (result.exit_code == 0) return Life::running;
    return result.exit_code <= 3 ? Life::stopped : Life::unknown;
}

ChildIdentity CommandService::start(Context& context, Duration steady) const {
    check_time(context);
    for (const std::filesystem::path& file : {pid_file_, log_})
        make_directories(file.parent_path());
    const ChildIdentity daemon = start_daemon(command(start_), pid_file_, log_);
    const SteadyTime until = steady_now() + steady;
    do {
        wait_for(context, std::min(between_looks, steady));
        if (!is_alive(daemon)) {
            const std::string words = last_words();
            throw Error{
                ErrorCode::not_healthy,
                "the service '" + name() + "' ended right after its start" + (words.empty() ? "" : ": " + words),
                "Its output is in '" + log_.string() + "'."};
        }
    } while (steady_now() < until);
    return daemon;
}

void CommandService::stop(Context& context, Duration grace) const {
    check_time(context);
    if (stop_.empty() && !process()) {
        throw Error{ErrorCode::refused,
                    "the service '" + name() + "' was not started by lifeboat and has no 'stop' command",
                    "Give the resource a 'stop' command."};
    }
    if (!stop_.empty()) {
        Command stop = command(stop_);
        stop.on_output = context.log;
        stop.on_error = context.log;
        const ChildResult result = run_for(context, stop);
        if (result.exit_code != 0) {
            throw Error{ErrorCode::child_failed, "'" + stop_.front() + "' ended with exit code " +
                                                     std::to_string(result.exit_code) +
                                                     " and did not stop the service '" + name() + "'"};
        }
        for (const SteadyTime until = steady_now() + grace; steady_now() < until && life(context) == Life::running;)
            wait_for(context, between_looks);
    }
    // ends what is left, and removes the pid file of one that is gone
    stop_daemon(pid_file_, grace);
    if (life(context) == Life::running) {
        throw Error{ErrorCode::not_healthy, "the service '" + name() + "' still runs after it was stopped"};
    }
}

std::string CommandService::last_words() const {
    std::ifstream file(log_, std::ios::binary | std::ios::ate);
    if (!file) return {};
    const std::streamoff size = file.tellg();
    file.seekg(std::max<std::streamoff>(0, size - 4096));
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string_view trimmed = trim(text);
    return printable(trimmed.substr(trimmed.rfind('\n') + 1));
}

std::vector<ResourceSpec> service_resources() {
    return {{
        .type = "command",
        .kinds = {"service"},
        .summary = "A service that is started, stopped and asked by commands",
        .fields = {{.name = "start",
                    .type = ValueType::list,
                    .doc = "The program that is the service, and its arguments; it stays in the foreground.",
                    .required = true,
                    .element = ValueType::text},
                   {.name = "stop",
                    .type = ValueType::list,
                    .doc = "A program that stops it; without one its process group gets TERM and, after a grace, KILL.",
                    .element = ValueType::text},
                   {.name = "status",
                    .type = ValueType::list,
                    .doc = "A program that ends with 0 when the service runs, with 1 to 3 when it does not.",
                    .element = ValueType::text},
                   {.name = "pid_file",
                    .type = ValueType::path,
                    .doc = "Where lifeboat keeps the process's identity; without it: in the folder of runs."},
                   {.name = "log",
                    .type = ValueType::path,
                    .doc = "Where its output goes; without it: in the folder of runs."},
                   {.name = "health_url",
                    .type = ValueType::text,
                    .doc = "Where it says whether it is well, for `http.check`."},
                   {.name = "environment",
                    .type = ValueType::map,
                    .doc = "Variables that it sees beside PATH, HOME, LANG, TZ and TMPDIR.",
                    .may_be_secret = true},
                   {.name = "folder", .type = ValueType::path, .doc = "The folder it works in; without it: /."}},
        .usable_in_sandbox = true,
        .example = "api:\n"
                   "  type: command\n"
                   "  start: [/opt/shop/bin/api, --port, \"8080\"]\n"
                   "  pid_file: /run/shop/api.pid\n"
                   "  log: /var/log/shop/api.log\n"
                   "  health_url: http://127.0.0.1:8080/health\n",
    }};
}

TargetIdentity identify_command(const ActionWorld&, const ResolvedResource& resource) {
    std::string what = path_or(resource, "pid_file", {}).string();
    if (what.empty()) what = resource.name + " " + join(words(resource, "start"), " ");
    TargetIdentity identity{.resource = resource.name, .declared = "command " + host_name() + ":" + what};
    // a host's name may be given to another machine
    identity.measured = "command on machine " + machine_id() + ": " + what;
    identity.facts = Json{{"start", resource.fields.value("start", Json::array())}};
    return identity;
}

}  // namespace lifeboat
