// The acts of a drill inside its sandbox, each carried out by the drilled program: the drill's own steps, the runbook,
// the observation, the judgement. What they find is folded into plain values. One thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "drill/expectations.h"
#include "drill/program.h"
#include "drill/sandbox.h"
#include "runbook/drill.h"
#include "runbook/runbook.h"
#include "runbook/spec.h"

namespace lifeboat {

// What a list of the drill's own steps came to.
struct StepsDone {
    bool well = true;
    std::string told;             // how the run ended, when it did not end well
    Json steps = Json::object();  // {"<step>": {"outputs", "outcome"}}
    std::vector<ReportedStep> reported;
};

class Rehearsal {
  public:
    // All outlive it.
    Rehearsal(const Drill& drill, const Runbook& runbook, const Specs& specs, const DrillSandbox& sandbox,
              const DrilledProgram& program);

    // `setup` or `disaster`; what they find is known to everything later.
    StepsDone prepare(std::string_view root, const std::vector<Step>& steps);
    void start_services(const std::set<std::string>& services) const;

    ObservedRun run(const std::string& fault = {}) const;
    // The observe steps, with `run` as they see it.
    StepsDone observe(const Json& run) const;
    // What an observation says about the target: without times, which differ every time.
    Json substance_of(const StepsDone& observation) const;

    // Everything that an expectation may name.
    Json scope(const Report& report, const StepsDone& observation) const;
    // The expectations that do not hold after `observed`, with an observation of now; empty when all is as expected.
    std::vector<std::string> disappointments(const ObservedRun& observed) const;

    const DrilledProgram& program() const { return program_; }

  private:
    StepsDone do_steps(std::string_view root, const std::vector<Step>& steps, const Json& known) const;

    const Drill& drill_;
    const Specs& specs_;
    const DrillSandbox& sandbox_;
    const DrilledProgram& program_;
    std::filesystem::path runbook_file_;
    Json known_;
};

}  // namespace lifeboat
