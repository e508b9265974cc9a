#include "cli/command_line.h"

#include <cstdlib>
#include <cstring>

#include <signal.h>
#include <unistd.h>

#include "actions/lua_child.h"
#include "base/text.h"
#include "cli/exit_code.h"
#include "cli/help.h"
#include "cli/loading.h"

namespace lifeboat {

namespace {

int refuse(Session& session, const Error& error, int code) {
    Terminal& terminal = session.terminal;
    if (session.json) {
        terminal.output(to_pretty_text(Json{{"error", to_json(error)}, {"exit_code", code}}) + "\n");
        return code;
    }
    terminal.talk(painted(Tone::bad, "error:", terminal.talk_style()) + " " + printable(error.full_message(), true) +
                  "\n");
    if (!error.hint.empty()) terminal.talk("hint: " + printable(error.hint, true) + "\n");
    return code;
}

int act(Session& session, const Parsed& parsed, std::span<const Subcommand> verbs) {
    if (parsed.verb == nullptr || parsed.help) {
        session.terminal.output(parsed.verb == nullptr ? help_for_all(verbs) : help_for(parsed.verb->spec));
        return 0;
    }
    session.log.set_level(parsed.log_level);
    return parsed.verb->act(parsed.call, session);
}

// Whatever happened is one message and one exit code.
template <typename Body>
int guarded(Session& session, Body body) {
    try {
        return body();
    } catch (const FilesRefused& refused) {
        if (session.json) return refuse(session, refused, 2);
        session.terminal.talk(refused.rendered);
        return 2;
    } catch (const Error& error) {
        return refuse(session, error, exit_code(error.code));
    } catch (const std::exception& bug) {
        return refuse(session,
                      Error{ErrorCode::internal, std::string("lifeboat itself failed: ") + bug.what(),
                            "This is a bug; runs under way can be resumed."},
                      70);
    }
}

// libpq, and whatever else would listen to the caller's variables instead of the site's: PGSERVICE, PGOPTIONS, …
void forget_the_callers_postgres() {
    std::vector<std::string> names;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        if (text.starts_with("PG")) names.emplace_back(text.substr(0, text.find('=')));
    }
    for (const std::string& name : names)
        ::unsetenv(name.c_str());
}

std::filesystem::path this_program() {
    std::error_code problem;
    return std::filesystem::read_symlink("/proc/self/exe", problem);
}

}  // namespace

int run_program(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + (argc > 0 ? argc : 1));
    if (!words.empty() && words.front() == "__lua") return lua_child_main();
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGCHLD, SIG_DFL);  // a caller that ignores it would take our children's exit codes away
    forget_the_callers_postgres();

    Redactor redactor;
    Terminal terminal(redactor);
    const SystemClock clock;
    DiagnosticsLog log(terminal);
    Session session{.terminal = terminal, .redactor = redactor, .clock = clock, .log = log, .program = this_program()};
    for (const std::string& word : words)
        session.json = session.json || word == "--json";

    const std::vector<Subcommand> verbs = all_verbs();
    const int code = guarded(session, [&] {
        const Parsed parsed = parse_command_line(words, verbs);
        session.site = parsed.call.one("--site");
        return act(session, parsed, verbs);
    });
    if (code == 0 && terminal.output_failure() != 0) {
        terminal.talk(
            "error: cannot write to standard output: " + std::string(std::strerror(terminal.output_failure())) + "\n");
        return 1;
    }
    return code;
}

}  // namespace lifeboat
