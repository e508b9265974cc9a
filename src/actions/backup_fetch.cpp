#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "backup/fetch.h"
#include "backup/level.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/plan.h"
#include "world/files.h"
#include "world/postgres_programs.h"
#include "world/tree.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "backup.fetch";
    spec.summary = "Fetch the newest usable backup, verified, into the run's folder";
    spec.doc =
        "Goes down the candidates of the plan in their order: each is fetched, compared with its manifest byte for "
        "byte, and read "
        "through by its format's own reader. One that is damaged, incomplete or changed is refused with the reason and "
        "the next one "
        "taken. A store that is out of reach for now fails the attempt instead, so that a retry comes before older "
        "data. Another "
        "attempt keeps what is already verified. Of a backup that lies in cold storage every object is asked for and "
        "waited for, unless another copy is at hand; a killed wait goes on. Undo removes what was fetched.";
    spec.parameters = choice_parameters();
    spec.parameters.push_back({.name = "id", .doc = "This backup and no other."});
    spec.parameters.push_back({.name = "verify",
                               .doc = "How far each candidate is verified before it is taken.",
                               .default_value = "readable",
                               .choices = {"checksummed", "readable"}});
    spec.outputs = {
        {.name = "path",
         .type = ValueType::path,
         .doc = "The dump (a folder in directory format), database or archive; the backup's folder when it has several "
                "components."},
        {.name = "components",
         .type = ValueType::map,
         .doc = "The path of each component, by the name of its resource."},
        {.name = "id", .doc = "The backup that was taken."},
        {.name = "store", .doc = "The store that it came from."},
        {.name = "consistent_at",
         .type = ValueType::timestamp,
         .doc = "Its data is as of then.",
         .role = OutputRole::consistent_at},
        {.name = "manifest_sha256", .doc = "SHA-256 of its manifest."},
        {.name = "size", .type = ValueType::integer, .doc = "Of all its objects together, in bytes."},
        {.name = "manifest",
         .type = ValueType::map,
         .doc = "What its manifest says of each component: kind, format, time, facts."},
        {.name = "refused",
         .type = ValueType::list,
         .doc = "The candidates before it, with the reason: id, store, why."},
    };
    spec.effect = Effect::stage;
    spec.resumable = true;
    spec.repeatable = true;
    spec.errors = {
        {ErrorCode::moved, true},           {ErrorCode::unsupported, true},      {ErrorCode::no_candidate, false},
        {ErrorCode::disk_full, false},      {ErrorCode::program_missing, false}, {ErrorCode::unreachable, false},
        {ErrorCode::connection_lost, false}};
    spec.example = "- id: fetch\n  uses: backup.fetch\n  with: {backup: backup, before: \"${{ inputs.before }}\"}\n";
    return spec;
}

Json summary_of(const Manifest& manifest) {
    Json components = Json::object();
    for (const ManifestComponent& component : manifest.components)
        components[component.name] = {{"kind", to_text(component.kind)},
                                      {"format", component.format},
                                      {"consistent_at", to_text(component.consistent_at)},
                                      {"facts", component.facts}};
    return {{"id", manifest.id},
            {"set", manifest.set},
            {"started_at", to_text(manifest.started_at)},
            {"consistent_at", time_of(manifest)},
            {"made_by", manifest.made_by},
            {"components", std::move(components)}};
}

class FetchBackup final : public Action {
  public:
    explicit FetchBackup(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Selection selection;
        Survey survey = survey_choice(world_, context, selection);
        if (selection.eligible.empty()) return survey;
        const Manifest& manifest = *selection.eligible.front().manifest;
        if (const ColdShare& cold = selection.eligible.front().cold; cold.state != Thaw::ready)
            survey.waits = cold.takes;
        survey.findings.push_back(space_finding(manifest, context));
        if (level_of(context) >= Level::readable) look_for_readers(manifest, survey);
        return survey;
    }

