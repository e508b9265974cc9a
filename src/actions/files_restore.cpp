#include <sys/stat.h>
#include <unistd.h>

#include "actions/files_family.h"
#include "actions/files_source.h"
#include "actions/files_swap.h"
#include "base/error.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "files.restore";
    spec.summary = "Restore a directory or file beside the live one, verify it, and exchange the two in one atomic act";
    spec.doc =
        "The source is written beside the target as '.lifeboat-<run>-<step>.staged', with modes, times and (as root) "
        "owners, and read back; only when "
        "it is what was read is it exchanged with the live one (renameat2 RENAME_EXCHANGE; where the file system has "
        "no exchange the old one is moved "
        "away first and the new one in last). The old one is kept as '<name>.lifeboat-<run>.old' until `lifeboat "
        "commit`. Undo exchanges them back and "
        "removes the restored copy. The probe compares the identity (inode and birth time) of what is live with what "
        "was live before and with what was "
        "staged. An archive that holds anything dangerous is refused as a whole. Mount points are not supported.";
    spec.parameters = {
        {.name = "from",
         .type = ValueType::path,
         .doc = "A directory, a file, a '.tar' archive, or the folder of a fetched backup of several resources.",
         .required = true},
        {.name = "to",
         .type = ValueType::resource,
         .doc = "The directory or file to replace; it need not exist.",
         .required = true,
         .kind = "files",
         .target = true},
        {.name = "inside", .doc = "Only this path inside of the source, instead of all of it."},
        {.name = "fingerprint", .doc = "The fingerprint that the source must have, as a backup's manifest tells it."},
        {.name = "links_out",
         .type = ValueType::boolean,
         .doc = "Whether symbolic links of an archive may lead out of the restored directory.",
         .default_value = false},
    };
    spec.outputs = {
        {.name = "path", .type = ValueType::path, .doc = "What was replaced."},
        {.name = "kept", .type = ValueType::list, .doc = "The old state, removed by `lifeboat commit`: 'file:/path'."},
        {.name = "digest", .doc = "Fingerprint of what is live now."},
        {.name = "entries", .type = ValueType::integer, .doc = "Files, directories and links restored."},
        {.name = "bytes", .type = ValueType::integer, .doc = "Bytes in the restored files."},
        {.name = "writes_stopped_at",
         .type = ValueType::timestamp,
         .doc = "When the old one was taken away.",
         .role = OutputRole::writes_stopped_at},
    };
    spec.effect = Effect::change;
    spec.has_probe = true;
    spec.errors = {{ErrorCode::moved, true},      {ErrorCode::refused, true},    {ErrorCode::unsupported, true},
                   {ErrorCode::corrupt, true},    {ErrorCode::incomplete, true}, {ErrorCode::limit_exceeded, false},
                   {ErrorCode::not_found, false}, {ErrorCode::denied, false},    {ErrorCode::disk_full, false},
                   {ErrorCode::io_failed, false}};
    spec.example =
        "- id: restore_config\n  uses: files.restore\n  with: {from: \"${{ steps.fetch.outputs.path }}\", to: "
        "config}\n";
    return spec;
}

constexpr Bytes worth_hashing{256u << 20};

// What is replaced, for the reader. A damaged one may not even be readable.
Json facts_of(const fs::path& live, const Context& context) {
    if (!identity_of(live)) return nullptr;
    try {
        const WorkControl control = paced(context, "looking at '" + live.string() + "'");
        const TreeSize size = measure_tree(live, control);
        Json facts{{"entries", size.entries}, {"bytes", size.bytes.count}};
        if (size.bytes <= worth_hashing) facts["digest"] = fingerprint_tree(live, control);
        return facts;
    } catch (const Error& error) {
        if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out) throw;
        return {{"unreadable", error.message}};
    }
}

void require_no_mounts(const fs::path& live) {
    const auto mounted = mounts_within(live);
    if (mounted.empty()) return;
    throw Error{ErrorCode::unsupported,
                "cannot exchange '" + live.string() + "': '" + mounted.front().string() + "' is a mount point",
                "Name a directory below the mount point as the resource instead."};
}

void require_same_kind(const FilesSource& source, const fs::path& live) {
    const auto status = fs::symlink_status(live);
    if (!fs::exists(status)) return;
    if (!fs::is_directory(status) && !fs::is_regular_file(status)) {
        throw Error{ErrorCode::unsupported, "'" + live.string() + "' is neither a directory nor a file"};
    }
    if (fs::is_directory(status) == source.gives_file) {
        throw Error{ErrorCode::refused,
                    "'" + live.string() + "' is a " + (source.gives_file ? "directory" : "file") + " and '" +
                        source.path.string() + "' gives a " + (source.gives_file ? "file" : "directory"),
                    "Check that the source belongs to this target."};
    }
}

