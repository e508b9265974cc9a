#include "cli/notices.h"

#include <algorithm>

#include "base/text.h"
#include "engine/judge.h"

namespace lifeboat {

std::string notice_kind(const Plan& plan, const RunState& state, Timestamp now) {
    switch (judge(plan, state, now).verdict) {
        case Verdict::recovered:
        case Verdict::recovered_late:
        case Verdict::unverified:
            return "done";
        case Verdict::paused:
            return "paused";
        case Verdict::in_doubt:
            return "in_doubt";
        case Verdict::rolled_back:
        case Verdict::rollback_incomplete:
        case Verdict::failed:
        case Verdict::aborted:
            return "failed";
    }
    return "failed";
}

void send_notices(Session& session, Hands& hands, const Plan& plan, const RunState& state, const std::string& run_id) {
    const auto& notify = plan.draft.notify;
    if (!notify) return;
    const std::string kind = notice_kind(plan, state, session.clock.now());
    if (std::find(notify->on.begin(), notify->on.end(), kind) == notify->on.end()) return;
    std::string text = "lifeboat: run '" + run_id + "' of '" + plan.draft.runbook + "' is " +
                       std::string(to_text(judge(plan, state, session.clock.now()).verdict));
    if (state.paused && !state.paused->message.empty()) text += ": " + state.paused->message;
    for (const std::string& notifier : notify->to) {
        try {
            hands.do_now("notify.send", Json{{"to", Json{{"of", notifier}}}, {"text", text}}, "notify",
                         std::chrono::seconds(10), {}, [](const Progress&) {});
        } catch (const std::exception& problem) {
            const auto* error = dynamic_cast<const Error*>(&problem);
            session.terminal.talk("warning: '" + notifier + "' could not be told: " +
                                  printable(error != nullptr ? error->full_message() : problem.what()) + "\n");
        }
    }
}

}  // namespace lifeboat
