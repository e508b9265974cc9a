#include "backup/manifest.h"

#include <algorithm>
#include <limits>
#include <set>

#include "backup/layout.h"
#include "base/error.h"
#include "base/text.h"
#include "stores/key.h"

namespace lifeboat {

namespace {

// Reads one JSON object whose keys are all known; every complaint says where.
class Fields {
  public:
    Fields(const Json& value, std::string where) : value_(value), where_(std::move(where)) {
        if (!value.is_object()) throw damaged("it is no object");
    }

    void only(std::initializer_list<std::string_view> names) const {
        for (const auto& [key, unused] : value_.items()) {
            if (std::find(names.begin(), names.end(), key) != names.end()) continue;
            throw Error{
                ErrorCode::unsupported,
                where_ + ": format '" + std::string(manifest_format) + "' has no field '" + printable(key) + "'",
                "Read this backup with the version of lifeboat that made it."};
        }
    }

    const Json& at(const char* name) const {
        const auto found = value_.find(name);
        if (found == value_.end()) throw damaged("field '" + std::string(name) + "' is missing");
        return *found;
    }
    std::string text(const char* name) const {
        const Json& value = at(name);
        if (!value.is_string() || value.get_ref<const std::string&>().empty())
            throw damaged("field '" + std::string(name) + "' is no text");
        return value;
    }
    Timestamp time(const char* name) const {
        const auto parsed = parse_timestamp(text(name));
        if (!parsed) throw damaged("field '" + std::string(name) + "' is no time");
        return *parsed;
    }
    std::uint64_t count(const char* name) const {
        const Json& value = at(name);
        if (!value.is_number_unsigned()) throw damaged("field '" + std::string(name) + "' is no size");
        return value;
    }
    const Json& list(const char* name) const {
        const Json& value = at(name);
        if (!value.is_array()) throw damaged("field '" + std::string(name) + "' is no list");
        return value;
    }

    Error damaged(const std::string& why) const { return Error{ErrorCode::corrupt, where_ + ": " + why}; }

