// What a new backup in layers can build on: the newest sound backup of the set that each of the stores holds as a
// whole, if its oldest layer is not too old. Where anything speaks against it, everything is stored anew.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "backup/catalogue.h"
#include "backup/encryption.h"
#include "backup/layers.h"
#include "backup/work.h"

namespace lifeboat {

struct BaseRequest {
    std::string set;
    Stores stores;           // all that the new backup will be written to
    bool encrypted = false;  // as the new backup: the two are not mixed
    KeyRing keys;
    TrustedKeys trusted;           // where there are any, an older backup without their signature is not built on
    Timestamp not_before{};        // no layer may be older
    std::filesystem::path folder;  // indexes are read into it, and removed again
};

struct LayerBases {
    std::string backup;                           // its id; empty: there is none
    std::map<std::string, LayerBase> components;  // by name
};

// What speaks against a backup goes to the log. Throws only Error{cancelled | timed_out} and what the own disk says.
LayerBases newest_layers(const BaseRequest& request, const BackupWork& work);

}  // namespace lifeboat