class RestoreFiles final : public Action {
  public:
    explicit RestoreFiles(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Survey survey;
        if (!has_argument(context, "to")) return survey;
        const ResolvedResource resource = world_.resources.resolve(context.arguments.at("to"));
        const fs::path live = place_of_resource(world_, resource);
        struct stat status {};
        const bool exists = ::lstat(live.c_str(), &status) == 0;
        survey.findings.push_back(
            {.subject = "'" + live.string() + "'",
             .message = exists ? "exists, it will be kept until commit" : "does not exist, it will be made"});
        survey.findings.push_back(permission_finding(live.parent_path()));
        if (exists && !mounts_within(live).empty()) {
            survey.findings.push_back({.kind = FindingKind::blocker,
                                       .subject = "'" + live.string() + "'",
                                       .message = "is a mount point or holds one, which cannot be exchanged",
                                       .hint = "Name a directory below the mount point as the resource instead."});
        }
        if (exists && owners_that_can_be_set() == Owners::ignore && status.st_uid != ::geteuid()) {
            survey.findings.push_back(
                {.kind = FindingKind::warning,
                 .subject = "owner of '" + live.string() + "'",
                 .message = "only root can restore owners: everything will belong to the user who runs this"});
        }
        if (has_argument(context, "from")) {
            const WorkControl control = paced(context, "measuring the source");
            survey.bytes = size_of_source(source_of(resource, live, context, control), control);
        }
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
        require_no_mounts(live);
        const FilesSource source = source_of(resource, live, context, paced(context, "looking at the source"));
        require_same_kind(source, live);
        const FilesSwap swap{.live = live,
                             .staged = staged_beside(live, context),
                             .kept = kept_beside(live, context),
                             .old = identity_of(live)};
        if (identity_of(swap.kept)) {
            throw Error{
                ErrorCode::already_exists,
                "'" + swap.kept.string() + "' is there already, so the old state could not be kept under its name"};
        }
        return {{"swap", to_json(swap)}, {"source", to_json(source)}, {"before", facts_of(live, context)}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const FilesSwap swap = files_swap_from_json(intent.at("swap"));
        const FilesSource source = files_source_from_json(intent.at("source"));
        const StagingRules rules = rules_of(context);
        require_no_mounts(swap.live);
        switch (phase_of(swap)) {
            case SwapPhase::before:
                if (swap.old)
                    remove_tree(swap.kept);  // carries the run and is not the old one: from an attempt that was cut
                break;
            case SwapPhase::away:
                break;
            case SwapPhase::done:
                return outputs_of_finished(swap, source, rules, context);
            case SwapPhase::foreign:
                step_forward(swap);  // throws
        }
        remove_tree(swap.staged);
        const auto size = size_of_source(source, paced(context, "measuring the source"));
        const TreeListing listing =
            stage_files(source, swap.staged, rules,
                        paced(context, "restoring beside '" + swap.live.string() + "'", size.count * 2));
        const auto fresh = identity_of(swap.staged);
        const TreeSize restored = size_of(listing);
        const Json facts{{"identity", to_json(*fresh)},
                         {"digest", fingerprint(listing)},
                         {"entries", restored.entries},
                         {"bytes", restored.bytes.count},
                         {"swapped_at", to_text(context.clock->now())}};
        context.note("fresh", facts);
        try {
            while (step_forward(swap)) {
            }
        } catch (const Error& error) {
            if (error.code == ErrorCode::moved) discard(swap, *fresh);
            throw;
        }
        return outputs(swap, facts);
    }

    ProbeResult probe(const Intent& intent, const Notes& notes, Context&) const override {
        const FilesSwap swap = files_swap_from_json(intent.at("swap"));
        return probe_swap(swap, notes, [&swap](const Json& fresh) { return outputs(swap, fresh); });
    }

    std::string undo(const Intent& intent, const Notes& notes, Context&) const override {
        const FilesSwap swap = files_swap_from_json(intent.at("swap"));
        const std::optional<FileIdentity> fresh = fresh_of(notes);
        const SwapPhase found = phase_of(swap);
        bool moved = false;
        while (step_back(swap, fresh))
            moved = true;
        return moved ? told_undo(swap, found, fresh) : "";
    }

  private:
    FilesSource source_of(const ResolvedResource& resource, const fs::path& live, const Context& context,
                          const WorkControl& control) const {
        const std::string inside =
            has_argument(context, "inside") ? context.arguments.at("inside").get<std::string>() : "";
        return find_files_source(path_argument(context, "from"), inside, resource.name, live, control);
    }

    static StagingRules rules_of(const Context& context) {
        return {.links_out = context.arguments.value("links_out", Json(false)) == Json(true),
                .fingerprint =
                    has_argument(context, "fingerprint") ? context.arguments.at("fingerprint").get<std::string>() : ""};
    }

    // An attempt before this one got as far as the swap and was cut.
    static Outputs outputs_of_finished(const FilesSwap& swap, const FilesSource& source, const StagingRules& rules,
                                       const Context& context) {
        const WorkControl control = paced(context, "comparing '" + swap.live.string() + "' with its source");
        const TreeListing found = list_tree(swap.live, control);
        const auto wrong = differences(list_source(source, rules, control), found, owners_that_can_be_set());
        if (!wrong.empty()) {
            throw Error{ErrorCode::moved, "'" + swap.live.string() +
                                              "' is not what it was when this step was prepared: " + join(wrong, ", ")};
        }
        const TreeSize size = size_of(found);
        return outputs(swap, {{"digest", fingerprint(found)},
                              {"entries", size.entries},
                              {"bytes", size.bytes.count},
                              {"swapped_at", to_text(context.clock->now())}});
    }

    // The swap did not take place: what was staged goes, under whichever of its two names.
    static void discard(const FilesSwap& swap, const FileIdentity& fresh) {
        for (const auto& path : {swap.staged, swap.kept}) {
            if (is_at(path, fresh)) remove_tree(path);
        }
    }

    static Outputs outputs(const FilesSwap& swap, const Json& facts) {
        return {
            {"path", swap.live.string()},   {"kept", swap.old ? Json::array({kept_file(swap.kept)}) : Json::array()},
            {"digest", facts.at("digest")}, {"entries", facts.at("entries")},
            {"bytes", facts.at("bytes")},   {"writes_stopped_at", facts.at("swapped_at")}};
    }

    ActionWorld world_;
    ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> files_restore(const ActionWorld& world) {
    return std::make_unique<RestoreFiles>(world);
}

}  // namespace lifeboat
