#include "drill/drill.h"

#include "base/text.h"
#include "drill/isolation.h"
#include "drill/leftovers.h"
#include "drill/rehearsal.h"
#include "drill/sandbox.h"
#include "drill/snapshot.h"
#include "drill/sweep.h"
#include "drill/timed_case.h"
#include "report/report_json.h"
#include "runbook/load.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

// A runbook that skipped every step has shown nothing, whatever is expected of it.
bool anything_ran(const Report& report) {
    return std::any_of(report.steps.begin(), report.steps.end(),
                       [](const ReportedStep& step) { return !step.always && !step.attempts.empty(); });
}

// One drill from its sandbox to its verdict.
class Performance {
  public:
    Performance(const Drill& drill, const Runbook& runbook, const Specs& specs, const Clock& clock,
                const DrillOptions& options, DrillResult& result)
        : drill_(drill), runbook_(runbook), specs_(specs), clock_(clock), options_(options), result_(result) {}

    void perform(DrillSandbox& sandbox) {
        result_.doubts = doubts_about_places(sandbox, specs_);
        if (!result_.doubts.empty()) {
            timed("the sandbox is isolated", "isolation", [&] { return result_.doubts; });
            return;
        }
        timed("the sandbox is made", "sandbox", [&] {
            sandbox.make(options_.stop, options_.say);
            return std::vector<std::string>{};
        });
        if (failed() || !prove_isolation(sandbox)) return;
        const DrilledProgram program(options_.program, sandbox.folder(), clock_, options_.stop);
        Rehearsal rehearsal(drill_, runbook_, specs_, sandbox, program);
        prepare(rehearsal, "setup", drill_.setup);
        prepare(rehearsal, "disaster", drill_.disaster);
        if (failed() || over()) return;
        const bool sweeps = options_.depth != SweepDepth::none && !drill_.sweep.empty();
        std::optional<SandboxSnapshot> snapshot;
        if (sweeps) {
            snapshot.emplace(sandbox, options_.stop);
            if (!snapshot->services_then().empty()) rehearsal.start_services(snapshot->services_then());
        }
        const ObservedRun undisturbed = rehearse(rehearsal);
        if (!sweeps || failed() || over() || !undisturbed.report) return;
        sweep(SweepRounds(rehearsal, sandbox, *snapshot, clock_), undisturbed);
    }

    bool failed() const {
        return std::any_of(result_.cases.begin(), result_.cases.end(), [](const DrillCase& each) {
            return each.outcome == CaseOutcome::failed || each.outcome == CaseOutcome::error;
        });
    }

    // Adds a case; what `judge` returns are the reasons why it failed.
    void timed(const std::string& name, const std::string& group,
               const std::function<std::vector<std::string>()>& judge) {
        add(timed_case(clock_, name, result_.drill + "." + group, judge));
    }

  private:
    bool over() const { return options_.stop.stop_requested(); }

    void add(DrillCase one) {
        if (one.outcome == CaseOutcome::failed || one.outcome == CaseOutcome::error)
            options_.say("FAILED: " + one.name + ": " + one.message);
        result_.cases.push_back(std::move(one));
    }

    bool prove_isolation(const DrillSandbox& sandbox) {
        options_.say("proving that the sandbox is isolated");
        timed("the sandbox is isolated", "isolation", [&] {
            Loaded<Site> site = load_site(read_small_file(sandbox.site_file()), sandbox.site_file().string(), specs_);
            if (!site.value) {
                throw Error{ErrorCode::invalid_file,
                            "the sandbox of '" + drill_.file +
                                "' is not complete: " + std::string(trim(site.diagnostics.render())),
                            "Give the resources of the sandbox the fields that they miss."};
            }
            result_.doubts = doubts_about_definitions({.sandbox = *site.value,
                                                       .folder = sandbox.folder(),
                                                       .drill = drill_,
                                                       .runbook = runbook_,
                                                       .real = options_.real_site ? &*options_.real_site : nullptr,
                                                       .specs = specs_});
            for (std::string& doubt : doubts_about_nonces(sandbox))
                result_.doubts.push_back(std::move(doubt));
            return result_.doubts;
        });
        return !failed();
    }

    void prepare(Rehearsal& rehearsal, const std::string& root, const std::vector<Step>& steps) {
        if (steps.empty() || failed() || over()) return;
        options_.say(root);
        timed("the " + root + " is done", root, [&] {
            const StepsDone done = rehearsal.prepare(root, steps);
            return done.well ? std::vector<std::string>{} : std::vector<std::string>{done.told};
        });
    }

