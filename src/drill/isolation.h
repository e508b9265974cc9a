// The proof that a drill can only reach its sandbox (design law 9, R39). What is not proven is a doubt, and with a
// doubt nothing is run. Doubts are lines for people.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "drill/sandbox.h"
#include "runbook/drill.h"
#include "runbook/runbook.h"
#include "runbook/site.h"
#include "runbook/spec.h"

namespace lifeboat {

// The sandbox's folder against the places of the real site: asked before it is made.
std::vector<std::string> doubts_about_folder(const std::filesystem::path& folder, const Site& real, const Specs& specs);

// Asked before the resources are made: each of them is made inside of its own folder of the sandbox, so that nothing
// that is already there can be in its way or be reached through another resource.
std::vector<std::string> doubts_about_places(const DrillSandbox& sandbox, const Specs& specs);

struct IsolationQuestion {
    const Site& sandbox;  // as it was read back from its file
    const std::filesystem::path& folder;
    const Drill& drill;
    const Runbook& runbook;
    const Site* real = nullptr;  // where one is known
    const Specs& specs;
};
// What can be told from what is written: paths, hosts, unsafe steps. Looks at the disk for links only.
std::vector<std::string> doubts_about_definitions(const IsolationQuestion& question);

// Reads every resource's nonce back through its own connection or path.
std::vector<std::string> doubts_about_nonces(const DrillSandbox& sandbox);

// The host of a URL or the text itself; empty where there is none.
std::string host_in(const std::string& text);
bool is_loopback(std::string_view host);
// '*' stands for any text, upper and lower case are the same.
bool matches_pattern(std::string_view pattern, std::string_view host);

}  // namespace lifeboat
