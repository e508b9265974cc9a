#include "backup/foreign.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "backup/layout.h"
#include "base/error.h"
#include "base/text.h"
#include "stores/key.h"

namespace lifeboat {

namespace {

constexpr std::string_view listing_format = "foreign/v1";

// What lifeboat itself leaves in a store about a foreign backup.
bool is_own_note(std::string_view set, std::string_view key) {
    const std::vector<std::string> parts = split(key, '/');
    return parts.size() == 4 && parts[0] == set && parts[2] == notes_folder && parse_note_name(parts[3]);
}

// 2026-02-01T02-00-00Z, and with its fraction where it has one.
std::string id_of_time(Timestamp when) {
    std::string id = backup_id(when);
    const auto fraction = when - std::chrono::floor<std::chrono::seconds>(when);
    if (fraction == Duration::zero()) return id;
    std::array<char, 8> digits{};
    std::snprintf(digits.data(), digits.size(), ".%06d", static_cast<int>(fraction.count()));
    std::string text = digits.data();
    while (text.back() == '0')
        text.pop_back();
    id.insert(id.size() - 1, text);
    return id;
}

bool is_alias(std::string_view id) {
    return id == "latest";
}

ComponentKind kind_of(const ForeignPart& part) {
    for (const ComponentKind kind :
         {ComponentKind::postgres, ComponentKind::sqlite, ComponentKind::redis, ComponentKind::archive})
        if (to_text(kind) == part.kind) return kind;
    if (part.kind == "files" || part.kind == "json") return ComponentKind::files;
    throw Error{ErrorCode::invalid_file, "'" + printable(part.kind) + "' is no kind of a foreign backup"};
}

// By the ending; "any" where it says nothing and the content has to.
std::string format_of(const ForeignPart& part, std::string_view key) {
    if (part.pattern.has_rest()) return "directory";
    if (part.kind == "json") return "json";
    switch (kind_of(part)) {
        case ComponentKind::postgres:
            if (key.ends_with(".sql") || key.ends_with(".sql.gz")) return "plain";
            if (key.ends_with(".tar")) return "tar";
            if (key.ends_with(".dump") || key.ends_with(".pgdump") || key.ends_with(".custom")) return "custom";
            return "any";
        case ComponentKind::sqlite:
            return "database";
        case ComponentKind::redis:
            return "rdb";
        case ComponentKind::files:
        case ComponentKind::objects:
        case ComponentKind::output:
        case ComponentKind::archive:
            return "tar";
    }
    return {};
}

struct Found {
    const StoredObject* object;
    std::string rest;
};

// The objects that are one component once: those of one folder, or the one object itself.
struct Instance {
    const ForeignPart* part = nullptr;
    std::optional<Timestamp> time;
    std::vector<Found> objects;
};

using Instances = std::map<std::string, Instance>;    // by the text before `<**>`, or the whole key
using Components = std::map<std::string, Instances>;  // by name

class Grouping {
  public:
    Grouping(const std::string& set, const ForeignLayout& layout) : set_(set), layout_(layout) {
        const auto& parts = layout.parts;
        by_id_ = std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.pattern.has_id(); });
        by_time_ = std::all_of(parts.begin(), parts.end(), [](const auto& part) { return part.pattern.has_time(); });
        for (const ForeignPart& part : parts)
            if (std::find(names_.begin(), names_.end(), part.component) == names_.end())
                names_.push_back(part.component);
    }

    std::vector<ForeignBackup> of(std::span<const StoredObject> objects) {
        for (const StoredObject& object : objects)
            if (key_refusal(object.key).empty() && !is_own_note(set_, object.key)) take(object);
        for (auto& [id, components] : groups_)
            settle(id, components);
        std::sort(backups_.begin(), backups_.end(), [](const ForeignBackup& a, const ForeignBackup& b) {
            return std::tie(a.id, a.refused) < std::tie(b.id, b.refused);
        });
        return std::move(backups_);
    }

