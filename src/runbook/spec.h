// What an action, its parameters and a resource type are, as data. Declared once by their owners (rooms `actions` and
// `stores`); the checks of runbooks, `lifeboat actions`, the reference pages and the JSON Schemas are derived from
// these values.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace lifeboat {

// What a deed does to the world, and so how it is settled and undone (design laws 3 and 5).
enum class Effect {
    read,     // changes nothing
    stage,    // writes only what this run made; has an undo
    change,   // changes something that was there before; has an undo and a probe
    destroy,  // cannot be undone
};

enum class Proves { nothing, liveness, data };

enum class ValueType {
    text,
    integer,
    number,
    boolean,
    duration,
    size,
    rate,
    timestamp,
    path,
    list,
    map,
    any,
    expression,
    resource
};

struct ParameterSpec {
    std::string name;
    ValueType type = ValueType::text;
    std::string doc;  // one sentence, with the unit where there is one
    bool required = false;
    Json default_value = nullptr;           // shown by the plan where it is used; null: no default
    std::vector<std::string> choices = {};  // for text: the only values allowed
    std::string kind =
        {};  // for resource: the kind wanted ("postgres", "service", "backup", …; several: "sqlite|postgres")
    bool target = false;                     // for resource: this is what the action changes, so it is locked
    bool may_be_secret = false;              // a secret may be put here; anywhere else a secret is a load error
    std::vector<ParameterSpec> fields = {};  // for map, and for the records of a list: the fields allowed (none: any)
    ValueType element = ValueType::any;      // for a list without `fields`: the type of its elements
};

// What an output means to the judge of RTO and RPO.
enum class OutputRole {
    plain,
    consistent_at,      // timestamp: the data restored by this step is as of then
    writes_stopped_at,  // timestamp: nothing could be written to the live target from then on
};

struct OutputSpec {
    std::string name;
    ValueType type = ValueType::text;
    std::string doc;
    OutputRole role = OutputRole::plain;
    bool secret = false;  // a reference, fetched again on resume, never journaled in the open
};

struct RaisedError {
    ErrorCode code;
    bool nothing_done = false;  // raised only before the deed has changed anything: needs no settling
};

struct ActionSpec {
    std::string name;     // "postgres.restore"
    std::string summary;  // one line
    std::string doc;      // a paragraph: what it does, what its undo does, what its probe looks at
    std::vector<ParameterSpec> parameters;
    std::vector<OutputSpec> outputs;
    Effect effect = Effect::read;
    bool reopens = false;  // new data may come in from then on: draws the line of no return
    Proves proves = Proves::nothing;
    bool repeatable = false;  // doing it twice is as good as once
    bool resumable = false;   // a stage that goes on from what a failed attempt left
    bool has_probe = false;
    bool cheap = false;       // a read that `plan` may run
    bool drill_only = false;  // `fault.*`: a load error outside a drill
    std::vector<RaisedError> errors;
    std::string example;  // a YAML step
};

struct ResourceSpec {
    std::string type;  // "postgres"
    std::vector<std::string>
        kinds;  // what a runbook may ask for: {"postgres", "database"}; the type itself is always one
    std::string summary;
    std::vector<ParameterSpec> fields;
    bool usable_in_sandbox = false;  // a drill can make one
    std::string example;             // a YAML resource
};

// Everything a runbook can be checked against.
struct Specs {
    std::vector<ActionSpec> actions;
    std::vector<ResourceSpec> resources;

    const ActionSpec* action(std::string_view name) const;
    const ResourceSpec* resource(std::string_view type) const;
};

std::string_view to_text(Effect effect);  // "read", …
std::string_view sign(Effect effect);     // "?", "+", "~", "!"
std::string_view to_text(Proves proves);
std::string_view to_text(ValueType type);
std::optional<Effect> effect_named(std::string_view name);
std::optional<Proves> proves_named(std::string_view name);

}  // namespace lifeboat
