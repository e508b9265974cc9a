#include "engine/event.h"

#include <array>

namespace lifeboat {

namespace {

constexpr std::array<EventType, std::variant_size_v<EventBody>> kEvents{{
    {"run_started", "The first record: which plan, by whom, and when the incident began."},
    {"run_resumed", "Another process goes on with the run; what was under way is in doubt from here."},
    {"person_decided", "What a person answered or asked for."},
    {"step_skipped", "The step is not done: its condition is false, or something it needs did not end well."},
    {"deed_prepared", "The look before the act: what will be done and what undoing it needs."},
    {"prepare_failed", "The look itself failed; nothing was done."},
    {"attempt_started", "Durable before the deed touches anything."},
    {"noted", "What only the act could know."},
    {"child_started", "A child process group exists and waits to be let go."},
    {"orphans_ended", "What a dead runner left behind was ended."},
    {"attempt_ended", "How one attempt came out."},
    {"settled", "What became of a deed that did not end done, and how that is known."},
    {"step_ended", "The step's end, which is final."},
    {"rollback_started", "From here everything started is undone, in reverse order of completion."},
    {"undo_started", "Durable before an undo touches anything."},
    {"undo_ended", "How one undo came out."},
    {"paused", "The run waits for a person; it lists what can be said to it."},
    {"verdict_reached", "What the run has come to, with the recovery time and data loss reached."},
    {"run_ended", "The last record of a run, but for a commit."},
    {"committed", "The kept old state was removed: there is no way back."},
}};

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<AttemptOutcome, 6> kOutcomes{{{AttemptOutcome::done, "done"},
                                              {AttemptOutcome::failed, "failed"},
                                              {AttemptOutcome::timed_out, "timed_out"},
                                              {AttemptOutcome::stalled, "stalled"},
                                              {AttemptOutcome::cancelled, "cancelled"},
                                              {AttemptOutcome::killed, "killed"}}};
constexpr Names<StepEnd, 7> kEnds{{{StepEnd::done, "done"},
                                   {StepEnd::skipped_condition, "skipped: condition"},
                                   {StepEnd::skipped_dependency, "skipped: dependency"},
                                   {StepEnd::tolerated, "tolerated"},
                                   {StepEnd::failed, "failed"},
                                   {StepEnd::timed_out, "timed_out"},
                                   {StepEnd::cancelled, "cancelled"}}};
constexpr Names<PauseReason, 5> kPauses{{{PauseReason::interrupt, "interrupt"},
                                         {PauseReason::failed, "failed"},
                                         {PauseReason::in_doubt, "in_doubt"},
                                         {PauseReason::moved, "moved"},
                                         {PauseReason::past_line, "past_line"}}};
constexpr Names<Verdict, 9> kVerdicts{{{Verdict::recovered, "recovered"},
                                       {Verdict::recovered_late, "recovered_late"},
                                       {Verdict::unverified, "unverified"},
                                       {Verdict::rolled_back, "rolled_back"},
                                       {Verdict::rollback_incomplete, "rollback_incomplete"},
                                       {Verdict::failed, "failed"},
                                       {Verdict::aborted, "aborted"},
                                       {Verdict::paused, "paused"},
                                       {Verdict::in_doubt, "in_doubt"}}};
constexpr Names<ProbeResult::Answer, 3> kAnswers{{{ProbeResult::Answer::done, "done"},
                                                  {ProbeResult::Answer::not_done, "not_done"},
                                                  {ProbeResult::Answer::cannot_tell, "cannot_tell"}}};
constexpr Names<Settled::By, 4> kSettlers{{{Settled::By::rule, "rule"},
                                           {Settled::By::undo, "undo"},
                                           {Settled::By::probe, "probe"},
                                           {Settled::By::person, "person"}}};
constexpr Names<PersonDecided::What, 5> kDecisions{{{PersonDecided::What::answer_done, "answer_done"},
                                                    {PersonDecided::What::answer_not_done, "answer_not_done"},
                                                    {PersonDecided::What::answer_retry, "answer_retry"},
                                                    {PersonDecided::What::rollback, "rollback"},
                                                    {PersonDecided::What::abandon, "abandon"}}};

template <typename Enum, std::size_t N>
std::string_view name_of(const Names<Enum, N>& names, Enum value) {
    for (const auto& [each, name] : names)
        if (each == value) return name;
    return "?";
}

[[noreturn]] void damaged(const std::string& what) {
    throw Error(ErrorCode::journal_damaged, "a record of the journal " + what,
                "Look at the run with 'lifeboat logs'; do not edit journals.");
}

template <typename Enum, std::size_t N>
Enum value_of(const Names<Enum, N>& names, const Json& text) {
    if (text.is_string())
        for (const auto& [each, name] : names)
            if (name == text.get_ref<const std::string&>()) return each;
    damaged("has the unknown word " + to_text(text));
}

Json optional_seconds(const std::optional<Duration>& duration) {
    return duration ? Json(to_text(*duration)) : Json(nullptr);
}

std::optional<Duration> duration_from(const Json& value) {
    if (value.is_null()) return std::nullopt;
    auto duration = parse_duration(value.get<std::string>());
    if (!duration) damaged("has the bad duration " + to_text(value));
    return duration;
}

Timestamp timestamp_from(const Json& value) {
    auto when = parse_timestamp(value.get<std::string>());
    if (!when) damaged("has the bad time " + to_text(value));
    return *when;
}

std::optional<Error> error_from(const Json& value) {
    auto found = value.find("error");
    if (found == value.end() || found->is_null()) return std::nullopt;
    return error_from_json(*found);
}

void put_error(Json& out, const std::optional<Error>& error) {
    if (error) out["error"] = to_json(*error);
}

Runner runner_from(const Json& value) {
    return {.host = value.at("host"),
            .user = value.at("user"),
            .pid = value.at("pid"),
            .start_ticks = value.at("start_ticks"),
            .boot_id = value.at("boot_id"),
            .version = value.at("version")};
}

std::optional<std::size_t> optional_index(const Json& value) {
    if (value.is_null()) return std::nullopt;
    return value.get<std::size_t>();
}

// The fields of each event, written and read side by side so that they cannot drift apart.

Json fields(const RunStarted& e) {
    return {{"run", e.run_id},
            {"plan", e.plan_digest},
            {"runner", to_json(e.runner)},
            {"incident_start", to_text(e.incident_start)},
            {"incident_declared", e.incident_declared}};
}
void read(const Json& j, RunStarted& e) {
    e = {.run_id = j.at("run"),
         .plan_digest = j.at("plan"),
         .runner = runner_from(j.at("runner")),
         .incident_start = timestamp_from(j.at("incident_start")),
         .incident_declared = j.at("incident_declared")};
}

Json fields(const RunResumed& e) {
    return {{"runner", to_json(e.runner)}};
}
void read(const Json& j, RunResumed& e) {
    e.runner = runner_from(j.at("runner"));
}

Json fields(const PersonDecided& e) {
    Json out{{"what", name_of(kDecisions, e.what)}, {"by", e.by}};
    if (e.step) out["step"] = *e.step;
    if (e.accept_loss) out["accept_loss"] = true;
    return out;
}
void read(const Json& j, PersonDecided& e) {
    e.what = value_of(kDecisions, j.at("what"));
    e.step = optional_index(j.value("step", Json(nullptr)));
    e.accept_loss = j.value("accept_loss", false);
    e.by = j.at("by");
}

Json fields(const StepSkipped& e) {
    return {{"step", e.step}, {"why", name_of(kEnds, e.why)}};
}
void read(const Json& j, StepSkipped& e) {
    e = {.step = j.at("step"), .why = value_of(kEnds, j.at("why"))};
}

Json fields(const DeedPrepared& e) {
    return {{"step", e.step}, {"deed", e.deed}, {"arguments", e.arguments}, {"intent", e.intent}};
}
void read(const Json& j, DeedPrepared& e) {
    e = {.step = j.at("step"), .deed = j.at("deed"), .arguments = j.at("arguments"), .intent = j.at("intent")};
}

Json fields(const PrepareFailed& e) {
    return {{"step", e.step}, {"deed", e.deed}, {"error", to_json(e.error)}};
}
void read(const Json& j, PrepareFailed& e) {
    e.step = j.at("step");
    e.deed = j.at("deed");
    e.error = error_from_json(j.at("error"));
}

Json fields(const AttemptStarted& e) {
    return {{"step", e.step}, {"deed", e.deed}, {"attempt", e.attempt}};
}
void read(const Json& j, AttemptStarted& e) {
    e = {.step = j.at("step"), .deed = j.at("deed"), .attempt = j.at("attempt")};
}

Json fields(const Noted& e) {
    return {{"step", e.step}, {"deed", e.deed}, {"key", e.key}, {"value", e.value}};
}
void read(const Json& j, Noted& e) {
    e = {.step = j.at("step"), .deed = j.at("deed"), .key = j.at("key"), .value = j.at("value")};
}

Json fields(const ChildStarted& e) {
    return {{"step", e.step}, {"deed", e.deed}, {"child", to_json(e.child)}};
}
void read(const Json& j, ChildStarted& e) {
    const Json& child = j.at("child");
    e = {.step = j.at("step"),
         .deed = j.at("deed"),
         .child = {.group = child.at("group"), .start_ticks = child.at("start_ticks"), .boot_id = child.at("boot_id")}};
}

Json fields(const OrphansEnded& e) {
    return {{"what", e.what}};
}
void read(const Json& j, OrphansEnded& e) {
    e.what = j.at("what").get<std::vector<std::string>>();
}

Json fields(const AttemptEnded& e) {
    Json out{{"step", e.step}, {"deed", e.deed}, {"attempt", e.attempt}, {"outcome", name_of(kOutcomes, e.outcome)}};
    if (e.outcome == AttemptOutcome::done) out["outputs"] = e.outputs;
    put_error(out, e.error);
    return out;
}
void read(const Json& j, AttemptEnded& e) {
    e = {.step = j.at("step"),
         .deed = j.at("deed"),
         .attempt = j.at("attempt"),
         .outcome = value_of(kOutcomes, j.at("outcome")),
         .outputs = j.value("outputs", Json::object()),
         .error = error_from(j)};
}

Json fields(const Settled& e) {
    Json out{{"step", e.step},
             {"deed", e.deed},
             {"answer", name_of(kAnswers, e.answer)},
             {"by", name_of(kSettlers, e.by)},
             {"evidence", e.evidence}};
    if (e.answer == ProbeResult::Answer::done) out["outputs"] = e.outputs;
    return out;
}
void read(const Json& j, Settled& e) {
    e = {.step = j.at("step"),
         .deed = j.at("deed"),
         .answer = value_of(kAnswers, j.at("answer")),
         .by = value_of(kSettlers, j.at("by")),
         .evidence = j.at("evidence"),
         .outputs = j.value("outputs", Json::object())};
}

Json fields(const StepEnded& e) {
    Json out{{"step", e.step}, {"end", name_of(kEnds, e.end)}, {"outputs", e.outputs}};
    put_error(out, e.error);
    return out;
}
void read(const Json& j, StepEnded& e) {
    e = {.step = j.at("step"), .end = value_of(kEnds, j.at("end")), .outputs = j.at("outputs"), .error = error_from(j)};
}

Json fields(const RollbackStarted& e) {
    Json out{{"reason", e.reason}};
    if (e.cause) out["cause"] = *e.cause;
    return out;
}
void read(const Json& j, RollbackStarted& e) {
    e = {.cause = optional_index(j.value("cause", Json(nullptr))), .reason = j.at("reason")};
}

Json fields(const UndoStarted& e) {
    return {{"step", e.step}, {"deed", e.deed}, {"settling", e.settling}};
}
void read(const Json& j, UndoStarted& e) {
    e = {.step = j.at("step"), .deed = j.at("deed"), .settling = j.at("settling")};
}

Json fields(const UndoEnded& e) {
    Json out{{"step", e.step}, {"deed", e.deed}, {"settling", e.settling}, {"what", e.what}};
    put_error(out, e.error);
    return out;
}
void read(const Json& j, UndoEnded& e) {
    e = {.step = j.at("step"),
         .deed = j.at("deed"),
         .settling = j.at("settling"),
         .what = j.at("what"),
         .error = error_from(j)};
}

Json fields(const Paused& e) {
    return {{"reason", name_of(kPauses, e.reason)}, {"steps", e.steps}, {"message", e.message}, {"choices", e.choices}};
}
void read(const Json& j, Paused& e) {
    e = {.reason = value_of(kPauses, j.at("reason")),
         .steps = j.at("steps").get<std::vector<std::size_t>>(),
         .message = j.at("message"),
         .choices = j.at("choices").get<std::vector<std::string>>()};
}

Json fields(const VerdictReached& e) {
    return {{"verdict", name_of(kVerdicts, e.verdict)},
            {"rto", optional_seconds(e.rto)},
            {"rpo", optional_seconds(e.rpo)},
            {"data_loss", optional_seconds(e.data_loss)},
            {"waited", to_text(e.waited)}};
}
void read(const Json& j, VerdictReached& e) {
    e = {.verdict = value_of(kVerdicts, j.at("verdict")),
         .rto = duration_from(j.at("rto")),
         .rpo = duration_from(j.at("rpo")),
         .data_loss = duration_from(j.at("data_loss")),
         .waited = duration_from(j.at("waited")).value_or(Duration::zero())};
}

Json fields(const RunEnded& e) {
    return {{"verdict", name_of(kVerdicts, e.verdict)}};
}
void read(const Json& j, RunEnded& e) {
    e.verdict = value_of(kVerdicts, j.at("verdict"));
}

Json fields(const Committed& e) {
    return {{"removed", e.removed}, {"by", e.by}};
}
void read(const Json& j, Committed& e) {
    e = {.removed = j.at("removed").get<std::vector<std::string>>(), .by = j.at("by")};
}

// An Error has no default, so PrepareFailed needs a value to be read into.
template <typename T>
T blank() {
    if constexpr (std::is_same_v<T, PrepareFailed>)
        return PrepareFailed{.step = 0, .deed = 0, .error = Error(ErrorCode::internal, "")};
    else
        return T{};
}

template <std::size_t I = 0>
EventBody read_as(std::size_t index, const Json& value) {
    if constexpr (I < std::variant_size_v<EventBody>) {
        if (index != I) return read_as<I + 1>(index, value);
        auto body = blank<std::variant_alternative_t<I, EventBody>>();
        read(value, body);
        return body;
    } else {
        damaged("is of no known type");
    }
}

}  // namespace

std::span<const EventType> event_table() {
    return kEvents;
}

std::string_view type_of(const Event& event) {
    return kEvents[event.body.index()].name;
}

Json to_json(const EventBody& body) {
    Json out = std::visit([](const auto& each) { return fields(each); }, body);
    out["type"] = kEvents[body.index()].name;
    return out;
}

EventBody event_body_from_json(const Json& value) {
    const auto type = value.find("type");
    if (type == value.end() || !type->is_string()) damaged("has no type");
    for (std::size_t i = 0; i < kEvents.size(); ++i) {
        if (kEvents[i].name != type->get_ref<const std::string&>()) continue;
        try {
            return read_as(i, value);
        } catch (const Json::exception& problem) {
            damaged("of type '" + std::string(kEvents[i].name) + "' is not whole: " + problem.what());
        }
    }
    damaged("has the unknown type " + to_text(*type));
}

std::string_view to_text(AttemptOutcome outcome) {
    return name_of(kOutcomes, outcome);
}
std::string_view to_text(StepEnd end) {
    return name_of(kEnds, end);
}
std::string_view to_text(PauseReason reason) {
    return name_of(kPauses, reason);
}
std::string_view to_text(Verdict verdict) {
    return name_of(kVerdicts, verdict);
}
std::string_view to_text(ProbeResult::Answer answer) {
    return name_of(kAnswers, answer);
}

std::optional<Verdict> verdict_named(std::string_view name) {
    for (const auto& [verdict, each] : kVerdicts)
        if (each == name) return verdict;
    return std::nullopt;
}

Json to_json(const Runner& runner) {
    return {{"host", runner.host},       {"user", runner.user},
            {"pid", runner.pid},         {"start_ticks", runner.start_ticks},
            {"boot_id", runner.boot_id}, {"version", runner.version}};
}

Json to_json(const ChildGroup& child) {
    return {{"group", child.group}, {"start_ticks", child.start_ticks}, {"boot_id", child.boot_id}};
}

}  // namespace lifeboat
