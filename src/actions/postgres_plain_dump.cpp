#include "actions/postgres_plain_dump.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "actions/postgres_script.h"
#include "base/text.h"

namespace lifeboat {

namespace {

using Kind = OptionalStatement::Kind;

// What one statement means for the question whether, and how, a dump may be loaded.
struct Meaning {
    enum class Reach {
        session,   // SET and the like: nothing that is kept
        content,   // data and definitions
        optional,  // see `kind`
        beyond,    // reaches beyond the database
        database,  // of the database itself, harmless where it is left out
    };
    Reach reach = Reach::content;
    Kind kind = Kind::owner;
    std::vector<std::string> roles;
};

bool is_cluster_object(const SqlToken& token) {
    static const std::set<std::string> objects{"database", "role", "user", "group", "tablespace"};
    return token.kind == SqlToken::Kind::word && objects.contains(token.text);
}

const SqlToken& at(const std::vector<SqlToken>& tokens, std::size_t index) {
    static const SqlToken none{SqlToken::Kind::mark, ""};
    return index < tokens.size() ? tokens[index] : none;
}

std::string text_of(const std::vector<SqlToken>& tokens) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(tokens.size(), 6); ++i)
        text += (i == 0 ? "" : " ") + tokens[i].text;
    return text;
}

bool is_role_name(const SqlToken& token) {
    if (token.kind == SqlToken::Kind::quoted_name) return true;
    static const std::set<std::string> not_roles{"public", "current_user", "current_role", "session_user", "group",
                                                 "with",   "granted",      "cascade",      "restrict"};
    return token.kind == SqlToken::Kind::word && !not_roles.contains(token.text);
}

// The names of a list "a, b, c" that begins at `index`.
void add_roles(const std::vector<SqlToken>& tokens, std::size_t index, std::vector<std::string>& roles) {
    while (index < tokens.size()) {
        if (is_role_name(tokens[index])) roles.push_back(tokens[index].text);
        if (!(at(tokens, index + 1).kind == SqlToken::Kind::mark && at(tokens, index + 1).text == ",")) return;
        index += 2;
    }
}

std::vector<std::string> roles_of_grant(const std::vector<SqlToken>& tokens) {
    std::vector<std::string> roles;
    for (std::size_t i = 1; i < tokens.size(); ++i) {
        const bool names_follow = tokens[i].is("to") || tokens[i].is("from") || tokens[i].is("by") ||
                                  (tokens[i - 1].is("for") && (tokens[i].is("role") || tokens[i].is("user")));
        if (names_follow) add_roles(tokens, i + 1 + (at(tokens, i + 1).is("group") ? 1 : 0), roles);
    }
    return roles;
}

bool has_word(const std::vector<SqlToken>& tokens, std::string_view word) {
    return std::any_of(tokens.begin(), tokens.end(), [word](const SqlToken& token) { return token.is(word); });
}

// "… ON DATABASE x …": the object that follows the first ON.
const SqlToken& object_of(const std::vector<SqlToken>& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i].is("on")) return at(tokens, i + 1);
    }
    return at(tokens, tokens.size());
}

Meaning meaning_of_set(const std::vector<SqlToken>& tokens, const std::string& name) {
    const std::size_t first = at(tokens, 1).is("session") || at(tokens, 1).is("local") ? 2 : 1;
    const SqlToken& setting = at(tokens, first);
    const SqlToken& value = at(tokens, first + 2);
    const auto refuse = [&](const std::string& what) {
        throw Error{ErrorCode::unsupported,
                    "dump '" + name + "' sets " + what + ": its statements could be read in two ways",
                    "Dump again with the defaults of pg_dump."};
    };
    if (setting.is("standard_conforming_strings") && !value.is("on") && value.text != "on")
        refuse("standard_conforming_strings off");
    if (setting.is("client_encoding") || setting.is("names")) {
        static const std::set<std::string> ambiguous{"sjis", "shift_jis_2004", "big5", "gbk",
                                                     "uhc",  "gb18030",        "johab"};
        std::string encoding = setting.is("names") ? at(tokens, first + 1).text : value.text;
        for (char& c : encoding)
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (ambiguous.contains(encoding)) refuse("client_encoding '" + encoding + "'");
    }
    return {.reach = Meaning::Reach::session};
}