    // Nobody disturbs this one: the expectations are judged one by one.
    ObservedRun rehearse(const Rehearsal& rehearsal) {
        options_.say("running '" + runbook_.name + "'");
        ObservedRun observed;
        StepsDone observation;
        timed("the runbook is carried out", "run", [&] {
            observed = rehearsal.run();
            if (!observed.report || !observed.report->ended) return std::vector<std::string>{told(observed)};
            if (!anything_ran(*observed.report))
                return std::vector<std::string>{"nothing ran, every step was skipped: " + told(observed)};
            return std::vector<std::string>{};
        });
        if (!observed.report) return observed;
        result_.report = to_json(*observed.report);
        result_.records = observed.events.size();
        if (over()) return observed;
        if (!drill_.observe.empty()) {
            timed("the outcome is observed", "observe", [&] {
                observation = rehearsal.observe(run_scope(*observed.report));
                return observation.well ? std::vector<std::string>{} : std::vector<std::string>{observation.told};
            });
        }
        result_.scope = rehearsal.scope(*observed.report, observation);
        for (const ExpectationOutcome& each : judge_expectations(drill_.expect, result_.scope)) {
            timed(each.that, "expect", [&] {
                return each.holds ? std::vector<std::string>{}
                                  : std::vector<std::string>{"it does not hold: " + each.why, told(observed)};
            });
        }
        return observed;
    }

    void sweep(const SweepRounds& rounds, const ObservedRun& undisturbed) {
        for (const Sweep kind : drill_.sweep) {
            switch (kind) {
                case Sweep::kill_at_every_event:
                    each_round(
                        "kill_at_every_event", rounds_of_kills(*undisturbed.plan, undisturbed.events, options_.depth),
                        [&](const KillRound& round, const std::string& name) { return rounds.kill(round, name); });
                    break;
                case Sweep::fail_every_step:
                    each_round(
                        "fail_every_step", rounds_of_failures(*undisturbed.plan, *undisturbed.report),
                        [&](const FailRound& round, const std::string& name) { return rounds.fail(round, name); });
                    break;
            }
        }
    }

    template <typename Round, typename Judge>
    void each_round(const std::string& sweep, const std::vector<Round>& rounds, Judge&& judge) {
        for (std::size_t i = 0; i < rounds.size() && !over(); ++i) {
            options_.say(sweep + " " + std::to_string(i + 1) + " of " + std::to_string(rounds.size()) + ": " +
                         rounds[i].where);
            add(judge(rounds[i], result_.drill + "." + sweep));
        }
    }

    const Drill& drill_;
    const Runbook& runbook_;
    const Specs& specs_;
    const Clock& clock_;
    const DrillOptions& options_;
    DrillResult& result_;
};

DrillVerdict verdict_of(const DrillResult& result, const Performance& performance) {
    if (!result.doubts.empty()) return DrillVerdict::not_isolated;
    if (!result.left.empty()) return DrillVerdict::cleanup_incomplete;
    const bool judged = std::any_of(result.cases.begin(), result.cases.end(),
                                    [](const DrillCase& each) { return each.classname.ends_with(".expect"); });
    return judged && !performance.failed() && !result.interrupted ? DrillVerdict::as_expected
                                                                  : DrillVerdict::not_as_expected;
}

}  // namespace

DrillResult run_drill(const Drill& drill, const Runbook& runbook, const Specs& specs, const Clock& clock,
                      const DrillOptions& options) {
    DrillResult result;
    result.drill = fs::path(drill.file).stem().string();
    result.runbook = runbook.name;
    result.started = clock.now();
    result.depth = drill.sweep.empty() ? SweepDepth::none : options.depth;
    const Specs allowed = sandbox_specs(specs);
    const fs::path parent = options.parent.empty() ? sandbox_parent() : options.parent;
    Performance performance(drill, runbook, allowed, clock, options, result);

    if (options.real_site)
        result.doubts =
            doubts_about_folder(parent / (std::string(sandbox_prefix) + "new"), *options.real_site, allowed);
    if (!result.doubts.empty()) {
        performance.timed("the sandbox is isolated", "isolation", [&] { return result.doubts; });
    } else {
        remove_leftovers(parent, false);
        DrillSandbox sandbox(drill, runbook, parent);
        result.id = sandbox.id();
        options.say("sandbox " + sandbox.folder().string());
        try {
            performance.perform(sandbox);
        } catch (const Error& error) {
            performance.timed("the drill is carried out", "run", [&]() -> std::vector<std::string> { throw error; });
        }
        result.interrupted = options.stop.stop_requested();
        if (options.keep) {
            sandbox.keep();
            result.kept = sandbox.folder();
        } else {
            options.say("removing the sandbox");
            performance.timed("everything is removed", "cleanup", [&] { return result.left = sandbox.remove(); });
        }
    }
    result.ended = clock.now();
    result.verdict = verdict_of(result, performance);
    return result;
}

Specs sandbox_specs(Specs specs) {
    for (ActionSpec& action : specs.actions)
        action.drill_only = false;
    return specs;
}

}  // namespace lifeboat
