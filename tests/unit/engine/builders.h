// Plans and worlds for the engine's tests, made of a few words.
#pragma once

#include <map>
#include <memory>

#include "engine/decide.h"
#include "engine/journal.h"
#include "engine/run.h"
#include "engine/threads.h"

namespace lifeboat::testing {

inline Timestamp at(long seconds) {
    return Timestamp(std::chrono::seconds(1'800'000'000 + seconds));
}

inline DraftedStep step(std::string id, Effect effect, std::vector<std::size_t> needs = {}) {
    DraftedStep out;
    out.id = std::move(id);
    out.needs = std::move(needs);
    out.deed = {
        .action = out.id, .effect = effect, .has_probe = effect == Effect::change, .has_undo = effect != Effect::read};
    out.before_line = true;
    return out;
}

inline Plan plan_of(std::vector<DraftedStep> steps, std::vector<DraftedStep> always = {}) {
    Plan plan;
    plan.draft.runbook = "test";
    plan.surveys.resize(steps.size());
    plan.draft.steps = std::move(steps);
    plan.draft.always = std::move(always);
    return plan;
}

// A journal in memory.
class Kept final : public Journal {
  public:
    void append(std::span<const Event> events) override { all.insert(all.end(), events.begin(), events.end()); }
    void sync() override { ++syncs; }
    std::string head() const override { return {}; }
    std::vector<Event> all;
    int syncs = 0;
};

class Blind final : public Observer {
    void saw(const Event&) override {}
};

// An action whose verbs are given as functions.
class Scripted final : public Action {
  public:
    std::function<Intent(Context&)> on_prepare = [](Context&) { return Json::object(); };
    std::function<Outputs(const Intent&, Context&)> on_run = [](const Intent&, Context&) { return Json::object(); };
    std::function<ProbeResult(const Intent&)> on_probe = [](const Intent&) { return ProbeResult{}; };
    std::function<std::string(const Intent&)> on_undo = [](const Intent&) { return std::string("put back"); };

    const ActionSpec& spec() const override { return spec_; }
    Intent prepare(Context& context) const override { return on_prepare(context); }
    Outputs run(const Intent& intent, Context& context) const override { return on_run(intent, context); }
    ProbeResult probe(const Intent& intent, const Notes&, Context&) const override { return on_probe(intent); }
    std::string undo(const Intent& intent, const Notes&, Context&) const override { return on_undo(intent); }

  private:
    ActionSpec spec_{.name = "scripted"};
};

class Cast final : public Actions {
  public:
    Scripted& operator[](const std::string& name) {
        auto& found = all_[name];
        if (!found) found = std::make_unique<Scripted>();
        return *found;
    }
    const Action* find(std::string_view name) const override {
        const auto found = all_.find(std::string(name));
        return found == all_.end() ? nullptr : found->second.get();
    }
    TargetIdentity identify(const std::string& resource) const override {
        return {.resource = resource, .declared = resource};
    }
    RemoteLocks lock_remotely(const std::string&, const std::vector<std::string>&) const override { return {}; }
    std::vector<std::string> end_orphans(const std::string&, const std::vector<std::string>&) const override {
        return {};
    }

  private:
    std::map<std::string, std::unique_ptr<Scripted>> all_;
};

// One life of a run on real threads.
struct Stage {
    Kept journal;
    Cast cast;
    Redactor redactor;
    SystemClock clock;
    std::vector<std::string> log;

    RunState play(const Plan& plan, std::vector<PersonDecided> decisions = {}) {
        ThreadCrew crew(clock, [this](const std::string& id, std::string_view line) {
            log.push_back(id + ": " + std::string(line));
        });
        return play(plan, crew, std::move(decisions));
    }

    RunState play(const Plan& plan, Crew& crew, std::vector<PersonDecided> decisions = {}) {
        Blind blind;
        return execute(plan, replay(plan, journal.all),
                       {.run_id = "r1",
                        .runner = {.host = "h", .pid = 1},
                        .incident_start = clock.now(),
                        .decisions = std::move(decisions)},
                       {.journal = journal,
                        .crew = crew,
                        .clock = clock,
                        .actions = cast,
                        .redactor = redactor,
                        .observer = blind,
                        .workspace = [](const std::string&) { return std::filesystem::path(); }});
    }

    // The journal as words: "attempt_started fetch", in order.
    std::vector<std::string> story(const Plan& plan) const {
        std::vector<std::string> out;
        for (const Event& event : journal.all) {
            const Json body = to_json(event.body);
            std::string line(type_of(event));
            if (body.contains("step")) line += " " + step_at(plan, body["step"].get<std::size_t>()).id;
            for (const char* field : {"outcome", "answer", "end", "verdict", "reason"})
                if (body.contains(field)) line += " " + body[field].get<std::string>();
            out.push_back(line);
        }
        return out;
    }
};

}  // namespace lifeboat::testing
