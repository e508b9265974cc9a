#include "runbook/yaml.h"

#include <array>
#include <charconv>
#include <cmath>
#include <istream>
#include <map>
#include <streambuf>
#include <unordered_map>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::size_t largest_file = 4u << 20;
constexpr std::size_t longest_line = 256u << 10;
constexpr std::size_t most_nodes = 200'000;
// Refused long before it takes a notable time: 332 bytes of nested aliases can stand for millions of values.
constexpr std::size_t most_repeated = 20'000;
// So many bytes of text count as one more value.
constexpr std::size_t bytes_of_value = 64;
constexpr std::size_t deepest = 100;

// Thrown through the parser once the reason is reported and nothing more can be read.
struct Unreadable {};

// Reads the text where it is, without a copy.
class TextBuffer : public std::streambuf {
  public:
    explicit TextBuffer(std::string_view text) {
        char* first = const_cast<char*>(text.data());
        setg(first, first, first + text.size());
    }
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool all_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// What a plain scalar means in YAML 1.2, or `misleading`: another reader of YAML takes it for another number.
enum class Meaning { text, boolean, integer, number, misleading, too_large };

bool is_float(std::string_view text) {
    const std::size_t exponent = text.find_first_of("eE");
    if (exponent != std::string_view::npos) {
        std::string_view power = text.substr(exponent + 1);
        if (power.starts_with('-') || power.starts_with('+')) power.remove_prefix(1);
        if (!all_digits(power)) return false;
        text = text.substr(0, exponent);
    }
    const std::size_t point = text.find('.');
    if (point == std::string_view::npos) return exponent != std::string_view::npos && all_digits(text);
    const std::string_view whole = text.substr(0, point);
    const std::string_view fraction = text.substr(point + 1);
    return (whole.empty() || all_digits(whole)) && (fraction.empty() || all_digits(fraction)) &&
           !(whole.empty() && fraction.empty());
}

Meaning meaning_of(std::string_view text) {
    if (text == "true" || text == "false") return Meaning::boolean;
    std::string_view digits = text;
    if (digits.starts_with('-') || digits.starts_with('+')) digits.remove_prefix(1);
    if (digits.empty() || (!is_digit(digits.front()) && digits.front() != '.')) return Meaning::text;
    const bool leading_zero = digits.size() > 1 && digits.front() == '0' && is_digit(digits[1]);
    if (all_digits(digits)) {
        if (leading_zero) return Meaning::misleading;
        std::int64_t value = 0;
        const std::string_view signed_digits = text.front() == '+' ? digits : text;
        const auto end = signed_digits.data() + signed_digits.size();
        return std::from_chars(signed_digits.data(), end, value).ec == std::errc() ? Meaning::integer
                                                                                   : Meaning::too_large;
    }
    if (digits.size() > 2 && digits.front() == '0' && (digits[1] == 'x' || digits[1] == 'o' || digits[1] == 'b') &&
        digits.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string_view::npos)
        return Meaning::misleading;
    if (!is_float(digits)) return Meaning::text;
    if (leading_zero) return Meaning::misleading;
    double value = 0;
    return std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc() ? Meaning::number
                                                                                                  : Meaning::too_large;
}

// Offset behind the closing quote of the scalar that opens at `begin`; npos when it is never closed.
std::size_t end_of_quotes(std::string_view text, std::size_t begin) {
    const char quote = text[begin];
    for (std::size_t i = begin + 1; i < text.size(); ++i) {
        if (quote == '"' && text[i] == '\\') {
            ++i;
        } else if (text[i] == quote) {
            if (quote == '"' || i + 1 >= text.size() || text[i + 1] != quote) return i + 1;
            ++i;
        }
    }
    return std::string_view::npos;
}

class TreeBuilder final : public YAML::EventHandler {
  public:
    explicit TreeBuilder(SourceFile& file) : file_(file) {}

