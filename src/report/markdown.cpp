#include "report/markdown.h"

#include <algorithm>

#include "base/text.h"
#include "base/version.h"
#include "report/markdown_text.h"
#include "report/words.h"

namespace lifeboat {

namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string md(std::string_view text) {
    return markdown_escaped(text);
}

std::string code(std::string_view text) {
    return markdown_code(text);
}

std::string spaced(std::string_view word) {
    std::string text(word);
    std::replace(text.begin(), text.end(), '_', ' ');
    return text;
}

std::string met_text(const ReportedObjective& figure) {
    if (!figure.objective) return "no objective";
    if (!figure.met) return "not known";
    return *figure.met ? "met" : "**missed**";
}

std::string took(std::optional<Timestamp> from, std::optional<Timestamp> to) {
    return from && to ? to_human(elapsed(*from, *to)) : "";
}

std::string runner_text(const Runner& runner) {
    return md(runner.user) + " on " + md(runner.host) + ", process " + std::to_string(runner.pid) + ", lifeboat " +
           md(runner.version);
}

std::string pause_text(PauseReason reason) {
    switch (reason) {
        case PauseReason::interrupt:
            return "interrupted";
        case PauseReason::failed:
            return "a step failed";
        case PauseReason::in_doubt:
            return "a step is in doubt";
        case PauseReason::moved:
            return "the world had moved";
        case PauseReason::past_line:
            return "a failure behind the line of no return";
    }
    return "";
}

std::string settled_text(const ReportedSettling& settling) {
    std::string text;
    switch (settling.answer) {
        case ProbeResult::Answer::done:
            text = "it was done";
            break;
        case ProbeResult::Answer::not_done:
            text = "it was not done";
            break;
        case ProbeResult::Answer::cannot_tell:
            text = "**cannot tell** whether it was done";
            break;
    }
    switch (settling.by) {
        case Settled::By::rule:
            text += ", by rule";
            break;
        case Settled::By::undo:
            text += ", by undoing it";
            break;
        case Settled::By::probe:
            text += ", by looking";
            break;
        case Settled::By::person:
            text += ", said by a person";
            break;
    }
    return text + (settling.evidence.empty() ? "" : ": " + md(settling.evidence));
}

class MarkdownWriter {
  public:
    explicit MarkdownWriter(const Report& report) : report_(report) {}

    std::string write() {
        head();
        hands_needed();
        facts();
        objectives();
        paused();
        backup();
        timeline();
        steps();
        rollback();
        unverified();
        people();
        kept();
        warnings();
        details();
        evidence();
        return std::move(out_);
    }

  private:
    void section(const std::string& title) { out_ += "\n## " + title + "\n\n"; }
    void item(const std::string& text) { out_ += "- " + text + "\n"; }

    void head() {
        out_ +=
            "# " + std::string(report_.drill ? "Drill report: " : "Incident report: ") + md(report_.runbook) + "\n\n";
        out_ += "> **" + headline(report_) + "**  \n> " + std::string(claim(report_)) + "\n";
        if (!report_.cause.empty()) out_ += ">\n> " + md(report_.cause) + "\n";
    }

    void hands_needed() {
        const auto left = left_undone(report_);
        if (left.empty()) return;
        section("HANDS NEEDED: not put back");
        for (const ReportedStep* step : left) {
            const auto failed = std::find_if(step->undos.rbegin(), step->undos.rend(),
                                             [](const auto& undo) { return undo.error.has_value(); });
            std::string text = "**" + code(step->id) + "** (" + code(step->action) + ")";
            if (failed != step->undos.rend()) {
                text += ": " + md(failed->error->full_message());
                if (!failed->error->hint.empty()) text += "  \n  *" + md(failed->error->hint) + "*";
            }
            item(text);
        }
        if (!report_.contacts.empty()) {
            std::string text = "Call: ";
            for (const Contact& contact : report_.contacts)
                text += (text.size() > 6 ? "; " : "") + md(contact.role) + " (" + md(contact.reach) + ")";
            out_ += "\n" + text + "\n";
        }
    }

