#include "runbook/resources.h"

#include <algorithm>

#include "base/ed25519.h"
#include "base/error.h"
#include "base/name_pattern.h"
#include "base/path_pattern.h"
#include "base/secret.h"
#include "base/text.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

// Each secret of the scope as the reference that stands for it (base/secret.h).
Json references(const Scope& scope) {
    Json secrets = Json::object();
    if (scope.secrets)
        for (const std::string& name : *scope.secrets)
            secrets[name] = {{"secret", name}};
    return {{"secrets", secrets}};
}

}  // namespace

std::map<std::string, std::string> declared_types(const Node* map) {
    std::map<std::string, std::string> types;
    if (map == nullptr) return types;
    for (const Entry& entry : map->entries) {
        const Node* type = entry.value.at("type");
        types.emplace(entry.key.text, type != nullptr ? type->text : std::string());
    }
    return types;
}

std::vector<std::string> resource_names(ValueCheck& check, const Fields& fields, std::string_view key) {
    const Node* node = fields.node(key);
    if (node == nullptr) return {};
    const Path path = fields.at(key);
    for (std::size_t i = 0; i < node->items.size(); ++i)
        if (node->items[i].kind == Node::Kind::map)
            check.wrong(node->items[i], {.parent = &path, .key = {}, .index = i},
                        "'" + std::string(key) + "' takes names of resources");
    return fields.texts(key);
}

bool ResourceReader::check_name(const Key& key, const Path& path) {
    if (is_name(key.text)) return true;
    check_.file().error(span_of(check_.file(), key), path.text(), "'" + key.text + "' is no name",
                        "Names are of letters, digits, '-', '_' and '.'.");
    return false;
}

std::map<std::string, Resource> ResourceReader::read(const Node& map, const Path& path) {
    std::map<std::string, Resource> resources;
    const Json scope = references(check_.expressions().scope());
    for (const Entry& entry : map.entries) {
        std::optional<Resource> resource = read_one(entry, {.parent = &path, .key = entry.key.text}, nullptr);
        if (!resource) continue;
        // with a mistake in the file the value is not used, and the expression may be the mistake
        if (!check_.file().has_errors()) resource->fields = expand_all(resource->fields, scope);
        resources.emplace(entry.key.text, std::move(*resource));
    }
    return resources;
}

std::map<std::string, Resource> ResourceReader::read_sandbox(const Node& map, const Path& path,
                                                             const std::vector<ParameterSpec>& extra) {
    std::map<std::string, Resource> resources;
    for (const Entry& entry : map.entries)
        if (std::optional<Resource> resource = read_one(entry, {.parent = &path, .key = entry.key.text}, &extra))
            resources.emplace(entry.key.text, std::move(*resource));
    return resources;
}

std::optional<Resource> ResourceReader::read_one(const Entry& entry, const Path& path,
                                                 const std::vector<ParameterSpec>* sandbox) {
    if (!check_name(entry.key, path) || !check_.is(Node::Kind::map, entry.value, path)) return std::nullopt;
    const Node* type = entry.value.at("type");
    if (type == nullptr) {
        check_.wrong(entry.value, path, "a resource needs 'type'", "`lifeboat docs resources` lists them.");
        return std::nullopt;
    }
    const Path type_path{.parent = &path, .key = "type"};
    std::vector<std::string> types;
    for (const ResourceSpec& each : check_.specs().resources)
        types.push_back(each.type);
    const ResourceSpec* spec = type->kind == Node::Kind::text ? check_.specs().resource(type->text) : nullptr;
    if (spec == nullptr) {
        check_.wrong(*type, type_path,
                     "there is no type of resource '" + type->text + "'" + did_you_mean(type->text, types),
                     "It is one of " + join(types, ", ") + ".");
        return std::nullopt;
    }
    std::vector<ParameterSpec> fields = spec->fields;
    if (sandbox != nullptr && spec->usable_in_sandbox) {
        for (ParameterSpec& field : fields)
            field.required = false;
        for (const ParameterSpec& each : *sandbox)
            if (std::none_of(fields.begin(), fields.end(),
                             [&each](const ParameterSpec& field) { return field.name == each.name; }))
                fields.push_back(each);
    }
    const Place place;
    Resource resource{
        .name = entry.key.text,
        .type = spec->type,
        .fields = check_.record(entry.value, fields, path, &place, with_article(spec->type) + " resource", {"type"}),
        .span = span_of(check_.file(), entry.key)};
    return resource;
}

