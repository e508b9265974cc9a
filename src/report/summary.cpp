#include "report/summary.h"

#include "base/text.h"

namespace lifeboat {

namespace {

class Lines {
  public:
    explicit Lines(TextStyle style) : style_(style) {}
    void add(std::string_view name, const std::string& value, Tone tone = Tone::plain) {
        text_ +=
            "  " + painted(Tone::faint, padded(std::string(name), 15), style_) + painted(tone, value, style_) + "\n";
    }
    void raw(const std::string& text) { text_ += text + "\n"; }
    std::string take() { return std::move(text_); }

  private:
    TextStyle style_;
    std::string text_;
};

std::string against(const ReportedObjective& figure) {
    if (!figure.objective) return "";
    return ", objective " + to_human(*figure.objective) + (figure.met ? (*figure.met ? ", met" : ", MISSED") : "");
}

Tone tone_of(const ReportedObjective& figure) {
    return figure.met && !*figure.met ? Tone::bad : Tone::plain;
}

}  // namespace

std::string summary_text(const Report& report, TextStyle style) {
    Lines lines{style};
    lines.raw(painted(tone_of(report.verdict), headline(report), style) + "  " + report.run_id);
    lines.raw(std::string(claim(report)));
    lines.raw("");
    // what needs hands comes first
    for (const ReportedStep* step : left_undone(report)) {
        const auto& undo = step->undos.back();
        lines.add("NOT PUT BACK",
                  "'" + step->id + "'" + (undo.error ? ": " + printable(undo.error->full_message()) : ""), Tone::bad);
        if (undo.error && !undo.error->hint.empty()) lines.add("", "hint: " + printable(undo.error->hint));
    }
    if (!report.cause.empty()) lines.add("because", printable(report.cause));
    lines.add("recovery time", duration_text(report.recovery_time.reached) + against(report.recovery_time),
              tone_of(report.recovery_time));
    lines.add("recovery point", duration_text(report.recovery_point.reached) + against(report.recovery_point),
              tone_of(report.recovery_point));
    if (report.data_loss) lines.add("data loss", to_human(*report.data_loss));
    if (report.waited > Duration::zero()) lines.add("waited", to_human(report.waited) + " for people");
    for (const ReportedBackup& backup : report.backups) {
        if (!backup.used) continue;
        lines.add(
            "backup",
            printable(backup.id) + (backup.store.empty() ? "" : " from '" + printable(backup.store) + "'") +
                (backup.consistent_at ? ", data as of " + to_human(*backup.consistent_at) : "") +
                (backup.refused.empty() ? "" : ", " + std::to_string(backup.refused.size()) + " refused before it"));
    }
    for (const std::string& open : report.unverified)
        lines.add("unverified", printable(open), Tone::doubtful);
    for (const ReportedKept& kept : report.kept) {
        if (report.verdict == Verdict::rollback_incomplete) {
            lines.add("kept", printable(kept.what) + " (not put back; it may be the only copy)", Tone::bad);
        } else if (report.committed.empty()) {
            lines.add("kept", printable(kept.what) + " (until 'lifeboat commit " + report.run_id + "')");
        }
    }
    for (const std::string& warning : report.warnings)
        lines.add("warning", printable(warning), Tone::doubtful);
    if (report.paused && !report.pauses.empty()) {
        lines.raw("");
        lines.raw("What can be said:");
        for (const std::string& choice : report.pauses.back().choices)
            lines.raw("  lifeboat " + printable(choice));
    }
    return lines.take();
}

}  // namespace lifeboat
