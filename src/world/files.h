// Single files and names: durable writes, moves that a power cut cannot tear, who a file is, digests, copies, free
// space. "Durable" means: synced, and the directory that holds the name is synced too, when the function returns. All
// functions throw Error (denied, not_found, disk_full, io_failed, …) naming the path, and are safe to call from several
// threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/size.h"
#include "world/control.h"

namespace lifeboat {

// Which object a name stands for, whatever it is called. `born` is the birth time in ns, 0 where the file system keeps
// none.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t born = 0;
};
// By inode and birth time (device numbers may change at a reboot), by inode and device where there is no birth time.
bool same_object(const FileIdentity& a, const FileIdentity& b);
// {"device", "inode", "born"}
Json to_json(const FileIdentity& identity);
FileIdentity file_identity_from_json(const Json& value);
// Of the name itself (a link is not followed); nullopt when nothing is there.
std::optional<FileIdentity> identity_of(const std::filesystem::path& path);

// The whole file; Error{limit_exceeded} when it is larger than `limit`.
std::string read_small_file(const std::filesystem::path& path, Bytes limit = {1u << 20});

// Writes a temporary file beside, syncs it, and renames it over `path`: readers see the old content or the new.
void write_durably(const std::filesystem::path& path, std::string_view content, unsigned mode = 0600);

// Syncs the entries of a directory (names made, moved and removed in it).
void sync_directory(const std::filesystem::path& folder);
// mkdir -p with `mode` for what is made, durable.
void make_directories(const std::filesystem::path& folder, unsigned mode = 0700);

// Moves, durable; Error{already_exists} when `to` is there (never replaces).
void move_durably(const std::filesystem::path& from, const std::filesystem::path& to);
// Swaps two names (files or directories) in one atomic act (renameat2 RENAME_EXCHANGE), durable. Error{unsupported}
// where the file system cannot.
void exchange(const std::filesystem::path& a, const std::filesystem::path& b);
// Removes one file or link, durable. False when it was not there.
bool remove_file(const std::filesystem::path& path);

// Gives `to` (a file) the permission bits of `from` and, when root, its owner and group.
void copy_owner_and_mode(const std::filesystem::path& from, const std::filesystem::path& to);

struct HashedFile {
    std::uint64_t size = 0;
    std::string sha256;  // hexadecimal
};
// Copies the content and hashes it in the same pass; `to` must not exist, gets `mode`, and is synced (its directory
// too).
HashedFile copy_and_hash(const std::filesystem::path& from, const std::filesystem::path& to, const WorkControl& control,
                         unsigned mode = 0600);
HashedFile hash_file(const std::filesystem::path& path, const WorkControl& control = {});

// The file system that `path` lies on, or would lie on (its nearest existing ancestor is asked).
struct FileSystemSpace {
    std::filesystem::path mount_point;
    std::string type;  // "ext4"
    Bytes free;        // for this user
    Bytes total;
};
FileSystemSpace space_at(const std::filesystem::path& path);
bool same_filesystem(const std::filesystem::path& a, const std::filesystem::path& b);
// Mount points at `path` or below it, by this process's mount table; `path` is made canonical first.
std::vector<std::filesystem::path> mounts_within(const std::filesystem::path& path);

// Whether `path` is `folder` or lies below it, component by component and without looking at the disk:
// `/a/pg_tblspc` does not lie within `/a/pg` (R4).
bool lies_within(const std::filesystem::path& path, const std::filesystem::path& folder);
// Throws Error{invalid_file} unless `path` is absolute, not `/`, without `.`/`..` components and wildcards (R5). `what`
// names the field.
void require_definite_path(const std::filesystem::path& path, std::string_view what);

// A directory of mode 0700 with a unique name below `parent` (made when missing), removed with its content by the
// destructor.
class PrivateDirectory {
  public:
    explicit PrivateDirectory(const std::filesystem::path& parent, std::string_view prefix = "lifeboat-");
    ~PrivateDirectory();
    PrivateDirectory(PrivateDirectory&& other) noexcept;
    PrivateDirectory& operator=(PrivateDirectory&& other) noexcept;

    const std::filesystem::path& path() const { return path_; }
    // The directory stays when this object goes.
    std::filesystem::path keep();

  private:
    std::filesystem::path path_;
};

}  // namespace lifeboat
