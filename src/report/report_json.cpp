#include "report/report_json.h"

#include "base/version.h"

namespace lifeboat {

namespace {

Json time_json(const std::optional<Timestamp>& when) {
    return when ? Json(to_text(*when)) : Json(nullptr);
}

Json seconds_json(const std::optional<Duration>& duration) {
    return duration ? Json(std::chrono::duration<double>(*duration).count()) : Json(nullptr);
}

Json between(const std::optional<Timestamp>& from, const std::optional<Timestamp>& to) {
    return from && to ? seconds_json(elapsed(*from, *to)) : Json(nullptr);
}

Json error_json(const std::optional<Error>& error) {
    return error ? to_json(*error) : Json(nullptr);
}

Json step_json(const ReportedStep& step) {
    Json attempts = Json::array();
    for (const ReportedAttempt& each : step.attempts) {
        attempts.push_back({{"number", each.number},
                            {"fallback", each.fallback},
                            {"started", to_text(each.started)},
                            {"ended", time_json(each.ended)},
                            {"seconds", between(each.started, each.ended)},
                            {"outcome", each.outcome ? Json(to_text(*each.outcome)) : Json(nullptr)},
                            {"error", error_json(each.error)}});
    }
    Json settlings = Json::array();
    for (const ReportedSettling& each : step.settlings) {
        settlings.push_back({{"at", to_text(each.at)},
                             {"fallback", each.fallback},
                             {"answer", to_text(each.answer)},
                             {"by", to_text(each.by)},
                             {"evidence", each.evidence}});
    }
    Json undos = Json::array();
    for (const ReportedUndo& each : step.undos) {
        undos.push_back({{"fallback", each.fallback},
                         {"settling", each.settling},
                         {"started", to_text(each.started)},
                         {"ended", time_json(each.ended)},
                         {"what", each.what},
                         {"error", error_json(each.error)}});
    }
    Json look_failures = Json::array();
    for (const Error& error : step.look_failures)
        look_failures.push_back(to_json(error));
    return {{"id", step.id},
            {"phase", step.phase ? Json(to_text(*step.phase)) : Json(nullptr)},
            {"action", step.action},
            {"effect", to_text(step.effect)},
            {"proves", to_text(step.proves)},
            {"crosses", step.crosses},
            {"always", step.always},
            {"state", step.label},
            {"end", step.end ? Json(to_text(*step.end)) : Json(nullptr)},
            {"started", time_json(step.started)},
            {"ended", time_json(step.ended)},
            {"seconds", between(step.started, step.ended)},
            {"arguments", step.arguments},
            {"outputs", step.outputs},
            {"error", error_json(step.error)},
            {"look_failures", std::move(look_failures)},
            {"attempts", std::move(attempts)},
            {"settlings", std::move(settlings)},
            {"undos", std::move(undos)}};
}

Json to_json(const Report& report, Json steps) {
    Json contacts = Json::array();
    for (const Contact& each : report.contacts)
        contacts.push_back({{"role", each.role}, {"reach", each.reach}});
    Json targets = Json::array();
    for (const TargetIdentity& each : report.targets) {
        targets.push_back({{"resource", each.resource},
                           {"declared", each.declared},
                           {"measured", each.measured ? Json(*each.measured) : Json(nullptr)}});
    }
    Json lives = Json::array();
    for (const ReportedLife& each : report.lives) {
        Json life = to_json(each.runner);
        life["from"] = to_text(each.from);
        lives.push_back(std::move(life));
    }
    Json phases = Json::array();
    for (const ReportedPhase& each : report.phases) {
        phases.push_back({{"phase", to_text(each.phase)},
                          {"from", to_text(each.from)},
                          {"to", time_json(each.to)},
                          {"seconds", between(each.from, each.to)},
                          {"steps", each.steps}});
    }
    Json backups = Json::array();
    for (const ReportedBackup& each : report.backups) {
        Json refused = Json::array();
        for (const ReportedRefusal& refusal : each.refused)
            refused.push_back({{"id", refusal.id}, {"why", refusal.why}});
        backups.push_back({{"step", each.step},
                           {"id", each.id},
                           {"store", each.store},
                           {"consistent_at", time_json(each.consistent_at)},
                           {"used", each.used},
                           {"refused", std::move(refused)}});
    }
    Json rollback = nullptr;
    if (report.rollback_reason) {
        Json not_put_back = Json::array();
        for (const ReportedStep* step : left_undone(report))
            not_put_back.push_back(step->id);
        rollback = {{"reason", *report.rollback_reason}, {"not_put_back", not_put_back}};
    }
    Json decisions = Json::array();
    for (const ReportedDecision& each : report.decisions) {
        decisions.push_back({{"at", to_text(each.at)},
                             {"what", to_text(each.what)},
                             {"step", each.step.empty() ? Json(nullptr) : Json(each.step)},
                             {"accept_loss", each.accept_loss},
                             {"by", each.by}});
    }
    Json pauses = Json::array();
    for (const ReportedPause& each : report.pauses) {
        pauses.push_back({{"reason", to_text(each.reason)},
                          {"from", to_text(each.from)},
                          {"to", time_json(each.to)},
                          {"seconds", between(each.from, each.to)},
                          {"steps", each.steps},
                          {"message", each.message},
                          {"choices", each.choices}});
    }
    Json kept = Json::array();
    for (const ReportedKept& each : report.kept)
        kept.push_back({{"step", each.step}, {"what", each.what}});
    const auto met = [](const ReportedObjective& figure) { return figure.met ? Json(*figure.met) : Json(nullptr); };

    return {{"format", "lifeboat report/v1"},
            {"run", report.run_id},
            {"runbook", report.runbook},
            {"summary", report.summary},
            {"severity", to_text(report.severity)},
            {"drill", report.drill},
            {"ended", report.ended},
            {"paused", report.paused},
            {"verdict", to_text(report.verdict)},
            {"exit_code", report.exit},
            {"cause", report.cause},
            {"contacts", std::move(contacts)},
            {"inputs", report.inputs},
            {"targets", std::move(targets)},
            {"incident", {{"start", to_text(report.incident_start)}, {"declared", report.incident_declared}}},
            {"started_at", to_text(report.started_at)},
            {"ended_at", time_json(report.ended_at)},
            {"last_record_at", to_text(report.last_at)},
            {"lives", std::move(lives)},
            {"objectives",
             {{"rto", seconds_json(report.recovery_time.objective)},
              {"rpo", seconds_json(report.recovery_point.objective)}}},
            {"reached",
             {{"rto", seconds_json(report.recovery_time.reached)},
              {"rpo", seconds_json(report.recovery_point.reached)},
              {"data_loss", seconds_json(report.data_loss)},
              {"waited", seconds_json(report.waited)}}},
            {"met", {{"rto", met(report.recovery_time)}, {"rpo", met(report.recovery_point)}}},
            {"line_crossed_at", time_json(report.line_crossed_at)},
            {"phases", std::move(phases)},
            {"steps", std::move(steps)},
            {"backups", std::move(backups)},
            {"rollback", std::move(rollback)},
            {"unverified", report.unverified},
            {"decisions", std::move(decisions)},
            {"pauses", std::move(pauses)},
            {"kept", std::move(kept)},
            {"committed", report.committed},
            {"orphans_ended", report.orphans_ended},
            {"warnings", report.warnings},
            {"evidence",
             {{"plan", report.plan_digest},
              {"runbook", report.runbook_sha256},
              {"records", report.records},
              {"journal_head", report.journal_head.empty() ? Json(nullptr) : Json(report.journal_head)}}},
            {"version", version()}};
}

}  // namespace

Json to_json(const Report& report) {
    Json steps = Json::array();
    for (const ReportedStep& each : report.steps)
        steps.push_back(step_json(each));
    return to_json(report, std::move(steps));
}

void write_json(const Report& report, const std::function<void(std::string_view)>& out) {
    const std::string text = to_pretty_text(to_json(report, Json::array())) + "\n";
    // a line of its own: no string in JSON holds a line break
    constexpr std::string_view empty = "\n  \"steps\": [";
    const std::size_t at = text.find(empty) + empty.size();
    out(std::string_view(text).substr(0, at));
    bool first = true;
    for (const ReportedStep& each : report.steps) {
        std::string step = std::exchange(first, false) ? "\n    " : ",\n    ";
        for (const char c : to_pretty_text(step_json(each))) {
            step += c;
            if (c == '\n') step += "    ";
        }
        out(step);
    }
    if (!first) out("\n  ");
    out(std::string_view(text).substr(at));
}

}  // namespace lifeboat
