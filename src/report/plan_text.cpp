#include "report/plan_text.h"

#include <algorithm>

#include "base/size.h"
#include "base/text.h"
#include "engine/state.h"
#include "script/expression.h"

namespace lifeboat {

namespace {

constexpr std::size_t widest_id = 24;

std::string line_of(std::string_view title, bool unicode) {
    std::string line = unicode ? "──── " : "---- ";
    line += title;
    line += ' ';
    for (std::size_t used = 6 + characters(title); used < 100; ++used)
        line += unicode ? "─" : "-";
    return line;
}

std::string origin_text(const SecretOrigin& origin) {
    switch (origin.kind) {
        case SecretOrigin::Kind::environment:
            return "$" + origin.text;
        case SecretOrigin::Kind::file:
            return origin.text;
        case SecretOrigin::Kind::command:
            return join(origin.command, " ");
    }
    return "";
}

std::string_view kind_text(FindingKind kind) {
    switch (kind) {
        case FindingKind::ok:
            return "ok";
        case FindingKind::unknown:
            return "unknown";
        case FindingKind::warning:
            return "warning";
        case FindingKind::blocker:
            return "BLOCKER";
    }
    return "";
}

Tone tone_of(FindingKind kind) {
    switch (kind) {
        case FindingKind::ok:
            return Tone::good;
        case FindingKind::unknown:
        case FindingKind::warning:
            return Tone::doubtful;
        case FindingKind::blocker:
            return Tone::bad;
    }
    return Tone::plain;
}

Tone tone_of(Effect effect) {
    switch (effect) {
        case Effect::read:
            return Tone::faint;
        case Effect::stage:
            return Tone::good;
        case Effect::change:
            return Tone::doubtful;
        case Effect::destroy:
            return Tone::bad;
    }
    return Tone::plain;
}

class PlanWriter {
  public:
    PlanWriter(const Plan& plan, TextStyle style) : plan_(plan), scope_(scope_of(plan)), style_(style) {
        for (std::size_t i = 0; i < step_count(plan); ++i)
            id_width_ = std::max(id_width_, characters(step_at(plan, i).id));
        id_width_ = std::min(id_width_, widest_id);
    }

    std::string write() {
        head();
        steps();
        always();
        candidates();
        findings();
        contacts();
        return std::move(out_);
    }

  private:
    void head() {
        const Draft& draft = plan_.draft;
        out_ += painted(Tone::strong, printable(draft.runbook), style_);
        if (!draft.summary.empty()) out_ += ": " + printable(draft.summary);
        out_ += "\n\n";
        fact("severity", std::string(to_text(draft.severity)));
        if (draft.drill) fact("drill", printable(draft.drill->drill) + ", nothing outside its sandbox is touched");
        for (const TargetIdentity& target : plan_.targets) {
            fact("target", printable(target.resource) + " = " + printable(target.declared) +
                               (target.measured ? ", found: " + printable(*target.measured) : ", not reached yet"));
        }
        if (!plan_.targets.empty()) fact("locks", "on this host only" + locked_on_servers());
        for (const auto& [name, value] : draft.inputs.items())
            fact("input", printable(name) + " = " + value_text(value));
        for (const auto& [name, origin] : draft.secrets)
            fact("secret", "‹" + printable(name) + "› from " + printable(origin_text(origin)));
        fact("recovery", prediction("RTO", rto_text(), draft.objectives.rto, plan_.predicted_rto_p90));
        fact("data", prediction("RPO", plan_.predicted_rpo ? "about " + to_human(*plan_.predicted_rpo) : "unknown",
                                draft.objectives.rpo, plan_.predicted_rpo));
        fact("plan", "made " + to_human(plan_.made_at) + ", digest " + plan_.digest.substr(0, 16));
    }

    std::string locked_on_servers() const {
        std::string names;
        for (const TargetIdentity& target : plan_.targets) {
            const auto resource = plan_.draft.resources.find(target.resource);
            if (resource == plan_.draft.resources.end() || resource->second.type != "postgres") continue;
            names += (names.empty() ? "'" : ", '") + printable(target.resource) + "'";
        }
        return names.empty() ? "" : ", " + names + " on its server too";
    }

    std::string rto_text() const {
        if (!plan_.predicted_rto_p50) return "unknown" + at_least() + unmeasured();
        std::string text = "about " + to_human(*plan_.predicted_rto_p50);
        if (plan_.predicted_rto_p90) text += ", 9 times out of 10 within " + to_human(*plan_.predicted_rto_p90);
        return text;
    }

