#include <algorithm>

#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "backup/fetch.h"
#include "base/text.h"
#include "cli/backup_shown.h"
#include "cli/hands.h"
#include "cli/interrupts.h"
#include "cli/loading.h"
#include "cli/places.h"
#include "cli/verb.h"
#include "report/words.h"
#include "world/files.h"

namespace lifeboat {

namespace {

// Asked for by the first Ctrl-C.
class Stop {
  public:
    std::stop_token token() const { return source_.get_token(); }

  private:
    std::stop_source source_;
    const Interrupts interrupts_{[this](int, int) { source_.request_stop(); }};
};

// What every word after `lifeboat backup` works with.
class Work {
  public:
    Work(const Call& call, Session& session, const Hands& hands, const BackupSet& set, std::filesystem::path state,
         const Stop& stop)
        : call_(call), session_(session), hands_(hands), set_(set), state_(std::move(state)), stop_(stop) {}

    const Call& call() const { return call_; }
    Session& session() const { return session_; }
    const BackupSet& set() const { return set_; }
    const ActionWorld& world() const { return hands_.world(); }
    WorkControl control() const { return {.stop = stop_.token()}; }

    Stores stores() const {
        return open_stores(world(), set_, call_.all("--store"),
                           [this](std::string_view line) { session_.log.debug(std::string(line)); });
    }
    // Says which stores could not be read.
    Catalogue catalogue(const Stores& stores) const {
        Catalogue catalogue = catalogue_of(set_, stores, control());
        for (const StoreTrouble& trouble : catalogue.troubles)
            session_.terminal.talk("warning: " + printable(trouble.error.full_message()) + "\n");
        return catalogue;
    }

    // Runs `deed` with its progress on the terminal.
    template <typename Deed>
    auto shown(const Deed& deed) const {
        try {
            auto result = deed();
            session_.terminal.live("");
            return result;
        } catch (...) {
            session_.terminal.live("");
            throw;
        }
    }
    Outputs do_now(const std::string& action, Json arguments) const {
        arguments["backup"] = Json{{"backup", set_.name}};
        return shown([&] {
            return hands_.do_now(action, std::move(arguments), "backup-" + *call_.one("what"), std::nullopt,
                                 stop_.token(), [this](const Progress& step) { progress(step); });
        });
    }

    void progress(const Progress& step) const {
        std::string line = printable(step.what);
        if (step.done) line += "  " + to_human(Bytes{*step.done});
        if (step.done && step.total) line += " of " + to_human(Bytes{*step.total});
        session_.terminal.live(line);
    }

    // Text for people on stdout, or one JSON document.
    void tell(const std::string& text, const Json& json) const {
        session_.terminal.output(session_.json ? to_pretty_text(json) + "\n" : text);
    }

    const std::filesystem::path& state() const { return state_; }

