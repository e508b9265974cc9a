#include "actions/authored.h"

#include <csignal>

#include "actions/waiting.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

namespace {

constexpr Duration between_signs = std::chrono::seconds(1);

bool is_script(const Json& deed) {
    return deed.contains("script");
}

std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : to_text(value);
}

std::vector<std::string> words_of(const Json& argv) {
    // arguments are seen by everybody on the machine (R11)
    if (!secrets_in(argv).empty()) {
        throw Error{ErrorCode::refused, "a secret stands among the arguments of a program",
                    "Give it to the program in its environment."};
    }
    std::vector<std::string> words;
    for (const Json& word : argv)
        words.push_back(text_of(word));
    return words;
}

std::string name_of(const Json& deed) {
    if (is_script(deed)) return "'" + deed.at("script").get<std::string>() + "'";
    const Json& argv = deed.at("argv");
    return argv.empty() ? "''" : "'" + text_of(argv.front()) + "'";
}

// What `lifeboat __lua` reads: the script as the run keeps it, and what it may look at.
std::string script_input(const Context& context, const Json& deed) {
    const std::string script = deed.at("script").get<std::string>();
    const std::filesystem::path kept = context.workspace.beside("").parent_path().parent_path() / "scripts" / script;
    const Json scope = {{"arguments", deed.value("arguments", Json::object())},
                        {"run",
                         {{"id", context.run_id},
                          {"step", context.step_id},
                          {"attempt", context.attempt},
                          {"drill", context.drill},
                          {"idempotency_key", context.idempotency_key}}}};
    return to_text(Json{{"name", script}, {"source", read_small_file(kept)}, {"scope", scope}});
}

std::map<std::string, std::string> environment_of(const ActionWorld& world, const Context& context, const Json& deed,
                                                  const std::filesystem::path& outputs) {
    std::map<std::string, std::string> environment = clean_environment();
    if (const auto declared = deed.find("environment"); declared != deed.end() && declared->is_object()) {
        for (const auto& [name, value] : declared->items())
            environment[name] = is_secret(value) ? resolve_secret(value, world.secrets).reveal() : text_of(value);
    }
    environment["LIFEBOAT_RUN"] = context.run_id;
    environment["LIFEBOAT_STEP"] = context.step_id;
    environment["LIFEBOAT_DRILL"] = context.drill ? "1" : "0";
    environment["LIFEBOAT_IDEMPOTENCY_KEY"] = context.idempotency_key;
    environment["LIFEBOAT_OUTPUTS"] = outputs.string();
    return environment;
}

std::string last_lines(std::string_view text, std::size_t count) {
    text = trim(text);
    std::size_t begin = text.size();
    for (std::size_t i = 0; i < count && begin != std::string_view::npos && begin > 0; ++i)
        begin = text.rfind('\n', begin - 1);
    if (begin != std::string_view::npos && begin < text.size()) text.remove_prefix(begin + 1);
    std::vector<std::string> lines = split(text, '\n');
    for (std::string& line : lines)
        line = printable(trim(line));
    return join(lines, " / ");
}

std::string how_it_ended(const AuthoredEnd& end) {
    std::string text = end.called;
    if (end.child.signal != 0) {
        text += " was ended by signal " + std::to_string(end.child.signal);
    } else {
        text += " ended with exit code " + std::to_string(end.child.exit_code);
    }
    const std::string last = last_lines(end.child.errors, 3);
    return last.empty() ? text : text + ": " + last;
}

bool is_declared(const Json& intent, const char* verb) {
    const auto found = intent.find(verb);
    return found != intent.end() && found->is_object();
}

// Exit codes say it: 0 is done, 1 is not done.
ProbeResult answer_of_program(const AuthoredEnd& end, const Json& declared) {
    const std::string said = last_lines(end.child.output, 1);
    const std::string evidence = how_it_ended(end) + (said.empty() ? "" : ", saying: " + said);
    if (end.child.exit_code == 1) return {.answer = ProbeResult::Answer::not_done, .evidence = evidence};
    if (end.child.exit_code != 0) return {.evidence = evidence};
    return {.answer = ProbeResult::Answer::done,
            .outputs = check_outputs(end, output_object(end), declared),
            .evidence = evidence};
}

