#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <set>
#include <thread>

#include "unit/actions/deed_world.h"

using namespace lifeboat;
using namespace lifeboat::test;
using namespace std::chrono_literals;

namespace {

Json shell(const std::string& script) {
    return {"sh", "-c", script};
}

}  // namespace

TEST_CASE("a program's declared outputs are read, its lines go to the log, its group is journaled") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    const Outputs outputs = here.run(
        run,
        {{"argv", shell("echo working; echo careful >&2; echo '{\"rows\": 3, \"took\": \"2s\"}' > $LIFEBOAT_OUTPUTS")},
         {"outputs", {{"rows", "integer"}, {"took", "duration"}}}});
    CHECK(outputs == Json{{"rows", 3}, {"took", "2s"}});
    CHECK(std::set<std::string>(here.log.begin(), here.log.end()) == std::set<std::string>{"working", "careful"});
    REQUIRE(here.children.size() == 1);
    CHECK(here.children[0].group > 1);
    CHECK(here.children[0].boot_id == boot_id());
}

TEST_CASE("R6 a program sees its declared variables, the run's, and nothing of ours") {
    DeedWorld here;
    here.secrets.known["token"] = "t0ps3cret";
    ::setenv("PGPASSWORD", "hostile", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "hostile", 1);
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    here.run(run, {{"argv", {"env"}},
                   {"environment",
                    {{"PLAIN", "yes"},
                     {"PORT", 80},
                     {"TOKEN", {{"secret", "token"}}},
                     {"URL", {{"secret", {"https://", {{"secret", "token"}}}}}}}}});
    ::unsetenv("PGPASSWORD");
    ::unsetenv("AWS_SECRET_ACCESS_KEY");
    std::set<std::string> expected;
    for (const auto& [name, value] : clean_environment())
        expected.insert(name + "=" + value);
    expected.insert({"PLAIN=yes", "PORT=80", "TOKEN=t0ps3cret", "URL=https://t0ps3cret", "LIFEBOAT_RUN=run-1",
                     "LIFEBOAT_STEP=step", "LIFEBOAT_DRILL=0", "LIFEBOAT_IDEMPOTENCY_KEY=run-1/step",
                     "LIFEBOAT_OUTPUTS=" + (here.run_folder() / "steps/step.outputs.json").string()});
    CHECK(std::set<std::string>(here.log.begin(), here.log.end()) == expected);
}

TEST_CASE("R11 a secret among the arguments is refused, and the intent holds references only") {
    DeedWorld here;
    here.secrets.known["token"] = "t0ps3cret";
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    CHECK(here.error_of(run, {{"argv", {"echo", {{"secret", "token"}}}}}).code == ErrorCode::refused);
    Context context = here.context(run, {{"argv", {"true"}}, {"environment", {{"TOKEN", {{"secret", "token"}}}}}});
    CHECK(to_text(run.prepare(context)).find("t0ps3cret") == std::string::npos);
    CHECK(here.children.empty());
}

TEST_CASE("a program that fails says how, with its last words") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    const Error failed = here.error_of(run, {{"argv", shell("for i in 1 2 3 4; do echo word $i >&2; done; exit 9")}});
    CHECK(failed.code == ErrorCode::child_failed);
    CHECK(failed.message == "'sh' ended with exit code 9: word 2 / word 3 / word 4");
    CHECK(failed.details == Json{{"exit_code", 9}});

    CHECK(here.error_of(run, {{"argv", shell("kill -9 $$")}}).message == "'sh' was ended by signal 9");
    const Error in_shell = here.error_of(run, {{"argv", shell("no-such-program-at-all")}});
    CHECK(in_shell.code == ErrorCode::child_failed);  // the shell may have done things before
    CHECK(in_shell.details == Json{{"exit_code", 127}});
    const Error missing = here.error_of(run, {{"argv", {"no-such-program-at-all"}}});
    CHECK(missing.code == ErrorCode::program_missing);
    const Error no_folder = here.error_of(run, {{"argv", {"true"}}, {"folder", "/no/such/folder"}});
    CHECK(no_folder.code == ErrorCode::not_found);
}

TEST_CASE("outputs that are not as declared fail the step") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    const auto message = [&](const std::string& script) {
        const Error error =
            here.error_of(run, {{"argv", shell(script)}, {"outputs", {{"rows", "integer"}, {"at", "timestamp"}}}});
        CHECK(error.code == ErrorCode::check_failed);
        return error.message;
    };
    const std::string good = R"("at": "2026-02-01T02:00:00Z")";
    CHECK(message("true") == "'sh' left no output 'at'");
    CHECK(message("echo '{" + good + "}' > $LIFEBOAT_OUTPUTS") == "'sh' left no output 'rows'");
    CHECK(message("echo '{" + good + ", \"rows\": \"3\"}' > $LIFEBOAT_OUTPUTS") ==
          "'sh' left an output 'rows' that is no integer");
    CHECK(message("echo '{\"rows\": 3, \"at\": \"noon\"}' > $LIFEBOAT_OUTPUTS") ==
          "'sh' left an output 'at' that is no timestamp");
    CHECK(message("echo '{" + good + ", \"rows\": 3, \"row\": 4}' > $LIFEBOAT_OUTPUTS") ==
          "'sh' left an output 'row' that is not declared (did you mean 'rows'?)");
    CHECK(message("echo '[1]' > $LIFEBOAT_OUTPUTS") == "the outputs of 'sh' are no JSON object");
    CHECK(message("echo '{\"rows\": 3, \"at\": {\"x\": {\"secret\": \"pw\"}}}' > $LIFEBOAT_OUTPUTS") ==
          "the outputs of 'sh' hold something that refers to a secret");
    CHECK(message("echo '{' > $LIFEBOAT_OUTPUTS")
              .starts_with("'sh' left outputs that cannot be read: '$LIFEBOAT_OUTPUTS' is not valid JSON at "));
    CHECK(message("ln -s /etc/passwd $LIFEBOAT_OUTPUTS") == "the outputs of 'sh' are no file that can be read");
    CHECK(message("rm -f $LIFEBOAT_OUTPUTS; mkfifo $LIFEBOAT_OUTPUTS") ==
          "the outputs of 'sh' are no file that can be read");
    CHECK(
        here.error_of(run, {{"argv", shell("rm -f $LIFEBOAT_OUTPUTS; head -c 2000000 /dev/zero > $LIFEBOAT_OUTPUTS")}})
            .code == ErrorCode::limit_exceeded);
}

