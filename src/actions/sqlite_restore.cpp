#include <unistd.h>

#include "actions/files_family.h"
#include "actions/sqlite_swap.h"
#include "base/error.h"
#include "base/text.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "sqlite.restore";
    spec.summary = "Restore an SQLite database beside the live one, check it, and put it in its place";
    spec.doc =
        "The source is copied beside the target as '.lifeboat-<run>-<step>.staged' and checked; a source with a live "
        "-wal or -journal is refused, because "
        "the file alone is not the database. While another process has the live database open nothing is done. Then "
        "the old main file is moved away, "
        "after it its -wal, -shm and -journal, and the new file comes in last, so that a kill at any point leaves the "
        "old database, the new one, or "
        "nothing that opens. This is not atomic. The old files are kept as '<name>.lifeboat-<run>.old' (with '-wal' "
        "and so on) until `lifeboat commit`. Undo "
        "puts them back in the same manner. The probe compares the identity of the main file with the old one and the "
        "staged one.";
    spec.parameters = {
        {.name = "from",
         .type = ValueType::path,
         .doc = "A database file, or the folder of a fetched backup of several resources.",
         .required = true},
        {.name = "to",
         .type = ValueType::resource,
         .doc = "The database to replace; it need not exist.",
         .required = true,
         .kind = "sqlite",
         .target = true},
        {.name = "check",
         .doc = "How the restored file is checked before it is put in place: 'quick' leaves out that indexes match "
                "their tables.",
         .default_value = "full",
         .choices = {"quick", "full"}},
        {.name = "sha256", .doc = "The SHA-256 that the source must have, as a backup's manifest tells it."},
    };
    spec.outputs = {
        {.name = "path", .type = ValueType::path, .doc = "The database."},
        {.name = "kept", .type = ValueType::list, .doc = "The old files, removed by `lifeboat commit`: 'file:/path'."},
        {.name = "digest", .doc = "SHA-256 of the restored file."},
        {.name = "bytes", .type = ValueType::integer, .doc = "Its size."},
        {.name = "writes_stopped_at",
         .type = ValueType::timestamp,
         .doc = "When the old one was taken away.",
         .role = OutputRole::writes_stopped_at},
    };
    spec.effect = Effect::change;
    spec.has_probe = true;
    spec.errors = {{ErrorCode::busy, true},       {ErrorCode::moved, true},      {ErrorCode::refused, true},
                   {ErrorCode::corrupt, true},    {ErrorCode::not_found, false}, {ErrorCode::denied, false},
                   {ErrorCode::disk_full, false}, {ErrorCode::io_failed, false}};
    spec.example =
        "- id: restore_database\n  uses: sqlite.restore\n  with: {from: \"${{ steps.fetch.outputs.path }}\", to: db}\n";
    return spec;
}

std::string list_of(const FileHolders& found) {
    std::vector<std::string> names;
    for (const auto& holder : found.holders)
        names.push_back("'" + holder.command + "' (process " + std::to_string(holder.pid) + ")");
    return join(names, ", ");
}

void require_nobody(const fs::path& file, const fs::path& database) {
    const FileHolders found = who_has_open(file);
    if (found.holders.empty()) return;
    Error error{ErrorCode::busy, "the database '" + database.string() + "' is open in " + list_of(found),
                "Stop it first, for example with 'service.stop'."};
    error.details = Json{{"processes", Json::array()}};
    for (const auto& holder : found.holders)
        error.details["processes"].push_back(holder.pid);
    throw error;
}

class RestoreSqlite final : public Action {
  public:
    explicit RestoreSqlite(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Survey survey;
        if (!has_argument(context, "to")) return survey;
        const ResolvedResource resource = world_.resources.resolve(context.arguments.at("to"));
        const fs::path live = place_of_resource(world_, resource);
        const bool exists = identity_of(live).has_value();
        survey.findings.push_back({.subject = "'" + live.string() + "'",
                                   .message = exists ? "exists, it will be kept until commit; the swap is not atomic"
                                                     : "does not exist, it will be made"});
        survey.findings.push_back(permission_finding(live.parent_path()));
        const FileHolders found = who_has_open(live);
        if (!found.holders.empty()) {
            survey.findings.push_back({.kind = FindingKind::warning,
                                       .subject = "users of '" + live.string() + "'",
                                       .message = "it is open in " + list_of(found) + " now",
                                       .hint = "They must be stopped before this step."});
        } else if (!found.everyone_seen) {
            survey.findings.push_back({.kind = FindingKind::unknown,
                                       .subject = "users of '" + live.string() + "'",
                                       .message = "only root can see whether processes of other users have it open"});
        }
        if (has_argument(context, "from")) survey.bytes = Bytes{fs::file_size(source_of(resource, live, context))};
        survey.findings.push_back(space_finding(live.parent_path(), survey.bytes, context.expected_bytes,
                                                "to restore beside '" + live.string() + "'"));
        return survey;
    }

