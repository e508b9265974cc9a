// A draft as JSON and back: what plans and runs keep. Fields at their defaults are left out, so that ten thousand steps
// stay small; the same draft always has the same text.
#include "runbook/draft.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

Error unreadable(const std::string& what) {
    return Error{ErrorCode::invalid_file, "the draft cannot be read: " + what,
                 "It was written by another version of lifeboat, or changed since."};
}

void put(Json& object, const char* key, const std::string& text) {
    if (!text.empty()) object[key] = text;
}

void put(Json& object, const char* key, bool flag) {
    if (flag) object[key] = true;
}

void put(Json& object, const char* key, const std::optional<Duration>& duration) {
    if (duration) object[key] = to_text(*duration);
}

std::string text_at(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() ? std::string() : found->get<std::string>();
}

bool flag_at(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->get<bool>();
}

Duration duration_in(const Json& value) {
    const auto duration = parse_duration(value.get<std::string>());
    if (!duration) throw unreadable("'" + value.get<std::string>() + "' is no duration");
    return *duration;
}

std::optional<Duration> duration_at(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() ? std::nullopt : std::optional(duration_in(*found));
}

template <typename Word>
Word word(const std::optional<Word>& found, const std::string& name) {
    if (!found) throw unreadable("'" + name + "' is not known here");
    return *found;
}

template <typename Map>
Json map_json(const Map& map) {
    Json object = Json::object();
    for (const auto& [key, value] : map)
        object[key] = value;
    return object;
}

Json span_json(const SourceSpan& span) {
    return {span.at.line, span.at.column, span.length};
}

SourceSpan span_from(const Json& value) {
    return {.at = {.line = value.at(0), .column = value.at(1)}, .length = value.at(2)};
}

Json codes_json(const std::vector<ErrorCode>& codes) {
    Json names = Json::array();
    for (const ErrorCode code : codes)
        names.push_back(std::string(info(code).name));
    return names;
}

std::vector<ErrorCode> codes_at(const Json& object, const char* key) {
    std::vector<ErrorCode> codes;
    if (const auto found = object.find(key); found != object.end())
        for (const Json& name : *found)
            codes.push_back(word(error_code_named(name.get<std::string>()), name.get<std::string>()));
    return codes;
}

Json deed_json(const Deed& deed) {
    Json object{{"action", deed.action}, {"arguments", deed.arguments}, {"effect", std::string(to_text(deed.effect))}};
    put(object, "reopens", deed.reopens);
    if (deed.proves != Proves::nothing) object["proves"] = std::string(to_text(deed.proves));
    put(object, "repeatable", deed.repeatable);
    put(object, "resumable", deed.resumable);
    put(object, "has_probe", deed.has_probe);
    put(object, "has_undo", deed.has_undo);
    if (!deed.harmless.empty()) object["harmless"] = codes_json(deed.harmless);
    put(object, "consistent_output", deed.consistent_output);
    put(object, "writes_stopped_output", deed.writes_stopped_output);
    return object;
}

Deed deed_from(const Json& object) {
    Deed deed{.action = object.at("action"), .arguments = object.at("arguments")};
    const auto effect = object.at("effect").get<std::string>();
    deed.effect = word(effect_named(effect), effect);
    deed.reopens = flag_at(object, "reopens");
    if (const std::string proves = text_at(object, "proves"); !proves.empty())
        deed.proves = word(proves_named(proves), proves);
    deed.repeatable = flag_at(object, "repeatable");
    deed.resumable = flag_at(object, "resumable");
    deed.has_probe = flag_at(object, "has_probe");
    deed.has_undo = flag_at(object, "has_undo");
    deed.harmless = codes_at(object, "harmless");
    deed.consistent_output = text_at(object, "consistent_output");
    deed.writes_stopped_output = text_at(object, "writes_stopped_output");
    return deed;
}

bool is_default(const Retry& retry) {
    const Retry usual;
    return retry.max_attempts == usual.max_attempts && retry.initial_interval == usual.initial_interval &&
           retry.max_interval == usual.max_interval &&
           to_text(Json(retry.backoff_coefficient)) == to_text(Json(usual.backoff_coefficient)) &&
           to_text(Json(retry.jitter)) == to_text(Json(usual.jitter)) && retry.retry_on.empty();
}

Json retry_json(const Retry& retry) {
    return {{"max_attempts", retry.max_attempts},
            {"initial_interval", to_text(retry.initial_interval)},
            {"backoff_coefficient", retry.backoff_coefficient},
            {"max_interval", to_text(retry.max_interval)},
            {"jitter", retry.jitter},
            {"retry_on", codes_json(retry.retry_on)}};
}

Retry retry_from(const Json& object) {
    return {.max_attempts = object.at("max_attempts"),
            .initial_interval = duration_in(object.at("initial_interval")),
            .backoff_coefficient = object.at("backoff_coefficient"),
            .max_interval = duration_in(object.at("max_interval")),
            .jitter = object.at("jitter"),
            .retry_on = codes_at(object, "retry_on")};
}

