#include "cli/drafting.h"

#include <algorithm>

#include "base/text.h"
#include "cli/loading.h"
#include "cli/places.h"
#include "engine/survey.h"
#include "report/plan_text.h"
#include "runs/directory_run_store.h"
#include "runs/history.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

bool is_plan_file(const std::string& name) {
    std::error_code ignored;
    if (!fs::is_regular_file(name, ignored)) return false;
    const std::string text = read_text_file(name);
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string::npos && text[first] == '{';
}

// What stands in the files today and is not what was approved: named, not read (law 4).
std::vector<std::string> changed_files(const Draft& approved, const Site& site,
                                       const std::optional<fs::path>& site_file) {
    std::vector<std::string> moved;
    for (const std::string& changed : changed_sources(approved, site_file))
        moved.push_back(changed + " is not the one that was planned");
    if (!site_file) return moved;
    for (const auto& [name, resource] : approved.resources) {
        const auto today = site.resources.find(name);
        if (today == site.resources.end()) {
            moved.push_back("resource '" + name + "' is gone from the site");
        } else if (today->second.type != resource.type || today->second.fields != resource.fields) {
            moved.push_back("resource '" + name + "' is defined differently in the site");
        }
    }
    return moved;
}

Planned approved_plan(const std::string& file, const Call& call, Session& session) {
    if (call.has("--set") || call.has("--bind"))
        throw Error{ErrorCode::usage, "a plan file cannot be changed by --set or --bind", "Make a new plan with them."};
    Loading loading(all_specs());
    const Site site = loading.site(session);
    loading.settle(session);
    Plan approved = plan_from_json(parse_json(read_text_file(file), "plan file '" + file + "'"));
    if (digest_of(approved) != approved.digest)
        throw Error{ErrorCode::stale_plan,
                    "the plan file '" + printable(file) + "' was changed by hand: its digest does not fit",
                    "Make a new plan with `lifeboat plan -o`."};
    const fs::path state = state_folder(site);
    const Hands hands(session, approved.draft, state);
    std::vector<std::string> moved = changed_files(approved.draft, site, loading.site_file());
    const Plan fresh = look(session, hands, approved.draft, state);
    for (std::string& line : drift(approved, fresh))
        moved.push_back(std::move(line));
    if (!moved.empty()) {
        Error error{ErrorCode::stale_plan, "the plan '" + printable(file) + "' is stale: " + join(moved, "; "),
                    "Make a new plan and have it approved."};
        error.details = Json{{"moved", moved}};
        throw error;
    }
    // estimates and findings may be newer, what is done is what was approved
    approved.findings = fresh.findings;
    return {.plan = std::move(approved), .state = state, .from_file = true};
}

}  // namespace

Plan look(Session& session, const Hands& hands, Draft draft, const fs::path& state) {
    const DirectoryRunStore store(state, session.clock);
    const Scratch scratch(state, "plan");
    const std::string runbook = draft.runbook;
    session.log.debug("looking at the world for '" + runbook + "'");
    return survey(std::move(draft), hands.actions(), session.clock, history_of(store, runbook),
                  [&scratch](const std::string& step) { return scratch.workspace(step); });
}

Planned plan_for(const Call& call, Session& session) {
    const std::string name = *call.one("runbook");
    if (is_plan_file(name)) return approved_plan(name, call, session);
    Loading loading(all_specs());
    const Site site = loading.site(session);
    const auto runbook = loading.runbook(find_runbook(name, loading.site_file()));
    if (loading.has_errors() || !runbook) loading.settle(session);
    auto drafted = loading.draft(*runbook, site, call, session.clock.now());
    loading.settle(session);
    const fs::path state = state_folder(site);
    const Hands hands(session, *drafted, state);
    return {.plan = look(session, hands, std::move(*drafted), state), .state = state};
}

void show_plan(Session& session, const Planned& planned) {
    session.terminal.output(plan_text(planned.plan, session.terminal.output_style()));
}

bool is_blocked(const Planned& planned) {
    return std::any_of(planned.plan.findings.begin(), planned.plan.findings.end(),
                       [](const Finding& finding) { return finding.kind == FindingKind::blocker; });
}

void refuse_blockers(const Planned& planned) {
    std::vector<std::string> blockers;
    for (const Finding& finding : planned.plan.findings) {
        if (finding.kind != FindingKind::blocker) continue;
        blockers.push_back((finding.step.empty() ? "" : "step '" + finding.step + "': ") + finding.subject + ": " +
                           finding.message);
    }
    if (blockers.empty()) return;
    Error error{ErrorCode::refused,
                "preflight found " + counted(blockers.size(), "blocker") + ": " + join(blockers, "; "),
                "Nothing was touched; remove what stands in the way, then try again."};
    error.details = Json{{"blockers", blockers}};
    throw error;
}

OptionSpec set_option() {
    return {.name = "--set",
            .value = "input=value",
            .doc = "The value of one of the runbook's inputs.",
            .repeatable = true};
}

OptionSpec bind_option() {
    return {.name = "--bind",
            .value = "name=resource",
            .doc = "What a name in the runbook's `requires` means here; wins over the site's bindings.",
            .repeatable = true};
}

}  // namespace lifeboat