  private:
    void take(const StoredObject& object) {
        for (const ForeignPart& part : layout_.parts) {
            auto match = part.pattern.match(object.key);
            if (!match) continue;
            if (is_alias(match->id)) return;
            if (!match->impossible.empty()) {
                refuse(match->id.empty() ? match->impossible : match->id,
                       "'" + match->impossible + "' in the name of '" + object.key + "' is no time");
                return;
            }
            std::string id = !by_id_    ? id_of_time(*match->time)
                             : by_time_ ? id_of_time(*match->time) + "-" + match->id
                                        : match->id;
            try {
                check_part_name(id, "backup");
            } catch (const Error& error) {
                refuse(std::move(id), error.message);
                return;
            }
            Instance& instance = groups_[id][part.component][match->stem];
            instance.part = &part;
            instance.time = match->time;
            instance.objects.push_back(Found{.object = &object, .rest = std::move(match->rest)});
            return;
        }
    }

    void refuse(std::string id, std::string why) {
        if (!refused_.insert({id, why}).second) return;
        backups_.push_back(
            ForeignBackup{.id = std::move(id), .manifest = std::nullopt, .listing = {}, .refused = std::move(why)});
    }

    void settle(const std::string& id, const Components& components) {
        for (const auto& [name, instances] : components) {
            if (instances.size() == 1) continue;
            // a set of one component has nothing to be matched: each is a backup
            if (!by_id_ && names_.size() == 1) {
                int number = 0;
                for (const auto& [stem, instance] : instances) {
                    const std::string own = ++number == 1 ? id : id + "-" + std::to_string(number);
                    describe(own, {{name, {{stem, instance}}}});
                }
                return;
            }
            const auto second = std::next(instances.begin());
            refuse(id, "'" + instances.begin()->first + "' and '" + second->first + "' are both its '" + name +
                           "': which one belongs to it is not known");
            return;
        }
        describe(id, components);
    }

    // `components` have one instance each.
    void describe(const std::string& id, const Components& components) {
        Manifest manifest{.id = id, .set = set_, .made_by = "another tool"};
        std::optional<Timestamp> oldest;
        Json listed = Json::array();
        std::map<std::string, std::string> cold;
        for (const std::string& name : names_) {
            const auto found = components.find(name);
            if (found == components.end()) {
                if (is_optional(name)) continue;
                refuse(id, "it has no '" + name + "'");
                return;
            }
            Instance instance = found->second.begin()->second;
            std::sort(instance.objects.begin(), instance.objects.end(),
                      [](const Found& a, const Found& b) { return a.object->key < b.object->key; });
            ManifestComponent component = component_of(name, instance);
            if (const std::string why = refusal(component); !why.empty()) {
                refuse(id, why);
                return;
            }
            if (instance.time) oldest = std::min(oldest.value_or(*instance.time), *instance.time);
            for (const Found& each : instance.objects) {
                listed.push_back({{"component", name},
                                  {"key", each.object->key},
                                  {"size", each.object->size.count},
                                  {"validator", each.object->validator}});
                if (!each.object->cold_class.empty()) cold[each.object->key] = each.object->cold_class;
            }
            manifest.components.push_back(std::move(component));
        }
        if (manifest.components.empty()) return;
        manifest.time_known = oldest.has_value();
        manifest.started_at = manifest.consistent_at = oldest.value_or(Timestamp{});
        for (ManifestComponent& component : manifest.components)
            component.consistent_at = std::max(component.consistent_at, manifest.consistent_at);
        const std::string text =
            to_pretty_text(Json{{"lifeboat", listing_format}, {"set", set_}, {"id", id}, {"objects", listed}}) + "\n";
        backups_.push_back(ForeignBackup{
            .id = id, .manifest = std::move(manifest), .listing = text, .refused = {}, .cold = std::move(cold)});
    }

    bool is_optional(const std::string& name) const {
        return std::all_of(layout_.parts.begin(), layout_.parts.end(),
                           [&name](const ForeignPart& part) { return part.component != name || part.optional; });
    }

    static ManifestComponent component_of(const std::string& name, const Instance& instance) {
        const ForeignPart& part = *instance.part;
        ManifestComponent component{.name = name, .kind = kind_of(part)};
        component.format = format_of(part, instance.objects.front().object->key);
        component.consistent_at = instance.time.value_or(Timestamp{});
        for (const Found& each : instance.objects) {
            const std::string& key = each.object->key;
            const std::string below = part.pattern.has_rest() ? each.rest : key.substr(key.rfind('/') + 1);
            component.objects.push_back(
                ManifestObject{.key = name + "/" + below, .size = each.object->size, .sha256 = {}, .stored_as = key});
        }
        return component;
    }

