#include "actions/postgres_script.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace lifeboat {

namespace {

constexpr std::size_t most_text = 64U << 10;

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool starts_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (static_cast<unsigned char>(c) & 0x80U) != 0;
}

bool in_word(char c) {
    return starts_word(c) || is_digit(c) || c == '$';
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

void ScriptReader::keep(char c) {
    if (text_.size() < most_text) text_ += c;
}

void ScriptReader::hand_out(ScriptPart::Kind kind, std::uint64_t begin, std::string_view text, bool complete) {
    part_({.kind = kind, .begin = begin, .end = position_, .text = text, .complete = complete});
}

void ScriptReader::push(std::string_view bytes) {
    while (!bytes.empty()) {
        if (state_ == State::copy_data) {
            bytes = take_copy_data(bytes);
            continue;
        }
        take(bytes.front());
        bytes.remove_prefix(1);
    }
}

void ScriptReader::finish() {
    switch (state_) {
        case State::line_comment:
            if (!begun_) hand_out(ScriptPart::Kind::comment, aside_begin_, aside_, true);
            break;
        case State::meta:
            hand_out(ScriptPart::Kind::meta, aside_begin_, aside_, true);
            break;
        case State::copy_data:
        case State::after_copy:
            hand_out(ScriptPart::Kind::copy_data, begin_, {}, false);
            return;
        case State::normal:
        case State::string:
        case State::escape_string:
        case State::name:
        case State::dollar_tag:
        case State::dollar:
        case State::block_comment:
            break;
    }
    if (begun_ || state_ == State::block_comment) statement_ended(false);
}

void ScriptReader::word_ended() {
    if (word_.empty()) return;
    if (parentheses_ == 0) {
        if (before_ == "from" && word_ == "stdin" && first_.starts_with("copy ")) copies_from_stdin_ = true;
        const bool makes_routine = first_.starts_with("create function ") || first_.starts_with("create procedure ") ||
                                   first_.starts_with("create or replace function ") ||
                                   first_.starts_with("create or replace procedure ");
        if (makes_routine && word_ == "begin") ++blocks_;
        if (makes_routine && word_ == "case" && blocks_ > 0) ++blocks_;
        if (makes_routine && word_ == "end" && blocks_ > 0) --blocks_;
    }
    if (words_++ < 4) first_ += word_ + " ";
    before_ = std::exchange(word_, {});
}

void ScriptReader::statement_ended(bool complete) {
    const bool copies = copies_from_stdin_;
    hand_out(ScriptPart::Kind::statement, begin_, text_, complete);
    text_.clear();
    word_.clear();
    before_.clear();
    first_.clear();
    words_ = 0;
    begun_ = copies_from_stdin_ = string_continues_ = false;
    parentheses_ = blocks_ = 0;
    if (copies && complete) {
        state_ = State::after_copy;
        begin_ = position_;
    }
}

void ScriptReader::normal(char c) {
    if (in_word(c) && (starts_word(c) || !word_.empty())) {
        word_ += lower(c);
    } else if (is_digit(c)) {
        // a number: no word, and what follows its digits is not one either
    } else if (c == '\'') {
        const bool escapes = word_ == "e" || (string_continues_ && newline_since_);
        word_ended();
        state_ = escapes ? State::escape_string : State::string;
        escaped_ = quote_pending_ = false;
    } else if (c == '$') {
        if (!is_digit(last_) && !in_word(last_)) {
            tag_ = "$";
            state_ = State::dollar_tag;
        }
    } else {
        word_ended();
        if (c == '"') state_ = State::name;
        if (c == '(') ++parentheses_;
        if (c == ')' && parentheses_ > 0) --parentheses_;
    }
    if (is_blank(c)) {
        if (c == '\n') newline_since_ = true;
    } else {
        string_continues_ = false;
    }
}

void ScriptReader::take(char c) {
    switch (state_) {
        case State::normal: {
            if (c == '\\') {
                word_ended();
                state_ = State::meta;
                aside_begin_ = position_++;
                aside_ = c;
                last_ = c;
                return;
            }
            if (c == '-' && last_ == '-') {
                // the dash before was kept as if it were an operator
                if (!text_.empty()) text_.pop_back();
                if (begun_ && begin_ + 1 == position_) begun_ = false;
                state_ = State::line_comment;
                aside_begin_ = position_ - 1;
                aside_ = "--";
                ++position_;
                last_ = ' ';
                return;
            }
            if (c == '*' && last_ == '/') {
                if (!text_.empty()) text_.pop_back();
                if (begun_ && begin_ + 1 == position_) begun_ = false;
                state_ = State::block_comment;
                comment_depth_ = 1;
                ++position_;
                last_ = ' ';
                return;
            }
            if (!begun_ && is_blank(c)) break;
            if (!begun_) {
                begun_ = true;
                begin_ = position_;
            }
            keep(c);
            if (c == ';' && parentheses_ == 0) {
                word_ended();
                if (blocks_ == 0) {
                    ++position_;
                    last_ = ' ';
                    statement_ended(true);
                    return;
                }
            }
            normal(c);
            break;
        }
        case State::string:
            keep(c);
            if (c == '\'') state_ = State::normal;
            break;
        case State::escape_string:
            if (quote_pending_ && c != '\'') {
                quote_pending_ = false;
                state_ = State::normal;
                string_continues_ = true;
                newline_since_ = false;
                last_ = '\'';
                take(c);
                return;
            }
            keep(c);
            if (escaped_) {
                escaped_ = false;
            } else if (quote_pending_) {
                quote_pending_ = false;
            } else if (c == '\\') {
                escaped_ = true;
            } else if (c == '\'') {
                quote_pending_ = true;
            }
            break;
        case State::name:
            keep(c);
            if (c == '"') state_ = State::normal;
            break;
        case State::dollar_tag:
            if (c == '$') {
                keep(c);
                tag_ += c;
                window_.clear();
                state_ = State::dollar;
            } else if (starts_word(c) || (is_digit(c) && tag_.size() > 1)) {
                keep(c);
                tag_ += c;
            } else {
                state_ = State::normal;
                last_ = '$';
                take(c);
                return;
            }
            break;
        case State::dollar:
            keep(c);
            window_ += c;
            if (window_.size() > tag_.size()) window_.erase(0, 1);
            if (c == '$' && window_ == tag_) state_ = State::normal;
            break;
        case State::line_comment:
            if (c == '\n') {
                state_ = State::normal;
                if (!begun_) hand_out(ScriptPart::Kind::comment, aside_begin_, aside_, true);
                last_ = '\n';
                newline_since_ = true;
                if (begun_) keep(c);
            } else if (aside_.size() < 1024) {
                aside_ += c;
            }
            break;
        case State::block_comment:
            if (c == '*' && last_ == '/') {
                ++comment_depth_;
                last_ = ' ';
                ++position_;
                return;
            }
            if (c == '/' && last_ == '*') {
                last_ = ' ';
                ++position_;
                if (--comment_depth_ == 0) state_ = State::normal;
                return;
            }
            break;
        case State::meta:
            if (c == '\n') {
                state_ = State::normal;
                ++position_;
                hand_out(ScriptPart::Kind::meta, aside_begin_, aside_, true);
                last_ = '\n';
                return;
            }
            if (aside_.size() < most_text) aside_ += c;
            break;
        case State::after_copy:
            if (c == '\n') {
                state_ = State::copy_data;
                begin_ = position_ + 1;
                line_.clear();
            } else if (!is_blank(c)) {
                // psql would run this once the data is over
                const std::string behind(1, c);
                hand_out(ScriptPart::Kind::meta, position_, "\\ behind COPY: " + behind, true);
            }
            break;
        case State::copy_data:
            break;
    }
    last_ = c;
    ++position_;
}

std::string_view ScriptReader::take_copy_data(std::string_view bytes) {
    while (!bytes.empty()) {
        const void* found = std::memchr(bytes.data(), '\n', bytes.size());
        const std::size_t length =
            found == nullptr ? bytes.size() : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
        // only a short line can be the marker: four bytes are enough to know
        if (line_.size() < 4) line_ += bytes.substr(0, std::min<std::size_t>(length, 4));
        position_ += length;
        bytes.remove_prefix(length);
        if (found == nullptr) return bytes;
        ++position_;
        bytes.remove_prefix(1);
        const bool ends = line_ == "\\." || line_ == "\\.\r";
        line_.clear();
        if (ends) {
            state_ = State::normal;
            last_ = '\n';
            hand_out(ScriptPart::Kind::copy_data, begin_, {}, true);
            return bytes;
        }
    }
    return bytes;
}

std::vector<SqlToken> sql_tokens(std::string_view sql) {
    std::vector<SqlToken> tokens;
    std::size_t i = 0;
    const auto until = [&](std::size_t from, std::string_view end) {
        const std::size_t at = sql.find(end, from);
        return at == std::string_view::npos ? sql.size() : at + end.size();
    };
    while (i < sql.size()) {
        const char c = sql[i];
        if (is_blank(c)) {
            ++i;
        } else if (sql.substr(i, 2) == "--") {
            i = until(i, "\n");
        } else if (sql.substr(i, 2) == "/*") {
            i = until(i + 2, "*/");
        } else if (starts_word(c)) {
            std::string word;
            while (i < sql.size() && in_word(sql[i]))
                word += lower(sql[i++]);
            if (i < sql.size() && sql[i] == '\'' && word.size() == 1) continue;  // the prefix of a string
            tokens.push_back({SqlToken::Kind::word, std::move(word)});
        } else if (c == '"' || c == '\'') {
            const bool escapes = c == '\'' && i > 0 && lower(sql[i - 1]) == 'e';
            std::string text;
            for (++i; i < sql.size(); ++i) {
                if (escapes && sql[i] == '\\' && i + 1 < sql.size()) {
                    text += sql[i++];
                } else if (sql[i] == c) {
                    if (i + 1 >= sql.size() || sql[i + 1] != c) break;
                    ++i;
                }
                text += sql[i];
            }
            ++i;
            tokens.push_back({c == '"' ? SqlToken::Kind::quoted_name : SqlToken::Kind::text, std::move(text)});
        } else if (c == '$' && i + 1 < sql.size() && (sql[i + 1] == '$' || starts_word(sql[i + 1]))) {
            const std::size_t tag_end = sql.find('$', i + 1);
            if (tag_end == std::string_view::npos) break;
            const std::string_view tag = sql.substr(i, tag_end + 1 - i);
            const std::size_t end = until(tag_end + 1, tag);
            tokens.push_back({SqlToken::Kind::text, std::string(sql.substr(i, end - i))});
            i = end;
        } else if (is_digit(c)) {
            std::string number;
            while (i < sql.size() && (in_word(sql[i]) || sql[i] == '.'))
                number += sql[i++];
            tokens.push_back({SqlToken::Kind::text, std::move(number)});
        } else {
            tokens.push_back({SqlToken::Kind::mark, std::string(1, c)});
            ++i;
        }
    }
    return tokens;
}

}  // namespace lifeboat
