#include "cli/help.h"

#include <algorithm>

#include "base/text.h"
#include "cli/exit_code.h"

namespace lifeboat {

namespace {

constexpr std::size_t line_width = 96;
constexpr std::size_t name_column = 26;

std::string shown(const PositionalSpec& positional) {
    const std::string name = (positional.required ? "<" : "[") + positional.name + (positional.required ? ">" : "]");
    return positional.repeatable ? name + "..." : name;
}

}  // namespace

std::string shown(const OptionSpec& option) {
    const std::string names = (option.letter == 0 ? "" : std::string("-") + option.letter + ", ") + option.name;
    return option.value.empty() ? names : names + " <" + option.value + ">";
}

namespace {

// One row of a table: the name, and its text filled into the rest of the line.
std::string row(const std::string& name, std::string_view text) {
    const std::string filled = wrapped(text, name_column, line_width);
    if (name.size() + 2 >= name_column - 1) return "  " + name + "\n" + filled;
    return "  " + name + filled.substr(name.size() + 2);
}

std::string options_table(std::span<const OptionSpec> options) {
    std::string text;
    for (const OptionSpec& option : options)
        text += row(shown(option), option.doc + (option.repeatable ? " May be given several times." : ""));
    return text;
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
    const std::string margin(indent, ' ');
    std::string filled;
    for (const std::string& paragraph : split(text, '\n')) {
        std::string line;
        for (const std::string& word : split(paragraph, ' ')) {
            if (word.empty()) continue;
            if (!line.empty() && indent + characters(line) + 1 + characters(word) > width) {
                filled += margin + line + "\n";
                line.clear();
            }
            line += (line.empty() ? "" : " ") + word;
        }
        filled += line.empty() ? "\n" : margin + line + "\n";
    }
    return filled;
}

std::string usage_line(const VerbSpec& verb) {
    std::string line = "lifeboat " + verb.name;
    for (const PositionalSpec& positional : verb.positionals)
        line += " " + shown(positional);
    return verb.options.empty() ? line : line + " [options]";
}

std::string help_for(const VerbSpec& verb) {
    std::string text = "usage: " + usage_line(verb) + "\n\n" + wrapped(verb.doc, 0, line_width);
    if (!verb.positionals.empty()) text += "\narguments:\n";
    for (const PositionalSpec& positional : verb.positionals)
        text += row(shown(positional), positional.doc);
    if (!verb.options.empty()) text += "\noptions:\n" + options_table(verb.options);
    text += "\noptions of every verb:\n" + options_table(common_options());
    if (!verb.examples.empty()) text += "\nexamples:\n";
    for (const std::string& example : verb.examples)
        text += "  " + example + "\n";
    return text;
}

std::string help_for_all(std::span<const Subcommand> verbs) {
    std::string text =
        "lifeboat: carries out disaster recovery runbooks\n"
        "\n"
        "In an incident:\n"
        "  lifeboat plan <runbook>     what would be done, to what, how long it takes, what is lost\n"
        "  lifeboat run <runbook>      the same, then asks, then does it; a failed step is put back\n"
        "  lifeboat status             where it stands; after a pause also what can be answered\n"
        "  lifeboat resume             goes on after an interrupt, a crash or a pause\n"
        "  lifeboat rollback           puts everything back instead\n"
        "\n"
        "verbs:\n";
    for (const Subcommand& verb : verbs)
        text += row(verb.spec.name, verb.spec.summary);
    text += "\noptions of every verb:\n" + options_table(common_options());
    text += "\n`lifeboat <verb> --help` says more about each. Exit codes:\n";
    for (const ExitMeaning& meaning : exit_meanings()) {
        const std::string code = std::to_string(meaning.code);
        text += std::string(5 - std::min<std::size_t>(code.size(), 5), ' ') + code + "  " +
                std::string(meaning.meaning) + "\n";
    }
    return text;
}

}  // namespace lifeboat
