#include <algorithm>
#include <map>

#include "base/text.h"
#include "cli/drafting.h"
#include "cli/loading.h"
#include "cli/places.h"
#include "cli/verb.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

constexpr std::size_t telling_length = 8;  // a shorter secret cannot be told from ordinary text when it is redacted

// One thing found, with everything that depends on it.
struct Checked {
    Finding finding;
    std::vector<std::string> needed_by;  // "database-corruption: restore"
};

class Checks {
  public:
    void add(const Finding& finding, const std::string& needed_by) {
        const auto same = std::find_if(all_.begin(), all_.end(), [&finding](const Checked& one) {
            if (one.finding.kind != finding.kind || one.finding.subject != finding.subject) return false;
            return one.finding.message == finding.message || finding.kind == FindingKind::ok;
        });
        Checked& checked = same != all_.end() ? *same : all_.emplace_back(Checked{.finding = finding, .needed_by = {}});
        if (!needed_by.empty() &&
            std::find(checked.needed_by.begin(), checked.needed_by.end(), needed_by) == checked.needed_by.end())
            checked.needed_by.push_back(needed_by);
    }

    std::size_t count(FindingKind kind) const {
        return static_cast<std::size_t>(
            std::count_if(all_.begin(), all_.end(), [kind](const Checked& one) { return one.finding.kind == kind; }));
    }
    const std::vector<Checked>& all() const { return all_; }

  private:
    std::vector<Checked> all_;
};

std::string_view word(FindingKind kind) {
    switch (kind) {
        case FindingKind::ok:
            return "ok";
        case FindingKind::unknown:
            return "unknown";
        case FindingKind::warning:
            return "warning";
        case FindingKind::blocker:
            return "blocker";
    }
    return "unknown";
}

Tone tone_of(FindingKind kind) {
    switch (kind) {
        case FindingKind::ok:
            return Tone::good;
        case FindingKind::unknown:
        case FindingKind::warning:
            return Tone::doubtful;
        case FindingKind::blocker:
            return Tone::bad;
    }
    return Tone::plain;
}

void check_secrets(const Site& site, Hands& hands, Checks& checks) {
    for (const auto& [name, origin] : site.secrets) {
        Finding finding{.kind = FindingKind::ok,
                        .step = "",
                        .subject = "secret '" + name + "'",
                        .message = "can be fetched",
                        .hint = ""};
        try {
            const Secret secret = hands.secrets().fetch(name);
            if (secret.reveal().size() < telling_length) {
                finding.kind = FindingKind::warning;
                finding.message = "too short to be told from ordinary text: it may not be redacted everywhere";
                finding.hint = "Use a secret of 16 characters or more.";
            }
        } catch (const Error& error) {
            finding.kind = FindingKind::blocker;
            finding.message = error.full_message();
            finding.hint = error.hint;
        }
        checks.add(finding, "");
    }
}

// Whether some action changes resources of this type: only those have an identity worth measuring.
bool can_be_target(const Resource& resource, const Specs& specs) {
    const ResourceSpec* type = specs.resource(resource.type);
    const auto wants = [&](const ParameterSpec& parameter) {
        if (!parameter.target || type == nullptr) return false;
        const std::vector<std::string> kinds = split(parameter.kind, '|');
        return std::any_of(kinds.begin(), kinds.end(), [&](const std::string& kind) {
            return kind == type->type || std::find(type->kinds.begin(), type->kinds.end(), kind) != type->kinds.end();
        });
    };
    return std::any_of(specs.actions.begin(), specs.actions.end(), [&wants](const ActionSpec& action) {
        return std::any_of(action.parameters.begin(), action.parameters.end(), wants);
    });
}

void check_targets(const Site& site, const Hands& hands, const Specs& specs, Checks& checks) {
    for (const auto& [name, resource] : site.resources) {
        if (!can_be_target(resource, specs)) continue;
        const TargetIdentity identity = hands.actions().identify(name);
        Finding finding{.subject = "resource '" + name + "'", .message = identity.measured.value_or("")};
        if (identity.unreached) {
            finding.kind = FindingKind::blocker;
            finding.message = identity.unreached->full_message();
            finding.hint = identity.unreached->hint;
        } else if (!identity.measured) {
            finding.kind = FindingKind::unknown;
            finding.message = identity.declared + ": could not be measured";
        }
        checks.add(finding, "");
    }
}

// What an action's own look says about arguments that no runbook gives it.
void look_with(const std::string& name, const Json& arguments, const std::string& needed_by, const Hands& hands,
               Session& session, const fs::path& state, Checks& checks) {
    const Action* action = hands.actions().find(name);
    if (action == nullptr) return;
    const Scratch scratch(state, "check");
    Context context;
    context.run_id = context.step_id = "check";
    context.arguments = defaults_of(action->spec(), arguments);
    context.workspace = scratch.workspace("work");
    context.clock = &session.clock;
    try {
        for (const Finding& finding : action->survey(context).findings)
            checks.add(finding, needed_by);
    } catch (const Error& error) {
        checks.add({.kind = FindingKind::blocker,
                    .step = "",
                    .subject = needed_by,
                    .message = error.full_message(),
                    .hint = error.hint},
                   needed_by);
    }
}

