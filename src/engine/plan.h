// The frozen plan: a draft after looking. Immutable; state is never kept in it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/action.h"
#include "runbook/draft.h"

namespace lifeboat {

struct StepSurvey {
    std::vector<Candidate> candidates;     // eligible ones first
    std::optional<Duration> estimate_p50;  // from history, else the author's `estimate`, else the action's
    std::optional<Duration> estimate_p90;
    std::string estimate_source;  // "history of 7 runs", "author", "action", or empty: unknown
    std::optional<Bytes> bytes;
    std::optional<Json> preview;  // what `prepare` said, for the reader
    std::optional<Json> outputs;  // of a cheap read that was run for the plan
};

struct Plan {
    Draft draft;
    Timestamp made_at{};
    std::vector<StepSurvey> surveys;  // one for each of draft.steps
    std::vector<Finding> findings;
    std::vector<TargetIdentity> targets;
    std::optional<Duration> predicted_rto_p50;  // along the longest path, nullopt: some step is unknown
    std::optional<Duration> predicted_rto_p90;
    std::optional<Duration> predicted_rpo;  // of the first candidate
    std::string digest;                     // SHA-256 of what is approved: draft, eligible candidates, targets
};

Json to_json(const Candidate& candidate);
Candidate candidate_from_json(const Json& value);

Json to_json(const Plan& plan);
// Throws Error{invalid_file} when it is no plan of this version.
Plan plan_from_json(const Json& value);
// What the digest is made of.
std::string digest_of(const Plan& plan);

}  // namespace lifeboat
