#include "cli/faults.h"

#include <charconv>
#include <thread>

#include <signal.h>
#include <unistd.h>

#include "base/text.h"

namespace lifeboat {

namespace {

[[noreturn]] void die() {
    ::kill(::getpid(), SIGKILL);
    while (true)
        ::pause();
}

Error not_understood(std::string_view text) {
    return Error{ErrorCode::usage, "cannot understand the fault '" + printable(text) + "' in LIFEBOAT_FAULT",
                 "Forms are kill:before-event=N, kill:after-event=N, kill:step=ID:after=DURATION, fail:step=ID and "
                 "fail:step=ID:after."};
}

std::optional<std::string_view> after_prefix(std::string_view text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return std::nullopt;
    return text.substr(prefix.size());
}

std::uint64_t number(std::string_view text, std::string_view fault) {
    std::uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size() || value == 0) throw not_understood(fault);
    return value;
}

void add_fault(Faults& faults, std::string_view text) {
    if (const auto before = after_prefix(text, "kill:before-event=")) {
        faults.kill_before_event = number(*before, text);
    } else if (const auto after = after_prefix(text, "kill:after-event=")) {
        faults.kill_after_event = number(*after, text);
    } else if (const auto killed = after_prefix(text, "kill:step=")) {
        const std::size_t colon = killed->find(":after=");
        if (colon == std::string_view::npos) throw not_understood(text);
        const auto delay = parse_duration(killed->substr(colon + 7));
        if (!delay) throw not_understood(text);
        faults.kill_in_step[std::string(killed->substr(0, colon))] = *delay;
    } else if (const auto failed = after_prefix(text, "fail:step=")) {
        const bool late = failed->ends_with(":after");
        const std::string step(late ? failed->substr(0, failed->size() - 6) : *failed);
        if (step.empty()) throw not_understood(text);
        (late ? faults.fail_after : faults.fail_instead).insert(step);
    } else {
        throw not_understood(text);
    }
}

class FaultyAction final : public Action {
  public:
    FaultyAction(const Action& inner, const Faults& faults) : inner_(inner), faults_(faults) {}

    const ActionSpec& spec() const override { return inner_.spec(); }
    Survey survey(Context& context) const override { return inner_.survey(context); }
    Intent prepare(Context& context) const override { return inner_.prepare(context); }
    Outputs run(const Intent& intent, Context& context) const override {
        const std::string step = context.step_id;
        if (const auto found = faults_.kill_in_step.find(step); found != faults_.kill_in_step.end()) {
            std::thread([delay = found->second] {
                std::this_thread::sleep_for(delay);
                die();
            }).detach();
        }
        if (faults_.fail_instead.contains(step)) {
            throw Error{ErrorCode::injected, "step '" + step + "' was made to fail before it did anything"};
        }
        Outputs outputs = inner_.run(intent, context);
        if (faults_.fail_after.contains(step)) {
            throw Error{ErrorCode::injected, "step '" + step + "' was made to fail after it had run"};
        }
        return outputs;
    }
    ProbeResult probe(const Intent& intent, const Notes& notes, Context& context) const override {
        return inner_.probe(intent, notes, context);
    }
    std::string undo(const Intent& intent, const Notes& notes, Context& context) const override {
        return inner_.undo(intent, notes, context);
    }

  private:
    const Action& inner_;
    const Faults& faults_;
};

}  // namespace

bool Faults::any() const {
    return kill_before_event || kill_after_event || !kill_in_step.empty() || !fail_instead.empty() ||
           !fail_after.empty();
}

Faults parse_faults(std::string_view text) {
    Faults faults;
    if (text.empty()) return faults;
    for (const std::string& one : split(text, ','))
        add_fault(faults, trim(one));
    return faults;
}

void FaultyJournal::append(std::span<const Event> events) {
    if (!faults_.kill_before_event && !faults_.kill_after_event) return inner_.append(events);
    // one by one, so that a kill can fall between any two records
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (faults_.kill_before_event == events[i].seq) die();
        inner_.append(events.subspan(i, 1));
        if (faults_.kill_after_event == events[i].seq) die();
    }
}

FaultyActions::FaultyActions(const Actions& inner, const Faults& faults) : inner_(inner), faults_(faults) {}
FaultyActions::~FaultyActions() = default;

const Action* FaultyActions::find(std::string_view name) const {
    const Action* found = inner_.find(name);
    if (found == nullptr) return nullptr;
    const std::lock_guard lock(mutex_);
    auto& slot = wrapped_[std::string(name)];
    if (!slot) slot = std::make_unique<FaultyAction>(*found, faults_);
    return slot.get();
}

TargetIdentity FaultyActions::identify(const std::string& resource) const {
    return inner_.identify(resource);
}

RemoteLocks FaultyActions::lock_remotely(const std::string& run_id, const std::vector<std::string>& targets) const {
    return inner_.lock_remotely(run_id, targets);
}

std::vector<std::string> FaultyActions::end_orphans(const std::string& run_id,
                                                    const std::vector<std::string>& targets) const {
    return inner_.end_orphans(run_id, targets);
}

}  // namespace lifeboat
