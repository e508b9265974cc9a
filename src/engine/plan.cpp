#include "engine/plan.h"

#include <array>

#include "base/sha256.h"

namespace lifeboat {

namespace {

constexpr std::string_view kFormat = "lifeboat plan/v1";

constexpr std::array<std::pair<FindingKind, std::string_view>, 4> kKinds{{{FindingKind::ok, "ok"},
                                                                          {FindingKind::unknown, "unknown"},
                                                                          {FindingKind::warning, "warning"},
                                                                          {FindingKind::blocker, "blocker"}}};

Json duration_json(const std::optional<Duration>& duration) {
    return duration ? Json(to_text(*duration)) : Json(nullptr);
}

std::optional<Duration> duration_from(const Json& value) {
    return value.is_null() ? std::nullopt : parse_duration(value.get<std::string>());
}

Json json_of(const Finding& finding) {
    Json out{{"subject", finding.subject}, {"message", finding.message}};
    for (const auto& [kind, name] : kKinds)
        if (kind == finding.kind) out["kind"] = name;
    if (!finding.step.empty()) out["step"] = finding.step;
    if (!finding.hint.empty()) out["hint"] = finding.hint;
    return out;
}

Finding finding_from(const Json& value) {
    Finding finding{.step = value.value("step", ""),
                    .subject = value.at("subject"),
                    .message = value.at("message"),
                    .hint = value.value("hint", "")};
    for (const auto& [kind, name] : kKinds)
        if (name == value.at("kind").get_ref<const std::string&>()) finding.kind = kind;
    return finding;
}

Json json_of(const StepSurvey& survey) {
    Json candidates = Json::array();
    for (const Candidate& candidate : survey.candidates)
        candidates.push_back(to_json(candidate));
    return {{"candidates", candidates},
            {"estimate_p50", duration_json(survey.estimate_p50)},
            {"estimate_p90", duration_json(survey.estimate_p90)},
            {"estimate_source", survey.estimate_source},
            {"bytes", survey.bytes ? Json(survey.bytes->count) : Json(nullptr)},
            {"preview", survey.preview.value_or(nullptr)},
            {"outputs", survey.outputs.value_or(nullptr)}};
}

StepSurvey survey_from(const Json& value) {
    StepSurvey survey{.estimate_p50 = duration_from(value.at("estimate_p50")),
                      .estimate_p90 = duration_from(value.at("estimate_p90")),
                      .estimate_source = value.at("estimate_source")};
    for (const Json& candidate : value.at("candidates"))
        survey.candidates.push_back(candidate_from_json(candidate));
    if (!value.at("bytes").is_null()) survey.bytes = Bytes{value.at("bytes").get<std::uint64_t>()};
    if (!value.at("preview").is_null()) survey.preview = value.at("preview");
    if (!value.at("outputs").is_null()) survey.outputs = value.at("outputs");
    return survey;
}

Json json_of(const TargetIdentity& target) {
    return {{"resource", target.resource},
            {"declared", target.declared},
            {"measured", target.measured ? Json(*target.measured) : Json(nullptr)},
            {"facts", target.facts}};
}

TargetIdentity target_from(const Json& value) {
    TargetIdentity target{
        .resource = value.at("resource"), .declared = value.at("declared"), .facts = value.at("facts")};
    if (!value.at("measured").is_null()) target.measured = value.at("measured").get<std::string>();
    return target;
}

// What a person approves: everything but when it was made, how long it may take, and what was merely seen on the way.
Json approved_part(const Plan& plan) {
    Json candidates = Json::array();
    for (const StepSurvey& survey : plan.surveys) {
        Json list = Json::array();
        for (const Candidate& candidate : survey.candidates)
            if (candidate.refused.empty()) list.push_back({candidate.id, candidate.store, candidate.manifest_sha256});
        candidates.push_back(list);
    }
    Json targets = Json::array();
    for (const TargetIdentity& target : plan.targets)
        targets.push_back(json_of(target));
    return {{"format", kFormat}, {"draft", to_json(plan.draft)}, {"candidates", candidates}, {"targets", targets}};
}

}  // namespace

Json to_json(const Candidate& candidate) {
    return {{"id", candidate.id},
            {"manifest_sha256", candidate.manifest_sha256},
            {"store", candidate.store},
            {"consistent_at", candidate.consistent_at ? Json(to_text(*candidate.consistent_at)) : Json(nullptr)},
            {"size", candidate.size ? Json(candidate.size->count) : Json(nullptr)},
            {"verified", candidate.verified},
            {"refused", candidate.refused}};
}

Candidate candidate_from_json(const Json& value) {
    Candidate candidate{
        .id = value.at("id"), .manifest_sha256 = value.at("manifest_sha256"), .store = value.at("store")};
    candidate.verified = value.at("verified");
    candidate.refused = value.at("refused");
    if (!value.at("consistent_at").is_null())
        candidate.consistent_at = parse_timestamp(value.at("consistent_at").get<std::string>());
    if (!value.at("size").is_null()) candidate.size = Bytes{value.at("size").get<std::uint64_t>()};
    return candidate;
}

Json to_json(const Plan& plan) {
    Json surveys = Json::array();
    for (const StepSurvey& survey : plan.surveys)
        surveys.push_back(json_of(survey));
    Json findings = Json::array();
    for (const Finding& finding : plan.findings)
        findings.push_back(json_of(finding));
    Json targets = Json::array();
    for (const TargetIdentity& target : plan.targets)
        targets.push_back(json_of(target));
    return {{"format", kFormat},
            {"draft", to_json(plan.draft)},
            {"made_at", to_text(plan.made_at)},
            {"surveys", surveys},
            {"findings", findings},
            {"targets", targets},
            {"predicted_rto_p50", duration_json(plan.predicted_rto_p50)},
            {"predicted_rto_p90", duration_json(plan.predicted_rto_p90)},
            {"predicted_rpo", duration_json(plan.predicted_rpo)},
            {"digest", plan.digest}};
}

Plan plan_from_json(const Json& value) {
    const auto refuse = [](const std::string& why) -> Error {
        return Error(ErrorCode::invalid_file, "this is no plan of this version: " + why,
                     "Make it again with 'lifeboat plan -o'.");
    };
    try {
        if (!value.is_object() || value.value("format", "") != kFormat)
            throw refuse("its format is not '" + std::string(kFormat) + "'");
        Plan plan{.draft = draft_from_json(value.at("draft"))};
        plan.made_at = parse_timestamp(value.at("made_at").get<std::string>()).value_or(Timestamp{});
        for (const Json& survey : value.at("surveys"))
            plan.surveys.push_back(survey_from(survey));
        for (const Json& finding : value.at("findings"))
            plan.findings.push_back(finding_from(finding));
        for (const Json& target : value.at("targets"))
            plan.targets.push_back(target_from(target));
        plan.predicted_rto_p50 = duration_from(value.at("predicted_rto_p50"));
        plan.predicted_rto_p90 = duration_from(value.at("predicted_rto_p90"));
        plan.predicted_rpo = duration_from(value.at("predicted_rpo"));
        plan.digest = value.at("digest");
        if (plan.surveys.size() != plan.draft.steps.size()) throw refuse("it does not hold one survey for each step");
        if (plan.digest != digest_of(plan)) throw refuse("its digest does not fit its content");
        return plan;
    } catch (const Json::exception& problem) {
        throw refuse(problem.what());
    }
}

std::string digest_of(const Plan& plan) {
    return sha256_hex(to_text(approved_part(plan)));
}

}  // namespace lifeboat