Json step_json(const DraftedStep& step) {
    Json object{{"id", step.id}, {"deed", deed_json(step.deed)}, {"span", span_json(step.span)}};
    if (step.phase) object["phase"] = std::string(to_text(*step.phase));
    put(object, "doc", step.doc);
    if (!step.needs.empty()) object["needs"] = step.needs;
    put(object, "if", step.condition);
    if (step.fallback) object["fallback"] = deed_json(*step.fallback);
    if (step.rollback) object["rollback"] = deed_json(*step.rollback);
    if (!is_default(step.retry)) object["retry"] = retry_json(step.retry);
    put(object, "timeout", step.timeout);
    put(object, "heartbeat", step.heartbeat);
    if (step.on_failure != OnFailure::rollback) object["on_failure"] = std::string(to_text(step.on_failure));
    put(object, "estimate", step.estimate);
    put(object, "reopens_elsewhere", step.reopens_elsewhere);
    put(object, "safe_in_drill", step.safe_in_drill);
    put(object, "crosses", step.crosses);
    put(object, "before_line", step.before_line);
    return object;
}

DraftedStep step_from(const Json& object) {
    DraftedStep step;
    step.id = object.at("id");
    step.deed = deed_from(object.at("deed"));
    step.span = span_from(object.at("span"));
    if (const std::string phase = text_at(object, "phase"); !phase.empty())
        step.phase = word(phase_named(phase), phase);
    step.doc = text_at(object, "doc");
    if (const auto needs = object.find("needs"); needs != object.end())
        step.needs = needs->get<std::vector<std::size_t>>();
    step.condition = text_at(object, "if");
    if (const auto fallback = object.find("fallback"); fallback != object.end()) step.fallback = deed_from(*fallback);
    if (const auto rollback = object.find("rollback"); rollback != object.end()) step.rollback = deed_from(*rollback);
    if (const auto retry = object.find("retry"); retry != object.end()) step.retry = retry_from(*retry);
    step.timeout = duration_at(object, "timeout");
    step.heartbeat = duration_at(object, "heartbeat");
    if (const std::string reaction = text_at(object, "on_failure"); !reaction.empty())
        step.on_failure = word(on_failure_named(reaction), reaction);
    step.estimate = duration_at(object, "estimate");
    step.reopens_elsewhere = flag_at(object, "reopens_elsewhere");
    step.safe_in_drill = flag_at(object, "safe_in_drill");
    step.crosses = flag_at(object, "crosses");
    step.before_line = flag_at(object, "before_line");
    return step;
}

Json steps_json(const std::vector<DraftedStep>& steps) {
    Json list = Json::array();
    for (const DraftedStep& step : steps)
        list.push_back(step_json(step));
    return list;
}

std::vector<DraftedStep> steps_from(const Json& list) {
    std::vector<DraftedStep> steps;
    steps.reserve(list.size());
    for (const Json& each : list) {
        steps.push_back(step_from(each));
        for (const std::size_t need : steps.back().needs)
            if (need + 1 >= steps.size())
                throw unreadable("step '" + steps.back().id + "' needs one that does not stand before it");
    }
    return steps;
}

Json resource_json(const Resource& resource) {
    return {{"type", resource.type}, {"fields", resource.fields}, {"span", span_json(resource.span)}};
}

Resource resource_from(const std::string& name, const Json& object) {
    return {
        .name = name, .type = object.at("type"), .fields = object.at("fields"), .span = span_from(object.at("span"))};
}

Json foreign_json(const ForeignPattern& each) {
    return {{"pattern", each.pattern}, {"time", each.time},      {"zone", each.zone},
            {"kind", each.kind},       {"name", each.component}, {"optional", each.optional}};
}

std::vector<ForeignPattern> foreign_from(const Json& list) {
    std::vector<ForeignPattern> patterns;
    for (const Json& each : list)
        patterns.push_back({.pattern = each.at("pattern"),
                            .time = each.at("time"),
                            .zone = each.at("zone"),
                            .kind = each.at("kind"),
                            .component = each.at("name"),
                            .optional = each.at("optional")});
    return patterns;
}

Json backup_json(const BackupSet& set) {
    Json object{{"of", set.of},
                {"to", set.to},
                {"encrypt", set.encrypt},
                {"retain", set.retain},
                {"span", span_json(set.span)}};
    put(object, "format", set.format);
    put(object, "max_age", set.max_age);
    for (const ForeignPattern& each : set.foreign)
        object["foreign"].push_back(foreign_json(each));
    if (!set.postgres.is_null()) object["postgres"] = set.postgres;
    if (!set.sign.is_null()) object["sign"] = set.sign;
    if (!set.trust.empty()) object["trust"] = set.trust;
    if (!set.checks.empty()) object["checks"] = set.checks;
    return object;
}