    Intent prepare(Context& context) const override {
        const ResolvedResource resource = world_.resources.resolve(context.arguments.at("to"));
        const fs::path live = place_of_resource(world_, resource);
        if (!fs::is_directory(live.parent_path())) {
            throw Error{ErrorCode::not_found, "the directory '" + live.parent_path().string() + "' does not exist"};
        }
        const auto status = fs::symlink_status(live);
        if (fs::exists(status) && !fs::is_regular_file(status))
            throw Error{ErrorCode::refused, "'" + live.string() + "' is no file"};
        const fs::path source = source_of(resource, live, context);
        require_quiet(source);
        const FilesSwap swap{.live = live,
                             .staged = staged_beside(live, context),
                             .kept = kept_beside(live, context),
                             .old = identity_of(live)};
        if (!kept_files(swap).empty()) {
            throw Error{
                ErrorCode::already_exists,
                "'" + swap.kept.string() + "' is there already, so the old state could not be kept under its name"};
        }
        Json before = nullptr;
        if (swap.old) before = {{"bytes", fs::file_size(live)}, {"companions", to_json(companions_of(live))}};
        return {{"swap", to_json(swap)}, {"source", source.string()}, {"before", std::move(before)}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const FilesSwap swap = files_swap_from_json(intent.at("swap"));
        const fs::path source = intent.at("source").get<std::string>();
        const SwapPhase found = phase_of(swap);
        switch (found) {
            case SwapPhase::before:
                if (swap.old) require_nobody(swap.live, swap.live);
                break;
            case SwapPhase::away:
                require_nobody(swap.kept, swap.live);
                break;
            case SwapPhase::done:
                return outputs_of_finished(swap, source, context);
            case SwapPhase::foreign:
                step_database_forward(swap);  // throws
        }
        require_quiet(source);
        const HashedFile staged = stage(swap, source, context);
        // Once something has been moved its companions may be on either side: they were noted before the first move.
        if (found == SwapPhase::before) context.note("companions", to_json(companions_of(swap.live)));
        const Json facts{{"identity", to_json(*identity_of(swap.staged))},
                         {"digest", staged.sha256},
                         {"bytes", staged.size},
                         {"swapped_at", to_text(context.clock->now())}};
        context.note("fresh", facts);
        put_in_place(swap, found);
        return outputs(swap, facts);
    }

    ProbeResult probe(const Intent& intent, const Notes& notes, Context&) const override {
        const FilesSwap swap = files_swap_from_json(intent.at("swap"));
        return probe_swap(swap, notes, [&swap](const Json& fresh) { return outputs(swap, fresh); });
    }

    std::string undo(const Intent& intent, const Notes& notes, Context&) const override {
        const FilesSwap swap = files_swap_from_json(intent.at("swap"));
        const std::optional<FileIdentity> fresh = fresh_of(notes);
        Companions companions;
        if (const auto note = notes.find("companions"); note != notes.end())
            companions = companions_from_json(note->second);
        const SwapPhase found = phase_of(swap);
        if (found == SwapPhase::done && fresh) require_nobody(swap.live, swap.live);
        // Nothing was moved yet: whatever stands beside is the live database's own.
        if (found == SwapPhase::before && !notes.contains("companions")) companions = companions_of(swap.live);
        bool moved = false;
        while (step_database_back(swap, fresh, companions))
            moved = true;
        return moved ? told_undo(swap, found, fresh) : "";
    }

  private:
    fs::path source_of(const ResolvedResource& resource, const fs::path& live, const Context& context) const {
        fs::path source = path_argument(context, "from");
        if (fs::is_directory(source)) {
            const fs::path folder = source;
            source = folder / resource.name / (resource.name + ".db");
            if (!identity_of(source)) {
                throw Error{ErrorCode::not_found,
                            "'" + folder.string() + "' holds no backup of '" + resource.name + "': there is no '" +
                                source.string() + "'",
                            "Name the database file itself."};
            }
        }
        std::error_code failed;
        const fs::path real = fs::canonical(source, failed);
        if (failed) throw_errno("look at '" + source.string() + "'", failed.value());
        if (real == live) throw Error{ErrorCode::refused, "'" + source.string() + "' is the live database itself"};
        if (!fs::is_regular_file(real)) throw Error{ErrorCode::refused, "'" + source.string() + "' is no file"};
        return real;
    }

    static void require_quiet(const fs::path& source) {
        const auto live = live_companions(source);
        if (live.empty()) return;
        throw Error{ErrorCode::refused,
                    "'" + source.string() + "' is not the whole database: '" + live.front().filename().string() +
                        "' beside it is not empty",
                    "Copy databases with 'backup.create', 'files.snapshot' or SQLite's own '.backup', not by copying "
                    "the file."};
    }

    HashedFile stage(const FilesSwap& swap, const fs::path& source, const Context& context) const {
        remove_tree(swap.staged);
        const std::uint64_t size = fs::file_size(source);
        try {
            const HashedFile copied = copy_and_hash(
                source, swap.staged,
                paced(context, "copying '" + source.string() + "' beside '" + swap.live.string() + "'", size));
            require_digest(copied, source, context);
            const auto problems = look_at(swap.staged, context);
            if (!problems.empty()) {
                Error error{ErrorCode::corrupt, "'" + source.string() + "' is damaged: " + problems.front(),
                            "Take another backup."};
                error.details = Json{{"problems", problems}};
                throw error;
            }
            if (hash_file(swap.staged, paced(context, "reading '" + swap.staged.string() + "' back", size)).sha256 !=
                copied.sha256) {
                throw Error{ErrorCode::corrupt,
                            "what was written to '" + swap.staged.string() + "' does not read back as it should",
                            "Check that file system."};
            }
            // The application must be able to open it as it opened the old one.
            copy_owner_and_mode(owner_model(swap, source), swap.staged);
            return copied;
        } catch (const Error&) {
            discard(swap.staged);
            throw;
        }
    }

    static fs::path owner_model(const FilesSwap& swap, const fs::path& source) {
        if (identity_of(swap.live)) return swap.live;
        return identity_of(swap.kept) ? swap.kept : source;
    }

    static void require_digest(const HashedFile& copied, const fs::path& source, const Context& context) {
        if (!has_argument(context, "sha256")) return;
        const auto wanted = context.arguments.at("sha256").get<std::string>();
        if (copied.sha256 == wanted) return;
        throw Error{ErrorCode::corrupt,
                    "'" + source.string() + "' has the SHA-256 " + copied.sha256 + " instead of " + wanted,
                    "Take another backup."};
    }

    std::vector<std::string> look_at(const fs::path& staged, const Context& context) const {
        const WorkControl control = paced(context, "checking the restored database");
        auto database = look_at_sqlite(staged, world_.state / "looks", {UINT64_MAX}, control);
        database.map_into_memory();
        const bool quick = has_argument(context, "check") && context.arguments.at("check") == "quick";
        return quick ? database.quick_check(control) : database.integrity_check(control);
    }

    static void discard(const fs::path& staged) {
        try {
            remove_tree(staged);
        } catch (const Error&) {
            // the undo tries again; the first error is the one to tell
        }
    }

    static void put_in_place(const FilesSwap& swap, SwapPhase found) {
        try {
            bool first = found == SwapPhase::before && swap.old;
            while (step_database_forward(swap)) {
                if (!std::exchange(first, false)) continue;
                // Somebody may have opened it between the look and the move; now that the name is gone nobody else can.
                try {
                    require_nobody(swap.kept, swap.live);
                } catch (const Error&) {
                    move_durably(swap.kept, swap.live);
                    throw;
                }
            }
        } catch (const Error& error) {
            if (error.code == ErrorCode::busy || error.code == ErrorCode::moved) discard(swap.staged);
            throw;
        }
    }

    // An attempt before this one got as far as the swap and was cut.
    static Outputs outputs_of_finished(const FilesSwap& swap, const fs::path& source, const Context& context) {
        const WorkControl control = paced(context, "comparing '" + swap.live.string() + "' with its source");
        const HashedFile live = hash_file(swap.live, control);
        if (live.sha256 != hash_file(source, control).sha256) {
            throw Error{ErrorCode::moved,
                        "the database '" + swap.live.string() + "' is not what it was when this step was prepared"};
        }
        return outputs(swap,
                       {{"digest", live.sha256}, {"bytes", live.size}, {"swapped_at", to_text(context.clock->now())}});
    }

    static Outputs outputs(const FilesSwap& swap, const Json& facts) {
        Json kept = Json::array();
        for (const auto& file : kept_files(swap))
            kept.push_back(kept_file(file));
        return {{"path", swap.live.string()},
                {"kept", std::move(kept)},
                {"digest", facts.at("digest")},
                {"bytes", facts.at("bytes")},
                {"writes_stopped_at", facts.at("swapped_at")}};
    }

    ActionWorld world_;
    ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> sqlite_restore(const ActionWorld& world) {
    return std::make_unique<RestoreSqlite>(world);
}

}  // namespace lifeboat