std::map<std::string, BackupSet> ResourceReader::read_backups(const Node& map, const Path& path,
                                                              const SiteTables& tables) {
    std::map<std::string, BackupSet> sets;
    for (const Entry& entry : map.entries) {
        const Path here{.parent = &path, .key = entry.key.text};
        if (check_name(entry.key, here) && check_.is(Node::Kind::map, entry.value, here))
            sets.emplace(entry.key.text, read_backup(entry, here, tables));
    }
    return sets;
}

BackupSet ResourceReader::read_backup(const Entry& entry, const Path& path, const SiteTables& tables) {
    const Fields fields(check_, entry.value, tables.backup_set, path);
    BackupSet set{.name = entry.key.text,
                  .of = resource_names(check_, fields, "of"),
                  .to = resource_names(check_, fields, "to"),
                  .format = fields.text("format"),
                  .encrypt = nullptr,
                  .retain = nullptr,
                  .max_age = fields.duration("max_age"),
                  .span = span_of(check_.file(), entry.key)};
    if (const Node* of = fields.node("of"); of != nullptr && of->items.empty())
        check_.wrong(*of, fields.at("of"), "'of' is empty", "An empty list would mean nothing, or everything.");
    read_encryption(set, fields);
    read_signing(set, fields);
    read_retention(set, fields);
    read_extent(set, fields);
    read_postgres(set, fields);
    read_foreign(set, fields, tables.foreign);
    read_checks(set, fields);
    return set;
}

void ResourceReader::read_postgres(BackupSet& set, const Fields& fields) {
    const Json postgres = fields.value("postgres");
    if (!postgres.is_object()) return;
    set.postgres = postgres;
    const Node& node = *fields.node("postgres");
    const Path path = fields.at("postgres");
    if (const auto jobs = postgres.find("jobs"); jobs != postgres.end() && jobs->is_number_integer()) {
        const Path place{.parent = &path, .key = "jobs"};
        if (jobs->get<std::int64_t>() < 1 || jobs->get<std::int64_t>() > 64)
            check_.wrong(*node.at("jobs"), place, "'jobs' is not from 1 to 64");
        else if (set.format != "directory")
            check_.wrong(*node.at("jobs"), place, "only dumps in format 'directory' are made by several jobs",
                         "Say `format: directory`.");
    }
    for (const Json& table : postgres.value("exclude_tables", Json::array())) {
        const std::string name = table.is_string() ? table.get<std::string>() : "x.y";
        const std::size_t dot = name.find('.');
        if (dot == std::string::npos || dot == 0 || dot + 1 == name.size())
            check_.wrong(*node.at("exclude_tables"), {.parent = &path, .key = "exclude_tables"},
                         "'" + printable(name) + "' does not say which schema it is in",
                         "Write it as <schema>.<table>, such as public.sessions.");
    }
}

void ResourceReader::read_checks(BackupSet& set, const Fields& fields) {
    const Json checks = fields.value("checks");
    if (!checks.is_array()) return;
    set.checks = checks;
    const Node& node = *fields.node("checks");
    const Path path = fields.at("checks");
    if (node.items.empty())
        check_.wrong(node, path, "'checks' is empty", "Leave the key out: nothing is checked then.");
    std::vector<std::string> names = set.of;
    for (const ForeignPattern& pattern : set.foreign)
        names.push_back(pattern.component);
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        const Path item{.parent = &path, .key = {}, .index = i};
        const Node* on = node.items[i].at("on");
        if (on != nullptr && std::find(names.begin(), names.end(), on->text) == names.end())
            check_.wrong(*on, {.parent = &item, .key = "on"},
                         "'" + on->text + "' is not in this backup set" + did_you_mean(on->text, names));
    }
}

