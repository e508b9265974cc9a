// The report for other programs. Keys are stable: they may be joined by new ones, never change their meaning.
// Times are RFC 3339 UTC texts, durations are numbers of seconds, what is not known is null, lists hold objects.
//
//   format "lifeboat report/v1" · run, runbook, summary, severity, drill, ended, paused, verdict, exit_code, cause
//   contacts [{role, reach}] · inputs {} · targets [{resource, declared, measured}]
//   incident {start, declared} · started_at, ended_at, last_record_at · lives [{from, host, user, pid, version, …}]
//   objectives {rto, rpo} · reached {rto, rpo, data_loss, waited} · met {rto, rpo} · line_crossed_at
//   phases [{phase, from, to, seconds, steps}]
//   steps [{id, phase, action, effect, proves, crosses, always, state, end, started, ended, seconds, arguments,
//   outputs,
//           error, look_failures [error], attempts [{number, fallback, started, ended, seconds, outcome, error}],
//           settlings [{at, fallback, answer, by, evidence}], undos [{fallback, settling, started, ended, what,
//           error}]}]
//   backups [{step, id, store, consistent_at, used, refused [{id, why}]}]
//   rollback {reason, not_put_back [step ids]} or null · unverified [text]
//   decisions [{at, what, step, accept_loss, by}] · pauses [{reason, from, to, seconds, steps, message, choices}]
//   kept [{step, what}] · committed [text] · orphans_ended [text] · warnings [text]
//   evidence {plan, runbook, records, journal_head} · version
#pragma once

#include <functional>
#include <string_view>

#include "base/json.h"
#include "report/report.h"

namespace lifeboat {

Json to_json(const Report& report);
// The same as pretty text with a newline at its end, given to `out` piece by piece: a long run has many steps.
void write_json(const Report& report, const std::function<void(std::string_view)>& out);

}  // namespace lifeboat
