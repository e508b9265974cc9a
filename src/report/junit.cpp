#include "report/junit.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"
#include "report/words.h"

namespace lifeboat {

namespace {

// U+FFFE and U+FFFF are characters that XML does not have.
std::string without_noncharacters(std::string text) {
    for (const std::string_view bad : {"\xef\xbf\xbe", "\xef\xbf\xbf"}) {
        for (std::size_t at = text.find(bad); at != std::string::npos; at = text.find(bad, at))
            text.replace(at, bad.size(), "?");
    }
    return text;
}

std::string xml(std::string_view text) {
    std::string out;
    for (const char c : without_noncharacters(printable(text, true))) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

// Attributes keep their line breaks only when these are written as references.
std::string attribute(std::string_view name, std::string_view value) {
    std::string safe;
    for (const char c : xml(value)) {
        if (c == '\n') {
            safe += "&#10;";
        } else if (c == '\t') {
            safe += "&#9;";
        } else {
            safe += c;
        }
    }
    return " " + std::string(name) + "=\"" + safe + "\"";
}

std::string decimal(double seconds) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.3f", std::max(seconds, 0.0));
    return text.data();
}

std::string not_empty(const std::string& text, const char* instead) {
    return trim(text).empty() ? instead : text;
}

std::size_t count_of(std::span<const DrillCase> cases, CaseOutcome outcome) {
    return static_cast<std::size_t>(
        std::count_if(cases.begin(), cases.end(), [=](const auto& each) { return each.outcome == outcome; }));
}

std::string_view element_of(CaseOutcome outcome) {
    switch (outcome) {
        case CaseOutcome::passed:
            return "";
        case CaseOutcome::failed:
            return "failure";
        case CaseOutcome::error:
            return "error";
        case CaseOutcome::skipped:
            return "skipped";
    }
    return "";
}

std::string case_element(const DrillCase& each) {
    std::string text = "    <testcase" + attribute("classname", not_empty(each.classname, "lifeboat")) +
                       attribute("name", not_empty(each.name, "unnamed")) + attribute("time", decimal(each.seconds));
    const std::string element(element_of(each.outcome));
    if (element.empty()) return text + "/>\n";
    text += ">\n      <" + element;
    // the strict schema gives a skipped case no attributes
    if (each.outcome == CaseOutcome::skipped) return text + "/>\n    </testcase>\n";
    text += attribute("message", each.message) + attribute("type", element == "error" ? "error" : "expectation");
    return text + ">" + xml(each.output) + "</" + element + ">\n    </testcase>\n";
}

DrillCase case_of(const ReportedStep& step, const std::string& classname) {
    DrillCase result{.name = step.id, .classname = classname};
    if (step.started && step.ended)
        result.seconds = std::chrono::duration<double>(elapsed(*step.started, *step.ended)).count();
    const bool ended_well = step.end == StepEnd::done || step.end == StepEnd::tolerated;
    if (step.label == "undo_failed" || (step.end && !ended_well && !step.label.starts_with("skipped"))) {
        result.outcome = CaseOutcome::failed;
        result.message = step.label == "undo_failed" ? "not put back" : std::string(to_text(*step.end));
        if (step.error) result.message += ": " + step.error->full_message();
        for (const ReportedAttempt& attempt : step.attempts) {
            result.output += "attempt " + std::to_string(attempt.number) + ": " +
                             (attempt.outcome ? std::string(to_text(*attempt.outcome)) : "under way") +
                             (attempt.error ? ": " + attempt.error->full_message() : "") + "\n";
        }
        for (const ReportedUndo& undo : step.undos) {
            if (undo.error) result.output += "undo: " + undo.error->full_message() + "\n";
        }
    } else if (!ended_well) {
        result.outcome = CaseOutcome::skipped;
    }
    return result;
}

}  // namespace

std::string to_junit(const JunitSuite& suite, std::span<const DrillCase> cases) {
    double seconds = 0;
    for (const DrillCase& each : cases)
        seconds += std::max(each.seconds, 0.0);
    std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite";
    text += attribute("name", not_empty(suite.name, "lifeboat")) +
            attribute("package", not_empty(suite.package, "lifeboat")) + attribute("id", "0") +
            // without zone and fraction, as the schema has it; UTC
            attribute("timestamp", to_text(suite.started).substr(0, 19)) +
            attribute("hostname", not_empty(suite.hostname, "localhost")) +
            attribute("tests", std::to_string(cases.size())) +
            attribute("failures", std::to_string(count_of(cases, CaseOutcome::failed))) +
            attribute("errors", std::to_string(count_of(cases, CaseOutcome::error))) +
            attribute("skipped", std::to_string(count_of(cases, CaseOutcome::skipped))) +
            attribute("time", decimal(seconds)) + ">\n";
    if (suite.properties.empty()) {
        text += "    <properties/>\n";
    } else {
        text += "    <properties>\n";
        for (const auto& [name, value] : suite.properties) {
            text +=
                "      <property" + attribute("name", not_empty(name, "unnamed")) + attribute("value", value) + "/>\n";
        }
        text += "    </properties>\n";
    }
    std::string skipped;
    for (const DrillCase& each : cases) {
        text += case_element(each);
        if (each.outcome == CaseOutcome::skipped && !each.message.empty())
            skipped += "skipped '" + each.name + "': " + each.message + "\n";
    }
    text += "    <system-out>" + xml(skipped) +
            "</system-out>\n    <system-err></system-err>\n  </testsuite>\n</testsuites>\n";
    return text;
}

std::string to_junit(const Report& report) {
    std::vector<DrillCase> cases;
    for (const ReportedStep& step : report.steps)
        cases.push_back(case_of(step, report.runbook + (step.always ? ".always" : ".steps")));
    DrillCase verdict{.name = "verdict", .classname = report.runbook};
    if (report.verdict != Verdict::recovered) {
        verdict.outcome = CaseOutcome::failed;
        verdict.message = std::string(to_text(report.verdict)) + (report.cause.empty() ? "" : ": " + report.cause);
        verdict.output = std::string(claim(report)) + "\n";
    }
    cases.push_back(std::move(verdict));
    const auto seconds = [](const std::optional<Duration>& duration) {
        return duration ? decimal(std::chrono::duration<double>(*duration).count()) : std::string("unknown");
    };
    return to_junit({.name = report.run_id,
                     .package = report.runbook,
                     .hostname = report.lives.empty() ? "" : report.lives.front().runner.host,
                     .started = report.started_at,
                     .properties = {{"verdict", std::string(to_text(report.verdict))},
                                    {"rto_seconds", seconds(report.recovery_time.reached)},
                                    {"rpo_seconds", seconds(report.recovery_point.reached)},
                                    {"data_loss_seconds", seconds(report.data_loss)},
                                    {"plan", report.plan_digest}}},
                    cases);
}

}  // namespace lifeboat
