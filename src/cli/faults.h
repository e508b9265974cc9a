// Faults for drills and tests, asked for by $LIFEBOAT_FAULT and honoured only where the site carries a drill's mark.
// Decorators of the journal and of the actions, so that the engine under test is the ordinary one.
//   kill:before-event=<n>   SIGKILL to this process right before the record with seq n is written
//   kill:after-event=<n>    … right after it is durable
//   kill:step=<id>:after=<duration>   … that long after the step's deed began
//   fail:step=<id>          the step's deed throws `injected` instead of running
//   fail:step=<id>:after    … after it has run
// Several are separated by commas.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/time.h"
#include "engine/action.h"
#include "engine/journal.h"

namespace lifeboat {

struct Faults {
    std::optional<std::uint64_t> kill_before_event;
    std::optional<std::uint64_t> kill_after_event;
    std::map<std::string, Duration> kill_in_step;
    std::set<std::string> fail_instead;
    std::set<std::string> fail_after;

    bool any() const;
};

// Throws Error{usage} for anything else than the forms above. Empty text: no faults.
Faults parse_faults(std::string_view text);

// `inner` and `faults` outlive the journal.
class FaultyJournal final : public Journal {
  public:
    FaultyJournal(Journal& inner, const Faults& faults) : inner_(inner), faults_(faults) {}
    void append(std::span<const Event> events) override;
    void sync() override { inner_.sync(); }
    std::string head() const override { return inner_.head(); }

  private:
    Journal& inner_;
    const Faults& faults_;
};

// `inner` and `faults` outlive the actions.
class FaultyActions final : public Actions {
  public:
    FaultyActions(const Actions& inner, const Faults& faults);
    ~FaultyActions() override;
    const Action* find(std::string_view name) const override;
    TargetIdentity identify(const std::string& resource) const override;
    RemoteLocks lock_remotely(const std::string& run_id, const std::vector<std::string>& targets) const override;
    std::vector<std::string> end_orphans(const std::string& run_id,
                                         const std::vector<std::string>& targets) const override;

  private:
    const Actions& inner_;
    const Faults& faults_;
    mutable std::mutex mutex_;
    mutable std::map<std::string, std::unique_ptr<Action>, std::less<>> wrapped_;
};

}  // namespace lifeboat
