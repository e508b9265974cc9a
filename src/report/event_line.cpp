#include "report/event_line.h"

#include "base/text.h"
#include "engine/state.h"

namespace lifeboat {

namespace {

constexpr std::size_t name_width = 14;
constexpr std::size_t outputs_shown = 3;

struct Said {
    std::string who;  // a step's id, or empty: the run itself
    std::string what;
    Tone tone = Tone::plain;
};
using Line = std::optional<Said>;

std::string because(const std::optional<Error>& error) {
    return error ? ": " + printable(error->full_message()) : "";
}

// The few short ones: enough to recognise what was made.
std::string outputs_text(const Json& outputs, bool unicode) {
    std::string text;
    std::size_t shown = 0;
    if (!outputs.is_object()) return text;
    for (const auto& [name, value] : outputs.items()) {
        const bool names_resource = value.is_object() && value.contains("of");
        if ((value.is_structured() && !names_resource) || value.is_null() || shown == outputs_shown) continue;
        text += (shown++ == 0 ? (unicode ? " → " : " -> ") : ", ") + name + ": " + value_text(value, 48);
    }
    return text;
}

class Teller {
  public:
    Teller(const Plan& plan, std::optional<Duration> took, TextStyle style) : plan_(plan), took_(took), style_(style) {}

    Line operator()(const RunStarted& e) const {
        return Said{.what = "run '" + e.run_id + "' begins, incident since " + to_human(e.incident_start) +
                            (e.incident_declared ? "" : " (not declared: the run's start)")};
    }
    Line operator()(const RunResumed& e) const {
        return Said{.what = "goes on under user '" + printable(e.runner.user) + "' on host '" +
                            printable(e.runner.host) + "' (process " + std::to_string(e.runner.pid) + ")"};
    }
    Line operator()(const PersonDecided& e) const {
        return Said{.what =
                        printable(e.by) + " says: " + decision_text(e.what, e.step ? id(*e.step) : "", e.accept_loss)};
    }
    Line operator()(const StepSkipped& e) const {
        return Said{.who = id(e.step), .what = std::string(to_text(e.why)), .tone = Tone::faint};
    }
    Line operator()(const DeedPrepared&) const { return std::nullopt; }
    Line operator()(const PrepareFailed& e) const {
        return Said{.who = id(e.step), .what = "cannot begin: " + printable(e.error.full_message()), .tone = Tone::bad};
    }
    Line operator()(const AttemptStarted& e) const {
        if (e.deed == 0 && e.attempt == 1) return std::nullopt;
        const std::string deed = e.deed == 0 ? "" : "fallback '" + step_at(plan_, e.step).fallback->action + "', ";
        return Said{.who = id(e.step), .what = deed + "attempt " + std::to_string(e.attempt), .tone = Tone::faint};
    }
    Line operator()(const Noted&) const { return std::nullopt; }
    Line operator()(const ChildStarted&) const { return std::nullopt; }
    Line operator()(const OrphansEnded& e) const {
        if (e.what.empty()) return std::nullopt;
        return Said{.what = "ended what a dead runner left: " + printable(join(e.what, ", ")), .tone = Tone::doubtful};
    }
    Line operator()(const AttemptEnded& e) const {
        if (e.outcome == AttemptOutcome::done) {
            return Said{.who = id(e.step),
                        .what = "done" + duration() + outputs_text(e.outputs, style_.unicode),
                        .tone = Tone::good};
        }
        return Said{.who = id(e.step),
                    .what = "attempt " + std::to_string(e.attempt) + " " + spaced(to_text(e.outcome)) + duration() +
                            because(e.error),
                    .tone = Tone::doubtful};
    }
    Line operator()(const Settled& e) const {
        const std::string evidence = e.evidence.empty() ? "" : " (" + printable(e.evidence) + ")";
        switch (e.answer) {
            case ProbeResult::Answer::done:
                return Said{.who = id(e.step), .what = "looked again: it was done" + evidence, .tone = Tone::good};
            case ProbeResult::Answer::not_done:
                if (e.by == Settled::By::rule) return std::nullopt;
                return Said{.who = id(e.step), .what = "looked again: it was not done" + evidence};
            case ProbeResult::Answer::cannot_tell:
                return Said{.who = id(e.step),
                            .what = "in doubt: cannot tell whether it was done" + evidence,
                            .tone = Tone::bad};
        }
        return std::nullopt;
    }
    Line operator()(const StepEnded& e) const {
        switch (e.end) {
            case StepEnd::done:
                return std::nullopt;
            case StepEnd::skipped_condition:
            case StepEnd::skipped_dependency:
                return Said{.who = id(e.step), .what = std::string(to_text(e.end)), .tone = Tone::faint};
            case StepEnd::tolerated:
                return Said{
                    .who = id(e.step), .what = "failed, which is tolerated" + because(e.error), .tone = Tone::doubtful};
            case StepEnd::failed:
            case StepEnd::timed_out:
            case StepEnd::cancelled:
                return Said{.who = id(e.step), .what = spaced(to_text(e.end)) + because(e.error), .tone = Tone::bad};
        }
        return std::nullopt;
    }
    Line operator()(const RollbackStarted& e) const {
        return Said{.what = "rolling back: " + printable(e.reason), .tone = Tone::bad};
    }
    Line operator()(const UndoStarted&) const { return std::nullopt; }
    Line operator()(const UndoEnded& e) const {
        if (e.error) {
            return Said{.who = id(e.step), .what = "UNDO FAILED" + duration() + because(e.error), .tone = Tone::bad};
        }
        return Said{.who = id(e.step),
                    .what = e.what.empty() ? "nothing to undo" : "undone" + duration() + ": " + printable(e.what)};
    }
    Line operator()(const Paused& e) const {
        return Said{.what = "paused: " + printable(e.message), .tone = Tone::doubtful};
    }
    Line operator()(const VerdictReached& e) const {
        std::string figures;
        if (e.rto) figures += ", RTO " + to_human(*e.rto);
        if (e.rpo) figures += ", RPO " + to_human(*e.rpo);
        if (e.data_loss) figures += ", data loss " + to_human(*e.data_loss);
        return Said{.what = loud(e.verdict) + figures, .tone = tone_of(e.verdict)};
    }
    Line operator()(const RunEnded&) const { return std::nullopt; }
    Line operator()(const Committed& e) const {
        return Said{.what = "committed by " + printable(e.by) + ", removed: " + printable(join(e.removed, ", "))};
    }

  private:
    std::string id(std::size_t step) const { return step_at(plan_, step).id; }
    std::string duration() const { return took_ && *took_ > Duration::zero() ? " in " + to_human(*took_) : ""; }
    static std::string spaced(std::string_view word) {
        std::string text(word);
        for (char& c : text)
            c = c == '_' ? ' ' : c;
        return text;
    }

    const Plan& plan_;
    std::optional<Duration> took_;
    TextStyle style_;
};

}  // namespace

std::optional<std::string> event_line(const Plan& plan, const Event& event, std::optional<Duration> took,
                                      TextStyle style) {
    const Line said = std::visit(Teller{plan, took, style}, event.body);
    if (!said) return std::nullopt;
    const std::string who = padded(said->who.empty() ? "lifeboat" : said->who, name_width);
    return painted(Tone::faint, time_of_day(event.at), style) + "  " + painted(Tone::strong, who, style) + "  " +
           painted(said->tone, said->what, style);
}

}  // namespace lifeboat