    // Where a single step alone misses the objective.
    std::string at_least() const {
        Duration longest{};
        for (const StepSurvey& survey : plan_.surveys)
            longest = std::max(longest, survey.estimate_p50.value_or(Duration::zero()));
        const std::optional<Duration>& objective = plan_.draft.objectives.rto;
        return objective && longest > *objective ? ", more than " + to_human(longest) : "";
    }

    // The first step whose duration nobody knows; a look counts as nothing.
    std::string unmeasured() const {
        for (std::size_t i = 0; i < plan_.surveys.size() && i < plan_.draft.steps.size(); ++i) {
            if (!plan_.surveys[i].estimate_p50 && plan_.draft.steps[i].deed.effect != Effect::read)
                return " (nothing says how long '" + plan_.draft.steps[i].id + "' takes)";
        }
        return "";
    }

    std::string prediction(const std::string& what, const std::string& predicted,
                           const std::optional<Duration>& objective, const std::optional<Duration>& judged) const {
        std::string text = what + " " + predicted;
        if (!objective) return text + ", no objective";
        text += ", objective " + to_human(*objective);
        if (judged && *judged > *objective) text += painted(Tone::bad, " WILL BE MISSED", style_);
        return text;
    }

    void fact(const std::string& name, const std::string& value) {
        out_ += "  " + painted(Tone::faint, padded(name, 10), style_) + value + "\n";
    }

    void title(const std::string& text) { out_ += "\n" + painted(Tone::strong, text, style_) + "\n\n"; }

    void steps() {
        title("Steps     ? looks   + makes something beside   ~ changes   ! destroys");
        bool crossed = false;
        for (const bool before : {true, false}) {
            for (std::size_t i = 0; i < plan_.draft.steps.size(); ++i) {
                if (plan_.draft.steps[i].before_line != before) continue;
                if (!before && !crossed) {
                    out_ += "\n" +
                            painted(Tone::bad,
                                    line_of("line of no return: new data may come in, or old data is gone; going back "
                                            "takes a person",
                                            style_.unicode),
                                    style_) +
                            "\n\n";
                    crossed = true;
                }
                step(i);
            }
        }
        if (!crossed) out_ += "No step draws a line of no return: until the end a failure puts everything back.\n";
    }

    void always() {
        if (plan_.draft.always.empty()) return;
        title("Always, when the verdict is final");
        for (std::size_t i = plan_.draft.steps.size(); i < step_count(plan_); ++i)
            step(i);
    }

    void step(std::size_t index) {
        const DraftedStep& step = step_at(plan_, index);
        const StepSurvey* survey = index < plan_.surveys.size() ? &plan_.surveys[index] : nullptr;
        out_ += "  " + painted(tone_of(step.deed.effect), sign(step.deed.effect), style_) + " " +
                padded(step.phase ? std::string(to_text(*step.phase)) : "", 8) + " " +
                painted(Tone::strong, padded(printable(step.id), id_width_), style_) + "  " +
                printable(step.deed.action);
        if (survey != nullptr && survey->estimate_p50) {
            out_ += painted(
                Tone::faint,
                "  about " + to_human(*survey->estimate_p50) + " (" + printable(survey->estimate_source) + ")", style_);
        }
        out_ += "\n";
        if (!step.doc.empty()) note(printable(step.doc));
        arguments(step.deed.arguments);
        manner(index, step);
        if (survey == nullptr) return;
        if (survey->bytes) note("moves " + to_human(*survey->bytes));
        if (survey->preview) note("looked: " + value_text(*survey->preview, 120));
        if (survey->outputs) note("found: " + value_text(*survey->outputs, 120));
    }

    void arguments(const Json& values) {
        if (!values.is_object()) return;
        for (const auto& [name, value] : values.items()) {
            if (value.is_null()) continue;
            const auto known = known_now(value);
            note(printable(name) + ": " + value_text(known.value_or(value)) +
                 (known ? "" : "   (known only when it runs)"));
        }
    }

    // `value` with its expressions worked out, where what they name was frozen or seen when the plan was made.
    std::optional<Json> known_now(const Json& value) const {
        try {
            return expand_all(value, scope_);
        } catch (const Error&) {
            return std::nullopt;
        }
    }

    static Json scope_of(const Plan& plan) {
        Json scope = static_scope(plan.draft);
        Json& steps = scope["steps"] = Json::object();
        for (std::size_t i = 0; i < plan.surveys.size() && i < plan.draft.steps.size(); ++i)
            steps[plan.draft.steps[i].id] = {{"outputs", plan.surveys[i].outputs.value_or(nullptr)},
                                             {"outcome", nullptr}};
        return scope;
    }

