#include "engine/survey.h"

#include <algorithm>

#include "engine/scope.h"
#include "script/expression.h"

namespace lifeboat {

namespace {

// Walks the steps in their order, knowing of each only what can be known before the run.
class Surveyor {
  public:
    Surveyor(Draft draft, const Actions& actions, const Clock& clock, const History& history,
             const std::function<Workspace(const std::string&)>& workspace)
        : actions_(actions), clock_(clock), history_(history), workspace_(workspace) {
        plan_.draft = std::move(draft);
        plan_.made_at = clock.now();
        scope_ = static_scope(plan_.draft);
        scope_["steps"] = Json::object();
    }

    Plan plan() {
        for (const std::string& target : plan_.draft.targets)
            plan_.targets.push_back(actions_.identify(target));
        for (const DraftedStep& step : plan_.draft.steps) {
            plan_.surveys.push_back(look_at(step));
            const StepSurvey& seen = plan_.surveys.back();
            if (seen.bytes) moved_[step.id] = *seen.bytes;
            scope_["steps"][step.id] = {{"outputs", seen.outputs.value_or(nullptr)}, {"outcome", nullptr}};
            const bool behind = std::any_of(step.needs.begin(), step.needs.end(),
                                            [&](std::size_t need) { return behind_change_[need]; });
            behind_change_.push_back(behind || step.deed.effect != Effect::read ||
                                     (step.fallback && step.fallback->effect != Effect::read));
        }
        predict();
        plan_.digest = digest_of(plan_);
        return std::move(plan_);
    }

  private:
    const Actions& actions_;
    const Clock& clock_;
    const History& history_;
    const std::function<Workspace(const std::string&)>& workspace_;
    Plan plan_;
    Json scope_;
    std::map<std::string, Bytes> moved_;  // by the steps so far
    std::vector<bool> behind_change_;     // the step changes something, or stands behind one that does

    void found(const DraftedStep& step, FindingKind kind, const Error& error, std::string subject) {
        plan_.findings.push_back({.kind = kind,
                                  .step = step.id,
                                  .subject = std::move(subject),
                                  .message = error.full_message(),
                                  .hint = error.hint});
    }

    // Each argument that can be worked out now; null where it is known only when the run has come that far.
    Json known_arguments(const Deed& deed, bool& all_known) const {
        Json out = Json::object();
        for (const auto& [name, value] : deed.arguments.items()) {
            try {
                out[name] = expand_all(value, scope_);
            } catch (const Error&) {
                out[name] = nullptr;
                all_known = false;
            }
        }
        return out;
    }

    std::optional<Bytes> expected_bytes(const Deed& deed) const {
        std::optional<Bytes> most;
        for (const std::string& id : steps_named_in(deed.arguments)) {
            if (const auto moved = moved_.find(id); moved != moved_.end())
                most = std::max(most.value_or(moved->second), moved->second);
        }
        return most;
    }

    StepSurvey look_at(const DraftedStep& step) {
        StepSurvey out;
        const Action* action = actions_.find(step.deed.action);
        if (action == nullptr) {
            found(step, FindingKind::blocker,
                  Error(ErrorCode::unsupported, "this lifeboat has no action '" + step.deed.action + "'"), "action");
            return out;
        }
        bool all_known = true;
        Context context;
        context.step_id = step.id;
        context.drill = plan_.draft.drill.has_value();
        context.clock = &clock_;
        context.arguments = known_arguments(step.deed, all_known);
        context.expected_bytes = expected_bytes(step.deed);
        context.workspace = workspace_(step.id);
        Survey seen;
        try {
            seen = action->survey(context);
        } catch (const Error& error) {
            found(step, FindingKind::warning, error, "preflight");
        }
        for (Finding& finding : seen.findings) {
            if (finding.step.empty()) finding.step = step.id;
            plan_.findings.push_back(std::move(finding));
        }
        out.candidates = std::move(seen.candidates);
        out.bytes = seen.bytes;
        estimate(step, seen, out);
        warn_if_cut_off(step, seen, out);
        const bool behind =
            std::any_of(step.needs.begin(), step.needs.end(), [&](std::size_t need) { return behind_change_[need]; });
        const bool built_in = step.deed.action != "run" && step.deed.action != "lua";
        if (all_known && !behind && built_in && step.condition.empty()) preview(step, *action, context, out);
        return out;
    }

