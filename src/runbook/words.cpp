#include "runbook/words.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::array phases{Phase::assess, Phase::isolate, Phase::fetch, Phase::restore, Phase::verify, Phase::reopen};
constexpr std::array gravities{Gravity::minor, Gravity::major, Gravity::critical};
constexpr std::array reactions{OnFailure::rollback, OnFailure::tolerate, OnFailure::pause, OnFailure::abort};
constexpr std::array effects{Effect::read, Effect::stage, Effect::change, Effect::destroy};
constexpr std::array proofs{Proves::nothing, Proves::liveness, Proves::data};
constexpr std::array sweeps{Sweep::kill_at_every_event, Sweep::fail_every_step};
constexpr std::array scalar_types{ValueType::text,    ValueType::integer,   ValueType::number,
                                  ValueType::boolean, ValueType::duration,  ValueType::size,
                                  ValueType::rate,    ValueType::timestamp, ValueType::path};
constexpr std::array wide_types{ValueType::list, ValueType::map, ValueType::any};

std::string_view to_text(Sweep sweep) {
    switch (sweep) {
        case Sweep::kill_at_every_event:
            return "kill_at_every_event";
        case Sweep::fail_every_step:
            return "fail_every_step";
    }
    return "";
}

template <typename Words>
auto named(const Words& words, std::string_view name) -> std::optional<typename Words::value_type> {
    for (const auto word : words)
        if (to_text(word) == name) return word;
    return std::nullopt;
}

template <typename Words>
void append_names(std::vector<std::string>& names, const Words& words) {
    for (const auto word : words)
        names.emplace_back(to_text(word));
}

template <typename Words>
std::vector<std::string> names_of(const Words& words) {
    std::vector<std::string> names;
    append_names(names, words);
    return names;
}

}  // namespace

std::string_view to_text(Phase phase) {
    switch (phase) {
        case Phase::assess:
            return "assess";
        case Phase::isolate:
            return "isolate";
        case Phase::fetch:
            return "fetch";
        case Phase::restore:
            return "restore";
        case Phase::verify:
            return "verify";
        case Phase::reopen:
            return "reopen";
    }
    return "";
}

std::string_view to_text(OnFailure on_failure) {
    switch (on_failure) {
        case OnFailure::rollback:
            return "rollback";
        case OnFailure::tolerate:
            return "continue";
        case OnFailure::pause:
            return "pause";
        case OnFailure::abort:
            return "abort";
    }
    return "";
}

std::string_view to_text(Gravity severity) {
    switch (severity) {
        case Gravity::minor:
            return "minor";
        case Gravity::major:
            return "major";
        case Gravity::critical:
            return "critical";
    }
    return "";
}

std::optional<Phase> phase_named(std::string_view name) {
    return named(phases, name);
}
std::optional<Gravity> gravity_named(std::string_view name) {
    return named(gravities, name);
}
std::optional<OnFailure> on_failure_named(std::string_view name) {
    return named(reactions, name);
}
std::optional<Sweep> sweep_named(std::string_view name) {
    return named(sweeps, name);
}
std::optional<ValueType> value_type_named(std::string_view name) {
    const auto scalar = named(scalar_types, name);
    return scalar ? scalar : named(wide_types, name);
}

std::vector<std::string> phase_names() {
    return names_of(phases);
}
std::vector<std::string> gravity_names() {
    return names_of(gravities);
}
std::vector<std::string> on_failure_names() {
    return names_of(reactions);
}
std::vector<std::string> effect_names() {
    return names_of(effects);
}
std::vector<std::string> proves_names() {
    return names_of(proofs);
}
std::vector<std::string> sweep_names() {
    return names_of(sweeps);
}

std::vector<std::string> error_names() {
    std::vector<std::string> names;
    for (const ErrorInfo& each : error_table())
        names.emplace_back(each.name);
    return names;
}

std::vector<std::string> input_type_names() {
    return names_of(scalar_types);
}

std::vector<std::string> output_type_names() {
    std::vector<std::string> names = names_of(scalar_types);
    append_names(names, wide_types);
    return names;
}

bool is_a(const ResourceSpec& resource, std::string_view kind) {
    while (true) {
        const std::size_t bar = kind.find('|');
        const std::string_view one = kind.substr(0, bar);
        if (resource.type == one ||
            std::find(resource.kinds.begin(), resource.kinds.end(), one) != resource.kinds.end())
            return true;
        if (bar == std::string_view::npos) return false;
        kind.remove_prefix(bar + 1);
    }
}

std::vector<const ResourceSpec*> types_of(const Specs& specs, std::string_view kind) {
    std::vector<const ResourceSpec*> types;
    for (const ResourceSpec& each : specs.resources)
        if (kind.empty() || is_a(each, kind)) types.push_back(&each);
    return types;
}

std::string with_article(std::string_view kind) {
    const bool vowel = !kind.empty() && std::string_view("aeiou").find(kind.front()) != std::string_view::npos;
    const bool spelt_out = kind == "ssh" || kind == "sftp" || kind == "s3" || kind == "http";
    return (vowel || spelt_out ? "an " : "a ") + std::string(kind);
}

std::vector<std::string> kind_names(const Specs& specs) {
    std::vector<std::string> names;
    for (const ResourceSpec& each : specs.resources) {
        names.push_back(each.type);
        names.insert(names.end(), each.kinds.begin(), each.kinds.end());
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

bool is_identifier(std::string_view text) {
    const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
    if (text.empty() || !lower(text.front())) return false;
    return std::all_of(text.begin(), text.end(),
                       [lower](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; });
}

bool is_name(std::string_view text) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (text.empty() || !plain(text.front())) return false;
    return std::all_of(text.begin(), text.end(),
                       [plain](char c) { return plain(c) || c == '_' || c == '-' || c == '.'; });
}

}  // namespace lifeboat