// A script that fails has not answered; one that ends has to say `outputs.done`.
ProbeResult answer_of_script(const AuthoredEnd& end, const Json& declared) {
    if (end.child.exit_code != 0) return {.evidence = how_it_ended(end)};
    Json outputs = output_object(end);
    const auto done = outputs.find("done");
    if (done == outputs.end() || !done->is_boolean()) {
        return {.evidence = end.called + " did not set 'outputs.done' to true or false"};
    }
    const bool is_done = done->get<bool>();
    outputs.erase("done");
    const std::string evidence = end.called + " says that it is " + (is_done ? "done" : "not done");
    if (!is_done) return {.answer = ProbeResult::Answer::not_done, .evidence = evidence};
    return {
        .answer = ProbeResult::Answer::done, .outputs = check_outputs(end, outputs, declared), .evidence = evidence};
}

}  // namespace

// What a killed attempt left must not count for this one.
OutputsFile::OutputsFile(std::filesystem::path path) : path_(std::move(path)) {
    remove_file(path_);
}

OutputsFile::~OutputsFile() {
    std::error_code gone;
    if (!path_.empty()) std::filesystem::remove(path_, gone);
}

AuthoredEnd run_authored(const ActionWorld& world, Context& context, const Json& deed, const std::string& purpose) {
    AuthoredEnd end{.called = name_of(deed),
                    .is_script = is_script(deed),
                    .child = {},
                    .outputs = OutputsFile(context.workspace.beside("." + purpose + ".json"))};
    Command command{.environment = environment_of(world, context, deed, end.outputs.path())};
    if (is_script(deed)) {
        command.argv = {world.program.string(), "__lua"};
        command.input = script_input(context, deed);
    } else {
        command.argv = words_of(deed.at("argv"));
        if (const auto folder = deed.find("folder"); folder != deed.end() && folder->is_string()) {
            command.folder = folder->get<std::string>();
            // what an expression left empty is not meant to be '/'
            if (trim(command.folder.string()).empty())
                throw Error{ErrorCode::refused, "the folder that " + end.called + " is to work in is empty",
                            "See what its expression gives."};
        }
    }
    // its output is its sign of life
    SteadyTime last_sign = steady_now();
    const auto take_line = [&](std::string_view line) {
        context.log(line);
        if (steady_now() - last_sign < between_signs) return;
        last_sign = steady_now();
        context.progress({.what = "running " + end.called});
    };
    command.on_output = take_line;
    command.on_error = take_line;
    end.child = run_for(context, command);
    return end;
}

void require_success(const AuthoredEnd& end) {
    if (end.child.exit_code == 0) return;
    Error error{ErrorCode::child_failed, how_it_ended(end)};
    if (end.is_script && end.child.exit_code == script_failed_exit) {
        error = Error{ErrorCode::script_failed, last_lines(end.child.errors, 1)};
    } else if (end.is_script && (end.child.exit_code == script_limit_exit || end.child.signal == SIGXCPU ||
                                 end.child.signal == SIGKILL)) {
        error = Error{ErrorCode::limit_exceeded, end.child.exit_code == script_limit_exit
                                                     ? last_lines(end.child.errors, 1)
                                                     : end.called + " used too much memory or CPU time"};
    } else if (end.child.exit_code == 127) {
        error.hint = "By this code a shell says that it did not find a program.";
    }
    error.details = Json{{"exit_code", end.child.exit_code}};
    throw error;
}

Outputs run_and_read(const ActionWorld& world, Context& context, const Intent& intent) {
    const AuthoredEnd end = run_authored(world, context, intent, "outputs");
    require_success(end);
    return check_outputs(end, output_object(end), intent.value("outputs", Json::object()));
}

ProbeResult probe_authored(const ActionWorld& world, Context& context, const Intent& intent) {
    if (!is_declared(intent, "probe")) return {.evidence = "the step declares no 'probe'"};
    const Json declared = intent.value("outputs", Json::object());
    try {
        const AuthoredEnd end = run_authored(world, context, intent.at("probe"), "probe-outputs");
        return end.is_script ? answer_of_script(end, declared) : answer_of_program(end, declared);
    } catch (const Error& error) {
        if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out) throw;
        return {.evidence = error.full_message()};
    }
}

std::string undo_authored(const ActionWorld& world, Context& context, const Intent& intent) {
    if (!is_declared(intent, "undo")) return {};
    const AuthoredEnd end = run_authored(world, context, intent.at("undo"), "undo-outputs");
    require_success(end);
    return "ran its undo, " + end.called;
}

}  // namespace lifeboat
