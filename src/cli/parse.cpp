#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cli/command_line.h"
#include "cli/help.h"

namespace lifeboat {

namespace {

struct Slot {
    std::string name;
    bool is_flag = false;
    bool flag = false;
    std::vector<std::string> values;
    CLI::Option* option = nullptr;
};

void declare_options(CLI::App& app, std::span<const OptionSpec> options, std::vector<std::unique_ptr<Slot>>& slots) {
    for (const OptionSpec& spec : options) {
        auto slot = std::make_unique<Slot>();
        slot->name = spec.name;
        const std::string names = spec.letter == 0 ? spec.name : std::string("-") + spec.letter + "," + spec.name;
        if (spec.value.empty()) {
            slot->is_flag = true;
            slot->option = app.add_flag(names, slot->flag);
        } else {
            // one value a use, so that `--set a=1 file` does not take the file for a second value
            slot->option = app.add_option(names, slot->values)->allow_extra_args(false);
            if (!spec.repeatable) slot->option->expected(1);
        }
        slots.push_back(std::move(slot));
    }
}

void declare_positionals(CLI::App& app, std::span<const PositionalSpec> positionals,
                         std::vector<std::unique_ptr<Slot>>& slots) {
    for (const PositionalSpec& spec : positionals) {
        auto slot = std::make_unique<Slot>();
        slot->name = spec.name;
        slot->option = app.add_option(spec.name, slot->values);
        slot->option->required(false);
        // what is left over goes to the next positional, or is refused
        if (!spec.repeatable) slot->option->expected(1)->allow_extra_args(false);
        slots.push_back(std::move(slot));
    }
}

std::vector<std::string> option_names(const VerbSpec* verb) {
    std::vector<std::string> names;
    if (verb != nullptr) {
        for (const OptionSpec& option : verb->options)
            names.push_back(option.name);
    }
    for (const OptionSpec& option : common_options())
        names.push_back(option.name);
    return names;
}

// What neither the program nor the verb knows.
[[noreturn]] void refuse_extra(const std::vector<std::string>& extras, const VerbSpec* verb,
                               std::span<const Subcommand> verbs) {
    const auto option =
        std::find_if(extras.begin(), extras.end(), [](const std::string& word) { return word.starts_with('-'); });
    const std::string help = verb == nullptr ? "lifeboat --help" : "lifeboat " + verb->name + " --help";
    if (option != extras.end()) {
        const std::string name = option->substr(0, option->find('='));
        throw Error{ErrorCode::usage,
                    "unknown option '" + printable(name) + "'" + did_you_mean(name, option_names(verb)),
                    "`" + help + "` lists the options."};
    }
    if (verb == nullptr) {
        std::vector<std::string> names;
        for (const Subcommand& one : verbs)
            names.push_back(one.spec.name);
        throw Error{ErrorCode::usage,
                    "unknown verb '" + printable(extras.front()) + "'" + did_you_mean(extras.front(), names),
                    "`lifeboat --help` lists the verbs."};
    }
    throw Error{ErrorCode::usage, "unexpected argument '" + printable(extras.front()) + "'",
                "The usage is: " + usage_line(*verb) + "."};
}

}  // namespace

Parsed parse_command_line(const std::vector<std::string>& words, std::span<const Subcommand> verbs) {
    CLI::App app;
    app.set_help_flag();
    app.allow_extras();
    app.require_subcommand(0, 1);
    std::vector<std::unique_ptr<Slot>> common;
    declare_options(app, common_options(), common);

    std::vector<std::vector<std::unique_ptr<Slot>>> slots(verbs.size());
    std::vector<CLI::App*> parsers;
    for (std::size_t i = 0; i < verbs.size(); ++i) {
        CLI::App* parser = app.add_subcommand(verbs[i].spec.name);
        parser->set_help_flag();
        parser->allow_extras();
        declare_positionals(*parser, verbs[i].spec.positionals, slots[i]);
        declare_options(*parser, verbs[i].spec.options, slots[i]);
        declare_options(*parser, common_options(), slots[i]);
        parsers.push_back(parser);
    }

    Parsed parsed;
    try {
        std::vector<std::string> reversed(words.rbegin(), words.rend());
        app.parse(reversed);
    } catch (const CLI::ParseError& error) {
        throw Error{ErrorCode::usage, printable(error.what()), "`lifeboat --help` lists verbs and options."};
    }

    const auto gather = [&parsed](const std::vector<std::unique_ptr<Slot>>& from) {
        for (const auto& slot : from) {
            if (slot->option->count() == 0) continue;
            parsed.call.values[slot->name] = slot->values;
        }
    };
    gather(common);
    for (std::size_t i = 0; i < verbs.size(); ++i) {
        if (!parsers[i]->parsed()) continue;
        parsed.verb = &verbs[i];
        gather(slots[i]);
        if (const auto extras = parsers[i]->remaining(); !extras.empty()) refuse_extra(extras, &verbs[i].spec, verbs);
    }
    parsed.help = parsed.call.has("--help");
    if (const auto extras = app.remaining(); !extras.empty()) refuse_extra(extras, nullptr, verbs);
    parsed.log_level = parsed.call.one("--log-level").value_or("off");
    if (const std::vector<std::string> levels{"off", "error", "info", "debug"};
        std::find(levels.begin(), levels.end(), parsed.log_level) == levels.end()) {
        throw Error{ErrorCode::usage,
                    "unknown log level '" + printable(parsed.log_level) + "'" + did_you_mean(parsed.log_level, levels),
                    "The levels are: " + join(levels, ", ") + "."};
    }
    if (parsed.verb == nullptr || parsed.help) return parsed;
    for (const PositionalSpec& spec : parsed.verb->spec.positionals) {
        if (spec.required && !parsed.call.has(spec.name)) {
            throw Error{ErrorCode::usage, "'lifeboat " + parsed.verb->spec.name + "' needs <" + spec.name + ">",
                        "`lifeboat " + parsed.verb->spec.name + " --help` says what it is."};
        }
    }
    return parsed;
}

std::optional<std::string> Call::one(const std::string& name) const {
    const auto found = values.find(name);
    if (found == values.end() || found->second.empty()) return std::nullopt;
    return found->second.front();
}

std::vector<std::string> Call::all(const std::string& name) const {
    const auto found = values.find(name);
    return found == values.end() ? std::vector<std::string>() : found->second;
}

std::map<std::string, std::string> Call::pairs(const std::string& name) const {
    std::map<std::string, std::string> pairs;
    for (const std::string& text : all(name)) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw Error{ErrorCode::usage, "'" + name + " " + printable(text) + "' has no '='",
                        "Write `" + name + " name=value`."};
        }
        if (!pairs.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
            throw Error{ErrorCode::usage,
                        "'" + printable(text.substr(0, equals)) + "' is given twice with '" + name + "'",
                        "Give it once."};
        }
    }
    return pairs;
}

}  // namespace lifeboat
