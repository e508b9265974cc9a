#include "runbook/inputs.h"

#include <charconv>
#include <optional>

#include "base/text.h"
#include "runbook/values.h"

namespace lifeboat {

namespace {

template <typename Number>
std::optional<Json> number_in(std::string_view text) {
    Number number{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return Json(number);
}

// nothing: not a value of that type
std::optional<Json> value_in_text(ValueType type, const std::string& text, Timestamp now) {
    switch (type) {
        case ValueType::integer:
            return number_in<std::int64_t>(text);
        case ValueType::number:
            return number_in<double>(text);
        case ValueType::boolean:
            if (text != "true" && text != "false") return std::nullopt;
            return Json(text == "true");
        case ValueType::timestamp: {
            const auto when = text == "now" ? std::optional(now) : parse_timestamp(text);
            return when ? std::optional(Json(to_text(*when))) : std::nullopt;
        }
        case ValueType::duration:
        case ValueType::size:
        case ValueType::rate:
        case ValueType::path:
            return is_valid_text(type, text) ? std::optional(Json(text)) : std::nullopt;
        case ValueType::text:
        case ValueType::list:
        case ValueType::map:
        case ValueType::any:
        case ValueType::expression:
        case ValueType::resource:
            return Json(text);
    }
    return std::nullopt;
}

std::optional<Json> value_of(ValueType type, const Json& given, Timestamp now) {
    if (given.is_string()) return value_in_text(type, given.get<std::string>(), now);
    const bool fits = (type == ValueType::integer && given.is_number_integer()) ||
                      (type == ValueType::number && given.is_number()) ||
                      (type == ValueType::boolean && given.is_boolean());
    return fits ? std::optional(given) : std::nullopt;
}

}  // namespace

Json freeze_inputs(const Runbook& runbook, const Json& given, Timestamp now, Diagnostics& diagnostics) {
    Json frozen = Json::object();
    std::vector<std::string> names;
    for (const Input& input : runbook.inputs) {
        names.push_back(input.name);
        const std::string path = "inputs." + input.name;
        const auto found = given.is_object() ? given.find(input.name) : given.end();
        const bool was_given = given.is_object() && found != given.end();
        if (!was_given && !input.default_value) {
            diagnostics.error(input.span, path, "input '" + input.name + "' has no value and no default",
                              "Give it with --set " + input.name + "=<" + std::string(to_text(input.type)) + ">.");
            continue;
        }
        const Json& value = was_given ? *found : *input.default_value;
        if (const auto checked = value_of(input.type, value, now)) {
            frozen[input.name] = *checked;
        } else {
            const std::string text = value.is_string() ? value.get<std::string>() : to_text(value);
            diagnostics.error(
                input.span, path,
                "input '" + input.name + "' wants " + std::string(described(input.type)) + ", not '" + text + "'",
                std::string(advice(input.type)));
        }
    }
    if (given.is_object())
        for (const auto& [name, value] : given.items())
            if (std::find(names.begin(), names.end(), name) == names.end())
                diagnostics.error({}, "inputs", "the runbook has no input '" + name + "'" + did_you_mean(name, names));
    return frozen;
}

}  // namespace lifeboat
