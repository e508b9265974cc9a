// Format `layers` of a component: a tree of files, or the objects of a store, spread over the archives of several
// backups. Each backup adds one archive with what is new or changed since its parent, and an index of everything that
// there is now; what is unchanged stays in the archive that holds it already:
//   <name>/<id>.tar    the layers, oldest first; those of earlier backups lie in their folders
//   <name>/<id>.index  of the newest: one line of JSON about itself, then one for each entry, in the order of paths
// In the index every byte of a path that is not printable ASCII, and '%', stands as %XX.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "backup/manifest.h"
#include "world/archive.h"
#include "world/control.h"

namespace lifeboat {

inline constexpr std::string_view layers_format = "layers";
inline constexpr std::string_view index_format = "layer-index/v1";

struct LayeredEntry {
    ArchivedFile archived;
    std::string layer;  // of files: the key of the archive that holds it
    bool operator==(const LayeredEntry&) const = default;
};
using LayerIndex = std::map<std::string, LayeredEntry>;  // by path

// What an earlier backup has of a component.
struct LayerBase {
    std::string backup;  // its id
    ManifestComponent component;
    LayerIndex index;
};

std::string layer_key(std::string_view component, std::string_view backup);
std::string index_key(std::string_view component, std::string_view backup);
// Indexes are read whenever something is built on a backup: they have to be at hand.
bool is_index(std::string_view key);
// Of a component in this format, the one that ends the list.
const ManifestObject& index_object(const ManifestComponent& component);
// The file that the layers become below a backup's folder.
std::filesystem::path assembled_path(const ManifestComponent& component, const std::filesystem::path& folder);

std::string index_text(const LayerIndex& index);
// Throws Error{corrupt} naming `where`, Error{unsupported} for another version.
LayerIndex parse_index(std::string_view text, std::string_view where);

// The component's objects from its base's layers that its index still needs, then its own layer and index, whose files
// lie below `folder` and are described by `own`.
std::vector<ManifestObject> layered_objects(const LayerIndex& index, const std::optional<LayerBase>& base,
                                            std::vector<ManifestObject> own);

// One archive out of the layers that lie below `folder` under their keys, at `assembled_path`: what was there when it
// was made. Compared with the index: Error{corrupt} when it is something else. Keeps one that is there and right.
void assemble_layers(const ManifestComponent& component, const std::filesystem::path& folder,
                     const WorkControl& control);

}  // namespace lifeboat