  private:
    const Call& call_;
    Session& session_;
    const Hands& hands_;
    const BackupSet& set_;
    std::filesystem::path state_;
    const Stop& stop_;
};

std::string outputs_text(const std::string& headline, const Outputs& outputs) {
    std::string text = headline + "\n";
    for (const auto& [name, value] : outputs.items())
        text += "  " + name + ": " + value_text(value) + "\n";
    return text;
}

Json outputs_json(const BackupSet& set, const Outputs& outputs) {
    return {{"set", set.name}, {"outputs", outputs}};
}

// The copies of the backup that was asked for, or of the newest.
std::vector<CatalogueEntry> wanted_copies(const Work& work, const Catalogue& catalogue) {
    const std::optional<std::string> id = work.call().one("--id");
    std::vector<CatalogueEntry> copies;
    std::vector<std::string> ids;
    for (const CatalogueEntry& entry : catalogue.entries) {
        ids.push_back(entry.id);
        if (entry.id == id.value_or(copies.empty() ? entry.id : copies.front().id)) copies.push_back(entry);
    }
    if (!copies.empty()) return copies;
    const std::string set = "backup set '" + work.set().name + "'";
    if (!id) throw Error{ErrorCode::no_candidate, set + " has no backups"};
    throw Error{ErrorCode::usage, set + " has no backup '" + printable(*id) + "'" + did_you_mean(*id, ids),
                "`lifeboat backup list " + work.set().name + "` shows them."};
}

Json stores_asked(const Call& call, const std::string& option = "--store") {
    Json names = Json::array();
    for (const std::string& name : call.all(option))
        names.push_back(name);
    return names;
}

int create(const Work& work) {
    Json arguments = Json::object();
    if (work.call().has("--store")) arguments["stores"] = stores_asked(work.call());
    const Outputs outputs = work.do_now("backup.create", std::move(arguments));
    work.tell(outputs_text("backup of '" + work.set().name + "' made:", outputs), outputs_json(work.set(), outputs));
    return outputs.at("failed").empty() ? 0 : 1;
}

int complete(const Work& work) {
    const Call& call = work.call();
    if (call.has("--store"))
        throw Error{ErrorCode::usage, "'--store' does not say whether to copy from there or to there",
                    "Say `--to <store>` or `--from <store>`."};
    if (call.has("--id") && call.has("--all"))
        throw Error{ErrorCode::usage, "'--id' asks for one backup and '--all' for every one", "Say one of the two."};
    Json arguments{{"all", call.has("--all")}};
    if (const auto id = call.one("--id")) arguments["id"] = *id;
    if (call.has("--to")) arguments["to"] = stores_asked(call, "--to");
    if (call.has("--from")) arguments["from"] = stores_asked(call, "--from");
    const Outputs outputs = work.do_now("backup.complete", std::move(arguments));
    const bool nothing = outputs.at("completed").empty() && outputs.at("failed").empty();
    work.tell(nothing ? "backups of '" + work.set().name + "': no store misses anything\n"
                      : outputs_text("backups of '" + work.set().name + "' completed:", outputs),
              outputs_json(work.set(), outputs));
    return outputs.at("failed").empty() ? 0 : 1;
}

int list(const Work& work) {
    const Catalogue catalogue = work.catalogue(work.stores());
    if (catalogue.entries.empty() && !work.session().json) {
        work.session().terminal.talk(
            "no backups of '" + work.set().name + "'" +
            (work.set().foreign.empty() ? "; `lifeboat backup create " + work.set().name + "` makes one" : "") + "\n");
        return catalogue.troubles.empty() ? 0 : 1;
    }
    work.tell(list_text(work.set(), catalogue), list_json(work.set(), catalogue));
    return catalogue.troubles.empty() ? 0 : 1;
}

int info(const Work& work) {
    const std::vector<CatalogueEntry> copies = wanted_copies(work, work.catalogue(work.stores()));
    work.tell(info_text(copies), info_json(copies));
    return 0;
}

int verify(const Work& work) {
    Json arguments{{"level", work.call().one("--level").value_or("readable")}};
    if (const auto id = work.call().one("--id")) arguments["id"] = *id;
    if (work.call().has("--store")) arguments["stores"] = stores_asked(work.call());
    const Outputs outputs = work.do_now("backup.verify", std::move(arguments));
    work.tell(outputs_text("backup of '" + work.set().name + "' verified:", outputs),
              outputs_json(work.set(), outputs));
    return 0;
}

std::optional<Timestamp> time_asked(const Call& call) {
    const auto text = call.one("--before");
    if (!text) return std::nullopt;
    const auto when = parse_timestamp(*text);
    if (!when)
        throw Error{ErrorCode::usage, "'" + printable(*text) + "' is no time",
                    "Write it like `2026-02-01T02:00:00Z`, with the zone."};
    return when;
}

Level fetch_level(const Call& call) {
    const std::string name = call.one("--level").value_or("readable");
    const auto level = level_named(name);
    if (level == Level::checksummed || level == Level::readable) return *level;
    throw Error{ErrorCode::usage, "'" + name + "' is no level of a fetch", "It is one of checksummed, readable."};
}

int fetch(const Work& work) {
    if (work.call().all("--to").size() > 1)
        throw Error{ErrorCode::usage, "a backup is fetched into one folder", "Say `--to` once."};
    const auto to = work.call().one("--to");
    if (!to) throw Error{ErrorCode::usage, "where the backup goes is not said", "Say `--to <folder>`."};
    const Stores stores = work.stores();
    const Catalogue catalogue = work.catalogue(stores);
    const bool archived = !work.call().has("--at-hand");
    const Selection selection = select_backups(catalogue.entries, {.now = work.session().clock.now(),
                                                                   .before = time_asked(work.call()),
                                                                   .id = work.call().one("--id").value_or(""),
                                                                   .archived = archived});
    if (selection.eligible.empty()) throw no_candidate(work.set(), selection, catalogue);
    FetchRequest request{.set = work.set().name,
                         .stores = stores,
                         .foreign = foreign_layout(work.set()),
                         .keys = keys_of(work.world(), work.set()),
                         .folder = std::filesystem::absolute(*to),
                         .level = fetch_level(work.call()),
                         .archived = archived};
    for (const CatalogueEntry& entry : selection.eligible)
        request.candidates.push_back({.id = entry.id, .store = entry.store, .manifest_sha256 = entry.manifest_sha256});
    request.refused = [&](const std::vector<FetchRefusal>& so_far) {
        work.session().terminal.talk("refused backup '" + so_far.back().id + "' in '" + so_far.back().store +
                                     "': " + printable(so_far.back().why) + "\n");
    };
    const Scratch scratch(work.state(), "backup-fetch");
    const BackupWork around{
        .control = work.control(),
        .workspace = scratch.workspace("work"),
        .run = [&](const Command& command) { return run_child(command, {.stop = work.control().stop}); },
        .progress =
            [&](const std::string& what, std::optional<std::uint64_t> done, std::optional<std::uint64_t> total) {
                work.progress({.what = what, .done = done, .total = total});
            },
        .log = [&](std::string_view line) { work.session().terminal.talk(printable(std::string(line)) + "\n"); }};
    const Fetched fetched = work.shown([&] { return fetch_backup(request, around); });
    Json components = Json::object();
    for (const auto& [name, path] : fetched.components)
        components[name] = path.string();
    const Outputs outputs{{"id", fetched.from.id},
                          {"store", fetched.from.store},
                          {"folder", fetched.folder.string()},
                          {"components", std::move(components)},
                          {"consistent_at", time_of(fetched.manifest)},
                          {"kept", fetched.kept}};
    work.tell(outputs_text("backup of '" + work.set().name + "' fetched:", outputs), outputs_json(work.set(), outputs));
    return 0;
}

int prune(const Work& work) {
    if (work.call().has("--confirm")) {
        Json arguments = Json::object();
        if (work.call().has("--store")) arguments["stores"] = stores_asked(work.call());
        const Outputs outputs = work.do_now("backup.prune", std::move(arguments));
        work.tell(outputs_text("backups of '" + work.set().name + "' pruned:", outputs),
                  outputs_json(work.set(), outputs));
        return outputs.at("failed").empty() ? 0 : 1;
    }
    refuse_foreign(work.set());
    const Stores stores = work.stores();
    std::vector<std::string> names;
    for (const auto& store : stores)
        names.push_back(store->name());
    const PrunePlan plan =
        plan_prune(work.catalogue(stores), names, policy_from(work.set().retain, work.set().max_count),
                   work.set().max_age, work.session().clock.now());
    work.tell(prune_text(plan), prune_json(work.set(), plan));
    work.session().terminal.talk("nothing was removed; `lifeboat backup prune " + work.set().name +
                                 " --confirm` does it\n");
    return 0;
}

int pin(const Work& work) {
    const bool pinned = *work.call().one("what") == "pin";
    if (!work.call().has("--id")) throw Error{ErrorCode::usage, "which backup is not said", "Say `--id <backup>`."};
    const Stores stores = work.stores();
    const std::vector<CatalogueEntry> copies = wanted_copies(work, work.catalogue(stores));
    for (const CatalogueEntry& copy : copies)
        write_note(*stores.at(copy.store_rank), work.set().name, copy.id,
                   pin_note(work.session().clock.now(), copy.manifest_sha256, pinned,
                            work.call().one("--reason").value_or(""), user_name()),
                   work.control());
    work.session().terminal.talk("backup '" + copies.front().id + "' is " +
                                 (pinned ? "pinned: it is never pruned" : "no longer pinned") + "\n");
    return 0;
}

Audit audit_of(const Work& work) {
    return audit_backups(audit_request(work.world(), work.set(), work.session().clock.now()),
                         work.catalogue(work.stores()));
}

// A set that cannot be looked at would not save the day, and the others are judged all the same.
int audit(const std::vector<Work>& sets) {
    std::vector<Audit> audits;
    for (const Work& work : sets) {
        try {
            audits.push_back(audit_of(work));
        } catch (const Error& error) {
            if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out) throw;
            audits.push_back({.set = work.set().name,
                              .newest = {},
                              .findings = {{.rule = "stores", .holds = false, .message = error.full_message()}}});
        }
    }
    sets.front().tell(audits_text(audits), audits_json(audits));
    return std::all_of(audits.begin(), audits.end(), [](const Audit& each) { return each.holds(); }) ? 0 : 1;
}

int audit(const Work& work) {
    return audit(std::vector<Work>{work});
}

struct Word {
    std::string name;
    int (*act)(const Work&);
};

const std::vector<Word>& words() {
    static const std::vector<Word> all{{"create", create}, {"complete", complete}, {"list", list},   {"info", info},
                                       {"verify", verify}, {"fetch", fetch},       {"prune", prune}, {"pin", pin},
                                       {"unpin", pin},     {"audit", audit}};
    return all;
}

std::vector<std::string> set_names(const Site& site) {
    std::vector<std::string> names;
    for (const auto& [name, set] : site.backups)
        names.push_back(name);
    return names;
}

std::string sets_hint(const Site& site) {
    if (site.backups.empty()) return "Sets are declared under `backups:` in the site.";
    return "The sets are: " + join(set_names(site), ", ") + ".";
}

const BackupSet& set_named(const Site& site, const std::string& name) {
    const auto found = site.backups.find(name);
    if (found != site.backups.end()) return found->second;
    throw Error{ErrorCode::usage,
                "the site has no backup set '" + printable(name) + "'" + did_you_mean(name, set_names(site)),
                sets_hint(site)};
}

int backup(const Call& call, Session& session) {
    const std::string what = *call.one("what");
    const auto word = std::find_if(words().begin(), words().end(), [&](const Word& each) { return each.name == what; });
    if (word == words().end()) {
        std::vector<std::string> known;
        for (const Word& each : words())
            known.push_back(each.name);
        throw Error{ErrorCode::usage,
                    "unknown word '" + printable(what) + "' after 'lifeboat backup'" + did_you_mean(what, known),
                    "It is one of " + join(known, ", ") + ", followed by a backup set."};
    }
    Loading loading(all_specs());
    const Site site = loading.site(session);
    loading.settle(session);
    const std::filesystem::path state = state_folder(site);
    const Hands hands(session, site, state);
    const Stop stop;
    if (!call.has("set")) {
        if (word->name != "audit")
            throw Error{ErrorCode::usage, "'lifeboat backup " + what + "' needs a backup set", sets_hint(site)};
        if (call.has("--store") || site.backups.empty())
            throw Error{ErrorCode::usage,
                        site.backups.empty() ? "the site has no backup sets" : "'--store' needs a backup set",
                        sets_hint(site)};
        std::vector<Work> sets;
        for (const auto& [name, set] : site.backups)
            sets.emplace_back(call, session, hands, set, state, stop);
        return audit(sets);
    }
    return word->act(Work(call, session, hands, set_named(site, *call.one("set")), state, stop));
}

}  // namespace