void ResourceReader::read_foreign(BackupSet& set, const Fields& fields, const Table& table) {
    const Node* node = fields.node("foreign");
    if (node == nullptr) {
        if (!fields.has("of") && !fields.has("foreign"))
            check_.wrong(fields.map(), fields.path(), "a backup set needs 'of'",
                         "Name the resources whose content it holds, or say under 'foreign' how another tool's backups "
                         "are named.");
        return;
    }
    for (const char* name : {"of", "format", "encrypt", "sign", "trust", "retain", "exclude", "incremental", "compress",
                             "max_size", "max_count"})
        if (fields.has(name))
            fields.wrong(name, "'" + std::string(name) + "' and 'foreign' exclude each other",
                         "Backups of this set are made, and removed, by another tool.");
    const Path path = fields.at("foreign");
    if (node->kind == Node::Kind::list) {
        if (node->items.empty()) check_.wrong(*node, path, "'foreign' is empty", "Give at least one pattern.");
        for (std::size_t i = 0; i < node->items.size(); ++i)
            if (auto pattern = read_pattern(node->items[i], {.parent = &path, .key = {}, .index = i}, table))
                set.foreign.push_back(std::move(*pattern));
    } else if (auto pattern = read_pattern(*node, path, table)) {
        set.foreign.push_back(std::move(*pattern));
    }
    const auto with = [&set](std::string_view placeholder) {
        return std::count_if(set.foreign.begin(), set.foreign.end(), [&](const ForeignPattern& each) {
            return each.pattern.find(placeholder) != std::string::npos;
        });
    };
    const auto all = static_cast<std::ptrdiff_t>(set.foreign.size());
    if (with("<id>") != 0 && with("<id>") != all)
        check_.wrong(*node, path, "some of the patterns have an <id> and some have none",
                     "What belongs to one backup is told by its <id>, or by its <time>: give all of them the same.");
    for (const ForeignPattern& each : set.foreign)
        for (const ForeignPattern& other : set.foreign)
            if (&each < &other && each.component == other.component && each.kind != other.kind)
                check_.wrong(*node, path,
                             "'" + each.component + "' is of kind '" + each.kind + "' in one pattern and '" +
                                 other.kind + "' in another",
                             "Give them different names: patterns of one name are alternatives.");
}

std::optional<ForeignPattern> ResourceReader::read_pattern(const Node& node, const Path& path, const Table& table) {
    if (!check_.is(Node::Kind::map, node, path)) return std::nullopt;
    const Fields fields(check_, node, table, path);
    ForeignPattern read{.pattern = fields.text("pattern"),
                        .time = fields.text("time"),
                        .zone = fields.text("zone"),
                        .kind = fields.text("kind"),
                        .component = fields.text("name"),
                        .optional = fields.boolean("optional").value_or(false)};
    if (read.component.empty()) read.component = read.kind;
    if (fields.has("name") && !is_name(read.component))
        fields.wrong("name", "'" + read.component + "' is no name", "Names are of letters, digits, '-', '_' and '.'.");
    if (read.pattern.empty() || read.kind.empty()) return std::nullopt;
    // each on its own, so that the mistake is shown where it is
    const auto refuse = [&](const char* key, const Error& error) {
        check_.wrong(fields.has(key) ? *fields.node(key) : node, fields.at(key), error.message, error.hint);
    };
    try {
        const NamePattern unused(std::string_view("<time>"), read.time, "UTC");
    } catch (const Error& error) {
        refuse("time", error);
        return std::nullopt;
    }
    try {
        const NamePattern unused(std::string_view("<time>"), iso_name_time, read.zone);
    } catch (const Error& error) {
        refuse("zone", error);
        return std::nullopt;
    }
    try {
        const NamePattern pattern(read.pattern, read.time, read.zone);
        if (!pattern.has_time() && !pattern.has_id())
            check_.wrong(*fields.node("pattern"), fields.at("pattern"),
                         "the pattern has neither <time> nor <id>: it would name one backup, whatever is in it",
                         "Write <time> where the time stands in the name, or <id> where something else tells the "
                         "backups apart.");
        for (const char* key : {"time", "zone"})
            if (!pattern.has_time() && fields.has(key))
                fields.wrong(key, "'" + std::string(key) + "' is of no use: the pattern has no <time>");
        if (pattern.has_rest() && read.kind != "postgres" && read.kind != "files")
            check_.wrong(*fields.node("pattern"), fields.at("pattern"),
                         "a backup of kind '" + read.kind + "' is one file",
                         "Only 'postgres' and 'files' can be folders; leave out <**>.");
    } catch (const Error& error) {
        refuse("pattern", error);
        return std::nullopt;
    }
    return read;
}

