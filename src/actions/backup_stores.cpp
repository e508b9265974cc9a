#include <algorithm>

#include "actions/backup_family.h"
#include "actions/files_family.h"
#include "base/error.h"
#include "base/text.h"
#include "stores/local.h"

namespace lifeboat {

std::vector<ResourceSpec> store_resources() {
    ResourceSpec local;
    local.type = "local";
    local.kinds = {"store"};
    local.summary = "A directory that holds backups: on this machine, or mounted";
    local.fields = {
        {.name = "path",
         .type = ValueType::path,
         .doc = "The directory; its last part is made at the first write.",
         .required = true},
        {.name = "media",
         .doc = "What it is kept on, for the rule of two kinds of media: 'disk', 'tape', 'object' …",
         .default_value = "disk"},
        {.name = "location",
         .doc = "Where it is, for the rule of one copy off site: 'onsite' or 'offsite'.",
         .default_value = "onsite",
         .choices = {"onsite", "offsite"}},
    };
    local.usable_in_sandbox = true;
    local.example = "vault: {type: local, path: /srv/backups, media: disk, location: onsite}\n";
    return {local};
}

std::shared_ptr<Store> open_store(const ActionWorld& world, const ResolvedResource& resource) {
    if (resource.type != "local")
        throw Error{ErrorCode::unsupported,
                    "store '" + resource.name + "' is of type '" + resource.type + "', which this version cannot open",
                    "It opens stores of type 'local'; object stores, SFTP and WebDAV come with a later version."};
    return std::make_shared<LocalStore>(resource.name, place_of_resource(world, resource));
}

Stores open_stores(const ActionWorld& world, const BackupSet& set, const std::vector<std::string>& only) {
    for (const std::string& name : only)
        if (std::find(set.to.begin(), set.to.end(), name) == set.to.end())
            throw Error{ErrorCode::invalid_file, "backup set '" + set.name + "' has no store '" + printable(name) +
                                                     "'" + did_you_mean(name, set.to)};
    Stores stores;
    for (const std::string& name : set.to)
        if (only.empty() || std::find(only.begin(), only.end(), name) != only.end())
            stores.push_back(open_store(world, world.resources.named(name)));
    return stores;
}

}  // namespace lifeboat
