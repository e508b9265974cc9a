#include "base/error.h"
#include "base/secret.h"
#include "script/expression.h"
#include "script/secret_text.h"

namespace lifeboat {

namespace {

constexpr std::string_view opening = "${{";
constexpr std::string_view closing = "}}";
constexpr std::string_view escaped_opening = "$${{";
// Tables may hold `}}` as well, but nobody nests hundreds of them: bounds the work on hostile text.
constexpr int most_ends_tried = 100;

struct Found {
    Expression expression;
    std::size_t end = 0;  // behind the closing braces
};

[[noreturn]] void rethrow_at(Error error, std::size_t offset) {
    const std::size_t inside = error.details.is_object() ? error.details.value("offset", std::size_t{0}) : 0;
    error.details = {{"offset", offset + inside}};
    throw error;
}

// The expression that begins at `start`: the shortest text up to a `}}` that compiles.
Found find_expression(std::string_view text, std::size_t start) {
    std::optional<Error> first_error;
    std::size_t from = start;
    for (int tried = 0; tried < most_ends_tried; ++tried) {
        const std::size_t end = text.find(closing, from);
        if (end == std::string_view::npos) break;
        try {
            return {.expression = Expression(std::string(text.substr(start, end - start))),
                    .end = end + closing.size()};
        } catch (const Error& error) {
            // text that is wrong whatever follows; else these braces may belong to a table or a string
            const bool incomplete = error.details.is_object() && error.details.contains("incomplete");
            if (!incomplete) rethrow_at(error, start);
            if (!first_error) first_error = error;
        }
        from = end + 1;
    }
    if (first_error) rethrow_at(*first_error, start);
    Error unclosed{ErrorCode::expression_failed, "'${{' is never closed",
                   "Close it with '}}', or write '$${{' for the text itself."};
    unclosed.details = {{"offset", start - opening.size()}};
    throw unclosed;
}

// A value inside of longer text: itself when it is secret, else its text.
Json text_of(const Json& value, const Expression& expression) {
    if (value.is_string() || is_secret(value)) return value;
    if (value.is_number() || value.is_boolean()) return to_text(value);
    const char* kind = value.is_null() ? "null" : value.is_array() ? "a list" : "a map";
    throw Error{ErrorCode::expression_failed, "'${{" + expression.text() + "}}' is " + kind + ", which has no text",
                "Only a value that is nothing but one expression can be a list, a map or null."};
}

}  // namespace

Template::Template(std::string_view text) {
    Part literal;
    const auto end_literal = [&] {
        if (!literal.literal.empty()) parts_.push_back(std::move(literal));
    };
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t dollar = std::min(text.find('$', at), text.size());
        literal.literal += text.substr(at, dollar - at);
        at = dollar;
        const std::string_view rest = text.substr(at);
        if (rest.starts_with(escaped_opening)) {
            literal.literal += opening;
            at += escaped_opening.size();
        } else if (rest.starts_with(opening)) {
            end_literal();
            const std::size_t start = at + opening.size();
            Found found = find_expression(text, start);
            parts_.push_back({.literal = {}, .expression = std::move(found.expression), .offset = start});
            at = found.end;
            literal = Part{.literal = {}, .expression = std::nullopt, .offset = at};
        } else if (!rest.empty()) {
            literal.literal += '$';
            ++at;
        }
    }
    end_literal();
}

bool Template::is_plain() const {
    return std::none_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.expression.has_value(); });
}

Json Template::expand(const Json& scope) const {
    if (parts_.size() == 1 && parts_[0].expression) return parts_[0].expression->evaluate(scope);
    std::vector<Json> texts;
    bool secret = false;
    for (const Part& part : parts_) {
        texts.push_back(part.expression ? text_of(part.expression->evaluate(scope), *part.expression)
                                        : Json(part.literal));
        secret = secret || texts.back().is_object();
    }
    if (secret) return join_secret(texts);
    std::string joined;
    for (const Json& text : texts)
        joined += text.get_ref<const std::string&>();
    return joined;
}

Json expand_all(const Json& value, const Json& scope) {
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        if (text.find(opening) == std::string::npos) return value;
        return Template(text).expand(scope);
    }
    if (!value.is_structured() || is_secret(value)) return value;
    Json expanded = value.is_array() ? Json::array() : Json::object();
    for (auto item = value.begin(); item != value.end(); ++item) {
        if (value.is_array()) {
            expanded.push_back(expand_all(*item, scope));
        } else {
            expanded[item.key()] = expand_all(*item, scope);
        }
    }
    return expanded;
}

}  // namespace lifeboat
