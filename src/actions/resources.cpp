#include "actions/resources.h"

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

template <typename Value>
const Value& look_up(const std::map<std::string, Value>& all, const std::string& name, std::string_view what) {
    if (const auto found = all.find(name); found != all.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [each, value] : all)
        names.push_back(each);
    throw Error{ErrorCode::invalid_file,
                "the site has no " + std::string(what) + " '" + name + "'" + did_you_mean(name, names),
                "Declare it in the site, or bind the runbook to another one."};
}

std::string name_in(const Json& reference, const char* key, std::string_view what) {
    const auto name = reference.is_object() ? reference.find(key) : reference.end();
    if (!reference.is_object() || name == reference.end() || !name->is_string()) {
        throw Error{ErrorCode::invalid_file, "this names no " + std::string(what) + ": " + to_text(reference)};
    }
    return name->get<std::string>();
}

}  // namespace

ResolvedResource Resources::resolve(const Json& reference) const {
    ResolvedResource resolved = named(name_in(reference, "of", "resource"));
    for (const auto& [key, value] : reference.items()) {
        if (key != "of") resolved.fields[key] = value;
    }
    resolved.reference = reference;
    return resolved;
}

ResolvedResource Resources::named(const std::string& name) const {
    const Resource& resource = look_up(resources_, name, "resource");
    return {.name = name, .type = resource.type, .fields = resource.fields, .reference = Json{{"of", name}}};
}

const BackupSet& Resources::backup(const Json& reference) const {
    return look_up(backups_, name_in(reference, "backup", "backup set"), "backup set");
}

std::string Resources::nonce_of(const std::string& resource) const {
    if (!drill_) return {};
    if (const auto found = drill_->nonces.find(resource); found != drill_->nonces.end()) return found->second;
    throw Error{ErrorCode::refused, "'" + resource + "' is not part of the sandbox of this drill",
                "A drill touches what it has made itself and nothing else."};
}

}  // namespace lifeboat