    void facts() {
        out_ += "\n";
        Rows rows;
        rows.push_back({"Run", code(report_.run_id)});
        rows.push_back({"Runbook", md(report_.runbook) + (report_.summary.empty() ? "" : ": " + md(report_.summary))});
        rows.push_back({"Severity", std::string(to_text(report_.severity))});
        rows.push_back(
            {"Incident began", to_human(report_.incident_start) +
                                   (report_.incident_declared ? " (declared)" : " (not declared: the run's start)")});
        rows.push_back({"Run began", to_human(report_.started_at)});
        if (report_.ended_at) {
            rows.push_back({"Run ended", to_human(*report_.ended_at) + " (after " +
                                             to_human(elapsed(report_.started_at, *report_.ended_at)) + ")"});
        } else {
            rows.push_back({"Last record", to_human(report_.last_at)});
        }
        rows.push_back({"Exit code", std::to_string(report_.exit)});
        for (std::size_t i = 0; i < report_.lives.size(); ++i) {
            rows.push_back(
                {report_.lives.size() == 1 ? "Runner" : "Runner " + std::to_string(i + 1),
                 runner_text(report_.lives[i].runner) + (i == 0 ? "" : ", since " + to_human(report_.lives[i].from))});
        }
        for (const TargetIdentity& target : report_.targets) {
            rows.push_back({"Target", code(target.resource) + " = " + md(target.measured.value_or(target.declared))});
        }
        for (const auto& [name, value] : report_.inputs.items())
            rows.push_back({"Input", code(name) + " = " + code(value_text(value))});
        for (const Contact& contact : report_.contacts)
            rows.push_back({"Contact", md(contact.role) + ": " + md(contact.reach)});
        out_ += markdown_table({"", ""}, rows);
    }

    void objectives() {
        section("Objectives");
        const auto& time = report_.recovery_time;
        const auto& point = report_.recovery_point;
        Rows rows{
            {"Recovery time (RTO)", duration_text(time.objective), duration_text(time.reached), met_text(time)},
            {"Recovery point (RPO)", duration_text(point.objective), duration_text(point.reached), met_text(point)},
            {"Data loss", "-", duration_text(report_.data_loss), ""},
            {"Waiting for people", "-", to_human(report_.waited), ""}};
        out_ += markdown_table({"", "objective", "reached", ""}, rows);
        out_ +=
            "\nRecovery time runs from the incident's begin to the end of the last step that proved something or "
            "reopened, waiting\n"
            "included. Recovery point: from what the restored data is as of to the incident's begin. Data loss: to the "
            "moment from\n"
            "which nothing could be written any more; where that is the larger figure, it is the one judged.\n";
    }

    void paused() {
        if (!report_.paused || report_.pauses.empty()) return;
        section("What can be said to the run");
        for (const std::string& choice : report_.pauses.back().choices)
            item(code("lifeboat " + choice));
    }

    void backup() {
        if (report_.backups.empty()) return;
        section("Backup");
        for (const ReportedBackup& backup : report_.backups) {
            std::string text = (!backup.used                             ? "Looked at "
                                : report_.exit == 0 || report_.exit == 3 ? "Restored from "
                                                                         : "Taken: ") +
                               code(backup.id);
            if (!backup.store.empty()) text += " on " + code(backup.store);
            if (backup.consistent_at) {
                text += ", data as of " + to_human(*backup.consistent_at);
                if (*backup.consistent_at <= report_.incident_start) {
                    text += " (" + to_human(elapsed(*backup.consistent_at, report_.incident_start)) +
                            " before the incident)";
                }
            }
            out_ += text + " (step " + code(backup.step) + ").\n";
            if (backup.refused.empty()) continue;
            out_ += "\nRefused before it:\n\n";
            for (const ReportedRefusal& refusal : backup.refused)
                item(code(refusal.id) + ": " + md(refusal.why));
        }
    }

