// A drill: the runbook of an incident, run by the ordinary binary against a sandbox made for it, attacked and judged.
// The sandbox has a site of its own; nothing of it is touched before it is proven to be the sandbox (design law 9), and
// it is removed in the end, whatever happened. Specs and clock of the options outlive the call.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "report/junit.h"
#include "runbook/drill.h"
#include "runbook/runbook.h"
#include "runbook/site.h"
#include "runbook/spec.h"

namespace lifeboat {

// How many rounds a sweep makes.
enum class SweepDepth {
    none,    // only the drill itself
    sample,  // one kill for each step and type of event, each step failed once before and once after its deed
    full,    // a kill at both sides of every journal record
};

struct DrillOptions {
    std::filesystem::path program;  // the binary that is drilled
    std::filesystem::path parent;   // the sandbox is made in here; empty: $TMPDIR, else /tmp
    std::optional<Site> real_site;  // what must not be touched, where one is known
    SweepDepth depth = SweepDepth::sample;
    bool keep = false;     // the sandbox stays, its servers too
    std::stop_token stop;  // no further round begins, then the sandbox is removed
    std::function<void(const std::string& line)> say = [](const std::string&) {};
};

enum class DrillVerdict {
    as_expected,
    not_as_expected,     // an expectation or a law failed, or nothing ran
    cleanup_incomplete,  // something of the sandbox is still there
    not_isolated,        // nothing was run
};

struct DrillResult {
    std::string id;
    std::string drill;    // file name without its ending
    std::string runbook;  // name
    Timestamp started{};
    Timestamp ended{};
    DrillVerdict verdict = DrillVerdict::not_as_expected;
    std::vector<DrillCase> cases;         // isolation, steps, expectations, rounds: in the order in which they came
    std::vector<std::string> doubts;      // why isolation is not proven
    std::vector<std::string> left;        // what could not be removed
    Json report = nullptr;                // of the run that the expectations were held against (report/report_json.h)
    Json scope = nullptr;                 // what the expectations saw
    std::size_t records = 0;              // of that run's journal
    SweepDepth depth = SweepDepth::none;  // a sample says so
    std::filesystem::path kept;           // the sandbox, where it stays
    bool interrupted = false;
};

// Throws Error{invalid_file} when drill and runbook do not fit; everything that goes wrong later is in the result.
DrillResult run_drill(const Drill& drill, const Runbook& runbook, const Specs& specs, const Clock& clock,
                      const DrillOptions& options);

// 0, 1, 8 or 9 (design §5).
int exit_code(DrillVerdict verdict);
std::string_view to_text(DrillVerdict verdict);
std::string_view to_text(SweepDepth depth);
Json to_json(const DrillResult& result);
std::string to_junit(const DrillResult& result, const std::string& hostname);
// For people: what failed, then one line that counts.
std::string to_summary(const DrillResult& result);

// In a sandbox every action may be used, also those that do damage: the specs that its generated files are checked
// against.
Specs sandbox_specs(Specs specs);

}  // namespace lifeboat
