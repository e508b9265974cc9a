#include "backup/layers.h"

#include <array>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

namespace {

constexpr Bytes index_limit{std::uint64_t{4} << 30};
constexpr std::string_view hexadecimal = "0123456789ABCDEF";

std::string escaped(std::string_view path) {
    std::string text;
    for (const char byte : path) {
        const auto value = static_cast<unsigned char>(byte);
        if (value > 0x20 && value < 0x7f && byte != '%') {
            text += byte;
            continue;
        }
        text += '%';
        text += hexadecimal[value >> 4u];
        text += hexadecimal[value & 15u];
    }
    return text;
}

std::string unescaped(std::string_view text) {
    std::string path;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            path += text[at];
            continue;
        }
        const std::size_t high = at + 2 < text.size() ? hexadecimal.find(text[at + 1]) : std::string_view::npos;
        const std::size_t low = at + 2 < text.size() ? hexadecimal.find(text[at + 2]) : std::string_view::npos;
        if (high == std::string_view::npos || low == std::string_view::npos)
            throw Error{ErrorCode::corrupt, "'" + printable(text) + "' is no path"};
        path += static_cast<char>(high * 16 + low);
        at += 2;
    }
    return path;
}

std::string_view name_of(EntryType type) {
    switch (type) {
        case EntryType::file:
            return "file";
        case EntryType::directory:
            return "directory";
        case EntryType::link:
            return "link";
        case EntryType::other:
            break;
    }
    return "other";
}

EntryType type_named(std::string_view name) {
    for (const EntryType type : {EntryType::file, EntryType::directory, EntryType::link})
        if (name_of(type) == name) return type;
    throw Error{ErrorCode::corrupt, "'" + printable(name) + "' is no type of entry"};
}

Json line_of(const std::string& path, const LayeredEntry& layered) {
    const TreeEntry& entry = layered.archived.entry;
    Json line{{"path", escaped(path)},
              {"type", name_of(entry.type)},
              {"mode", entry.mode},
              {"owner", entry.owner},
              {"group", entry.group}};
    if (entry.type == EntryType::link) line["target"] = escaped(entry.target);
    if (entry.type == EntryType::file) {
        line["size"] = entry.size;
        line["sha256"] = entry.sha256;
        line["stamp"] = layered.archived.stamp;
        line["in"] = layered.layer;
    }
    return line;
}

LayeredEntry entry_of(const Json& line) {
    LayeredEntry layered;
    TreeEntry& entry = layered.archived.entry;
    entry.type = type_named(line.at("type").get<std::string>());
    entry.mode = line.at("mode").get<unsigned>();
    entry.owner = line.at("owner").get<std::uint32_t>();
    entry.group = line.at("group").get<std::uint32_t>();
    if (entry.type == EntryType::link) entry.target = unescaped(line.at("target").get<std::string>());
    if (entry.type == EntryType::file) {
        entry.size = line.at("size").get<std::uint64_t>();
        entry.sha256 = line.at("sha256").get<std::string>();
        layered.archived.stamp = line.at("stamp").get<std::string>();
        layered.layer = line.at("in").get<std::string>();
    }
    return layered;
}

// The first thing in which an archive is not what the index says; empty: nothing.
std::string difference(const LayerIndex& index, const TreeListing& found) {
    for (const auto& [path, layered] : index) {
        const auto there = found.find(path);
        if (there == found.end()) return "'" + printable(path) + "' is missing";
        if (there->second != layered.archived.entry) return "'" + printable(path) + "' is something else";
    }
    for (const auto& [path, entry] : found)
        if (entry.type != EntryType::directory && !index.contains(path))
            return "'" + printable(path) + "' was not there";
    return {};
}

TreeListing listing_of(const std::filesystem::path& archive, const WorkControl& control) {
    return list_tar(archive, {.links_may_lead_out = true, .keep_set_id = true}, control);
}

bool is_right(const std::filesystem::path& archive, const LayerIndex& index, const WorkControl& control) {
    if (!std::filesystem::exists(archive)) return false;
    try {
        return difference(index, listing_of(archive, control)).empty();
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt && error.code != ErrorCode::incomplete) throw;
        return false;
    }
}

}  // namespace

