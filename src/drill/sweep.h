// The whole drill again and again, once for each place where it can be hurt; every round is judged by the laws (design
// §5). `rounds_*` are pure; a round begins in the state of the snapshot.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "drill/drill.h"
#include "drill/rehearsal.h"
#include "drill/snapshot.h"

namespace lifeboat {

struct KillRound {
    std::string fault;  // LIFEBOAT_FAULT
    std::string where;  // "after record 12 (attempt_started of 'swap')"
};
// From the journal of a run that nobody disturbed. A sample has one kill for each step and type of event, at the side
// of the record where more can go wrong; `full` has both sides of every record.
std::vector<KillRound> rounds_of_kills(const Plan& plan, const std::vector<Event>& events, SweepDepth depth);

struct FailRound {
    std::string fault;
    std::string where;  // "step 'swap' fails after its deed"
};
// Steps that never ran are left out.
std::vector<FailRound> rounds_of_failures(const Plan& plan, const Report& undisturbed);

// Deeds that may be done only once and were done twice, by the journal.
std::vector<std::string> done_twice(const Plan& plan, const std::vector<Event>& events);

class SweepRounds {
  public:
    // All outlive it.
    SweepRounds(const Rehearsal& rehearsal, const DrillSandbox& sandbox, const SandboxSnapshot& snapshot,
                const Clock& clock)
        : rehearsal_(rehearsal), sandbox_(sandbox), snapshot_(snapshot), clock_(clock) {}

    DrillCase kill(const KillRound& round, const std::string& classname) const;
    DrillCase fail(const FailRound& round, const std::string& classname) const;
    // The snapshot's state with its services running.
    void begin() const;

  private:
    std::vector<std::string> judge_kill(const KillRound& round) const;
    std::vector<std::string> judge_failure(const FailRound& round) const;
    std::vector<std::string> judge_rollback(const ObservedRun& observed, const Json& condition,
                                            const Json& substance) const;
    std::vector<std::string> judge_pause(const ObservedRun& observed) const;
    DrillCase timed(const std::string& name, const std::string& classname,
                    const std::function<std::vector<std::string>()>& judge) const;

    const Rehearsal& rehearsal_;
    const DrillSandbox& sandbox_;
    const SandboxSnapshot& snapshot_;
    const Clock& clock_;
};

}  // namespace lifeboat
