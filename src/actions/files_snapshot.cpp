#include "actions/files_family.h"
#include "base/error.h"
#include "world/files.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "files.snapshot";
    spec.summary = "Copy a directory, file or SQLite database beside itself, as it is now";
    spec.doc =
        "A safety copy '.lifeboat-<run>-<step>.snapshot' beside the original, which stays as it is; when the copy "
        "cannot be made the step fails before "
        "anything else is touched. An SQLite database is copied consistently by its backup API, beside its users; one "
        "that is too damaged for that is "
        "copied byte for byte, together with its -wal and -journal, into a directory of that name. `lifeboat commit` "
        "removes the copy, and so does undo.";
    spec.parameters = {
        {.name = "of", .type = ValueType::resource, .doc = "What is copied.", .required = true, .kind = "files|sqlite"},
    };
    spec.outputs = {
        {.name = "path", .type = ValueType::path, .doc = "The copy."},
        {.name = "digest", .doc = "Of the copy: SHA-256 of a database, fingerprint of a directory or file."},
        {.name = "bytes", .type = ValueType::integer, .doc = "Bytes copied."},
        {.name = "exact",
         .type = ValueType::boolean,
         .doc = "Whether the bytes are those of the original (a database's copy is consistent instead)."},
        {.name = "kept", .type = ValueType::list, .doc = "The copy, removed by `lifeboat commit`."},
    };
    spec.effect = Effect::stage;
    spec.errors = {{ErrorCode::moved, true},      {ErrorCode::not_found, false}, {ErrorCode::denied, false},
                   {ErrorCode::disk_full, false}, {ErrorCode::busy, false},      {ErrorCode::unsupported, false}};
    spec.example = "- id: safety_copy\n  uses: files.snapshot\n  with: {of: config}\n";
    return spec;
}

class Snapshot final : public Action {
  public:
    explicit Snapshot(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Survey survey;
        if (!has_argument(context, "of")) return survey;
        const fs::path path = place_of_resource(world_, world_.resources.resolve(context.arguments.at("of")));
        if (!identity_of(path)) {
            survey.findings.push_back({.kind = FindingKind::blocker,
                                       .subject = "'" + path.string() + "'",
                                       .message = "does not exist, so it cannot be copied"});
            return survey;
        }
        survey.bytes = measure_tree(path, paced(context, "measuring '" + path.string() + "'")).bytes;
        survey.findings.push_back(permission_finding(path.parent_path()));
        survey.findings.push_back(
            space_finding(path.parent_path(), survey.bytes, {}, "to copy '" + path.string() + "'"));
        return survey;
    }

    Intent prepare(Context& context) const override {
        const ResolvedResource resource = world_.resources.resolve(context.arguments.at("of"));
        const fs::path path = place_of_resource(world_, resource);
        const auto identity = identity_of(path);
        if (!identity) throw Error{ErrorCode::not_found, "there is no '" + path.string() + "' to copy"};
        fs::path copy = staged_beside(path, context);
        copy.replace_extension(".snapshot");
        return {{"path", path.string()},
                {"copy", copy.string()},
                {"database", resource.type == "sqlite"},
                {"identity", to_json(*identity)}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const fs::path path = intent.at("path").get<std::string>();
        const fs::path copy = intent.at("copy").get<std::string>();
        const auto there = identity_of(path);
        if (!there || !same_object(*there, file_identity_from_json(intent.at("identity")))) {
            throw Error{ErrorCode::moved, "'" + path.string() + "' is not what it was when this step was prepared"};
        }
        remove_tree(copy);
        const WorkControl control = paced(context, "copying '" + path.string() + "'");
        try {
            return intent.at("database").get<bool>() ? copy_database(path, copy, control, context)
                                                     : copy_files(path, copy, control);
        } catch (const Error&) {
            discard(copy);
            throw;
        }
    }

    std::string undo(const Intent& intent, const Notes&, Context&) const override {
        const std::string copy = intent.at("copy");
        return remove_tree(copy) ? "removed the copy '" + copy + "'" : "";
    }

  private:
    static void discard(const fs::path& copy) {
        try {
            remove_tree(copy);
        } catch (const Error&) {
            // the undo tries again; the first error is the one to tell
        }
    }

    static Outputs outputs(const fs::path& copy, const std::string& digest, std::uint64_t bytes, bool exact) {
        return {{"path", copy.string()},
                {"digest", digest},
                {"bytes", bytes},
                {"exact", exact},
                {"kept", Json::array({kept_file(copy)})}};
    }

    static Outputs copy_files(const fs::path& path, const fs::path& copy, const WorkControl& control) {
        const TreeListing read = copy_tree(path, copy, control);
        const auto wrong = differences(read, list_tree(copy, control), owners_that_can_be_set());
        if (!wrong.empty())
            throw Error{ErrorCode::corrupt,
                        "the copy of '" + path.string() + "' does not read back as it should: " + wrong.front()};
        return outputs(copy, fingerprint(read), size_of(read).bytes.count, true);
    }

    Outputs copy_database(const fs::path& path, const fs::path& copy, const WorkControl& control,
                          const Context& context) const {
        try {
            const HashedFile made = backup_sqlite(path, copy, world_.state / "looks", control);
            copy_owner_and_mode(path, copy);
            return outputs(copy, made.sha256, made.size, false);
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt) throw;
            context.log("'" + path.string() + "' is too damaged for a consistent copy (" + error.message +
                        "): its files are copied as they are");
        }
        make_directories(copy);
        std::uint64_t bytes = copy_and_hash(path, copy / path.filename(), control).size;
        for (const auto& suffix : sqlite_companions()) {
            const std::string beside = path.string() + suffix;
            if (suffix != "-shm" && identity_of(beside))
                bytes += copy_and_hash(beside, copy / (path.filename().string() + suffix), control).size;
        }
        return outputs(copy, fingerprint_tree(copy, control), bytes, true);
    }

    ActionWorld world_;
    ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> files_snapshot(const ActionWorld& world) {
    return std::make_unique<Snapshot>(world);
}

}  // namespace lifeboat
