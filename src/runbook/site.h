// One environment: its named resources, backup sets, bindings, secrets and notifications (`lifeboat: site/v1`).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/json.h"
#include "base/size.h"
#include "base/time.h"

namespace lifeboat {

// A declared resource. In `fields` secrets stand as references (base/secret.h), everything else is final.
struct Resource {
    std::string name;
    std::string type;
    Json fields = Json::object();
    SourceSpan span;
};

// How the names of backups that another tool makes are read; the rule itself is `backup/foreign`.
struct ForeignPattern {
    std::string pattern;  // base/name_pattern.h
    std::string time;
    std::string zone;
    std::string kind;       // postgres, sqlite, redis, files, archive or json
    std::string component;  // what it is called in a backup; patterns of one name are alternatives
    bool optional = false;  // a backup may be without it
};

// How long backups are kept; kept as written here, the rule itself is `backup/retention`.
struct BackupSet {
    std::string name;
    std::vector<std::string> of;  // resources whose content is backed up; empty where another tool does it
    std::vector<std::string> to;  // stores, tried in this order when fetching
    std::string format;           // for PostgreSQL: custom, directory, tar or plain; empty: custom
    Json encrypt;                 // {"key": secret} or null
    Json retain;                  // {"daily": 7, …} or null
    std::optional<Duration> max_age;
    SourceSpan span;
    std::vector<ForeignPattern> foreign = {};  // not empty: another tool makes the backups of this set
    Json postgres = nullptr;                   // {"jobs", "schemas", "exclude_tables"} or null
    Json sign = nullptr;                       // {"key": secret} or null
    std::vector<std::string> trust = {};       // public keys whose signatures count
    Json checks = Json::array();               // [{"on", "name", "query", "expect"}], for restored copies
    std::vector<std::string> exclude = {};     // patterns of paths (base/path_pattern.h), of folders and stores
    bool compress = false;                     // by zstd
    std::optional<Duration> full_every = std::nullopt;  // incremental: everything is stored anew after so long
    std::optional<Bytes> max_size = std::nullopt;       // of one backup in a store
    std::optional<unsigned> max_count = std::nullopt;   // of backups in a store, whatever `retain` says
};

struct SecretOrigin {
    enum class Kind { environment, file, command };
    Kind kind = Kind::environment;
    std::string text;  // variable, or path
    std::vector<std::string> command;
    SourceSpan span;
};

struct Notify {
    std::vector<std::string> on;  // event kinds: paused, in_doubt, failed, done
    std::vector<std::string> to;  // notifiers
};

// Set in the site that a drill writes for itself: what proves that its resources are the sandbox and nothing else.
struct DrillMark {
    std::string drill;                          // its id
    std::map<std::string, std::string> nonces;  // resource → nonce that must be read back through its connection
};

struct Site {
    std::string file;  // for messages; empty: the site with nothing in it
    std::string source;
    std::map<std::string, Resource> resources;
    std::map<std::string, BackupSet> backups;
    std::map<std::string, std::map<std::string, std::string>>
        bindings;  // runbook → required name → resource or backup set
    std::map<std::string, SecretOrigin> secrets;
    std::optional<Notify> notify;
    std::string state;  // directory of runs, or empty for the default
    std::optional<DrillMark> drill;
};

}  // namespace lifeboat
