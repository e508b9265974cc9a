#include "base/text.h"
#include "base/version.h"
#include "drill/drill.h"

namespace lifeboat {

namespace {

std::string_view to_text(CaseOutcome outcome) {
    switch (outcome) {
        case CaseOutcome::passed:
            return "passed";
        case CaseOutcome::failed:
            return "failed";
        case CaseOutcome::error:
            return "error";
        case CaseOutcome::skipped:
            return "skipped";
    }
    return "";
}

std::size_t count(const DrillResult& result, CaseOutcome outcome) {
    return static_cast<std::size_t>(
        std::count_if(result.cases.begin(), result.cases.end(),
                      [outcome](const DrillCase& each) { return each.outcome == outcome; }));
}

}  // namespace

int exit_code(DrillVerdict verdict) {
    switch (verdict) {
        case DrillVerdict::as_expected:
            return 0;
        case DrillVerdict::not_as_expected:
            return 1;
        case DrillVerdict::cleanup_incomplete:
            return 8;
        case DrillVerdict::not_isolated:
            return 9;
    }
    return 1;
}

std::string_view to_text(DrillVerdict verdict) {
    switch (verdict) {
        case DrillVerdict::as_expected:
            return "as_expected";
        case DrillVerdict::not_as_expected:
            return "not_as_expected";
        case DrillVerdict::cleanup_incomplete:
            return "cleanup_incomplete";
        case DrillVerdict::not_isolated:
            return "not_isolated";
    }
    return "";
}

std::string_view to_text(SweepDepth depth) {
    switch (depth) {
        case SweepDepth::none:
            return "none";
        case SweepDepth::sample:
            return "sample";
        case SweepDepth::full:
            return "full";
    }
    return "";
}

Json to_json(const DrillResult& result) {
    Json cases = Json::array();
    for (const DrillCase& each : result.cases) {
        cases.push_back({{"name", each.name},
                         {"group", each.classname},
                         {"seconds", each.seconds},
                         {"outcome", to_text(each.outcome)},
                         {"message", each.message},
                         {"output", each.output}});
    }
    return {{"format", "lifeboat drill-result/v1"},
            {"id", result.id},
            {"drill", result.drill},
            {"runbook", result.runbook},
            {"started_at", to_text(result.started)},
            {"ended_at", to_text(result.ended)},
            {"verdict", to_text(result.verdict)},
            {"exit_code", exit_code(result.verdict)},
            {"interrupted", result.interrupted},
            {"sweep", to_text(result.depth)},
            {"records", result.records},
            {"cases", cases},
            {"doubts", result.doubts},
            {"left", result.left},
            {"kept", result.kept.empty() ? Json(nullptr) : Json(result.kept.string())},
            {"seen", result.scope},
            {"report", result.report},
            {"version", version()}};
}

std::string to_junit(const DrillResult& result, const std::string& hostname) {
    return to_junit(JunitSuite{.name = "drill " + result.drill,
                               .package = "lifeboat.drill",
                               .hostname = hostname,
                               .started = result.started,
                               .properties = {{"runbook", result.runbook},
                                              {"verdict", std::string(to_text(result.verdict))},
                                              {"sweep", std::string(to_text(result.depth))},
                                              {"lifeboat", std::string(version())}}},
                    result.cases);
}

std::string to_summary(const DrillResult& result) {
    std::string text;
    for (const DrillCase& each : result.cases) {
        if (each.outcome == CaseOutcome::passed) continue;
        text +=
            std::string(each.outcome == CaseOutcome::skipped ? "skipped  " : "FAILED   ") + printable(each.name) + "\n";
        for (const std::string& line : split(each.output.empty() ? each.message : each.output, '\n'))
            text += "         " + printable(line) + "\n";
    }
    const Json reached = result.report.is_object() ? result.report.value("reached", Json::object()) : Json::object();
    const auto figure = [&reached](const char* name) {
        const auto found = reached.find(name);
        if (found == reached.end() || !found->is_number()) return std::string("unknown");
        return to_human(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(found->get<double>())));
    };
    if (result.report.is_object()) text += "RTO " + figure("rto") + ", RPO " + figure("rpo") + "\n";
    text += "drill '" + result.drill + "': " + std::string(to_text(result.verdict)) + ", " +
            std::to_string(count(result, CaseOutcome::passed)) + " of " + counted(result.cases.size(), "case") +
            " passed in " + to_human(elapsed(result.started, result.ended));
    if (result.depth == SweepDepth::sample) text += " (the sweeps are a sample)";
    text += "\n";
    if (!result.kept.empty())
        text += "the sandbox stays in " + result.kept.string() + "\n`lifeboat history --site " +
                (result.kept / "lifeboat.yaml").string() + "` shows its runs, `lifeboat drill --cleanup` removes it\n";
    return text;
}

}  // namespace lifeboat
