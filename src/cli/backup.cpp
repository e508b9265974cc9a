#include <algorithm>

#include "base/text.h"
#include "cli/hands.h"
#include "cli/interrupts.h"
#include "cli/loading.h"
#include "cli/places.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

const BackupSet& set_named(const Site& site, const std::string& name) {
    const auto found = site.backups.find(name);
    if (found != site.backups.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [known, set] : site.backups)
        names.push_back(known);
    throw Error{
        ErrorCode::usage, "the site has no backup set '" + printable(name) + "'" + did_you_mean(name, names),
        names.empty() ? "Sets are declared under `backups:` in the site." : "The sets are: " + join(names, ", ") + "."};
}

Json reference(const BackupSet& set) {
    return Json{{"backup", set.name}};
}

int create(const BackupSet& set, const Hands& hands, Session& session) {
    std::stop_source stop;
    const Interrupts interrupts([&stop](int, int) { stop.request_stop(); });
    const auto progress = [&session](const Progress& step) {
        std::string line = printable(step.what);
        if (step.done) line += "  " + to_human(Bytes{*step.done});
        if (step.done && step.total) line += " of " + to_human(Bytes{*step.total});
        session.terminal.live(line);
    };
    Outputs outputs;
    try {
        outputs = hands.do_now("backup.create", Json{{"backup", reference(set)}}, "backup-create", std::nullopt,
                               stop.get_token(), progress);
        session.terminal.live("");
    } catch (const Error&) {
        session.terminal.live("");
        throw;
    }
    if (session.json) {
        session.terminal.output(to_pretty_text(Json{{"set", set.name}, {"outputs", outputs}}) + "\n");
        return 0;
    }
    std::string text = "backup of '" + set.name + "' made:\n";
    for (const auto& [name, value] : outputs.items())
        text += "  " + name + ": " + value_text(value) + "\n";
    session.terminal.output(text);
    return 0;
}

Json to_json(const Candidate& candidate, const BackupSet& set) {
    return Json{{"set", set.name},
                {"id", candidate.id},
                {"store", candidate.store},
                {"consistent_at", candidate.consistent_at ? Json(to_text(*candidate.consistent_at)) : Json(nullptr)},
                {"bytes", candidate.size ? Json(candidate.size->count) : Json(nullptr)},
                {"verified", candidate.verified},
                {"refused", candidate.refused}};
}

// What the catalogue of a set knows, as `backup.select` sees it when it is asked without limits.
int list(const BackupSet& set, const Hands& hands, const std::filesystem::path& state, Session& session) {
    const Action* select = hands.actions().find("backup.select");
    if (select == nullptr) throw Error{ErrorCode::internal, "this program has no action 'backup.select'"};
    const Scratch scratch(state, "backup-list");
    Context context;
    context.run_id = context.step_id = "backup-list";
    context.arguments = defaults_of(select->spec(), Json{{"backup", reference(set)}});
    context.workspace = scratch.workspace("work");
    context.clock = &session.clock;
    const Survey survey = select->survey(context);
    if (session.json) {
        Json backups = Json::array();
        for (const Candidate& candidate : survey.candidates)
            backups.push_back(to_json(candidate, set));
        session.terminal.output(to_pretty_text(Json{{"set", set.name}, {"backups", std::move(backups)}}) + "\n");
        return 0;
    }
    for (const Finding& finding : survey.findings) {
        if (finding.kind == FindingKind::warning || finding.kind == FindingKind::unknown)
            session.terminal.talk("warning: " + printable(finding.subject) + ": " + printable(finding.message) + "\n");
    }
    if (survey.candidates.empty()) {
        session.terminal.talk("no backups of '" + set.name + "'; `lifeboat backup create " + set.name +
                              "` makes one\n");
        return 0;
    }
    std::string text =
        padded("backup", 24) + padded("store", 12) + padded("data as of", 22) + padded("size", 11) + "verified\n";
    for (const Candidate& candidate : survey.candidates) {
        text += padded(printable(candidate.id), 24) + padded(candidate.store, 12) +
                padded(candidate.consistent_at ? to_human(*candidate.consistent_at) : "unknown", 22) +
                padded(candidate.size ? to_human(*candidate.size) : "unknown", 11) + candidate.verified +
                (candidate.refused.empty() ? "" : "  refused: " + printable(candidate.refused)) + "\n";
    }
    session.terminal.output(text);
    return 0;
}

int backup(const Call& call, Session& session) {
    const std::string what = *call.one("what");
    const std::vector<std::string> known{"create", "list"};
    if (what != "create" && what != "list") {
        throw Error{ErrorCode::usage,
                    "unknown word '" + printable(what) + "' after 'lifeboat backup'" + did_you_mean(what, known),
                    "It is `lifeboat backup create <set>` or `lifeboat backup list <set>`."};
    }
    Loading loading(all_specs());
    const Site site = loading.site(session);
    loading.settle(session);
    const BackupSet& set = set_named(site, *call.one("set"));
    const std::filesystem::path state = state_folder(site);
    const Hands hands(session, site, state);
    return what == "create" ? create(set, hands, session) : list(set, hands, state, session);
}

}  // namespace

Subcommand backup_verb() {
    return {
        .spec = {.name = "backup",
                 .summary = "make a backup of a set, or list those that there are",
                 .doc = "`create` dumps every resource of the set and writes it to every store of the set, manifest "
                        "last. `list` shows the backups "
                        "of a set, newest data first, with the level to which each was verified.",
                 .positionals = {{.name = "what", .doc = "`create` or `list`."},
                                 {.name = "set", .doc = "A backup set of the site."}},
                 .examples = {"lifeboat backup create shop", "lifeboat backup list shop"}},
        .act = backup,
    };
}

}  // namespace lifeboat