void ResourceReader::read_encryption(BackupSet& set, const Fields& fields) {
    const Node* node = fields.node("encrypt");
    if (node == nullptr) return;
    const Place place;
    const Path path = fields.at("encrypt");
    set.encrypt = check_.record(*node, fields.declaration("encrypt").fields, path, &place, "'encrypt'");
    if (check_.file().has_errors()) return;
    set.encrypt = expand_all(set.encrypt, references(check_.expressions().scope()));
    if (!is_secret(set.encrypt["key"]))
        check_.wrong(*node->at("key"), {.parent = &path, .key = "key"}, "the key of a backup set has to be a secret",
                     "Declare it under `secrets:` and write \"${{ secrets.<name> }}\".");
    for (const Json& old : set.encrypt.value("old_keys", Json::array()))
        if (!is_secret(old))
            check_.wrong(*node->at("old_keys"), {.parent = &path, .key = "old_keys"},
                         "every key of a backup set has to be a secret",
                         "Declare it under `secrets:` and write \"${{ secrets.<name> }}\".");
}

void ResourceReader::read_signing(BackupSet& set, const Fields& fields) {
    if (const Node* node = fields.node("trust")) {
        const Path path = fields.at("trust");
        if (node->items.empty())
            check_.wrong(*node, path, "'trust' is empty", "Leave the key out: signatures are not checked then.");
        for (std::size_t i = 0; i < node->items.size(); ++i) {
            const Node& item = node->items[i];
            set.trust.push_back(item.text);
            if (item.kind == Node::Kind::text && !parse_ed25519_public(item.text))
                check_.wrong(item, {.parent = &path, .key = {}, .index = i}, "this is no Ed25519 public key",
                             "Write what `openssl pkey -in <key> -pubout` prints, or the one line of base64 in it.");
        }
    }
    const Node* node = fields.node("sign");
    if (node == nullptr) return;
    const Place place;
    const Path path = fields.at("sign");
    set.sign = check_.record(*node, fields.declaration("sign").fields, path, &place, "'sign'");
    if (check_.file().has_errors()) return;
    set.sign = expand_all(set.sign, references(check_.expressions().scope()));
    if (!is_secret(set.sign["key"]))
        check_.wrong(*node->at("key"), {.parent = &path, .key = "key"}, "the key that signs has to be a secret",
                     "Declare it under `secrets:` and write \"${{ secrets.<name> }}\".");
}

void ResourceReader::read_retention(BackupSet& set, const Fields& fields) {
    const Json retain = fields.value("retain");
    if (!retain.is_object()) return;
    set.retain = retain;
    const Node& node = *fields.node("retain");
    const Path path = fields.at("retain");
    if (node.entries.empty())
        check_.wrong(node, path, "'retain' is empty",
                     "Say what is kept, such as {daily: 7, weekly: 4}; without the key everything is kept.");
    bool by_calendar = false;
    bool by_age = false;
    for (const auto& [name, count] : retain.items()) {
        (name == "last" || name == "within" ? by_age : by_calendar) = true;
        if (count.is_number() && count.get<std::int64_t>() < 1)
            check_.wrong(*node.at(name), {.parent = &path, .key = name}, "'" + name + "' has to be at least 1");
    }
    if (by_calendar && by_age)
        check_.wrong(node, path, "'retain' goes by the calendar or by age and number, not by both",
                     "Write {daily, weekly, monthly, yearly} or {last, within}.");
}

// How much of the sources is stored, and how much there may be.
void ResourceReader::read_extent(BackupSet& set, const Fields& fields) {
    set.exclude = fields.texts("exclude");
    if (const Node* node = fields.node("exclude"); node != nullptr) {
        const Path path = fields.at("exclude");
        for (std::size_t i = 0; i < node->items.size(); ++i)
            if (const std::string why = path_pattern_refusal(node->items[i].text); !why.empty())
                check_.wrong(node->items[i], {.parent = &path, .key = {}, .index = i},
                             "'" + printable(node->items[i].text) + "' is no pattern of paths: " + why);
    }
    set.compress = fields.text("compress") == "zstd";
    const Json incremental = fields.value("incremental");
    if (incremental.is_object() && incremental.contains("full_every") && incremental.at("full_every").is_string())
        set.full_every = parse_duration(incremental.at("full_every").get<std::string>());
    set.max_size = parse_bytes(fields.text("max_size"));
    if (const Json count = fields.value("max_count"); count.is_number_integer()) {
        if (count.get<std::int64_t>() < 1)
            fields.wrong("max_count", "'max_count' has to be at least 1");
        else
            set.max_count = count.get<unsigned>();
    }
    for (const std::string& name : set.of)
        if (std::find(set.to.begin(), set.to.end(), name) != set.to.end())
            fields.wrong("of", "'" + name + "' would be backed up into itself", "Name another store under 'to'.");
}

}  // namespace lifeboat