    std::optional<Node> take() { return std::move(root_); }
    // Everything before this byte has been understood.
    std::size_t understood() const { return understood_; }
    // Where the last quoted text of several lines begins and ends.
    std::pair<std::size_t, std::size_t> long_quote() const { return long_quote_; }

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (++documents_ > 1)
            refuse(offset(mark), "a second document begins here",
                   "A file holds one document; look for a wrong indentation or a stray '---' above.");
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        // the mark of a missing value is that of the next thing in the file: the key says where it is missing
        Node node{.kind = Node::Kind::null, .begin = offset(mark), .end = offset(mark) + 1};
        if (!frames_.empty() && frames_.back().key) {
            node.begin = frames_.back().key->begin;
            node.end = frames_.back().key->end;
        }
        add(std::move(node), anchor);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        const std::uint32_t begin = offset(mark);
        Node node{.kind = Node::Kind::text, .begin = begin, .text = value};
        place(node);
        refuse_tag(tag, begin);
        if (wants_key()) {
            take_key(std::move(node), tag == "?");
            return;
        }
        if (tag == "?") give_meaning(node);
        add(std::move(node), anchor);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(Node::Kind::list, mark, tag, anchor);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(Node::Kind::map, mark, tag, anchor);
    }
    void OnMapEnd() override { close(); }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchored_.find(anchor);
        if (found == anchored_.end()) refuse(offset(mark), "this alias stands inside the value that it repeats");
        count_repeated(found->second.size, offset(mark));
        if (wants_key()) refuse(offset(mark), "a key has to be written out, an alias cannot be one");
        if (frames_.size() + found->second.depth > deepest) refuse_depth(offset(mark));
        put(Node(found->second.node), found->second.size, found->second.depth);
    }

  private:
    struct Frame {
        Node node;
        YAML::anchor_t anchor = 0;
        std::optional<Key> key;  // waits for its value
        bool drop_value = false;
        std::unordered_map<std::string, std::uint32_t> keys;
        std::size_t size = 1;   // values in it
        std::size_t depth = 1;  // levels in it
    };
    struct Anchored {
        Node node;
        std::size_t size = 1;
        std::size_t depth = 1;
    };

    std::uint32_t offset(const YAML::Mark& mark) {
        const auto at = static_cast<std::uint32_t>(std::clamp<std::int64_t>(mark.pos, 0, largest_file));
        understood_ = std::max<std::size_t>(understood_, at);
        return at;
    }

    [[noreturn]] void refuse(std::size_t at, std::string message, std::string hint = {}) {
        file_.error(file_.span(at, at + 1), "", std::move(message), std::move(hint));
        throw Unreadable{};
    }

    [[noreturn]] void refuse_depth(std::size_t at) {
        refuse(at, "lists and maps are nested more than " + std::to_string(deepest) + " deep");
    }

    void count(std::size_t nodes, std::size_t at) {
        nodes_ += nodes;
        if (nodes_ > most_nodes) refuse(at, "the file holds more than " + std::to_string(most_nodes) + " values");
    }

    // Values that aliases stand for, and those kept for aliases to come.
    void count_repeated(std::size_t nodes, std::size_t at) {
        repeated_ += nodes;
        if (repeated_ > most_repeated)
            refuse(at, "the aliases of the file stand for more than " + std::to_string(most_repeated) + " values");
    }

    void refuse_tag(const std::string& tag, std::uint32_t begin) {
        const bool written = file_.text().substr(begin).starts_with('!');
        if (!written && (tag == "?" || tag == "!" || tag.empty())) return;
        const std::string_view rest = file_.text().substr(begin);
        const std::size_t end = begin + std::min(rest.find_first_of(" \t\r\n,]}"), rest.size());
        file_.error(file_.span(begin, end), "", "tags are not used here",
                    "Quote a value to make it text; its type follows from where it stands.");
    }

    // Style and extent of a scalar in the file.
    void place(Node& node) {
        const std::string_view text = file_.text();
        const std::size_t begin = node.begin;
        const char first = begin < text.size() ? text[begin] : '\0';
        if (first == '"' || first == '\'') {
            const std::size_t end = end_of_quotes(text, begin);
            if (end == std::string_view::npos)
                refuse(begin, "this quote is never closed", "Close it on the same line.");
            node.style = first == '"' ? Node::Style::double_quoted : Node::Style::single_quoted;
            node.end = static_cast<std::uint32_t>(end);
            if (text.substr(begin, end - begin).find('\n') != std::string_view::npos) long_quote_ = {begin, end};
        } else if (text.substr(begin).starts_with(node.text) && !node.text.empty()) {
            node.style = Node::Style::plain;
            node.end = static_cast<std::uint32_t>(begin + node.text.size());
        } else {
            node.end = static_cast<std::uint32_t>(begin + 1);
        }
        understood_ = std::max<std::size_t>(understood_, node.end);
    }

    void give_meaning(Node& node) {
        switch (meaning_of(node.text)) {
            case Meaning::text:
                return;
            case Meaning::boolean:
                node.kind = Node::Kind::boolean;
                return;
            case Meaning::integer:
                node.kind = Node::Kind::integer;
                return;
            case Meaning::number:
                node.kind = Node::Kind::number;
                return;
            case Meaning::misleading:
                node.reported = true;
                file_.error(span_of(file_, node), path(),
                            "'" + node.text + "' is read as different numbers by different programs",
                            "Quote it to make it text, \"" + node.text + "\", or write the number in decimal.");
                return;
            case Meaning::too_large:
                node.reported = true;
                file_.error(span_of(file_, node), path(), "the number '" + node.text + "' is too large",
                            "Quote it to make it text.");
                return;
        }
    }

    bool wants_key() const {
        return !frames_.empty() && frames_.back().node.kind == Node::Kind::map && !frames_.back().key;
    }

    void take_key(Node node, bool plain) {
        Frame& frame = frames_.back();
        const SourceSpan span = span_of(file_, node);
        frame.drop_value = false;
        if (plain && node.text == "<<") {
            file_.error(span, path(), "merge keys '<<' are not used here",
                        "Write the keys out, or repeat a whole value with an alias.");
            frame.drop_value = true;
        } else if (node.text.empty()) {
            file_.error(span, path(), "a key is empty");
            frame.drop_value = true;
        } else if (const auto [first, is_new] = frame.keys.try_emplace(node.text, node.begin); !is_new) {
            file_.error(span, path(), "duplicate key '" + node.text + "'",
                        "It was given before on line " +
                            std::to_string(file_.span(first->second, first->second).at.line) + ".");
            frame.drop_value = true;
        }
        frame.key = Key{.text = std::move(node.text), .begin = node.begin, .end = node.end};
    }

    void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        const std::uint32_t begin = offset(mark);
        if (wants_key()) refuse(begin, "a key has to be text, not " + std::string(described(kind)));
        if (frames_.size() >= deepest) refuse_depth(begin);
        refuse_tag(tag, begin);
        count(1, begin);
        Frame frame;
        frame.node.kind = kind;
        frame.node.begin = begin;
        frame.node.end = begin + 1;
        frame.anchor = anchor;
        frames_.push_back(std::move(frame));
    }

    void close() {
        Frame frame = std::move(frames_.back());
        frames_.pop_back();
        if (!frame.node.entries.empty() && frame.node.entries.front().key.begin == frame.node.begin)
            frame.node.end = frame.node.entries.front().key.end;
        remember(frame.anchor, frame.node, frame.size, frame.depth);
        put(std::move(frame.node), frame.size, frame.depth);
    }

    void add(Node node, YAML::anchor_t anchor) {
        if (wants_key()) refuse(node.begin, "a key is missing");
        count(1, node.begin);
        const std::size_t size = 1 + node.text.size() / bytes_of_value;
        remember(anchor, node, size, 0);
        put(std::move(node), size, 0);
    }

    void remember(YAML::anchor_t anchor, const Node& node, std::size_t size, std::size_t depth) {
        if (anchor == 0) return;
        if (size > 1) count_repeated(size, node.begin);
        anchored_.insert_or_assign(anchor, Anchored{.node = node, .size = size, .depth = depth});
    }

    void put(Node node, std::size_t size, std::size_t depth) {
        if (frames_.empty()) {
            root_ = std::move(node);
            return;
        }
        Frame& frame = frames_.back();
        frame.size += size;
        frame.depth = std::max(frame.depth, depth + 1);
        if (frame.node.kind == Node::Kind::list) {
            frame.node.items.push_back(std::move(node));
            return;
        }
        frame.size += frame.key->text.size() / bytes_of_value;
        if (!frame.drop_value) frame.node.entries.push_back({.key = std::move(*frame.key), .value = std::move(node)});
        frame.key.reset();
    }

    // Of the value or key being read.
    std::string path() const {
        std::string text;
        for (const Frame& frame : frames_) {
            if (frame.node.kind == Node::Kind::list) {
                text += "[" + std::to_string(frame.node.items.size()) + "]";
            } else if (frame.key) {
                if (!text.empty()) text += '.';
                text += frame.key->text;
            }
        }
        return text;
    }

    SourceFile& file_;
    std::optional<Node> root_;
    std::vector<Frame> frames_;
    std::map<YAML::anchor_t, Anchored> anchored_;
    std::size_t nodes_ = 0;
    std::size_t repeated_ = 0;
    std::size_t understood_ = 0;
    std::pair<std::size_t, std::size_t> long_quote_{0, 0};
    int documents_ = 0;
};