    void preview(const DraftedStep& step, const Action& action, Context& context, StepSurvey& out) {
        const bool run_it = action.spec().effect == Effect::read && action.spec().cheap;
        try {
            Intent intent = action.prepare(context);
            if (run_it) out.outputs = action.run(intent, context);
            if (!intent.is_null() && !intent.empty()) out.preview = std::move(intent);
        } catch (const Error& error) {
            found(step, FindingKind::warning, error, run_it ? "what it sees now" : "what it would do");
        }
    }

    void estimate(const DraftedStep& step, const Survey& seen, StepSurvey& out) const {
        if (const auto past = history_ ? history_(step.id) : std::nullopt) {
            double scale = 1;
            if (past->bytes_p50 && past->bytes_p50->count > 0 && seen.bytes)
                scale = static_cast<double>(seen.bytes->count) / static_cast<double>(past->bytes_p50->count);
            const auto scaled = [&](Duration d) {
                return Duration(static_cast<Duration::rep>(static_cast<double>(d.count()) * scale));
            };
            out.estimate_p50 = scaled(past->p50);
            out.estimate_p90 = scaled(past->p90);
            out.estimate_source = "history of " + std::to_string(past->runs) + (past->runs == 1 ? " run" : " runs");
        } else if (step.estimate) {
            out.estimate_p50 = out.estimate_p90 = step.estimate;
            out.estimate_source = "author";
        } else if (seen.estimate) {
            out.estimate_p50 = out.estimate_p90 = seen.estimate;
            out.estimate_source = "action";
        }
        if (!seen.waits) return;
        out.estimate_p50 = out.estimate_p50.value_or(Duration::zero()) + *seen.waits;
        out.estimate_p90 = out.estimate_p90.value_or(Duration::zero()) + *seen.waits;
        out.estimate_source += out.estimate_source.empty() ? "waiting" : " and waiting";
    }

    void warn_if_cut_off(const DraftedStep& step, const Survey& seen, const StepSurvey& out) {
        if (!seen.waits || !step.timeout || !out.estimate_p50 || *out.estimate_p50 <= *step.timeout) return;
        plan_.findings.push_back({.kind = FindingKind::warning,
                                  .step = step.id,
                                  .subject = "timeout of step '" + step.id + "'",
                                  .message = "an attempt may take " + to_human(*step.timeout) + ", about " +
                                             to_human(*out.estimate_p50) + " are to be expected",
                                  .hint = "Raise the step's 'timeout': each attempt waits on where the last one "
                                          "stopped, but their number is bounded."});
    }

    // The longest path through the graph; reads without an estimate count as nothing, anything else unknown makes the
    // sum unknown.
    std::optional<Duration> longest(std::optional<Duration> StepSurvey::*which) const {
        std::vector<Duration> ends;
        Duration last{};
        for (std::size_t i = 0; i < plan_.surveys.size(); ++i) {
            const DraftedStep& step = plan_.draft.steps[i];
            const std::optional<Duration>& own = plan_.surveys[i].*which;
            if (!own && step.deed.effect != Effect::read) return std::nullopt;
            Duration start{};
            for (std::size_t need : step.needs)
                start = std::max(start, ends[need]);
            ends.push_back(start + own.value_or(Duration::zero()));
            last = std::max(last, ends.back());
        }
        return last;
    }

