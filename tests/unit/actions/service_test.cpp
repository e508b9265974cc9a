#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include <sys/wait.h>
#include <unistd.h>

#include "unit/actions/deed_world.h"
#include "world/machine.h"

using namespace lifeboat;
using namespace lifeboat::test;
using namespace std::chrono_literals;

namespace {

const Json app = {{"service", {{"of", "app"}}}};

Resource service(Json fields) {
    return {.name = "app", .type = "command", .fields = std::move(fields)};
}

// Ends what a test started, whatever became of the test.
struct Services : DeedWorld {
    explicit Services(Json fields, std::optional<DrillMark> drill = {})
        : DeedWorld({{"app", service(std::move(fields))}}, std::move(drill)) {}
    ~Services() {
        try {
            stop_daemon(pid_file(), 100ms);
        } catch (const Error&) {
        }
    }
    Services(const Services&) = delete;
    Services& operator=(const Services&) = delete;

    ActionList actions = service_actions(world());
    const Action& start = action_named(actions, "service.start");
    const Action& stop = action_named(actions, "service.stop");

    std::filesystem::path pid_file() const { return world().state / "services" / "app.pid"; }
    std::optional<ChildIdentity> process() const { return read_pid_file(pid_file()); }
};

}  // namespace

TEST_CASE("a service is started once, stopped, and both are told apart by their probes") {
    Services here(Json{{"start", {"sleep", "300"}}});
    Context starting = here.context(here.start, app);
    const Intent start = here.start.prepare(starting);
    CHECK(start.at("was_running") == false);
    CHECK(here.start.probe(start, {}, starting).answer == ProbeResult::Answer::not_done);

    const Outputs outputs = here.start.run(start, starting);
    const auto process = here.process();
    REQUIRE(process);
    CHECK(is_alive(*process));
    CHECK(outputs == Json{{"pid", process->pid}, {"started_at", outputs.at("started_at")}, {"ran_before", false}});
    CHECK(parse_timestamp(outputs.at("started_at").get<std::string>()).has_value());
    const ProbeResult started = here.start.probe(start, {}, starting);
    CHECK(started.answer == ProbeResult::Answer::done);
    CHECK(started.outputs.at("pid") == process->pid);
    CHECK(started.evidence == "the service 'app' runs");

    // again: it is left alone
    CHECK(here.run(here.start, app).at("ran_before") == true);
    CHECK(here.process()->pid == process->pid);

    Context stopping = here.context(here.stop, app);
    const Intent stop = here.stop.prepare(stopping);
    CHECK(stop.at("was_running") == true);
    CHECK(here.stop.probe(stop, {}, stopping).answer == ProbeResult::Answer::not_done);
    CHECK(here.stop.run(stop, stopping) == Json{{"was_running", true}});
    CHECK_FALSE(is_alive(*process));
    const ProbeResult stopped = here.stop.probe(stop, {}, stopping);
    CHECK(stopped.answer == ProbeResult::Answer::done);
    CHECK(stopped.outputs == Json{{"was_running", true}});
    CHECK(here.run(here.stop, app) == Json{{"was_running", false}});

    // the undo of the stop starts it again, once
    CHECK(here.stop.undo(stop, {}, stopping) == "started the service 'app' again");
    const auto again = here.process();
    REQUIRE(again);
    CHECK(is_alive(*again));
    CHECK(here.stop.undo(stop, {}, stopping).empty());
    CHECK(here.process()->pid == again->pid);

    // the undo of the start stops it, once
    CHECK(here.start.undo(start, {}, starting) == "stopped the service 'app' again");
    CHECK_FALSE(is_alive(*again));
    CHECK(here.start.undo(start, {}, starting).empty());
}

TEST_CASE("an undo leaves a service as it was found") {
    Services here(Json{{"start", {"sleep", "300"}}});
    Context context = here.context(here.stop, app);
    const Intent stop_of_nothing = here.stop.prepare(context);
    CHECK(here.stop.undo(stop_of_nothing, {}, context).empty());
    CHECK_FALSE(here.process());

    here.run(here.start, app);
    const Intent start_of_running = here.start.prepare(context);
    CHECK(here.start.undo(start_of_running, {}, context).empty());
    CHECK(is_alive(*here.process()));
}

