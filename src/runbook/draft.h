// Runbook + site + inputs → Draft: what would be done to what. Pure. Names are bound to resources, inputs are frozen,
// the graph is ordered and the line of no return is drawn; nothing has been looked at yet (that is `engine/survey`).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "runbook/load.h"
#include "runbook/runbook.h"
#include "runbook/site.h"

namespace lifeboat {

// A step with its place in the graph.
struct DraftedStep : Step {
    bool crosses = false;      // draws the line of no return: it reopens, or destroys
    bool before_line = false;  // neither such a step nor behind one: must have ended well before any `crosses` starts
};

struct Draft {
    std::string runbook;  // its name
    std::string summary;
    Gravity severity = Gravity::major;
    Objectives objectives;
    std::vector<Contact> contacts;
    int max_parallel = 4;
    Json inputs = Json::object();                 // frozen
    std::map<std::string, std::string> bindings;  // required name → resource or backup set of the site
    std::map<std::string, Resource>
        resources;  // by their names in the site: every one that the steps or the backup sets use
    std::map<std::string, BackupSet> backups;
    std::map<std::string, SecretOrigin> secrets;  // where the secrets used come from
    std::vector<DraftedStep> steps;  // in an order that respects `needs`; indices in `needs` are into this list
    std::vector<DraftedStep> always;
    std::vector<std::string> targets;  // names of resources that some step changes: to be locked
    std::optional<Notify> notify;
    std::optional<DrillMark> drill;
    std::map<std::string, std::string> scripts;
    std::string runbook_source;
    std::string runbook_file;  // where it was read from, absolute; only to tell whether it is different today
};

// In a step's arguments a resource stands as {"of": "<name in the site>"} with the fields that a derived resource
// replaces, e.g.
// {"of": "shop", "database": "shop_new"}; a backup set stands as {"backup": "<name in the site>"}.
// `now` freezes inputs whose default is now. Mistakes are reported against the runbook's file.
Loaded<Draft> draft(const Runbook& runbook, const Site& site, const Json& inputs,
                    const std::map<std::string, std::string>& bind, const Specs& specs, Timestamp now);

// The scope of expressions, as far as a draft knows it: inputs, resources (by required name), objectives (seconds),
// secrets. The engine adds `steps` and `run`.
Json static_scope(const Draft& draft);

Json to_json(const Draft& draft);
Draft draft_from_json(const Json& value);

}  // namespace lifeboat
