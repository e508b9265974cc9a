// Tar archives (pax): written from trees with digests as it goes, read back with suspicion. Only plain tar is read
// here: whatever is compressed or encrypted is opened before (libarchive's own gzip reader does not check its
// checksums). An archive that holds anything dangerous is refused as a whole; what was extracted until then is removed
// (R29).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/size.h"
#include "base/time.h"
#include "world/byte_stream.h"
#include "world/control.h"
#include "world/files.h"
#include "world/tree.h"

namespace lifeboat {

// Reads `path` from its beginning to its end.
ByteSource read_from(const std::filesystem::path& path);

// A file that an earlier archive holds. The stamp is another one whenever the file may be: of files its times of
// change, of objects their validator.
struct ArchivedFile {
    TreeEntry entry;
    std::string stamp;
    bool operator==(const ArchivedFile&) const = default;
};
using ArchivedFiles = std::map<std::string, ArchivedFile>;  // by their paths

// A tree to be archived below `name`; with an empty name its root is the entry "." (a single file: its own file name).
struct NamedTree {
    std::string name;
    std::filesystem::path root;
    // False: it is left out, with whatever lies below it. Empty: everything is taken. Never asked for the root.
    std::function<bool(const std::string& path, EntryType type)> take = {};
    // A file that is the same here, its content too, is read and listed but not archived again. Lives as long as the
    // call.
    const ArchivedFiles* elsewhere = nullptr;
};

struct ArchivedTree {
    TreeListing listing;                        // what was read
    std::map<std::string, std::string> stamps;  // of the files
    std::set<std::string> elsewhere;            // files that are only listed
    bool operator==(const ArchivedTree&) const = default;
};

struct WrittenTar {
    HashedFile file;                  // of the archive's own bytes
    std::vector<ArchivedTree> trees;  // in the order given
};
// Modes, owners, times, links and extended attributes are kept; sockets are left out, FIFOs and devices are
// Error{unsupported}. A file that shrinks while it is read is Error{busy}.
WrittenTar write_tar(const std::vector<NamedTree>& trees, const ByteSink& sink, const WorkControl& control = {});
// To a new file of mode 0600, synced; removed again when it fails.
WrittenTar write_tar(const std::vector<NamedTree>& trees, const std::filesystem::path& to,
                     const WorkControl& control = {});

// Files that stand in no directory, with mode 0644; folders above them are implied.
struct OpenedMember {
    std::uint64_t size = 0;
    std::optional<Timestamp> modified;
    std::function<void(const ByteSink& sink)> give;  // exactly `size` bytes: others are Error{busy}
};
struct TarMember {
    std::string path;
    std::function<std::optional<OpenedMember>()> open;  // nullopt: it is no longer there, and left out
};
struct WrittenMembers {
    HashedFile file;
    TreeListing listing;  // of the members alone
};
// To a new file likewise. An archive of no members holds its root.
WrittenMembers write_tar_of(const std::vector<TarMember>& members, const std::filesystem::path& to,
                            const WorkControl& control = {});

// One archive out of several that were written here: of each the entries that `wanted` is true for. To a new file
// likewise.
struct TarLayer {
    std::filesystem::path archive;
    std::function<bool(const std::string& path)> wanted;
};
HashedFile merge_tars(const std::vector<TarLayer>& layers, const std::filesystem::path& to,
                      const WorkControl& control = {});

struct ExtractLimits {
    Bytes bytes{std::uint64_t{1} << 44};  // of all files together, holes included
    std::uint64_t entries = 10'000'000;
    double ratio = 1000;  // of bytes extracted to bytes read, beyond the first 16 MiB
    std::size_t path_length = 4096;
    std::size_t depth = 256;
};

struct ExtractOptions {
    ExtractLimits limits;
    std::string
        inside;  // only what lies at or below this path in the archive, which becomes the root; empty: everything
    bool links_may_lead_out = false;  // symbolic links with absolute targets, or above the root, are made as they are
    bool keep_set_id = false;         // setuid and setgid bits of files (those of directories are kept)
};

// Extracts into `to`, which must not exist: a directory, or a file when `inside` names one. Refused as a whole
// (Error{refused}): absolute paths, `..`, links that lead out, hard links to anything but a file before it in the
// archive, devices, FIFOs, names used twice. Error{limit_exceeded} beyond a limit, Error{incomplete} when the archive
// is cut (its end marker is missing), Error{corrupt} when it is no tar. Owners are set when root. Synced when it
// returns; removed again when it fails. Returns what the archive says it holds, digests computed from the bytes; the
// caller compares with `list_tree(to)` and with its own manifest.
TreeListing extract_tar(const ByteSource& source, const std::filesystem::path& to, const ExtractOptions& options,
                        const WorkControl& control = {});
TreeListing extract_tar(const std::filesystem::path& archive, const std::filesystem::path& to,
                        const ExtractOptions& options, const WorkControl& control = {});

// The same reading and the same refusals without writing anything.
TreeListing list_tar(const ByteSource& source, const ExtractOptions& options = {}, const WorkControl& control = {});
TreeListing list_tar(const std::filesystem::path& archive, const ExtractOptions& options = {},
                     const WorkControl& control = {});

// Whether the file begins as a tar archive does.
bool looks_like_tar(const std::filesystem::path& path);

}  // namespace lifeboat