    // Why it cannot be fetched into a folder, or is not finished; empty when it can.
    static std::string refusal(const ManifestComponent& component) {
        std::set<std::string> keys;
        for (const ManifestObject& object : component.objects) {
            if (const std::string why = key_refusal(object.key); !why.empty())
                return "its object '" + object.stored_as + "' has no place in a folder: " + why;
            keys.insert(object.key);
        }
        for (const std::string& key : keys)
            for (std::size_t slash = key.find('/'); slash != std::string::npos; slash = key.find('/', slash + 1))
                if (keys.contains(key.substr(0, slash)))
                    return "its '" + key.substr(0, slash) + "' is an object and a folder at once";
        // pg_dump writes it last
        if (component.kind == ComponentKind::postgres && component.format == "directory" &&
            !keys.contains(component.name + "/toc.dat"))
            return "its dump in directory format has no 'toc.dat': it was never finished";
        return {};
    }

    const std::string& set_;
    const ForeignLayout& layout_;
    bool by_id_ = false;
    bool by_time_ = false;            // every part has a time
    std::vector<std::string> names_;  // of the components, in the order of the site
    std::map<std::string, Components> groups_;
    std::set<std::pair<std::string, std::string>> refused_;
    std::vector<ForeignBackup> backups_;
};

// The fewest listings that show everything the patterns can match.
std::vector<ListQuery> queries_for(const ForeignLayout& layout) {
    std::map<std::string, bool> deep;  // by prefix
    for (const ForeignPart& part : layout.parts)
        deep[part.pattern.prefix()] |= part.pattern.goes_deeper();
    std::vector<ListQuery> queries;
    for (const auto& each : deep) {
        const std::string& prefix = each.first;
        const bool covered = std::any_of(queries.begin(), queries.end(), [&](const ListQuery& wider) {
            return !wider.one_level && prefix.starts_with(wider.prefix);
        });
        if (!covered) queries.push_back(ListQuery{.prefix = prefix, .one_level = !each.second});
    }
    return queries;
}

}  // namespace

bool is_foreign(const Manifest& manifest) {
    return !manifest.components.empty() && !manifest.components.front().objects.empty() &&
           !manifest.components.front().objects.front().stored_as.empty();
}

std::vector<ForeignBackup> group_foreign(const std::string& set, const ForeignLayout& layout,
                                         std::span<const StoredObject> objects) {
    return Grouping(set, layout).of(objects);
}

std::vector<ForeignBackup> list_foreign(Store& store, const std::string& set, const ForeignLayout& layout,
                                        const WorkControl& control) {
    std::map<std::string, StoredObject> objects;
    for (const ListQuery& query : queries_for(layout)) {
        store.list(
            query,
            [&](std::span<const Listed> page) {
                for (const Listed& line : page) {
                    const bool wanted =
                        !line.folder &&
                        std::any_of(layout.parts.begin(), layout.parts.end(), [&](const ForeignPart& part) {
                            return part.pattern.match(line.object.key).has_value();
                        });
                    if (wanted) objects.emplace(line.object.key, line.object);
                }
                return true;
            },
            control);
    }
    std::vector<StoredObject> list;
    list.reserve(objects.size());
    for (auto& [key, object] : objects)
        list.push_back(std::move(object));
    return group_foreign(set, layout, list);
}

ForeignBackup read_foreign(Store& store, const std::string& set, const ForeignLayout& layout, const std::string& id,
                           const WorkControl& control) {
    for (ForeignBackup& backup : list_foreign(store, set, layout, control)) {
        if (backup.id != id) continue;
        if (!backup.manifest)
            throw store_error(ErrorCode::corrupt, store.name(), {},
                              "backup '" + printable(id) + "' of set '" + set + "': " + backup.refused);
        return std::move(backup);
    }
    throw store_error(ErrorCode::not_found, store.name(), {},
                      "there is no backup '" + printable(id) + "' of set '" + set + "'");
}

}  // namespace lifeboat
