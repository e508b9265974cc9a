// The help, from the verbs' declarations.
#pragma once

#include <span>
#include <string>

#include "cli/verb.h"

namespace lifeboat {

// "-o, --output <file>".
std::string shown(const OptionSpec& option);
std::string usage_line(const VerbSpec& verb);
std::string help_for(const VerbSpec& verb);
std::string help_for_all(std::span<const Subcommand> verbs);

// Words filled into lines of at most `width` columns, each after `indent` spaces.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

}  // namespace lifeboat