TEST_CASE("what an earlier attempt left as outputs does not count for the next") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    here.run(run, {{"argv", shell("echo '{\"n\": 1}' > $LIFEBOAT_OUTPUTS")}, {"outputs", {{"n", "integer"}}}});
    CHECK(here.error_of(run, {{"argv", {"true"}}, {"outputs", {{"n", "integer"}}}}).code == ErrorCode::check_failed);
}

TEST_CASE("R10 a program is ended with its deed") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    Context context = here.context(run, {{"argv", shell("sleep 300 & sleep 300")}});
    context.deadline = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + 100ms;
    try {
        run.run(run.prepare(context), context);
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::timed_out);
    }
    REQUIRE(here.children.size() == 1);
    CHECK_FALSE(
        is_alive({.pid = here.children[0].group, .start_ticks = here.children[0].start_ticks, .boot_id = boot_id()}));

    here.stop.request_stop();
    CHECK(here.error_of(run, {{"argv", {"sleep", "300"}}}).code == ErrorCode::cancelled);
}

TEST_CASE("a probe's exit code is its answer") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    const auto probe = [&](const std::string& script) {
        Context context = here.context(
            run, {{"argv", {"true"}}, {"outputs", {{"n", "integer"}}}, {"probe", {{"argv", shell(script)}}}});
        return run.probe(run.prepare(context), {}, context);
    };
    const ProbeResult done = probe("echo '{\"n\": 5}' > $LIFEBOAT_OUTPUTS; echo seen");
    CHECK(done.answer == ProbeResult::Answer::done);
    CHECK(done.outputs == Json{{"n", 5}});
    CHECK(done.evidence == "'sh' ended with exit code 0, saying: seen");
    const ProbeResult not_done = probe("exit 1");
    CHECK(not_done.answer == ProbeResult::Answer::not_done);
    CHECK(not_done.outputs == Json::object());
    CHECK(probe("exit 2").answer == ProbeResult::Answer::cannot_tell);
    CHECK(probe("kill -9 $$").answer == ProbeResult::Answer::cannot_tell);
    const ProbeResult no_outputs = probe("exit 0");  // done, but what it gave is not known
    CHECK(no_outputs.answer == ProbeResult::Answer::cannot_tell);
    CHECK(no_outputs.evidence == "'sh' left no output 'n'");

    Context context = here.context(run, {{"argv", {"true"}}});
    CHECK(run.probe(run.prepare(context), {}, context).answer == ProbeResult::Answer::cannot_tell);
    context = here.context(run, {{"argv", {"true"}}, {"probe", {{"argv", {"no-such-program-at-all"}}}}});
    CHECK(run.probe(run.prepare(context), {}, context).answer == ProbeResult::Answer::cannot_tell);
}

TEST_CASE("undo runs what the author gave, and nothing when there is nothing") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    const std::string mark = here.folder / "mark";
    Context context = here.context(run, {{"argv", {"touch", mark}}, {"undo", {{"argv", {"rm", mark}}}}});
    const Intent intent = run.prepare(context);
    run.run(intent, context);
    CHECK(std::filesystem::exists(mark));
    CHECK(run.undo(intent, {}, context) == "ran its undo, 'rm'");
    CHECK_FALSE(std::filesystem::exists(mark));
    CHECK_THROWS_AS(run.undo(intent, {}, context), Error);

    context = here.context(run, {{"argv", {"true"}}});
    CHECK(run.undo(run.prepare(context), {}, context).empty());
}

TEST_CASE("R40 before the run each missing program is named") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& run = action_named(actions, "run");
    Context context = here.context(run, {{"argv", {"no-such-program-at-all"}}, {"undo", {{"argv", {"sh"}}}}});
    const Survey survey = run.survey(context);
    REQUIRE(survey.findings.size() == 2);
    CHECK(survey.findings[0].kind == FindingKind::blocker);
    CHECK(survey.findings[0].subject == "program 'no-such-program-at-all'");
    CHECK(survey.findings[0].step == "step");
    CHECK(survey.findings[1].kind == FindingKind::ok);
    CHECK(here.children.empty());

    context = here.context(run, {{"argv", nullptr}});  // not known yet
    CHECK(run.survey(context).findings.empty());
}