// The parser's own messages in words for authors.
struct Complaint {
    std::string_view known;
    std::string_view message;
    std::string_view hint;
};

constexpr std::array complaints{
    Complaint{"end of map flow not found", "expected ',' or '}' here: a map in braces goes on or ends",
              "Quote text that holds one of , [ ] { } inside braces."},
    Complaint{"end of sequence flow not found", "expected ',' or ']' here: a list in brackets goes on or ends",
              "Quote text that holds one of , [ ] { } inside brackets."},
    Complaint{"end of map not found", "expected a key here, at the indentation of the keys above",
              "Look at the indentation and at the quotes of this line and the one above."},
    Complaint{"end of sequence not found", "expected '- ' here, at the indentation of the items above",
              "Look at the indentation of this line and the one above."},
    Complaint{"illegal map value", "unexpected ':'",
              "Quote text that holds ': ', and look at the indentation of this line and the one above."},
    Complaint{"illegal map key", "unexpected key", "Look at the indentation of this line."},
    Complaint{"illegal block entry", "unexpected '- '", "Put the item on a line of its own, or quote the text."},
    Complaint{"illegal flow end", "this bracket closes nothing", "Remove it, or quote the text that it belongs to."},
    Complaint{"unknown token", "this character cannot begin a value", "Quote the whole text."},
    Complaint{"the referenced anchor is not defined", "no anchor of this name stands above",
              "Quote text that begins with '*'."},
    Complaint{"illegal tab when looking for indentation", "a tab cannot indent", "Indent with spaces."},
};