    void timeline() {
        if (report_.phases.empty()) return;
        section("Timeline by phase");
        Rows rows;
        for (const ReportedPhase& phase : report_.phases) {
            rows.push_back(
                {std::string(to_text(phase.phase)), time_of_day(phase.from), phase.to ? time_of_day(*phase.to) : "",
                 phase.to ? to_human(elapsed(phase.from, *phase.to)) : "under way", std::to_string(phase.steps)});
        }
        out_ += markdown_table({"phase", "from", "to", "took", "steps"}, rows);
        if (report_.line_crossed_at)
            out_ += "\nThe line of no return was crossed at " + to_human(*report_.line_crossed_at) + ".\n";
    }

    void steps() {
        section("Steps");
        Rows rows;
        for (const ReportedStep& step : report_.steps) {
            std::string end = step.label == "undo_failed"                           ? "**NOT PUT BACK**"
                              : step.label == "failed" || step.label == "timed_out" ? "**" + spaced(step.label) + "**"
                                                                                    : spaced(step.label);
            const std::string attempts = step.attempts.empty() ? "" : std::to_string(step.attempts.size());
            rows.push_back({code(sign(step.effect)), code(step.id),
                            step.always  ? "always"
                            : step.phase ? std::string(to_text(*step.phase))
                                         : "",
                            code(step.action), end, step.started ? time_of_day(*step.started) : "",
                            step.attempts.empty() ? "" : took(step.attempts.front().started, step.ended), attempts});
        }
        out_ += markdown_table({"", "step", "phase", "action", "end", "began", "took", "attempts"}, rows);
        out_ += "\n`?` looks, `+` makes something beside, `~` changes, `!` destroys.\n";
    }

    void rollback() {
        if (!report_.rollback_reason) return;
        section("Rolled back");
        out_ += "Because: " + md(*report_.rollback_reason) + "\n\n";
        struct Undone {
            const ReportedStep* step;
            const ReportedUndo* undo;
        };
        std::vector<Undone> all;
        for (const ReportedStep& step : report_.steps) {
            for (const ReportedUndo& undo : step.undos) {
                if (!undo.settling) all.push_back({&step, &undo});
            }
        }
        std::stable_sort(all.begin(), all.end(),
                         [](const Undone& a, const Undone& b) { return a.undo->record < b.undo->record; });
        if (all.empty()) out_ += "Nothing had been done that had to be put back.\n";
        for (const auto& [step, undo] : all) {
            std::string text = time_of_day(undo->started) + " " + code(step->id) + ": ";
            if (undo->error) {
                text += "**NOT PUT BACK**: " + md(undo->error->full_message());
            } else if (!undo->ended) {
                text += "**not ended**";
            } else {
                text += undo->what.empty() ? "there was nothing to undo" : md(undo->what);
            }
            item(text);
        }
    }

    void unverified() {
        if (report_.unverified.empty()) return;
        section("What stays unverified");
        for (const std::string& open : report_.unverified)
            item(md(open));
    }

