#include "runbook/spec.h"

#include <algorithm>
#include <array>

namespace lifeboat {

namespace {

constexpr std::array effects{Effect::read, Effect::stage, Effect::change, Effect::destroy};
constexpr std::array proofs{Proves::nothing, Proves::liveness, Proves::data};

}  // namespace

const ActionSpec* Specs::action(std::string_view name) const {
    const auto found =
        std::find_if(actions.begin(), actions.end(), [name](const ActionSpec& each) { return each.name == name; });
    return found == actions.end() ? nullptr : &*found;
}

const ResourceSpec* Specs::resource(std::string_view type) const {
    const auto found = std::find_if(resources.begin(), resources.end(),
                                    [type](const ResourceSpec& each) { return each.type == type; });
    return found == resources.end() ? nullptr : &*found;
}

std::string_view to_text(Effect effect) {
    switch (effect) {
        case Effect::read:
            return "read";
        case Effect::stage:
            return "stage";
        case Effect::change:
            return "change";
        case Effect::destroy:
            return "destroy";
    }
    return "";
}

std::string_view sign(Effect effect) {
    switch (effect) {
        case Effect::read:
            return "?";
        case Effect::stage:
            return "+";
        case Effect::change:
            return "~";
        case Effect::destroy:
            return "!";
    }
    return "";
}

std::string_view to_text(Proves proves) {
    switch (proves) {
        case Proves::nothing:
            return "nothing";
        case Proves::liveness:
            return "liveness";
        case Proves::data:
            return "data";
    }
    return "";
}

std::string_view to_text(ValueType type) {
    switch (type) {
        case ValueType::text:
            return "text";
        case ValueType::integer:
            return "integer";
        case ValueType::number:
            return "number";
        case ValueType::boolean:
            return "boolean";
        case ValueType::duration:
            return "duration";
        case ValueType::size:
            return "size";
        case ValueType::rate:
            return "rate";
        case ValueType::timestamp:
            return "timestamp";
        case ValueType::path:
            return "path";
        case ValueType::list:
            return "list";
        case ValueType::map:
            return "map";
        case ValueType::any:
            return "any";
        case ValueType::expression:
            return "expression";
        case ValueType::resource:
            return "resource";
    }
    return "";
}

std::optional<Effect> effect_named(std::string_view name) {
    const auto found =
        std::find_if(effects.begin(), effects.end(), [name](Effect each) { return to_text(each) == name; });
    return found == effects.end() ? std::nullopt : std::optional(*found);
}

std::optional<Proves> proves_named(std::string_view name) {
    const auto found =
        std::find_if(proofs.begin(), proofs.end(), [name](Proves each) { return to_text(each) == name; });
    return found == proofs.end() ? std::nullopt : std::optional(*found);
}

}  // namespace lifeboat