Meaning meaning_of(const std::vector<SqlToken>& tokens, const std::string& name) {
    using Reach = Meaning::Reach;
    const SqlToken& first = at(tokens, 0);
    const SqlToken& second = at(tokens, 1);
    if (tokens.empty() || first.kind == SqlToken::Kind::mark) return {.reach = Reach::session};
    if (first.is("set")) return meaning_of_set(tokens, name);
    if (first.is("select") && has_word(tokens, "set_config")) return {.reach = Reach::session};

    if (first.is("begin") || first.is("commit") || (first.is("start") && second.is("transaction"))) {
        return {.reach = Reach::optional, .kind = Kind::transaction};
    }
    if (first.is("copy")) {
        // from a client's standard input only: everything else is a file or a program of the server
        bool from_stdin = false;
        for (std::size_t i = 1; i < tokens.size(); ++i)
            from_stdin = from_stdin || (tokens[i].is("stdin") && tokens[i - 1].is("from"));
        return {.reach = from_stdin ? Reach::content : Reach::beyond};
    }
    const bool user_mapping = second.is("user") && at(tokens, 2).is("mapping");
    if (first.is("create") || first.is("drop") || first.is("alter")) {
        if (is_cluster_object(second) && !user_mapping) return {.reach = Reach::beyond};
        if (first.is("alter") && second.is("system")) return {.reach = Reach::beyond};
        if (first.is("drop") && second.is("owned")) return {.reach = Reach::beyond};
        if (first.is("alter") && second.is("default") && at(tokens, 2).is("privileges")) {
            return {.reach = Reach::optional, .kind = Kind::privilege, .roles = roles_of_grant(tokens)};
        }
        // … OWNER TO role ;
        std::size_t last = tokens.size();
        while (last > 0 && tokens[last - 1].kind == SqlToken::Kind::mark && tokens[last - 1].text == ";")
            --last;
        if (first.is("alter") && last >= 4 && tokens[last - 3].is("owner") && tokens[last - 2].is("to")) {
            Meaning owner{.reach = Reach::optional, .kind = Kind::owner};
            if (is_role_name(tokens[last - 1])) owner.roles.push_back(tokens[last - 1].text);
            return owner;
        }
        return {};
    }
    if (first.is("reassign")) return {.reach = Reach::beyond};
    if (first.is("grant") || first.is("revoke")) {
        if (!has_word(tokens, "on")) return {.reach = Reach::beyond};  // membership of one role in another
        const SqlToken& object = object_of(tokens);
        if (object.is("database")) return {.reach = Reach::database, .kind = Kind::of_database};
        if (object.is("tablespace") || object.is("parameter")) return {.reach = Reach::beyond};
        return {.reach = Reach::optional, .kind = Kind::privilege, .roles = roles_of_grant(tokens)};
    }
    if (first.is("comment") || (first.is("security") && second.is("label"))) {
        const SqlToken& object = object_of(tokens);
        if (object.is("database")) return {.reach = Reach::database, .kind = Kind::of_database};
        if (is_cluster_object(object)) return {.reach = Reach::beyond};
        if (object.is("extension")) return {.reach = Reach::optional, .kind = Kind::extension_comment};
    }
    return {};
}

// What stands between two `\connect`s.
struct Segment {
    std::string database;
    ByteRange range;
    bool has_content = false;
    std::optional<std::string> beyond;  // the first statement that reaches beyond the database
    std::vector<OptionalStatement> optional;
};

