#include "unit/report/stories.h"

namespace lifeboat::sample {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

enum Index : std::size_t { assess, stop_app, fence, fetch, restore, check, swap_in, unfence, healthy, tell };

Timestamp when(const char* text) {
    return *parse_timestamp(text);
}

Runner runner(int pid) {
    return {.host = "ops1", .user = "alice", .pid = pid, .start_ticks = 77, .boot_id = "b00t", .version = "0.1.0"};
}

DraftedStep step(const char* id, Phase phase, const char* action, Effect effect, Json arguments) {
    DraftedStep made;
    made.id = id;
    made.phase = phase;
    made.deed = {.action = action, .arguments = std::move(arguments), .effect = effect};
    made.before_line = true;
    return made;
}

// As the engine would have expanded them.
Json expanded(const Json& arguments) {
    Json made = arguments;
    for (auto& [name, value] : made.items()) {
        if (value == "${{ steps.restore.outputs.database }}") value = {{"of", "shop"}, {"database", "shop_new_4f1c"}};
        if (value == "${{ steps.fetch.outputs.path }}") value = "/var/lib/lifeboat/steps/fetch/shop";
        if (value == "${{ run.verdict }}") value = "the verdict";
    }
    return made;
}

// Writes a journal by hand, a moment at a time.
class Teller {
  public:
    explicit Teller(Plan plan) : story_{.plan = std::move(plan)}, now_(when("2026-02-01T02:00:00Z")) {}

    Teller& after(Duration time) {
        now_ += time;
        return *this;
    }
    Teller& say(EventBody body) {
        story_.events.push_back({.seq = story_.events.size() + 1, .at = now_, .body = std::move(body)});
        return *this;
    }
    Teller& start() {
        return say(RunStarted{.run_id = "2026-02-01T02-00-00-database-corruption-4f1c",
                              .plan_digest = story_.plan.digest,
                              .runner = runner(4711),
                              .incident_start = when("2026-02-01T01:58:00Z"),
                              .incident_declared = true});
    }
    Teller& begin(std::size_t index, int deed = 0, int attempt = 1) {
        const DraftedStep& drafted = step_at(story_.plan, index);
        if (attempt == 1) {
            say(DeedPrepared{.step = index,
                             .deed = deed,
                             .arguments = expanded(deed == 1 ? drafted.fallback->arguments : drafted.deed.arguments),
                             .intent = {{"seen", true}}});
        }
        return say(AttemptStarted{.step = index, .deed = deed, .attempt = attempt});
    }
    Teller& fail(std::size_t index, Error error, AttemptOutcome outcome = AttemptOutcome::failed, int attempt = 1) {
        say(AttemptEnded{.step = index, .attempt = attempt, .outcome = outcome, .error = std::move(error)});
        return *this;
    }
    Teller& finish(std::size_t index, Json outputs = Json::object(), int attempt = 1) {
        say(AttemptEnded{.step = index, .attempt = attempt, .outputs = outputs});
        return say(StepEnded{.step = index, .outputs = std::move(outputs)});
    }
    Teller& done(std::size_t index, Duration took, Json outputs = Json::object()) {
        return begin(index).after(took).finish(index, std::move(outputs));
    }
    Teller& settle(std::size_t index, ProbeResult::Answer answer, Settled::By by, std::string evidence,
                   Json outputs = Json::object()) {
        return say(Settled{
            .step = index, .answer = answer, .by = by, .evidence = std::move(evidence), .outputs = std::move(outputs)});
    }
    Teller& undo(std::size_t index, Duration took, std::string what, std::optional<Error> error = std::nullopt,
                 bool settling = false) {
        say(UndoStarted{.step = index, .settling = settling});
        after(took);
        return say(UndoEnded{.step = index, .settling = settling, .what = std::move(what), .error = std::move(error)});
    }
    Teller& verdict() { return say(judge(story_.plan, story_.state(), now_)); }
    Teller& end() { return say(RunEnded{.verdict = story_.state().verdict->verdict}); }
    // Up to the restored database, all well.
    Teller& restored() {
        start();
        done(assess, seconds(1), {{"damaged", true}, {"reason", "table 'orders' is empty"}});
        done(stop_app, seconds(2), {{"was_running", true}});
        done(fence, std::chrono::milliseconds(400),
             {{"sessions_ended", 3}, {"fenced_at", "2026-02-01T02:00:03.400000Z"}});
        done(fetch, seconds(50),
             {{"id", "shop-20260201T000000Z"},
              {"store", "offsite"},
              {"path", "/var/lib/lifeboat/steps/fetch/shop"},
              {"consistent_at", "2026-02-01T00:00:00.000000Z"},
              {"refused",
               Json::array({{{"id", "shop-20260201T010000Z"}, {"why", "'data.tar' does not match its checksum"}}})}});
        return done(restore, minutes(3), {{"database", {{"of", "shop"}, {"database", "shop_new_4f1c"}}}});
    }
    Story story() { return story_; }