void report(SourceFile& file, const TreeBuilder& tree, const YAML::Exception& problem) {
    const std::string_view text = file.text();
    std::size_t at = std::min(static_cast<std::size_t>(std::max(problem.mark.pos, 0)), text.size());
    if (problem.msg == "illegal EOF in scalar" || problem.msg == "illegal document indicator in scalar") {
        const std::size_t quote = text.find_first_of("\"'", tree.understood());
        at = quote == std::string_view::npos ? at : quote;
        file.error(file.span(at, at + 1), "", "this quote is never closed", "Close it on the same line.");
        return;
    }
    if (problem.msg == "bad file") {
        file.error(file.span(tree.understood(), tree.understood() + 1), "",
                   "lists and maps are nested more than " + std::to_string(deepest) + " deep");
        return;
    }
    std::string message = problem.msg;
    std::string hint;
    for (const Complaint& each : complaints) {
        if (problem.msg != each.known) continue;
        message = each.message;
        hint = each.hint;
    }
    const std::size_t line_start = text.rfind('\n', at == 0 ? 0 : at - 1) + 1;
    const std::string_view line = text.substr(line_start, text.find('\n', at) - line_start);
    const std::string_view indentation = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
    const auto [opened, closed] = tree.long_quote();
    if (indentation.find('\t') != std::string_view::npos) hint = "Indent with spaces: a tab does not count.";
    if (line.find("${{") != std::string_view::npos) hint = "Quote text that holds ${{ }}: \"${{ … }}\".";
    if (closed > line_start && closed <= at + 1)
        hint = "The quote that opens on line " + std::to_string(file.span(opened, opened).at.line) +
               " is closed only on this line: close it where its text ends.";
    file.error(file.span(at, at + 1), "", message, hint);
}

// What no reader of YAML should have to deal with. False when the text is not worth parsing.
bool is_readable(SourceFile& file) {
    const std::string_view text = file.text();
    if (text.size() > largest_file) {
        file.error({}, "", "the file is larger than 4 MiB");
        return false;
    }
    if (!is_utf8(text)) {
        file.error({}, "", "the file is no UTF-8 text");
        return false;
    }
    std::size_t line_start = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n') line_start = i + 1;
        if (i > line_start + longest_line) {
            file.error(file.span(line_start, line_start), "", "the line is longer than 256 KiB");
            return false;
        }
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == '\x7f') {
            file.error(file.span(i, i + 1), "",
                       "the file holds a control character, '" + printable(text.substr(i, 1)) + "'",
                       "Write it as an escape inside double quotes.");
            return false;
        }
    }
    return true;
}

}  // namespace

std::optional<Node> read_yaml(SourceFile& file) {
    if (!is_readable(file)) return std::nullopt;
    TreeBuilder tree(file);
    TextBuffer buffer(file.text());
    std::istream stream(&buffer);
    try {
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(tree)) {
        }
    } catch (const Unreadable&) {
        return std::nullopt;
    } catch (const YAML::Exception& problem) {
        report(file, tree, problem);
        return std::nullopt;
    }
    std::optional<Node> root = tree.take();
    if (!root || root->kind == Node::Kind::null) {
        file.error({}, "", "the file is empty",
                   "The first line is `lifeboat: site/v1`, `lifeboat: runbook/v1` or `lifeboat: drill/v1`.");
        return std::nullopt;
    }
    if (root->kind != Node::Kind::map) {
        file.error(span_of(file, *root), "",
                   "the file has to be a map of keys, not " + std::string(described(root->kind)));
        return std::nullopt;
    }
    return root;
}

}  // namespace lifeboat
