#include "script/tokens.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace lifeboat {

namespace {

constexpr std::array<std::string_view, 22> keywords{
    "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
    "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};
constexpr std::array<std::string_view, 11> long_symbols{
    "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>", "="};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool begins_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text) {}

    std::optional<Token> next() {
        while (skip_blank_or_comment()) {
        }
        if (at_ >= text_.size()) return std::nullopt;
        const std::size_t start = at_;
        const char c = text_[at_];
        Token::Kind kind = Token::Kind::symbol;
        if (begins_name(c)) {
            while (at_ < text_.size() && (begins_name(text_[at_]) || is_digit(text_[at_])))
                ++at_;
            const std::string_view word = text_.substr(start, at_ - start);
            const bool reserved = std::find(keywords.begin(), keywords.end(), word) != keywords.end();
            kind = reserved ? Token::Kind::keyword : Token::Kind::name;
        } else if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
            take_number();
            kind = Token::Kind::number;
        } else if (c == '"' || c == '\'') {
            if (!take_quoted(c)) return std::nullopt;
            kind = Token::Kind::text;
        } else if (long_bracket_level()) {
            if (!take_long_bracket()) return std::nullopt;
            kind = Token::Kind::text;
        } else {
            take_symbol();
        }
        return Token{.kind = kind, .spelling = text_.substr(start, at_ - start), .offset = start};
    }

  private:
    char peek(std::size_t ahead) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

    bool skip_blank_or_comment() {
        if (is_blank(peek(0))) {
            ++at_;
            return true;
        }
        if (peek(0) != '-' || peek(1) != '-') return false;
        at_ += 2;
        if (!long_bracket_level() || !take_long_bracket()) at_ = std::min(text_.find('\n', at_), text_.size());
        return true;
    }

    // The number of `=` where `[[` or `[=[` begins here.
    std::optional<std::size_t> long_bracket_level() const {
        if (peek(0) != '[') return std::nullopt;
        std::size_t level = 0;
        while (peek(1 + level) == '=')
            ++level;
        if (peek(1 + level) != '[') return std::nullopt;
        return level;
    }

    bool take_long_bracket() {
        const std::string closing = "]" + std::string(*long_bracket_level(), '=') + "]";
        const std::size_t end = text_.find(closing, at_);
        if (end == std::string_view::npos) return false;
        at_ = end + closing.size();
        return true;
    }

    bool take_quoted(char quote) {
        for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
            if (text_[i] == '\\') {
                ++i;
            } else if (text_[i] == quote) {
                at_ = i + 1;
                return true;
            }
        }
        return false;
    }

    void take_number() {
        const bool hexadecimal = peek(0) == '0' && (peek(1) == 'x' || peek(1) == 'X');
        while (at_ < text_.size()) {
            const char c = text_[at_];
            const bool exponent = hexadecimal ? (c == 'p' || c == 'P') : (c == 'e' || c == 'E');
            if (!begins_name(c) && !is_digit(c) && c != '.') return;
            ++at_;
            if (exponent && (peek(0) == '+' || peek(0) == '-')) ++at_;
        }
    }

    void take_symbol() {
        for (const std::string_view symbol : long_symbols) {
            if (text_.substr(at_).starts_with(symbol)) {
                at_ += symbol.size();
                return;
            }
        }
        ++at_;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view text) {
    std::vector<Token> tokens;
    Scanner scanner(text);
    while (auto token = scanner.next())
        tokens.push_back(*token);
    return tokens;
}

}  // namespace lifeboat
