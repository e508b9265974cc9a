#include "engine/run_store.h"

namespace lifeboat {

RunRecord RunStore::read(const std::string& run_id) const {
    RunRecord record;
    record.run_id = run_id;
    record.plan = plan(run_id);
    static_cast<EventsSeen&>(record) =
        each_event(run_id, [&record](Event event) { record.events.push_back(std::move(event)); });
    return record;
}

std::unique_ptr<Journal> RunStore::open_journal(const std::string& run_id) {
    return take_over(run_id, [](const Event&) {}).journal;
}

}  // namespace lifeboat
