// The closed sets of words in files: one list each, from which checks, schemas and spellings come.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runbook/drill.h"
#include "runbook/runbook.h"

namespace lifeboat {

std::optional<Phase> phase_named(std::string_view name);
std::optional<Gravity> gravity_named(std::string_view name);
std::optional<OnFailure> on_failure_named(std::string_view name);
std::optional<ValueType> value_type_named(std::string_view name);
std::optional<Sweep> sweep_named(std::string_view name);

std::vector<std::string> phase_names();
std::vector<std::string> gravity_names();
std::vector<std::string> on_failure_names();
std::vector<std::string> effect_names();
std::vector<std::string> proves_names();
std::vector<std::string> sweep_names();
std::vector<std::string> error_names();
// Types that a person can give on the command line.
std::vector<std::string> input_type_names();
// Types that a `run:` or `lua:` step may declare for its outputs.
std::vector<std::string> output_type_names();

// A resource type that `kind` asks for: the type itself or one of its kinds. `kind` may hold several,
// "sqlite|postgres".
bool is_a(const ResourceSpec& resource, std::string_view kind);
// Every resource type that `kind` asks for.
std::vector<const ResourceSpec*> types_of(const Specs& specs, std::string_view kind);
// "a service", "an ssh".
std::string with_article(std::string_view kind);
// Every type and kind, once each.
std::vector<std::string> kind_names(const Specs& specs);

// `[a-z][a-z0-9_]*`: what an expression can name.
bool is_identifier(std::string_view text);
// The same with '-', '.' and capitals, for names that no expression uses.
bool is_name(std::string_view text);

}  // namespace lifeboat