    void people() {
        if (report_.decisions.empty() && report_.pauses.empty()) return;
        section("People");
        Rows rows;
        for (const ReportedPause& pause : report_.pauses) {
            rows.push_back({to_human(pause.from), "the run",
                            "paused, " + pause_text(pause.reason) + ": " + md(pause.message) +
                                (pause.to ? " (waited " + to_human(elapsed(pause.from, *pause.to)) + ")" : "")});
        }
        for (const ReportedDecision& decision : report_.decisions) {
            rows.push_back({to_human(decision.at), md(decision.by),
                            md(decision_text(decision.what, decision.step, decision.accept_loss))});
        }
        std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a[0] < b[0]; });
        out_ += markdown_table({"when", "who", "what"}, rows);
    }

    void kept() {
        if (report_.kept.empty() && report_.committed.empty()) return;
        section("Kept old state");
        for (const ReportedKept& kept : report_.kept)
            item(code(kept.what) + " (step " + code(kept.step) + ")");
        if (!report_.kept.empty()) out_ += "\n";
        if (!report_.ended) {
            out_ += "It stays at least until the run has ended.\n";
        } else if (report_.verdict == Verdict::rollback_incomplete) {
            out_ += "It could not be put back and may be the only copy: nothing of lifeboat removes it.\n";
        } else if (report_.committed.empty()) {
            out_ += "It stays until " + code("lifeboat commit " + report_.run_id) + ".\n";
        } else {
            std::string text = "Removed by commit: ";
            for (std::size_t i = 0; i < report_.committed.size(); ++i)
                text += (i == 0 ? "" : ", ") + code(report_.committed[i]);
            out_ += text + ".\n";
        }
    }

    void warnings() {
        if (report_.warnings.empty()) return;
        section("Warnings");
        for (const std::string& warning : report_.warnings)
            item(md(warning));
    }

    void details() {
        section("Details of the steps");
        bool any = false;
        for (const ReportedStep& step : report_.steps) {
            if (step.attempts.empty() && step.look_failures.empty()) continue;
            out_ += std::string(any ? "\n" : "") + "### " + code(step.id) + "\n\n";
            any = true;
            if (!step.doc.empty()) out_ += md(step.doc) + "\n\n";
            if (step.arguments.is_object()) {
                for (const auto& [name, value] : step.arguments.items()) {
                    if (!value.is_null()) item("with " + md(name) + ": " + code(value_text(value)));
                }
            }
            for (const Error& error : step.look_failures)
                item("could not begin: " + md(error.full_message()));
            for (const std::string& happened : in_order(step))
                item(happened);
            if (!step.outputs.is_object()) continue;
            for (const auto& [name, value] : step.outputs.items())
                item("output " + md(name) + ": " + code(value_text(value)));
        }
        if (!any) out_ += "No step was attempted.\n";
    }

    // Attempts, what was found out about them, and what was cleared away between them.
    static std::vector<std::string> in_order(const ReportedStep& step) {
        std::vector<std::pair<Timestamp, std::string>> moments;
        for (const ReportedAttempt& attempt : step.attempts)
            moments.emplace_back(attempt.started, attempt_text(attempt));
        for (const ReportedSettling& settling : step.settlings) {
            moments.emplace_back(settling.at, time_of_day(settling.at) +
                                                  (settling.fallback ? " fallback settled: " : " settled: ") +
                                                  settled_text(settling));
        }
        for (const ReportedUndo& undo : step.undos) {
            if (!undo.settling) continue;
            moments.emplace_back(undo.started,
                                 time_of_day(undo.started) + " " +
                                     (undo.error          ? "clearing away failed: " + md(undo.error->full_message())
                                      : undo.what.empty() ? "nothing to clear away"
                                                          : "cleared away: " + md(undo.what)));
        }
        std::stable_sort(moments.begin(), moments.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
        std::vector<std::string> texts;
        for (auto& [when, text] : moments)
            texts.push_back(std::move(text));
        return texts;
    }

    static std::string attempt_text(const ReportedAttempt& attempt) {
        std::string text = time_of_day(attempt.started) + (attempt.fallback ? " fallback, attempt " : " attempt ") +
                           std::to_string(attempt.number) + ": ";
        if (!attempt.outcome) return text + "under way";
        text += spaced(to_text(*attempt.outcome));
        if (attempt.ended) text += " after " + to_human(elapsed(attempt.started, *attempt.ended));
        if (attempt.error) {
            text += ": " + md(attempt.error->full_message()) + " (" + code(info(attempt.error->code).name) + ")";
            if (!attempt.error->hint.empty()) text += "  \n  *" + md(attempt.error->hint) + "*";
        }
        return text;
    }

    void evidence() {
        section("Evidence");
        Rows rows;
        rows.push_back(
            {"Journal", std::to_string(report_.records) + " records" +
                            (report_.journal_head.empty() ? "" : ", the last one " + code(report_.journal_head))});
        rows.push_back({"Plan", code(report_.plan_digest)});
        rows.push_back({"Runbook", code(report_.runbook_sha256)});
        rows.push_back({"Report by", "lifeboat " + std::string(version())});
        out_ += markdown_table({"", "SHA-256"}, rows);
        out_ += "\nEach record of the journal holds the hash of the one before: the last one vouches for all.\n";
    }

    const Report& report_;
    std::string out_;
};

}  // namespace

std::string to_markdown(const Report& report) {
    return MarkdownWriter{report}.write();
}

}  // namespace lifeboat
