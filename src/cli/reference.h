// The reference, generated from declarations alone: docs/reference/*.md, and the same facts as JSON.
#pragma once

#include <span>
#include <string>

#include "cli/verb.h"
#include "runbook/spec.h"

namespace lifeboat {

// One action for a terminal.
std::string action_page(const ActionSpec& action);
Json to_json(const ActionSpec& action);
Json to_json(const ResourceSpec& resource);

// The pages of docs/reference, as Markdown.
std::string actions_reference(const Specs& specs);
std::string cli_reference(std::span<const Subcommand> verbs);
std::string errors_reference(const Specs& specs);
std::string events_reference();

}  // namespace lifeboat
