// What the tests of this room share: a throw-away folder, a clock that is set by hand, a small plan, and a small
// journal.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/event.h"
#include "engine/plan.h"

namespace lifeboat::sample {

class Folder {
  public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "lifeboat-runs-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw_errno("make a folder", errno);
        path = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::filesystem::path path;
};

class HandClock final : public Clock {
  public:
    Timestamp now() const override { return at; }
    SteadyTime steady() const override { return SteadyTime{}; }
    Timestamp at = *parse_timestamp("2026-02-01T02:00:00Z");
};

inline std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void put(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

inline Timestamp second(int seconds) {
    return *parse_timestamp("2026-02-01T02:00:00Z") + std::chrono::seconds(seconds);
}

inline Runner runner() {
    return {.host = "db1", .user = "ops", .pid = 4711, .start_ticks = 99, .boot_id = "b00t", .version = "0.1.0"};
}

inline Plan plan() {
    Plan plan;
    plan.draft.runbook = "database-corruption";
    plan.draft.summary = "Restore beside, verify, swap in";
    plan.draft.runbook_source = "lifeboat: runbook/v1\nname: database-corruption\n";
    plan.draft.scripts = {{"count.lua", "return 1\n"}, {"deep/er.lua", "return 2\n"}};
    for (const char* id : {"fetch", "restore"}) {
        DraftedStep step;
        step.id = id;
        step.deed.action = std::string("sample.") + id;
        step.deed.effect = Effect::stage;
        plan.draft.steps.push_back(step);
    }
    plan.draft.steps[1].needs = {0};
    plan.surveys.resize(2);
    plan.made_at = second(0);
    plan.digest = digest_of(plan);
    return plan;
}

// A whole run of `plan()`, its steps ending after `fetch` and `restore` seconds.
inline std::vector<Event> events(int fetch = 3, int restore = 8, Verdict verdict = Verdict::recovered) {
    std::vector<Event> all;
    const auto add = [&all](int at, EventBody body) {
        all.push_back({.seq = all.size() + 1, .at = second(at), .body = std::move(body)});
    };
    add(0, RunStarted{.run_id = "r", .plan_digest = "d", .runner = runner(), .incident_start = second(-60)});
    add(0, DeedPrepared{.step = 0, .arguments = {{"backup", "shop"}}, .intent = {{"path", "/x"}}});
    add(0, AttemptStarted{.step = 0});
    add(fetch, AttemptEnded{.step = 0, .outputs = {{"path", "/x/ä\n"}}});
    add(fetch, StepEnded{.step = 0, .outputs = {{"path", "/x/ä\n"}}});
    add(fetch, DeedPrepared{.step = 1, .arguments = Json::object(), .intent = nullptr});
    add(fetch, AttemptStarted{.step = 1});
    add(fetch + restore, AttemptEnded{.step = 1});
    add(fetch + restore, StepEnded{.step = 1});
    add(fetch + restore, VerdictReached{.verdict = verdict, .rto = std::chrono::seconds(60 + fetch + restore)});
    add(fetch + restore, RunEnded{.verdict = verdict});
    return all;
}

// The first `count` of them: a run that was killed there.
inline std::vector<Event> first_events(std::size_t count) {
    std::vector<Event> all = events();
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(count), all.end());
    return all;
}

inline std::vector<Json> as_json(const std::vector<Event>& events) {
    std::vector<Json> all;
    for (const Event& event : events) {
        Json value = to_json(event.body);
        value["seq"] = event.seq;
        value["at"] = to_text(event.at);
        all.push_back(value);
    }
    return all;
}

}  // namespace lifeboat::sample