std::string connect_target(std::string_view meta) {
    // \connect name · \connect "name" · \connect -reuse-previous=on "dbname='name'"
    const auto tokens =
        sql_tokens(meta.substr(meta.find(' ') == std::string_view::npos ? meta.size() : meta.find(' ')));
    if (tokens.empty()) return {};
    std::string last = tokens.back().text;
    if (tokens.back().kind == SqlToken::Kind::quoted_name && last.starts_with("dbname=")) {
        last = last.substr(7);
        std::string name;
        for (std::size_t i = 0; i < last.size(); ++i) {
            if (last[i] == '\\' && i + 1 < last.size()) {
                name += last[++i];
            } else if (last[i] != '\'') {
                name += last[i];
            }
        }
        return name;
    }
    return last;
}

int version_in(std::string_view comment, std::string_view label) {
    const std::size_t at_label = comment.find(label);
    if (at_label == std::string_view::npos) return 0;
    const std::string_view number = comment.substr(at_label + label.size());
    int major = 0;
    std::from_chars(number.data(), number.data() + number.size(), major);
    return major;
}

class DumpReading {
  public:
    explicit DumpReading(const std::string& name) : name_(name) { segments_.emplace_back(); }

    void take(const ScriptPart& part) {
        complete_ = complete_ && part.complete;
        switch (part.kind) {
            case ScriptPart::Kind::comment:
                take_comment(part.text);
                break;
            case ScriptPart::Kind::meta:
                take_meta(part);
                break;
            case ScriptPart::Kind::copy_data:
                segments_.back().has_content = true;
                ended_ = false;
                break;
            case ScriptPart::Kind::statement:
                take_statement(part);
                ended_ = false;
                break;
        }
    }

    PlainDump judge(std::uint64_t size, const std::string& database) {
        if (!complete_ || !ended_) {
            throw Error{ErrorCode::incomplete, "dump '" + name_ + "' is cut off: pg_dump's last line is missing",
                        "Take another backup; a plain dump ends with '-- PostgreSQL database dump complete'."};
        }
        segments_.back().range.end = size;
        Segment& chosen = choose(database);
        if (chosen.beyond) {
            throw Error{
                ErrorCode::dump_leaves_database,
                "dump '" + name_ + "' reaches beyond the database it is loaded into: '" + *chosen.beyond + "'",
                "Nothing was loaded; make the dump of one database without roles, for example with pg_dump -Fc."};
        }
        PlainDump dump;
        dump.load = chosen.range;
        dump.optional = std::move(chosen.optional);
        dump.database = chosen.database;
        dump.server_major = server_major_;
        dump.program_major = program_major_;
        dump.size = size;
        return dump;
    }

    std::vector<OptionalStatement> optional() {
        if (segments_.size() > 1 || segments_.front().beyond) {
            throw Error{ErrorCode::dump_leaves_database, "archive '" + name_ +
                                                             "' reaches beyond the database it is loaded into: '" +
                                                             segments_.front().beyond.value_or("\\connect") + "'"};
        }
        return std::move(segments_.front().optional);
    }

  private:
    void take_comment(std::string_view text) {
        if (text.starts_with("-- PostgreSQL database dump complete") ||
            text.starts_with("-- PostgreSQL database cluster dump complete")) {
            ended_ = true;
        }
        if (const int major = version_in(text, "Dumped from database version "); major > 0) server_major_ = major;
        if (const int major = version_in(text, "Dumped by pg_dump version "); major > 0) program_major_ = major;
    }

    void take_meta(const ScriptPart& part) {
        const std::string_view command = part.text.substr(0, part.text.find_first_of(" \t\r"));
        if (command == "\\restrict" || command == "\\unrestrict") return;
        ended_ = false;
        if (command == "\\connect" || command == "\\c") {
            segments_.back().range.end = part.begin;
            Segment& next = segments_.emplace_back();
            next.database = connect_target(part.text);
            next.range.begin = part.end;
            return;
        }
        if (!segments_.back().beyond) segments_.back().beyond = printable(part.text.substr(0, 80));
    }

