// The manifest: what a backup is, written last and removed first, so that a backup without one does not exist. Format 1
// is read strictly: an unknown version, key, kind or a key that leaves the backup is Error{unsupported | corrupt},
// because a field that this program does not know (an encryption, a parent) may be what the data cannot be read
// without.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/size.h"
#include "base/time.h"

namespace lifeboat {

inline constexpr std::string_view manifest_format = "manifest/v1";
inline constexpr std::string_view compression_scheme = "zstd";

enum class ComponentKind { postgres, sqlite, redis, files, objects, output, archive };
std::string_view to_text(ComponentKind kind);

// How an object is encrypted (encryption.h).
struct ObjectEncryption {
    std::string scheme;
    std::string key_hint;  // which key it takes
    Bytes plain_size;
    std::string plain_sha256;  // lower-case hexadecimal; empty: not computed
    bool operator==(const ObjectEncryption&) const = default;
};

// How an object is compressed, before it is encrypted.
struct ObjectCompression {
    std::string scheme;  // "zstd"
    Bytes plain_size;
    std::string plain_sha256;  // lower-case hexadecimal
    bool operator==(const ObjectCompression&) const = default;
};

struct ManifestObject {
    std::string key;     // below the backup's folder: "shop/shop.dump"
    Bytes size;          // of the stored bytes
    std::string sha256;  // of the stored bytes, lower-case hexadecimal; empty: not stated by who made it
    std::optional<ObjectEncryption> encryption = std::nullopt;
    std::string stored_as = {};  // its whole key where another tool chose it; empty: below the backup's folder
    std::optional<ObjectCompression> compression = std::nullopt;
    std::string from = {};  // the earlier backup of the set in whose folder it lies; empty: this one

    bool is_packed() const { return encryption || compression; }  // what is stored is not what is restored from
    Bytes plain_size() const {
        if (compression) return compression->plain_size;
        return encryption ? encryption->plain_size : size;
    }
    const std::string& plain_sha256() const {
        if (compression) return compression->plain_sha256;
        return encryption ? encryption->plain_sha256 : sha256;
    }
    bool operator==(const ManifestObject&) const = default;
};

struct ManifestComponent {
    std::string name;  // of the resource; the folder of its objects
    ComponentKind kind = ComponentKind::files;
    std::string format;         // postgres: custom, directory, tar, plain; sqlite: database; redis: rdb; files and
                                // objects: tar, or layers (layers.h); output: raw
    Timestamp consistent_at{};  // nothing written before that instant is missing
    std::vector<ManifestObject> objects;
    Json facts =
        Json::object();  // measured at that instant: row counts, extensions, roles, encoding, versions, positions
    bool operator==(const ManifestComponent&) const = default;
};

struct Manifest {
    std::string id;
    std::string set;
    Timestamp started_at{};
    Timestamp consistent_at{};  // the oldest of its components'
    std::string made_by;        // "lifeboat 0.1.0"
    std::vector<ManifestComponent> components;
    std::string parent = {};  // of an incremental: the backup that it needs, and so that one's parent
    bool time_known = true;   // false where a foreign backup's name states none: `consistent_at` means nothing then
    bool operator==(const Manifest&) const = default;

    Bytes size() const;        // of the stored bytes, those of earlier backups too
    Bytes own_size() const;    // without those
    Bytes plain_size() const;  // of what is restored from
    bool encrypted() const;    // every object is
    std::size_t objects() const;
    const ManifestComponent* component(std::string_view name) const;
};

// Where an object lies in a store.
std::string stored_key(const Manifest& manifest, const ManifestObject& object);
std::vector<std::string> stored_keys(const Manifest& manifest);

Json to_json(const Manifest& manifest);
// The very bytes of manifest.json; their SHA-256 is the backup's identity in plans.
std::string manifest_text(const Manifest& manifest);
// `where` is named in errors. Throws Error{corrupt} for what is no manifest or contradicts itself, Error{unsupported}
// for another version.
Manifest parse_manifest(std::string_view text, std::string_view where);

// SHA256SUMS for `sha256sum -c` inside the backup's folder: every object, and the manifest.
std::string checksum_file(const Manifest& manifest, std::string_view manifest_sha256);

}  // namespace lifeboat