// A runbook that does not fit this site is a finding, not the end of the check.
void check_runbook(const Runbook& runbook, const Site& site, Session& session, const Specs& specs,
                   const fs::path& state, Checks& checks) {
    Loading loading(specs);
    auto draft = loading.draft(runbook, site, Call{}, session.clock.now());
    try {
        loading.settle(session);
    } catch (const FilesRefused& refused) {
        std::vector<std::string> why;
        for (const Json& one : refused.details.at("diagnostics"))
            why.push_back(one.at("message").get<std::string>());
        checks.add({.kind = FindingKind::blocker,
                    .step = "",
                    .subject = "runbook '" + runbook.name + "'",
                    .message = join(why, "; "),
                    .hint = "`lifeboat plan " + runbook.name + "` shows where."},
                   "");
        return;
    }
    const Hands hands(session, *draft, state);
    for (const Finding& finding : look(session, hands, std::move(*draft), state).findings)
        checks.add(finding, finding.step.empty() ? runbook.name : runbook.name + ": " + finding.step);
}

int show(Session& session, const Checks& checks, const std::vector<std::string>& runbooks,
         const std::optional<fs::path>& site_file) {
    Terminal& terminal = session.terminal;
    const std::size_t blockers = checks.count(FindingKind::blocker);
    if (session.json) {
        Json records = Json::array();
        for (const Checked& one : checks.all()) {
            records.push_back(Json{{"kind", word(one.finding.kind)},
                                   {"subject", one.finding.subject},
                                   {"message", one.finding.message},
                                   {"hint", one.finding.hint},
                                   {"needed_by", one.needed_by}});
        }
        terminal.output(to_pretty_text(Json{{"site", site_file ? site_file->string() : ""},
                                            {"runbooks", runbooks},
                                            {"findings", std::move(records)},
                                            {"blockers", blockers}}) +
                        "\n");
        return blockers > 0 ? 9 : 0;
    }
    std::string text;
    for (const FindingKind kind : {FindingKind::blocker, FindingKind::warning, FindingKind::unknown, FindingKind::ok}) {
        for (const Checked& one : checks.all()) {
            if (one.finding.kind != kind) continue;
            const std::string label(word(kind));
            text += painted(tone_of(kind), label, terminal.output_style()) + std::string(9 - label.size(), ' ') +
                    printable(one.finding.subject) + ": " + printable(one.finding.message) + "\n";
            if (kind == FindingKind::ok) continue;
            if (!one.needed_by.empty()) text += "         needed by " + join(one.needed_by, ", ") + "\n";
            if (!one.finding.hint.empty()) text += "         hint: " + printable(one.finding.hint) + "\n";
        }
    }
    text += "\n" + counted(runbooks.size(), "runbook") + " checked: " + counted(blockers, "blocker") + ", " +
            counted(checks.count(FindingKind::warning), "warning") + ", " +
            std::to_string(checks.count(FindingKind::unknown)) + " unknown, " +
            std::to_string(checks.count(FindingKind::ok)) + " ok\n";
    terminal.output(text);
    return blockers > 0 ? 9 : 0;
}

int check(const Call&, Session& session) {
    Loading loading(all_specs());
    const Site site = loading.site(session);
    std::vector<Runbook> runbooks;
    for (const fs::path& path : runbooks_around(loading.site_file())) {
        if (auto runbook = loading.runbook(path)) runbooks.push_back(std::move(*runbook));
    }
    loading.settle(session);
    const fs::path state = state_folder(site);
    Checks checks;
    Hands hands(session, site, state);
    check_secrets(site, hands, checks);
    check_targets(site, hands, loading.specs(), checks);
    for (const auto& [name, set] : site.backups)
        look_with("backup.select", Json{{"backup", Json{{"backup", name}}}}, "backup set '" + name + "'", hands,
                  session, state, checks);
    for (const std::string& name : site.notify ? site.notify->to : std::vector<std::string>())
        look_with("notify.send", Json{{"to", Json{{"of", name}}}, {"text", "check"}}, "notify '" + name + "'", hands,
                  session, state, checks);
    std::vector<std::string> names;
    for (const Runbook& runbook : runbooks) {
        names.push_back(runbook.name);
        check_runbook(runbook, site, session, loading.specs(), state, checks);
    }
    return show(session, checks, names, loading.site_file());
}

}  // namespace

Subcommand check_verb() {
    return {
        .spec = {.name = "check",
                 .summary = "prove before the incident that everything needed is there",
                 .doc = "Reads the site and every runbook found, fetches each secret, and looks at everything that "
                        "their steps need: programs and "
                        "their versions, credentials, names and ports, backups, free space. What is missing is named "
                        "with every step that "
                        "needs it. Changes nothing. Exits 9 when something is in the way.",
                 .examples = {"lifeboat check", "lifeboat check --json"}},
        .act = check,
    };
}

}  // namespace lifeboat