    void predict() {
        plan_.predicted_rto_p50 = longest(&StepSurvey::estimate_p50);
        plan_.predicted_rto_p90 = longest(&StepSurvey::estimate_p90);
        for (const StepSurvey& survey : plan_.surveys) {
            if (survey.candidates.empty() || !survey.candidates.front().refused.empty() ||
                !survey.candidates.front().consistent_at)
                continue;
            const Duration lost = elapsed(*survey.candidates.front().consistent_at, plan_.made_at);
            plan_.predicted_rpo = std::max(plan_.predicted_rpo.value_or(lost), lost);
        }
        warn_if_missed("recovery time", plan_.draft.objectives.rto, plan_.predicted_rto_p90);
        warn_if_missed("data loss", plan_.draft.objectives.rpo, plan_.predicted_rpo);
    }

    void warn_if_missed(const std::string& what, const std::optional<Duration>& objective,
                        const std::optional<Duration>& predicted) {
        if (!objective || !predicted || *predicted <= *objective) return;
        plan_.findings.push_back(
            {.kind = FindingKind::warning,
             .step = "",
             .subject = what,
             .message = "predicted " + to_human(*predicted) + ", the objective is " + to_human(*objective),
             .hint = ""});
    }
};

void compare(std::vector<std::string>& out, const std::string& what, const Json& approved, const Json& fresh) {
    if (approved != fresh)
        out.push_back(what + " was " + to_text(approved) + " when approved and is " + to_text(fresh) + " now");
}

const Candidate* same(const std::vector<Candidate>& candidates, const Candidate& wanted) {
    for (const Candidate& each : candidates)
        if (each.id == wanted.id && each.store == wanted.store) return &each;
    return nullptr;
}

void compare_candidates(std::vector<std::string>& out, const std::string& step, const StepSurvey& approved,
                        const StepSurvey& fresh) {
    for (const Candidate& wanted : approved.candidates) {
        if (!wanted.refused.empty()) continue;
        const std::string name = "candidate '" + wanted.id + "' of step '" + step + "' on '" + wanted.store + "'";
        const Candidate* now = same(fresh.candidates, wanted);
        if (now == nullptr) {
            out.push_back(name + " is gone");
        } else if (now->manifest_sha256 != wanted.manifest_sha256) {
            out.push_back(name + " has another manifest");
        } else if (!now->refused.empty()) {
            out.push_back(name + " is refused now: " + now->refused);
        }
    }
}

}  // namespace

Plan survey(Draft draft, const Actions& actions, const Clock& clock, const History& history,
            const std::function<Workspace(const std::string& step_id)>& workspace) {
    return Surveyor(std::move(draft), actions, clock, history, workspace).plan();
}

std::vector<std::string> drift(const Plan& approved, const Plan& fresh) {
    std::vector<std::string> out;
    if (approved.draft.runbook_source != fresh.draft.runbook_source) out.push_back("the runbook's file has changed");
    if (approved.draft.scripts != fresh.draft.scripts) out.push_back("a script of the runbook has changed");
    const Json before = to_json(approved.draft);
    const Json now = to_json(fresh.draft);
    for (const char* part : {"inputs", "bindings", "resources", "backups"})
        compare(out, part, before.value(part, Json(nullptr)), now.value(part, Json(nullptr)));
    for (const TargetIdentity& target : approved.targets) {
        const auto found = std::find_if(fresh.targets.begin(), fresh.targets.end(),
                                        [&](const TargetIdentity& each) { return each.resource == target.resource; });
        if (found == fresh.targets.end()) {
            out.push_back("target '" + target.resource + "' is gone");
            continue;
        }
        compare(out, "target '" + target.resource + "'", target.declared, found->declared);
        if (target.measured || found->measured)
            compare(out, "the identity of target '" + target.resource + "'", target.measured.value_or("unknown"),
                    found->measured.value_or("unknown"));
    }
    const std::size_t steps = std::min({approved.surveys.size(), fresh.surveys.size(), approved.draft.steps.size()});
    for (std::size_t i = 0; i < steps; ++i)
        compare_candidates(out, approved.draft.steps[i].id, approved.surveys[i], fresh.surveys[i]);
    return out;
}

}  // namespace lifeboat