  private:
    Story story_;
    Timestamp now_;
};

Error check_failed() {
    return Error{ErrorCode::check_failed, "check 'orders present' on 'shop_new_4f1c' gave 0, expected 'value > 0'",
                 "Look at the backup: it may have been made after the damage."};
}

}  // namespace

Report Story::report() const {
    return fold_report(plan, events, state(), std::string(64, 'e'));
}

Plan database_plan() {
    Plan plan;
    Draft& draft = plan.draft;
    draft.runbook = "database-corruption";
    draft.summary = "Restore PostgreSQL beside the damaged database, verify it, swap it in";
    draft.severity = Gravity::critical;
    draft.objectives = {.rto = minutes(30), .rpo = hours(24)};
    draft.contacts = {{.role = "database owner", .reach = "pager: data-oncall"},
                      {.role = "service owner", .reach = "+49 30 1234"}};
    draft.inputs = {{"before", "2026-02-01T02:00:00.000000Z"}};
    draft.bindings = {{"db", "shop"}, {"app", "api"}};
    draft.targets = {"api", "shop"};
    draft.runbook_source = "lifeboat: runbook/v1\nname: database-corruption\n";
    draft.secrets = {{"backup_key", {.kind = SecretOrigin::Kind::file, .text = "/etc/lifeboat/backup.key"}},
                     {"shop_pw", {.kind = SecretOrigin::Kind::environment, .text = "SHOP_PASSWORD"}}};
    const Json shop = {{"of", "shop"}};
    const Json staged = "${{ steps.restore.outputs.database }}";
    auto& steps = draft.steps;
    steps.push_back(step("assess", Phase::assess, "postgres.assess", Effect::read, {{"database", shop}}));
    steps.push_back(step("stop_app", Phase::isolate, "service.stop", Effect::change, {{"service", {{"of", "api"}}}}));
    steps.push_back(step("fence", Phase::isolate, "postgres.fence", Effect::change, {{"database", shop}}));
    steps.back().deed.writes_stopped_output = "fenced_at";
    steps.push_back(step("fetch", Phase::fetch, "backup.fetch", Effect::stage,
                         {{"backup", {{"backup", "shop"}}},
                          {"before", "2026-02-01T02:00:00.000000Z"},
                          {"key", {{"secret", "backup_key"}}},
                          {"limit", nullptr}}));
    steps.back().doc = "Goes down the list of candidates until one is whole.";
    steps.back().needs = {assess};
    steps.back().retry.max_attempts = 5;
    steps.back().timeout = minutes(20);
    steps.back().deed.consistent_output = "consistent_at";
    steps.push_back(step("restore", Phase::restore, "postgres.restore", Effect::stage,
                         {{"from", "${{ steps.fetch.outputs.path }}"}, {"beside", shop}}));
    steps.back().needs = {fence, fetch};
    steps.push_back(
        step("check", Phase::verify, "sql.check", Effect::read,
             {{"database", staged}, {"checks", Json::array({{{"name", "orders present"}, {"expect", "value > 0"}}})}}));
    steps.back().deed.proves = Proves::data;
    steps.push_back(
        step("swap", Phase::restore, "postgres.swap", Effect::change, {{"live", shop}, {"staged", staged}}));
    steps.push_back(step("unfence", Phase::reopen, "postgres.unfence", Effect::change, {{"database", shop}}));
    steps.back().deed.reopens = true;
    steps.back().crosses = true;
    steps.push_back(step("healthy", Phase::verify, "http.check", Effect::read,
                         {{"url", "http://web1:8080/health"}, {"within", "2m"}}));
    steps.back().deed.proves = Proves::liveness;
    for (const std::size_t index : {stop_app, fence, check, swap_in, unfence, healthy})
        steps[index].needs = {index - 1};
    for (const std::size_t index : {unfence, healthy})
        steps[index].before_line = false;
    draft.always.push_back(step("tell", Phase::verify, "notify.send", Effect::change,
                                {{"to", {{"of", "oncall"}}}, {"text", "${{ run.verdict }}"}}));
    draft.always.back().phase.reset();

    plan.made_at = when("2026-02-01T01:59:30Z");
    plan.surveys.resize(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
        plan.surveys[i].estimate_p50 = seconds(2 + static_cast<int>(i));
        plan.surveys[i].estimate_p90 = seconds(4 + static_cast<int>(i));
        plan.surveys[i].estimate_source = "history of 7 runs";
    }
    plan.surveys[assess].outputs = Json{{"damaged", true}};
    plan.surveys[stop_app].preview = Json{{"was_running", true}, {"unit", "shop-api.service"}};
    plan.surveys[fetch].bytes = Bytes{1'503'238'553};
    plan.surveys[fetch].candidates = {{.id = "shop-20260201T010000Z",
                                       .manifest_sha256 = "aa",
                                       .store = "nas",
                                       .consistent_at = when("2026-02-01T01:00:00Z"),
                                       .size = Bytes{1'503'238'553},
                                       .verified = "complete"},
                                      {.id = "shop-20260201T000000Z",
                                       .manifest_sha256 = "bb",
                                       .store = "offsite",
                                       .consistent_at = when("2026-02-01T00:00:00Z"),
                                       .size = Bytes{1'400'000'000},
                                       .verified = "restored"},
                                      {.id = "shop-20260201T030000Z",
                                       .store = "nas",
                                       .consistent_at = when("2026-02-01T03:00:00Z"),
                                       .refused = "newer than 'before'"}};
    plan.targets = {{.resource = "api", .declared = "systemd web1/shop-api.service"},
                    {.resource = "shop",
                     .declared = "postgres db1:5432/shop",
                     .measured = "postgres system 7301 primary, database shop"}};
    plan.findings = {{.kind = FindingKind::ok, .step = "restore", .subject = "pg_restore", .message = "version 15.6"},
                     {.kind = FindingKind::warning,
                      .step = "restore",
                      .subject = "free space on '/var/lib/postgresql'",
                      .message = "12.0 GiB needed, 14.1 GiB free",
                      .hint = "Remove what is not needed before you begin."},
                     {.kind = FindingKind::unknown,
                      .subject = "indexes of 'shop'",
                      .message = "not looked at: extension 'amcheck' is not installed"}};
    plan.predicted_rto_p50 = minutes(5);
    plan.predicted_rto_p90 = minutes(8) + seconds(30);
    plan.predicted_rpo = minutes(58);
    plan.digest = std::string(16, 'd') + std::string(48, '0');
    return plan;
}

Story recovered() {
    Teller tell_story{database_plan()};
    tell_story.start();
    tell_story.done(assess, seconds(1), {{"damaged", true}, {"reason", "table 'orders' is empty"}});
    tell_story.begin(fetch);
    tell_story.done(stop_app, seconds(2), {{"was_running", true}});
    tell_story.done(fence, std::chrono::milliseconds(400),
                    {{"sessions_ended", 3}, {"fenced_at", "2026-02-01T02:00:03.400000Z"}});
    tell_story.after(seconds(10))
        .fail(fetch, Error{ErrorCode::connection_lost, "reading 'data.tar' from 'offsite' broke off after 12 MiB",
                           "Look at the link."}
                         .during("while fetching 'shop-20260201T000000Z'"));
    tell_story.settle(fetch, ProbeResult::Answer::not_done, Settled::By::rule, "what stands is built upon");
    tell_story.after(seconds(2)).begin(fetch, 0, 2).after(seconds(38));
    tell_story.finish(
        fetch,
        {{"id", "shop-20260201T000000Z"},
         {"store", "offsite"},
         {"path", "/var/lib/lifeboat/steps/fetch/shop"},
         {"consistent_at", "2026-02-01T00:00:00.000000Z"},
         {"refused",
          Json::array({{{"id", "shop-20260201T010000Z"}, {"why", "'data.tar' does not match its checksum"}}})}},
        2);
    tell_story.done(restore, minutes(3),
                    {{"database", {{"of", "shop"}, {"database", "shop_new_4f1c"}}},
                     {"warnings", {"role 'report' is missing, 2 grants left out"}}});
    tell_story.done(check, seconds(4), {{"passed", 1}});
    tell_story.done(swap_in, std::chrono::milliseconds(200),
                    {{"kept", {{"of", "shop"}, {"database", "shop_before_4f1c"}}}});
    tell_story.done(unfence, std::chrono::milliseconds(100));
    tell_story.done(healthy, seconds(6), {{"status", 200}});
    tell_story.verdict().begin(tell).after(seconds(5));
    tell_story.fail(tell, Error{ErrorCode::timed_out, "sending to 'oncall' took longer than 5s"},
                    AttemptOutcome::timed_out);
    tell_story.settle(tell, ProbeResult::Answer::not_done, Settled::By::rule, "repeatable");
    tell_story.say(StepEnded{.step = tell,
                             .end = StepEnd::timed_out,
                             .error = Error{ErrorCode::timed_out, "sending to 'oncall' took longer than 5s"}});
    return tell_story.end().story();
}

Story rolled_back() {
    Teller story{database_plan()};
    story.restored().begin(check).after(seconds(4)).fail(check, check_failed());
    story.settle(check, ProbeResult::Answer::not_done, Settled::By::rule, "a read changes nothing");
    story.say(StepEnded{.step = check, .end = StepEnd::failed, .error = check_failed()});
    story.say(RollbackStarted{.cause = check, .reason = "step 'check' failed"});
    story.undo(restore, seconds(1), "dropped database 'shop_new_4f1c'");
    story.undo(fetch, seconds(0), "removed 1.4 GiB from the workspace");
    story.undo(fence, seconds(0), "let connections to 'shop' in again");
    story.undo(stop_app, seconds(3), "started 'shop-api.service'");
    return story.verdict().done(tell, seconds(1)).end().story();
}

Story rollback_incomplete() {
    Teller story{database_plan()};
    story.restored().done(check, seconds(4)).begin(swap_in);
    story.after(minutes(7)).say(RunResumed{.runner = runner(5002)});
    story.say(OrphansEnded{.what = {"session 'lifeboat 2026-02-01T02-00-00-database-corruption-4f1c' on 'shop'"}});
    story.settle(swap_in, ProbeResult::Answer::done, Settled::By::probe,
                 "database 'shop' has OID 16402, as the staged one had", {{"kept", "shop_before_4f1c"}});
    story.say(StepEnded{.step = swap_in, .outputs = {{"kept", "shop_before_4f1c"}}});
    story.after(seconds(1)).say(PersonDecided{.what = PersonDecided::What::rollback, .by = "alice"});
    story.say(RollbackStarted{.reason = "alice asked for it"});
    story.undo(swap_in, seconds(1), "",
               Error{ErrorCode::busy, "cannot rename database 'shop': it is being accessed by other users",
                     "End those sessions, then 'lifeboat rollback' again."}
                   .during("while swapping back"));
    story.undo(restore, seconds(1), "");
    story.undo(fetch, seconds(0), "removed 1.4 GiB from the workspace");
    story.undo(fence, seconds(0), "let connections to 'shop' in again");
    story.undo(stop_app, seconds(3), "started 'shop-api.service'");
    return story.verdict().done(tell, seconds(1)).end().story();
}

Story paused() {
    Teller story{database_plan()};
    story.restored()
        .done(check, seconds(4))
        .done(swap_in, seconds(1), {{"kept", "shop_before_4f1c"}})
        .done(unfence, seconds(1));
    story.begin(healthy)
        .after(minutes(2))
        .fail(healthy, Error{ErrorCode::not_healthy, "'http://web1:8080/health' answered 503 for 2m",
                             "Look at the service's log."});
    story.settle(healthy, ProbeResult::Answer::not_done, Settled::By::rule, "a read changes nothing");
    story.say(Paused{
        .reason = PauseReason::past_line,
        .steps = {healthy},
        .message = "step 'healthy' failed behind the line of no return; new data may have come in since 02:03:59Z",
        .choices = {"resume --answer healthy=done|not_done|retry", "resume", "rollback --accept-loss", "abandon"}});
    return story.story();
}

Story unverified() {
    Plan plan = database_plan();
    plan.draft.steps[check].condition = "inputs.thorough";
    Teller story{plan};
    story.restored().say(StepSkipped{.step = check, .why = StepEnd::skipped_condition});
    story.begin(swap_in)
        .after(seconds(1))
        .fail(swap_in, Error{ErrorCode::connection_lost, "the connection to 'shop' broke"});
    story.settle(swap_in, ProbeResult::Answer::cannot_tell, Settled::By::probe, "cannot connect to 'db1:5432'");
    story.say(Paused{.reason = PauseReason::in_doubt,
                     .steps = {swap_in},
                     .message = "step 'swap' may or may not have been done",
                     .choices = {"resume --answer swap=done|not_done|retry", "resume", "rollback", "abandon"}});
    story.after(minutes(40)).say(RunResumed{.runner = runner(5002)});
    story.say(PersonDecided{.what = PersonDecided::What::answer_done, .step = swap_in, .by = "bob"});
    story.say(StepEnded{.step = swap_in});
    story.done(unfence, seconds(1)).done(healthy, seconds(2)).verdict().done(tell, seconds(1)).end();
    return story.say(Committed{.removed = {"shop_before_4f1c"}, .by = "bob"}).story();
}

Story under_way() {
    Teller story{database_plan()};
    return story.start().done(assess, seconds(1)).begin(fetch).after(seconds(3)).begin(stop_app).story();
}

Story hostile() {
    const std::string evil =
        "<script>alert('x')</script> | **bold** `code` [link](http://evil) \x1b[2J\n# heading\n1. item & _it_ "
        "snake_case ]]> \xff\xef\xbf\xbf";
    Plan plan = database_plan();
    plan.draft.summary = evil;
    plan.draft.contacts = {{.role = evil, .reach = evil}};
    plan.draft.inputs = {{"text", evil}};
    plan.findings = {{.kind = FindingKind::warning, .subject = evil, .message = evil, .hint = evil}};
    Teller story{plan};
    story.start().begin(assess).after(seconds(1)).fail(assess, Error{ErrorCode::denied, evil, evil}.during(evil));
    story.settle(assess, ProbeResult::Answer::not_done, Settled::By::rule, evil);
    story.say(StepEnded{.step = assess, .end = StepEnd::failed, .error = Error{ErrorCode::denied, evil, evil}});
    story.say(RollbackStarted{.cause = assess, .reason = evil});
    return story.verdict().done(tell, seconds(1), {{"answer", evil}}).end().story();
}

}  // namespace lifeboat::sample