    // How the step is done, where that is not what a reader would expect.
    void manner(std::size_t index, const DraftedStep& step) {
        std::vector<std::string> parts;
        if (!is_always(plan_, index) && !(step.needs.size() == 1 && step.needs[0] + 1 == index) &&
            !(step.needs.empty() && index == 0)) {
            std::vector<std::string> names;
            for (const std::size_t need : step.needs)
                names.push_back(plan_.draft.steps[need].id);
            parts.push_back(names.empty() ? "at once" : "after " + join(names, ", "));
        }
        if (!step.condition.empty()) parts.push_back("only if " + printable(step.condition));
        if (step.retry.max_attempts > 1)
            parts.push_back("up to " + counted(static_cast<std::size_t>(step.retry.max_attempts), "attempt"));
        if (step.timeout) parts.push_back("each at most " + to_human(*step.timeout));
        if (step.fallback)
            parts.push_back("else " + printable(step.fallback->action) + " (" +
                            std::string(sign(step.fallback->effect)) + ")");
        if (step.rollback) parts.push_back("undone by " + printable(step.rollback->action));
        switch (step.on_failure) {
            case OnFailure::rollback:
                break;
            case OnFailure::tolerate:
                parts.emplace_back("its failure is tolerated");
                break;
            case OnFailure::pause:
                parts.emplace_back("its failure pauses the run");
                break;
            case OnFailure::abort:
                parts.emplace_back("its failure stops the run, and nothing is undone");
                break;
        }
        if (step.reopens_elsewhere) parts.emplace_back("the author says that the door is opened elsewhere");
        if (!parts.empty()) note(join(parts, "; "));
    }

    void note(const std::string& text) {
        out_ += std::string(15 + id_width_, ' ') + painted(Tone::faint, text, style_) + "\n";
    }

    void candidates() {
        for (std::size_t i = 0; i < plan_.surveys.size() && i < plan_.draft.steps.size(); ++i) {
            const auto& all = plan_.surveys[i].candidates;
            if (all.empty()) continue;
            title("Backups for '" + printable(plan_.draft.steps[i].id) +
                  "', in the order in which they would be tried");
            std::size_t id_width = 0;
            std::size_t store_width = 0;
            for (const Candidate& each : all) {
                id_width = std::max(id_width, characters(each.id));
                store_width = std::max(store_width, characters(each.store));
            }
            std::size_t rank = 0;
            for (const Candidate& each : all) {
                const bool refused = !each.refused.empty();
                std::string text = "  " + padded(refused ? "-" : std::to_string(++rank), 4) +
                                   padded(printable(each.id), id_width) + "  " +
                                   padded(printable(each.store), store_width) + "  " +
                                   (each.consistent_at ? to_human(*each.consistent_at) : padded("time unknown", 20)) +
                                   "  " + padded(each.size ? to_human(*each.size) : "size unknown", 12) + "  ";
                text += refused ? painted(Tone::doubtful, "refused: " + printable(each.refused), style_)
                                : printable(each.verified);
                out_ += text + "\n";
            }
        }
    }

    void findings() {
        if (plan_.findings.empty()) return;
        title("Found beforehand");
        for (const FindingKind kind :
             {FindingKind::blocker, FindingKind::warning, FindingKind::unknown, FindingKind::ok}) {
            for (const Finding& finding : plan_.findings) {
                if (finding.kind != kind) continue;
                out_ += "  " + painted(tone_of(kind), padded(std::string(kind_text(kind)), 8), style_) + " " +
                        (finding.step.empty() ? "" : printable(finding.step) + ": ") + printable(finding.subject) +
                        (finding.message.empty() ? "" : ": " + printable(finding.message)) + "\n";
                if (!finding.hint.empty())
                    out_ +=
                        std::string(11, ' ') + painted(Tone::faint, "hint: " + printable(finding.hint), style_) + "\n";
            }
        }
    }

    void contacts() {
        if (plan_.draft.contacts.empty()) return;
        title("Whom to call");
        std::size_t width = 0;
        for (const Contact& contact : plan_.draft.contacts)
            width = std::max(width, characters(contact.role));
        for (const Contact& contact : plan_.draft.contacts) {
            out_ += "  " + padded(printable(contact.role), width) + "  " + printable(contact.reach) + "\n";
        }
    }

    const Plan& plan_;
    const Json scope_;
    TextStyle style_;
    std::size_t id_width_ = 0;
    std::string out_;
};

}  // namespace

std::string plan_text(const Plan& plan, TextStyle style) {
    return PlanWriter{plan, style}.write();
}

}  // namespace lifeboat