    void take_statement(const ScriptPart& part) {
        if (!part.complete) return;  // the script is cut off, whatever this was to be
        Segment& segment = segments_.back();
        const std::vector<SqlToken> tokens = sql_tokens(part.text);
        Meaning meaning = meaning_of(tokens, name_);
        const auto keep_optional = [&] {
            segment.optional.push_back({.kind = meaning.kind,
                                        .range = {part.begin, part.end},
                                        .roles = std::move(meaning.roles),
                                        .text = std::string(part.text)});
        };
        switch (meaning.reach) {
            case Meaning::Reach::session:
                break;
            case Meaning::Reach::content:
                segment.has_content = true;
                break;
            case Meaning::Reach::optional:
                segment.has_content = true;
                keep_optional();
                break;
            case Meaning::Reach::database:
                // behind a \connect they come from pg_dump -C; elsewhere pg_dump never writes them
                if (segments_.size() > 1) {
                    keep_optional();
                } else if (!segment.beyond) {
                    segment.beyond = printable(text_of(tokens));
                }
                break;
            case Meaning::Reach::beyond:
                if (!segment.beyond) segment.beyond = printable(text_of(tokens));
                break;
        }
    }

    Segment& choose(const std::string& database) {
        if (segments_.size() == 1) return segments_.front();
        if (segments_.front().has_content) {
            throw Error{ErrorCode::dump_leaves_database,
                        "dump '" + name_ + "' leaves the database it is loaded into: it connects to '" +
                            segments_[1].database + "'"};
        }
        std::vector<Segment*> with_content;
        for (Segment& segment : segments_) {
            if (segment.has_content) with_content.push_back(&segment);
        }
        if (with_content.empty()) return segments_.back();
        if (with_content.size() == 1) return *with_content.front();
        Segment* wanted = nullptr;
        std::vector<std::string> names;
        for (Segment* segment : with_content) {
            names.push_back("'" + segment->database + "'");
            if (segment->database != database) continue;
            if (wanted != nullptr)
                wanted = nullptr;
            else
                wanted = segment;
        }
        if (wanted != nullptr) return *wanted;
        throw Error{ErrorCode::dump_leaves_database,
                    "dump '" + name_ + "' holds the content of several databases: " + join(names, ", "),
                    "Dump one database by itself."};
    }

    const std::string name_;
    std::vector<Segment> segments_;
    bool complete_ = true;
    bool ended_ = false;
    int server_major_ = 0;
    int program_major_ = 0;
};

}  // namespace

PlainDump read_plain_dump(const std::function<void(const std::function<void(std::string_view)>&)>& read,
                          const std::string& name, const std::string& database) {
    DumpReading reading(name);
    ScriptReader reader([&reading](const ScriptPart& part) { reading.take(part); });
    read([&reader](std::string_view bytes) { reader.push(bytes); });
    reader.finish();
    return reading.judge(reader.position(), database);
}

std::vector<ByteRange> ranges_to_load(const PlainDump& dump, const std::vector<ByteRange>& left_out) {
    std::vector<ByteRange> ranges;
    std::uint64_t at_byte = dump.load.begin;
    for (const ByteRange& gap : left_out) {
        if (gap.begin > at_byte) ranges.push_back({at_byte, gap.begin});
        at_byte = std::max(at_byte, gap.end);
    }
    if (dump.load.end > at_byte) ranges.push_back({at_byte, dump.load.end});
    return ranges;
}

std::vector<OptionalStatement> optional_statements(std::string_view script, const std::string& name) {
    DumpReading reading(name);
    ScriptReader reader([&reading](const ScriptPart& part) { reading.take(part); });
    reader.push(script);
    reader.finish();
    return reading.optional();
}

}  // namespace lifeboat