Subcommand backup_verb() {
    return {
        .spec =
            {.name = "backup",
             .summary = "make, complete, look at, verify, fetch and prune the backups of a set",
             .doc = "`create` dumps every resource of the set and writes it to every store of the set, manifest "
                    "last. `complete` copies the newest backup to the stores that miss it because they were down; with "
                    "`--id` another one, with `--all` every one that retention would keep there. `list` shows the "
                    "backups of a set, newest data first, with the level to which each was "
                    "verified; `info` shows one in full.\n"
                    "`verify` reads every copy as far as asked and notes the result beside it. `fetch` brings a "
                    "backup here, decrypted, from whichever store has it whole; what lies in cold storage is asked "
                    "for and waited for.\n"
                    "`prune` shows what the set's retention would remove, and removes it with `--confirm`; `pin` "
                    "keeps a backup from that. `audit` says whether the set would save the day: three copies, two "
                    "kinds of media, one off site, fresh, verified, encrypted, restored (exit 1 when not); without a "
                    "set it looks "
                    "at every one of the site.",
             .positionals = {{.name = "what",
                              .doc =
                                  "`create`, `complete`, `list`, `info`, `verify`, `fetch`, `prune`, `pin`, `unpin` or "
                                  "`audit`."},
                             {.name = "set",
                              .doc = "A backup set of the site; without one `audit` looks at all of them.",
                              .required = false}},
             .options = {{.name = "--id", .value = "backup", .doc = "This backup; without it the newest."},
                         {.name = "--store", .value = "name", .doc = "Only this store of the set.", .repeatable = true},
                         {.name = "--level",
                          .value = "level",
                          .doc = "How far `verify` goes: complete, checksummed, readable, restored or queried; and "
                                 "`fetch`: checksummed or readable. Without it readable."},
                         {.name = "--to",
                          .value = "place",
                          .doc = "The folder where `fetch` puts the backup; a store that `complete` fills.",
                          .repeatable = true},
                         {.name = "--from",
                          .value = "name",
                          .doc = "`complete` copies only from this store.",
                          .repeatable = true},
                         {.name = "--all", .value = "", .doc = "`complete`: every backup that retention would keep."},
                         {.name = "--before",
                          .value = "time",
                          .doc = "`fetch`: the newest whose data is not newer than that."},
                         {.name = "--at-hand",
                          .value = "",
                          .doc = "`fetch`: none that lies in cold storage, which would have to be waited for."},
                         {.name = "--confirm", .value = "", .doc = "`prune` removes what it shows."},
                         {.name = "--reason", .value = "text", .doc = "Why a backup is pinned."}},
             .examples = {"lifeboat backup create shop", "lifeboat backup complete shop", "lifeboat backup list shop",
                          "lifeboat backup verify shop --level checksummed",
                          "lifeboat backup fetch shop --to /tmp/shop", "lifeboat backup prune shop --confirm",
                          "lifeboat backup audit shop"}},
        .act = backup,
    };
}

}  // namespace lifeboat
