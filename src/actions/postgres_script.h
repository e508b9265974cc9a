// A script for psql, cut into what psql would see: statements, blocks of COPY data, meta-commands, comments. Follows
// psql's own rules of where a statement ends: quotes, dollar quotes, nested comments, parentheses, and the BEGIN ATOMIC
// … END bodies of functions. Strings are taken to be standard-conforming, as pg_dump sets them. Pure: bytes are pushed
// in as they come, parts are handed out; nothing is kept but the part under way.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

struct ScriptPart {
    enum class Kind {
        statement,  // with its semicolon
        copy_data,  // the lines behind a COPY … FROM stdin, its end marker included
        meta,       // a backslash and the rest of its line; also inside of a statement
        comment,    // `-- …` between statements
    };
    Kind kind = Kind::statement;
    std::uint64_t begin = 0;  // bytes from the start of the script
    std::uint64_t end = 0;    // one past its last byte
    std::string_view text;    // the first 64 KiB; of COPY data nothing
    bool complete = true;     // false: the script ended inside of it
};

class ScriptReader {
  public:
    explicit ScriptReader(std::function<void(const ScriptPart&)> part) : part_(std::move(part)) {}

    void push(std::string_view bytes);
    // The script has ended: hands out what is still open, as incomplete.
    void finish();
    std::uint64_t position() const { return position_; }

  private:
    enum class State {
        normal,
        string,
        escape_string,
        name,
        dollar_tag,
        dollar,
        line_comment,
        block_comment,
        meta,
        copy_data,
        after_copy
    };

    void take(char c);
    void normal(char c);
    void word_ended();
    void statement_ended(bool complete);
    void hand_out(ScriptPart::Kind kind, std::uint64_t begin, std::string_view text, bool complete);
    std::string_view take_copy_data(std::string_view bytes);
    void keep(char c);

    std::function<void(const ScriptPart&)> part_;
    State state_ = State::normal;
    std::uint64_t position_ = 0;  // of the byte being taken; after push: of the next
    char last_ = '\n';            // the byte before it, in normal state

    std::uint64_t begin_ = 0;  // of the statement or COPY data under way
    std::string text_;
    bool begun_ = false;
    std::string word_;    // the bare word under way, lower case
    std::string before_;  // the bare word before it
    std::size_t words_ = 0;
    std::string first_;  // "create or replace function": the first four words
    bool copies_from_stdin_ = false;
    std::size_t parentheses_ = 0;
    std::size_t blocks_ = 0;

    std::uint64_t aside_begin_ = 0;  // of the comment or meta-command under way
    std::string aside_;
    std::size_t comment_depth_ = 0;
    std::string tag_;                // of the dollar quote: "$tag$"
    std::string window_;             // the last bytes inside of it
    bool escaped_ = false;           // behind a backslash in E''
    bool quote_pending_ = false;     // a quote in E'' that ends it unless another follows
    bool string_continues_ = false;  // only blanks since an E'' ended
    bool newline_since_ = false;
    std::string line_;  // of COPY data, while it may be the end marker
};

// The words and marks of a statement. Comments are left out.
struct SqlToken {
    enum class Kind { word, quoted_name, text, mark };
    Kind kind = Kind::word;
    std::string text;  // a word in lower case; a quoted name without its quotes; a text as it stands

    bool is(std::string_view word) const { return kind == Kind::word && text == word; }
};
std::vector<SqlToken> sql_tokens(std::string_view statement);

}  // namespace lifeboat
