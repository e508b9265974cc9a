#include "actions/files_source.h"

#include "base/error.h"
#include "base/text.h"
#include "world/archive.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

std::string to_text(SourceKind kind) {
    switch (kind) {
        case SourceKind::tree:
            return "directory";
        case SourceKind::file:
            return "file";
        case SourceKind::tar:
            return "tar";
    }
    return "";
}

SourceKind kind_named(const std::string& name) {
    if (name == "file") return SourceKind::file;
    return name == "tar" ? SourceKind::tar : SourceKind::tree;
}

// Set-id bits belong to what was backed up, so they come back with it.
ExtractOptions options_for(const FilesSource& source, const StagingRules& rules) {
    return {.inside = source.inside, .links_may_lead_out = rules.links_out, .keep_set_id = true};
}

bool is_compressed(const fs::path& path) {
    const std::string ending = path.extension().string();
    return ending == ".gz" || ending == ".tgz" || ending == ".zst" || ending == ".xz" || ending == ".bz2" ||
           ending == ".zip";
}

// The only file of the archive, when it holds nothing else.
std::optional<std::string> single_file(const fs::path& archive, const WorkControl& control) {
    const TreeListing listing = list_tar(archive, {.links_may_lead_out = true}, control);
    if (listing.size() != 2 || listing.rbegin()->second.type != EntryType::file) return std::nullopt;
    return listing.rbegin()->first;
}

void settle_archive(FilesSource& source, const fs::path& live, const WorkControl& control) {
    if (!source.inside.empty()) {
        const TreeListing listing =
            list_tar(source.path, {.inside = source.inside, .links_may_lead_out = true}, control);
        source.gives_file = listing.at(".").type == EntryType::file;
        return;
    }
    const auto status = fs::symlink_status(live);
    if (fs::is_directory(status)) return;
    const auto only = single_file(source.path, control);
    if (only && (fs::is_regular_file(status) || *only == live.filename())) {
        source.inside = *only;
        source.gives_file = true;
    }
}

void require_fingerprint(const TreeListing& listing, const StagingRules& rules, const FilesSource& source) {
    if (rules.fingerprint.empty()) return;
    const std::string found = fingerprint(listing);
    if (found == rules.fingerprint) return;
    throw Error{ErrorCode::corrupt,
                "'" + source.path.string() + "' has the fingerprint " + found + " instead of " + rules.fingerprint,
                "Take another backup."};
}

}  // namespace

Json to_json(const FilesSource& source) {
    return {{"kind", to_text(source.kind)},
            {"path", source.path.string()},
            {"inside", source.inside},
            {"gives_file", source.gives_file}};
}

FilesSource files_source_from_json(const Json& value) {
    return {.kind = kind_named(value.at("kind").get<std::string>()),
            .path = value.at("path").get<std::string>(),
            .inside = value.at("inside").get<std::string>(),
            .gives_file = value.at("gives_file").get<bool>()};
}

FilesSource find_files_source(const fs::path& from, const std::string& inside, const std::string& resource,
                              const fs::path& live, const WorkControl& control) {
    std::error_code failed;
    const fs::path real = fs::canonical(from, failed);
    if (failed) throw_errno("look at '" + from.string() + "'", failed.value());
    if (lies_within(real, live) || lies_within(live, real)) {
        throw Error{ErrorCode::refused,
                    "'" + from.string() + "' and the target '" + live.string() + "' lie within each other",
                    "Restore from a copy that stands elsewhere."};
    }
    FilesSource source{.path = real, .inside = inside};
    const auto status = fs::status(real);
    const fs::path component = real / resource / (resource + ".tar");
    if (fs::is_directory(status) && inside.empty() && fs::is_regular_file(component)) {
        source.kind = SourceKind::tar;
        source.path = component;
        settle_archive(source, live, control);
    } else if (fs::is_directory(status)) {
        source.kind = SourceKind::tree;
        if (!inside.empty()) {
            source.path = fs::weakly_canonical(real / inside);
            if (!lies_within(source.path, real))
                throw Error{ErrorCode::refused, "'" + printable(inside) + "' leads out of '" + from.string() + "'"};
            source.inside.clear();
        }
        if (!identity_of(source.path)) throw Error{ErrorCode::not_found, "there is no '" + source.path.string() + "'"};
        source.gives_file = !fs::is_directory(source.path);
        if (source.gives_file) source.kind = SourceKind::file;
    } else if (fs::is_regular_file(status) && real.extension() == ".tar") {
        source.kind = SourceKind::tar;
        settle_archive(source, live, control);
    } else if (fs::is_regular_file(status)) {
        if (is_compressed(real) && real.extension() != live.extension()) {
            throw Error{ErrorCode::unsupported, "'" + from.string() + "' is compressed",
                        "Unpack it first, for example with a 'run' step, and restore from the result."};
        }
        source.kind = SourceKind::file;
        source.gives_file = true;
    } else {
        throw Error{ErrorCode::unsupported, "'" + from.string() + "' is neither a directory nor a file"};
    }
    return source;
}

Bytes size_of_source(const FilesSource& source, const WorkControl& control) {
    switch (source.kind) {
        case SourceKind::tree:
            return measure_tree(source.path, control).bytes;
        case SourceKind::file:
        case SourceKind::tar:
            return {fs::file_size(source.path)};
    }
    return {};
}

TreeListing stage_files(const FilesSource& source, const fs::path& staged, const StagingRules& rules,
                        const WorkControl& control) {
    try {
        TreeListing read;
        switch (source.kind) {
            case SourceKind::tree:
            case SourceKind::file:
                read = copy_tree(source.path, staged, control);
                break;
            case SourceKind::tar:
                read = extract_tar(source.path, staged, options_for(source, rules), control);
                break;
        }
        require_fingerprint(read, rules, source);
        TreeListing found = list_tree(staged, control);
        const auto wrong = differences(read, found, owners_that_can_be_set());
        if (!wrong.empty()) {
            Error error{
                ErrorCode::corrupt,
                "what was written to '" + staged.string() + "' does not read back as it should: " + join(wrong, ", "),
                "Check that file system."};
            error.details = Json{{"differences", wrong}};
            throw error;
        }
        return found;
    } catch (const Error&) {
        try {
            remove_tree(staged);
        } catch (const Error&) {
            // the undo tries again; the first error is the one to tell
        }
        throw;
    }
}

TreeListing list_source(const FilesSource& source, const StagingRules& rules, const WorkControl& control) {
    switch (source.kind) {
        case SourceKind::tree:
        case SourceKind::file:
            return list_tree(source.path, control);
        case SourceKind::tar:
            return list_tar(source.path, options_for(source, rules), control);
    }
    return {};
}

}  // namespace lifeboat
