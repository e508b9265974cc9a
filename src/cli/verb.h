// A verb of the command line, declared as data: parsing, help, did-you-mean and docs/reference/cli.md are derived from
// it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/time.h"
#include "cli/diagnostics_log.h"
#include "cli/terminal.h"

namespace lifeboat {

struct OptionSpec {
    std::string name;   // "--set"
    std::string value;  // what stands for its value in the help, "name=value"; empty: a flag
    std::string doc;
    bool repeatable = false;
    char letter = 0;  // 'o' for -o; 0: none
};

struct PositionalSpec {
    std::string name;
    std::string doc;
    bool required = true;
    bool repeatable = false;
};

struct VerbSpec {
    std::string name;
    std::string summary;  // one line
    std::string doc;      // a paragraph or two
    std::vector<PositionalSpec> positionals = {};
    std::vector<OptionSpec> options = {};
    std::vector<std::string> examples = {};
};

// What was typed after the verb.
class Call {
  public:
    std::map<std::string, std::vector<std::string>> values;  // by the spec's names; flags have an empty list

    bool has(const std::string& name) const { return values.contains(name); }
    std::optional<std::string> one(const std::string& name) const;
    std::vector<std::string> all(const std::string& name) const;
    // `a=1` of a repeatable option as a map. Throws Error{usage} for one without `=` or said twice.
    std::map<std::string, std::string> pairs(const std::string& name) const;
};

// What every verb is given. Outlives the verb.
struct Session {
    Terminal& terminal;
    Redactor& redactor;
    const Clock& clock;
    DiagnosticsLog& log;
    std::filesystem::path program;    // this binary
    std::optional<std::string> site;  // --site
    bool json = false;                // one JSON document on stdout, nothing else
};

struct Subcommand {
    VerbSpec spec;
    std::function<int(const Call&, Session&)> act;  // returns the exit code
};

Subcommand init_verb();
Subcommand check_verb();
Subcommand validate_verb();
Subcommand plan_verb();
Subcommand run_verb();
Subcommand resume_verb();
Subcommand rollback_verb();
Subcommand abandon_verb();
Subcommand commit_verb();
Subcommand status_verb();
Subcommand logs_verb();
Subcommand report_verb();
Subcommand history_verb();
Subcommand drill_verb();
Subcommand backup_verb();
Subcommand actions_verb();
Subcommand docs_verb();
Subcommand version_verb();

// All of them, in the order of the help.
std::vector<Subcommand> all_verbs();
// Understood by every verb: --site, --json, --log-level, --help.
const std::vector<OptionSpec>& common_options();

}  // namespace lifeboat