TEST_CASE("a service started by a run survives it; one that was being started when the runner was killed does not") {
    Services here(Json{{"start", {"sleep", "300"}}});
    const pid_t runner = ::fork();
    if (runner == 0) {
        here.run(here.start, app);
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(runner, nullptr, 0);
    const auto process = here.process();
    REQUIRE(process);
    CHECK(is_alive(*process));

    // a resume finds it
    Context context = here.context(here.start, app);
    const Intent intent = {{"service", {{"of", "app"}}}, {"was_running", false}, {"steady", "200ms"}, {"grace", "10s"}};
    CHECK(here.start.probe(intent, {}, context).answer == ProbeResult::Answer::done);
    CHECK(here.start.run(intent, context).at("pid") == process->pid);
    CHECK(here.start.undo(intent, {}, context) == "stopped the service 'app' again");
    CHECK_FALSE(is_alive(*process));
}

TEST_CASE("a service that ends right after its start is no started service") {
    Services here(Json{{"start", {"sh", "-c", "echo no config >&2; exit 1"}}});
    const Error error = here.error_of(here.start, app);
    CHECK(error.code == ErrorCode::not_healthy);
    CHECK(error.message == "the service 'app' ended right after its start: no config");
    CHECK(error.hint == "Its output is in '" + (here.world().state / "services/app.log").string() + "'.");
}

TEST_CASE("a service gets its environment, folder and log; a secret reaches it and nothing else") {
    Services here(Json{{"start", {"sh", "-c", "echo $TOKEN in $PWD; exec sleep 300"}},
                       {"environment", {{"TOKEN", {{"secret", "token"}}}}},
                       {"folder", "/tmp"}});
    here.secrets.known["token"] = "t0ps3cret";
    here.run(here.start, app);
    CHECK(read_text(here.world().state / "services/app.log") == "t0ps3cret in /tmp\n");
    std::ifstream cmdline("/proc/" + std::to_string(here.process()->pid) + "/cmdline");
    CHECK(std::string(std::istreambuf_iterator<char>(cmdline), {}).find("t0ps3cret") == std::string::npos);
}

TEST_CASE("the stop command stops, and a service that ignores TERM is killed") {
    ScratchFolder marks;
    Services polite(
        {{"start", {"sh", "-c", "trap '' TERM; touch " + (marks / "up").string() + "; while :; do sleep 0.01; done"}},
         {"stop", {"touch", (marks / "asked").string()}}});
    polite.run(polite.start, app);
    const auto process = polite.process();
    REQUIRE(process);
    Json arguments = app;
    arguments["grace"] = "100ms";
    polite.run(polite.stop, arguments);
    CHECK(std::filesystem::exists(marks / "asked"));
    CHECK_FALSE(is_alive(*process));
    CHECK_FALSE(polite.process());
}

TEST_CASE("a status command tells of a service that lifeboat did not start") {
    ScratchFolder marks;
    const std::string mark = marks / "running";
    Services here(Json{{"start", {"sleep", "300"}}, {"status", {"sh", "-c", "[ -e " + mark + " ] || exit 3"}}});
    Context context = here.context(here.stop, app);
    CHECK(here.stop.prepare(context).at("was_running") == false);
    write_text(mark, "");
    const Intent intent = here.stop.prepare(context);
    CHECK(intent.at("was_running") == true);
    const Error error = here.error_of(here.stop, app);
    CHECK(error.code == ErrorCode::refused);
    CHECK(error.message == "the service 'app' was not started by lifeboat and has no 'stop' command");
    const Outputs outputs = here.run(here.start, app);
    CHECK(outputs == Json{{"pid", nullptr}, {"started_at", nullptr}, {"ran_before", true}});

    Services doubtful(Json{{"start", {"sleep", "300"}}, {"status", {"sh", "-c", "exit 4"}}});
    CHECK(doubtful.error_of(doubtful.stop, app).code == ErrorCode::refused);
    context = doubtful.context(doubtful.stop, app);
    CHECK(doubtful.stop.probe(intent, {}, context).answer == ProbeResult::Answer::cannot_tell);
}

TEST_CASE("in a drill only a service of the sandbox is touched") {
    Services outside(Json{{"start", {"sleep", "300"}}}, DrillMark{.drill = "d", .nonces = {}});
    CHECK(outside.error_of(outside.start, app).code == ErrorCode::refused);
    CHECK_FALSE(outside.process());
    Services inside(Json{{"start", {"sleep", "300"}}}, DrillMark{.drill = "d", .nonces = {{"app", "n"}}});
    CHECK(inside.run(inside.start, app).at("ran_before") == false);
}

TEST_CASE("a service is known by host and pid file, and its program is looked for before the run") {
    Services here(Json{{"start", {"no-such-program-at-all"}}, {"pid_file", "/run/app.pid"}});
    const TargetIdentity identity = identify_command(here.world(), here.world().resources.named("app"));
    CHECK(identity.resource == "app");
    CHECK(identity.declared.starts_with("command "));
    CHECK(identity.declared.ends_with(":/run/app.pid"));
    CHECK(identity.measured == "command on machine " + machine_id() + ": /run/app.pid");

    Context context = here.context(here.start, app);
    const Survey survey = here.start.survey(context);
    REQUIRE(survey.findings.size() == 1);
    CHECK(survey.findings[0].kind == FindingKind::blocker);
    CHECK(survey.findings[0].subject == "program 'no-such-program-at-all' of 'app'");
}
