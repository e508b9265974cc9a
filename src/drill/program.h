// The binary that is drilled, as a child process in a clean environment: the same one that people run.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/time.h"
#include "report/report.h"
#include "runs/directory_run_store.h"

namespace lifeboat {

struct ProgramEnd {
    int exit_code = 0;
    bool killed = false;   // by SIGKILL
    bool stopped = false;  // by us, because asked to stop
    std::string talk;      // the end of what it said on stderr and stdout
};

// A run as its journal tells it, and how the program that carried it out ended.
struct ObservedRun {
    ProgramEnd end;
    std::string run_id;  // empty: the program refused before there was one
    std::optional<Report> report;
    std::vector<Event> events;
    std::optional<Plan> plan;
};

class DrilledProgram {
  public:
    // The clock outlives it. `sandbox` is the sandbox's folder, with its lifeboat.yaml and its state.
    DrilledProgram(std::filesystem::path program, std::filesystem::path sandbox, const Clock& clock,
                   std::stop_token stop);

    // `lifeboat run <runbook>`; `fault` becomes LIFEBOAT_FAULT.
    ObservedRun run(const std::filesystem::path& runbook, const Json& inputs, const std::string& fault = {}) const;
    // `lifeboat resume <run>` with answers, until the run has ended, asks a person, or `most` lives are over.
    ObservedRun resume(const std::string& run_id, const std::vector<std::string>& answers, int most = 5) const;

    bool asked_to_stop() const { return stop_.stop_requested(); }

  private:
    ProgramEnd call(std::vector<std::string> arguments, const std::string& fault) const;
    void look(ObservedRun& observed) const;

    std::filesystem::path program_;
    std::filesystem::path sandbox_;
    const Clock& clock_;
    DirectoryRunStore store_;
    std::stop_token stop_;
};

// Recovered, late or unverified: no untolerated failure.
bool ended_well(const ObservedRun& observed);
// "run … ended rolled_back (exit 4): …", for messages.
std::string told(const ObservedRun& observed);

}  // namespace lifeboat