    Intent prepare(Context& context) const override {
        return {{"set", backup_set(world_, context).name}, {"folder", (context.workspace / "backup").string()}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        FetchRequest request{.set = set.name,
                             .stores = open_stores(world_, set, {}, context.log),
                             .foreign = foreign_layout(set),
                             .keys = keys_of(world_, set),
                             .folder = intent.at("folder").get<std::string>(),
                             .level = level_of(context),
                             .archived = waits_for_archived(context)};
        Json passed_over = Json::array();
        request.candidates = candidates(set, request.stores, context, passed_over);
        request.refused = [&context](const std::vector<FetchRefusal>& so_far) {
            context.log("refused backup '" + so_far.back().id + "' in '" + so_far.back().store +
                        "': " + so_far.back().why);
            context.note("refused", to_json(so_far));
        };
        const Fetched fetched = fetch_backup(request, work_of(context));
        // later steps count on it, also after a power cut
        sync_directory(context.workspace.path().parent_path());

        Json components = Json::object();
        for (const auto& [name, path] : fetched.components)
            components[name] = path.string();
        Json refused = to_json(fetched.refused);
        refused.insert(refused.end(), passed_over.begin(), passed_over.end());
        const std::filesystem::path& path =
            fetched.components.size() == 1 ? fetched.components.begin()->second : fetched.folder;
        return {{"path", path.string()},
                {"components", std::move(components)},
                {"id", fetched.from.id},
                {"store", fetched.from.store},
                {"consistent_at", time_of(fetched.manifest)},
                {"manifest_sha256", fetched.from.manifest_sha256},
                {"size", fetched.manifest.size().count},
                {"manifest", summary_of(fetched.manifest)},
                {"refused", std::move(refused)}};
    }

    std::string undo(const Intent& intent, const Notes&, Context&) const override {
        const std::string folder = intent.at("folder");
        if (!remove_tree(folder)) return {};
        return "removed what was fetched into '" + folder + "'";
    }

  private:
    static Level level_of(const Context& context) {
        const std::string name = text_argument(context, "verify");
        return level_named(name.empty() ? "readable" : name).value_or(Level::readable);
    }

    // Those of the plan, or (where nothing was planned) those that there are now.
    std::vector<FetchCandidate> candidates(const BackupSet& set, const Stores& stores, const Context& context,
                                           Json& passed_over) const {
        std::vector<FetchCandidate> list;
        const std::string id = text_argument(context, "id");
        if (context.planned.is_array()) {
            for (const Json& value : context.planned) {
                const Candidate candidate = candidate_from_json(value);
                if (!candidate.refused.empty() || (!id.empty() && candidate.id != id)) continue;
                list.push_back(
                    {.id = candidate.id, .store = candidate.store, .manifest_sha256 = candidate.manifest_sha256});
            }
            if (list.empty() && !id.empty())
                throw Error{
                    ErrorCode::moved,
                    "backup '" + printable(id) + "' of set '" + set.name + "' is not among the candidates of the plan",
                    "Make a new plan."};
            if (list.empty())
                throw Error{ErrorCode::no_candidate, "the plan has no candidate of backup set '" + set.name + "'",
                            "'lifeboat backup list " + set.name + "' shows every backup."};
            return list;
        }
        const Catalogue catalogue = catalogue_of(set, stores, work_of(context).control);
        const Selection selection = select_backups(catalogue.entries, limits_of(context));
        if (selection.eligible.empty()) throw no_candidate(set, selection, catalogue);
        for (const CatalogueEntry& entry : selection.eligible)
            list.push_back({.id = entry.id, .store = entry.store, .manifest_sha256 = entry.manifest_sha256});
        if (id.empty()) passed_over = refused_json(selection, catalogue);
        return list;
    }

    static Finding space_finding(const Manifest& manifest, const Context& context) {
        const FileSystemSpace space = space_at(context.workspace);
        const Bytes needed = manifest.size();
        Finding finding{.subject = "free space on '" + space.mount_point.string() + "'",
                        .message = to_human(needed) + " needed to fetch backup '" + manifest.id + "', " +
                                   to_human(space.free) + " free"};
        if (space.free < needed) {
            finding.kind = FindingKind::blocker;
            finding.hint = "Free some space there, or put the site's 'state' on another file system.";
        }
        return finding;
    }

    static void look_for_readers(const Manifest& manifest, Survey& survey) {
        for (const ManifestComponent& component : manifest.components) {
            if (component.kind != ComponentKind::postgres || component.format == "plain") continue;
            const Json major = component.facts.value("dump_major", Json(0));
            Finding finding{.subject = "pg_restore"};
            try {
                const PostgresProgram program =
                    find_postgres_program("pg_restore", major.is_number_integer() ? major.get<int>() : 0);
                finding.message = "'" + program.path.string() + "' reads the dump of '" + component.name + "'";
            } catch (const Error& error) {
                finding.kind = FindingKind::blocker;
                finding.message = error.message;
                finding.hint = error.hint;
            }
            survey.findings.push_back(std::move(finding));
        }
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> backup_fetch(const ActionWorld& world) {
    return std::make_unique<FetchBackup>(world);
}

}  // namespace lifeboat