BackupSet backup_from(const std::string& name, const Json& object) {
    return {.name = name,
            .of = object.at("of").get<std::vector<std::string>>(),
            .to = object.at("to").get<std::vector<std::string>>(),
            .format = text_at(object, "format"),
            .encrypt = object.at("encrypt"),
            .retain = object.at("retain"),
            .max_age = duration_at(object, "max_age"),
            .span = span_from(object.at("span")),
            .foreign = foreign_from(object.value("foreign", Json::array())),
            .postgres = object.value("postgres", Json(nullptr)),
            .sign = object.value("sign", Json(nullptr)),
            .trust = object.value("trust", std::vector<std::string>()),
            .checks = object.value("checks", Json::array())};
}

Json secret_json(const SecretOrigin& origin) {
    const Json span = span_json(origin.span);
    switch (origin.kind) {
        case SecretOrigin::Kind::environment:
            return {{"env", origin.text}, {"span", span}};
        case SecretOrigin::Kind::file:
            return {{"file", origin.text}, {"span", span}};
        case SecretOrigin::Kind::command:
            return {{"command", origin.command}, {"span", span}};
    }
    return nullptr;
}

SecretOrigin secret_from(const Json& object) {
    SecretOrigin origin{.span = span_from(object.at("span"))};
    if (object.contains("command")) {
        origin.kind = SecretOrigin::Kind::command;
        origin.command = object.at("command").get<std::vector<std::string>>();
    } else {
        const bool variable = object.contains("env");
        origin.kind = variable ? SecretOrigin::Kind::environment : SecretOrigin::Kind::file;
        origin.text = object.at(variable ? "env" : "file");
    }
    return origin;
}

Json contacts_json(const std::vector<Contact>& contacts) {
    Json list = Json::array();
    for (const Contact& contact : contacts)
        list.push_back({{"role", contact.role}, {"reach", contact.reach}});
    return list;
}

template <typename Map, typename ToJson>
Json named_json(const Map& map, ToJson to_value) {
    Json object = Json::object();
    for (const auto& [name, value] : map)
        object[name] = to_value(value);
    return object;
}

}  // namespace

Json to_json(const Draft& draft) {
    Json object{{"runbook", draft.runbook},
                {"severity", std::string(to_text(draft.severity))},
                {"contacts", contacts_json(draft.contacts)},
                {"max_parallel", draft.max_parallel},
                {"inputs", draft.inputs},
                {"bindings", map_json(draft.bindings)},
                {"resources", named_json(draft.resources, resource_json)},
                {"backups", named_json(draft.backups, backup_json)},
                {"secrets", named_json(draft.secrets, secret_json)},
                {"steps", steps_json(draft.steps)},
                {"always", steps_json(draft.always)},
                {"targets", draft.targets},
                {"scripts", map_json(draft.scripts)},
                {"runbook_source", draft.runbook_source},
                {"runbook_file", draft.runbook_file}};
    put(object, "summary", draft.summary);
    put(object, "rto", draft.objectives.rto);
    put(object, "rpo", draft.objectives.rpo);
    if (draft.notify) object["notify"] = {{"on", draft.notify->on}, {"to", draft.notify->to}};
    if (draft.drill) object["drill"] = {{"id", draft.drill->drill}, {"nonces", map_json(draft.drill->nonces)}};
    return object;
}

Draft draft_from_json(const Json& value) {
    try {
        Draft draft;
        draft.runbook = value.at("runbook");
        draft.summary = text_at(value, "summary");
        const auto severity = value.at("severity").get<std::string>();
        draft.severity = word(gravity_named(severity), severity);
        draft.objectives = {.rto = duration_at(value, "rto"), .rpo = duration_at(value, "rpo")};
        for (const Json& contact : value.at("contacts"))
            draft.contacts.push_back({.role = contact.at("role"), .reach = contact.at("reach")});
        draft.max_parallel = value.at("max_parallel");
        draft.inputs = value.at("inputs");
        draft.bindings = value.at("bindings").get<std::map<std::string, std::string>>();
        for (const auto& [name, each] : value.at("resources").items())
            draft.resources.emplace(name, resource_from(name, each));
        for (const auto& [name, each] : value.at("backups").items())
            draft.backups.emplace(name, backup_from(name, each));
        for (const auto& [name, each] : value.at("secrets").items())
            draft.secrets.emplace(name, secret_from(each));
        draft.steps = steps_from(value.at("steps"));
        draft.always = steps_from(value.at("always"));
        draft.targets = value.at("targets").get<std::vector<std::string>>();
        draft.scripts = value.at("scripts").get<std::map<std::string, std::string>>();
        draft.runbook_source = value.at("runbook_source");
        draft.runbook_file = text_at(value, "runbook_file");
        if (const auto notify = value.find("notify"); notify != value.end())
            draft.notify = Notify{.on = notify->at("on").get<std::vector<std::string>>(),
                                  .to = notify->at("to").get<std::vector<std::string>>()};
        if (const auto drill = value.find("drill"); drill != value.end())
            draft.drill = DrillMark{.drill = drill->at("id"),
                                    .nonces = drill->at("nonces").get<std::map<std::string, std::string>>()};
        return draft;
    } catch (const Json::exception& problem) {
        throw unreadable(problem.what());
    }
}

}  // namespace lifeboat