  private:
    const Json& value_;
    std::string where_;
};

constexpr std::string_view hexadecimal = "0123456789abcdef";

ComponentKind kind_named(const Fields& fields, const std::string& name) {
    for (const ComponentKind kind :
         {ComponentKind::postgres, ComponentKind::sqlite, ComponentKind::redis, ComponentKind::files,
          ComponentKind::objects, ComponentKind::output, ComponentKind::archive})
        if (to_text(kind) == name) return kind;
    throw fields.damaged("'" + printable(name) + "' is no kind of component");
}

bool is_sha256(const std::string& text) {
    return text.size() == 64 && text.find_first_not_of(hexadecimal) == std::string::npos;
}

ObjectEncryption encryption_from_json(const Json& value, const std::string& where) {
    const Fields fields(value, where);
    fields.only({"scheme", "key", "plain_size", "plain_sha256"});
    ObjectEncryption encryption{.scheme = fields.text("scheme"),
                                .key_hint = fields.text("key"),
                                .plain_size = Bytes{fields.count("plain_size")},
                                .plain_sha256 = fields.text("plain_sha256")};
    if (!is_sha256(encryption.plain_sha256)) throw fields.damaged("field 'plain_sha256' is no SHA-256");
    return encryption;
}

ObjectCompression compression_from_json(const Json& value, const std::string& where) {
    const Fields fields(value, where);
    fields.only({"scheme", "plain_size", "plain_sha256"});
    ObjectCompression compression{.scheme = fields.text("scheme"),
                                  .plain_size = Bytes{fields.count("plain_size")},
                                  .plain_sha256 = fields.text("plain_sha256")};
    if (!is_sha256(compression.plain_sha256)) throw fields.damaged("field 'plain_sha256' is no SHA-256");
    return compression;
}

ManifestObject object_from_json(const Json& value, const std::string& component, const std::string& where) {
    const Fields fields(value, where);
    fields.only({"key", "size", "sha256", "encryption", "compression", "from"});
    ManifestObject object{
        .key = fields.text("key"), .size = Bytes{fields.count("size")}, .sha256 = fields.text("sha256")};
    const std::string why = key_refusal(object.key);
    if (!why.empty()) throw fields.damaged("object '" + printable(object.key) + "': " + why);
    if (!object.key.starts_with(component + "/"))
        throw fields.damaged("object '" + object.key + "' is not in the folder of its component");
    if (!is_sha256(object.sha256)) throw fields.damaged("field 'sha256' is no SHA-256");
    if (value.contains("encryption"))
        object.encryption = encryption_from_json(value.at("encryption"), where + ".encryption");
    if (value.contains("compression"))
        object.compression = compression_from_json(value.at("compression"), where + ".compression");
    if (value.contains("from")) {
        object.from = fields.text("from");
        if (!time_of_backup_id(object.from))
            throw fields.damaged("'" + printable(object.from) + "' is no id of a backup");
    }
    return object;
}

ManifestComponent component_from_json(const Json& value, const std::string& where) {
    const Fields fields(value, where);
    fields.only({"name", "kind", "format", "consistent_at", "objects", "facts"});
    ManifestComponent component{.name = fields.text("name")};
    component.kind = kind_named(fields, fields.text("kind"));
    component.format = fields.text("format");
    component.consistent_at = fields.time("consistent_at");
    component.facts = fields.at("facts");
    if (!component.facts.is_object()) throw fields.damaged("field 'facts' is no object");
    try {
        check_part_name(component.name, "component");
    } catch (const Error& error) {
        throw fields.damaged(error.message);
    }
    std::set<std::string> keys;
    for (const Json& object : fields.list("objects")) {
        component.objects.push_back(object_from_json(
            object, component.name, where + ".objects[" + std::to_string(component.objects.size()) + "]"));
        if (!keys.insert(component.objects.back().key).second)
            throw fields.damaged("object '" + component.objects.back().key + "' is named twice");
    }
    if (component.objects.empty()) throw fields.damaged("component '" + component.name + "' has no objects");
    return component;
}

Json to_json(const ManifestComponent& component) {
    Json objects = Json::array();
    for (const ManifestObject& object : component.objects) {
        objects.push_back({{"key", object.key}, {"size", object.size.count}, {"sha256", object.sha256}});
        if (const auto& encryption = object.encryption)
            objects.back()["encryption"] = {{"scheme", encryption->scheme},
                                            {"key", encryption->key_hint},
                                            {"plain_size", encryption->plain_size.count},
                                            {"plain_sha256", encryption->plain_sha256}};
        if (const auto& compression = object.compression)
            objects.back()["compression"] = {{"scheme", compression->scheme},
                                             {"plain_size", compression->plain_size.count},
                                             {"plain_sha256", compression->plain_sha256}};
        if (!object.from.empty()) objects.back()["from"] = object.from;
    }
    return {{"name", component.name},        {"kind", to_text(component.kind)},
            {"format", component.format},    {"consistent_at", to_text(component.consistent_at)},
            {"objects", std::move(objects)}, {"facts", component.facts}};
}

}  // namespace

std::string_view to_text(ComponentKind kind) {
    switch (kind) {
        case ComponentKind::postgres:
            return "postgres";
        case ComponentKind::sqlite:
            return "sqlite";
        case ComponentKind::redis:
            return "redis";
        case ComponentKind::files:
            return "files";
        case ComponentKind::objects:
            return "objects";
        case ComponentKind::output:
            return "output";
        case ComponentKind::archive:
            return "archive";
    }
    return {};
}

Bytes Manifest::size() const {
    Bytes total;
    for (const ManifestComponent& component : components)
        for (const ManifestObject& object : component.objects)
            total.count += object.size.count;
    return total;
}

Bytes Manifest::own_size() const {
    Bytes total;
    for (const ManifestComponent& component : components)
        for (const ManifestObject& object : component.objects)
            if (object.from.empty()) total.count += object.size.count;
    return total;
}

Bytes Manifest::plain_size() const {
    Bytes total;
    for (const ManifestComponent& component : components)
        for (const ManifestObject& object : component.objects)
            total.count += object.plain_size().count;
    return total;
}

bool Manifest::encrypted() const {
    return std::all_of(components.begin(), components.end(), [](const ManifestComponent& component) {
        return std::all_of(component.objects.begin(), component.objects.end(),
                           [](const ManifestObject& object) { return object.encryption.has_value(); });
    });
}

std::size_t Manifest::objects() const {
    std::size_t count = 0;
    for (const ManifestComponent& component : components)
        count += component.objects.size();
    return count;
}

const ManifestComponent* Manifest::component(std::string_view name) const {
    for (const ManifestComponent& component : components)
        if (component.name == name) return &component;
    return nullptr;
}

std::string stored_key(const Manifest& manifest, const ManifestObject& object) {
    if (!object.stored_as.empty()) return object.stored_as;
    return object_key(manifest.set, object.from.empty() ? manifest.id : object.from, object.key);
}

std::vector<std::string> stored_keys(const Manifest& manifest) {
    std::vector<std::string> keys;
    for (const ManifestComponent& component : manifest.components)
        for (const ManifestObject& object : component.objects)
            keys.push_back(stored_key(manifest, object));
    return keys;
}

Json to_json(const Manifest& manifest) {
    Json components = Json::array();
    for (const ManifestComponent& component : manifest.components)
        components.push_back(to_json(component));
    Json json{{"lifeboat", manifest_format},
              {"id", manifest.id},
              {"set", manifest.set},
              {"started_at", to_text(manifest.started_at)},
              {"consistent_at", to_text(manifest.consistent_at)},
              {"made_by", manifest.made_by}};
    if (!manifest.parent.empty()) json["parent"] = manifest.parent;
    json["components"] = std::move(components);
    return json;
}

std::string manifest_text(const Manifest& manifest) {
    return to_pretty_text(to_json(manifest)) + "\n";
}

Manifest parse_manifest(std::string_view text, std::string_view where) {
    const std::string name = "manifest of " + std::string(where);
    if (text.empty()) throw Error{ErrorCode::corrupt, name + ": it is empty"};
    Json value;
    try {
        value = parse_json(text, manifest_name);
    } catch (const Error& error) {
        throw Error{ErrorCode::corrupt, name + ": " + error.message};
    }
    const Fields fields(value, name);
    const std::string format = fields.text("lifeboat");
    if (format != manifest_format)
        throw Error{ErrorCode::unsupported,
                    name + ": its format is '" + printable(format) + "', this version reads '" +
                        std::string(manifest_format) + "'",
                    "Read this backup with the version of lifeboat that made it."};
    fields.only({"lifeboat", "id", "set", "started_at", "consistent_at", "made_by", "parent", "components"});

    Manifest manifest{.id = fields.text("id"), .set = fields.text("set")};
    manifest.started_at = fields.time("started_at");
    manifest.consistent_at = fields.time("consistent_at");
    manifest.made_by = fields.text("made_by");
    if (value.contains("parent")) {
        manifest.parent = fields.text("parent");
        if (!time_of_backup_id(manifest.parent) || manifest.parent == manifest.id)
            throw fields.damaged("'" + printable(manifest.parent) + "' cannot be its parent");
    }
    if (!time_of_backup_id(manifest.id)) throw fields.damaged("'" + printable(manifest.id) + "' is no id of a backup");
    std::set<std::string> names;
    std::uint64_t total = 0;
    for (const Json& component : fields.list("components")) {
        const std::string place = name + ": components[" + std::to_string(manifest.components.size()) + "]";
        manifest.components.push_back(component_from_json(component, place));
        const ManifestComponent& added = manifest.components.back();
        if (!names.insert(added.name).second) throw fields.damaged("component '" + added.name + "' is named twice");
        if (added.consistent_at < manifest.consistent_at)
            throw fields.damaged("component '" + added.name + "' is older than the backup");
        for (const ManifestObject& object : added.objects) {
            if (object.from == manifest.id || (!object.from.empty() && manifest.parent.empty()))
                throw fields.damaged("object '" + object.key + "' cannot lie in backup '" + object.from + "'");
            // of both kinds together: what a fetch needs at the most
            for (const std::uint64_t size : {object.size.count, object.plain_size().count}) {
                if (size > std::numeric_limits<std::uint64_t>::max() - total)
                    throw fields.damaged("its sizes are impossible");
                total += size;
            }
        }
    }
    if (manifest.components.empty()) throw fields.damaged("it has no components");
    return manifest;
}

std::string checksum_file(const Manifest& manifest, std::string_view manifest_sha256) {
    std::string text;
    // sha256sum marks names that hold a backslash by a leading one and doubles it; keys hold no newlines
    const auto line = [&](std::string_view sha256, std::string_view name) {
        std::string escaped;
        for (const char byte : name) {
            if (byte == '\\') escaped += '\\';
            escaped += byte;
        }
        if (escaped.size() != name.size()) text += '\\';
        text += std::string(sha256) + "  " + escaped + "\n";
    };
    for (const ManifestComponent& component : manifest.components)
        for (const ManifestObject& object : component.objects)
            line(object.sha256, object.from.empty() ? object.key : "../" + object.from + "/" + object.key);
    line(manifest_sha256, manifest_name);
    return text;
}

}  // namespace lifeboat