std::string layer_key(std::string_view component, std::string_view backup) {
    return std::string(component) + "/" + std::string(backup) + ".tar";
}

std::string index_key(std::string_view component, std::string_view backup) {
    return std::string(component) + "/" + std::string(backup) + ".index";
}

bool is_index(std::string_view key) {
    return key.ends_with(".index");
}

const ManifestObject& index_object(const ManifestComponent& component) {
    if (component.objects.empty() || !is_index(component.objects.back().key))
        throw Error{ErrorCode::corrupt, "component '" + component.name + "' has no index of its layers"};
    return component.objects.back();
}

std::filesystem::path assembled_path(const ManifestComponent& component, const std::filesystem::path& folder) {
    return folder / component.name / (component.name + ".tar");
}

std::string index_text(const LayerIndex& index) {
    std::string text = to_text(Json{{"lifeboat", index_format}, {"entries", index.size()}}) + "\n";
    for (const auto& [path, layered] : index)
        text += to_text(line_of(path, layered)) + "\n";
    return text;
}

LayerIndex parse_index(std::string_view text, std::string_view where) {
    LayerIndex index;
    std::optional<std::uint64_t> entries;
    const auto damaged = [&](const std::string& why) {
        return Error{ErrorCode::corrupt, std::string(where) + ": " + why};
    };
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) throw damaged("its last line is cut");
        try {
            const Json line = parse_json(text.substr(0, end), where);
            if (!entries) {
                if (line.at("lifeboat") != index_format)
                    throw Error{ErrorCode::unsupported,
                                std::string(where) + ": its format is " + to_text(line.at("lifeboat")),
                                "Read this backup with the version of lifeboat that made it."};
                entries = line.at("entries").get<std::uint64_t>();
            } else if (!index.emplace(unescaped(line.at("path").get<std::string>()), entry_of(line)).second) {
                throw damaged("a path stands in it twice");
            }
        } catch (const Json::exception& error) {
            throw damaged(error.what());
        } catch (const Error& error) {
            if (error.code != ErrorCode::invalid_file) throw;
            throw damaged(error.message);
        }
        text.remove_prefix(end + 1);
    }
    if (entries != index.size()) throw damaged("it does not hold as many entries as it says");
    return index;
}

std::vector<ManifestObject> layered_objects(const LayerIndex& index, const std::optional<LayerBase>& base,
                                            std::vector<ManifestObject> own) {
    std::set<std::string> needed;
    for (const auto& [path, layered] : index)
        needed.insert(layered.layer);
    std::vector<ManifestObject> objects;
    if (base) {
        for (ManifestObject object : base->component.objects) {
            if (!needed.contains(object.key)) continue;
            if (object.from.empty()) object.from = base->backup;
            objects.push_back(std::move(object));
        }
    }
    for (ManifestObject& object : own)
        objects.push_back(std::move(object));
    return objects;
}

void assemble_layers(const ManifestComponent& component, const std::filesystem::path& folder,
                     const WorkControl& control) {
    const ManifestObject& last = index_object(component);
    const LayerIndex index =
        parse_index(read_small_file(folder / last.key, index_limit), "index of component '" + component.name + "'");
    const std::filesystem::path whole = assembled_path(component, folder);
    if (is_right(whole, index, control)) return;
    remove_file(whole);

    std::vector<TarLayer> layers;
    for (const ManifestObject& object : component.objects) {
        if (object.key == last.key) continue;
        const bool newest = object.from.empty();
        layers.push_back({.archive = folder / object.key, .wanted = [&index, &object, newest](const std::string& path) {
                              const auto found = index.find(path);
                              if (found == index.end()) return newest && path == ".";
                              const LayeredEntry& layered = found->second;
                              return layered.archived.entry.type == EntryType::file ? layered.layer == object.key
                                                                                    : newest;
                          }});
    }
    const std::filesystem::path beside = whole.string() + ".part";
    remove_file(beside);
    merge_tars(layers, beside, control);
    const std::string wrong = difference(index, listing_of(beside, control));
    if (!wrong.empty()) {
        remove_file(beside);
        throw Error{ErrorCode::corrupt,
                    "the layers of component '" + component.name + "' are not what its index says: " + wrong};
    }
    move_durably(beside, whole);
}

}  // namespace lifeboat
