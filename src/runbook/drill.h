// A drill as written (`lifeboat: drill/v1`): the same runbook bound to a sandbox, attacked, run and judged.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runbook/runbook.h"
#include "runbook/site.h"

namespace lifeboat {

struct Expectation {
    std::string that;  // a bare expression over run, objectives, setup, disaster, observe
    SourceSpan span;
};

enum class Sweep { kill_at_every_event, fail_every_step };

struct Drill {
    std::string file;
    std::string source;
    std::string runbook_path;  // as resolved from the drill's own folder
    std::map<std::string, Resource>
        sandbox;  // what to make: field `load` (postgres, sqlite: an SQL file; files: a folder), `version`
    std::map<std::string, BackupSet> backups;  // by the names that the runbook requires
    Json inputs = Json::object();
    std::vector<std::string> never_touch_hosts;  // glob patterns
    std::vector<Step> setup;                     // done in order before the disaster
    std::vector<Step> disaster;
    std::vector<Step> observe;  // after the run
    std::vector<Expectation> expect;
    std::vector<Sweep> sweep;
    std::map<std::string, std::string> scripts;  // `lua:` files of its steps: path below scripts/ → text
};

}  // namespace lifeboat
