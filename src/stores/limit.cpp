#include "stores/limit.h"

#include <algorithm>
#include <condition_variable>

namespace lifeboat {

namespace {

constexpr std::uint64_t microseconds = 1'000'000;

}  // namespace

RateLimit::RateLimit(Bytes per_second) : per_second_(std::max<std::uint64_t>(1, per_second.count)) {}

void RateLimit::take(std::uint64_t bytes, const WorkControl& control) {
    control.check();
    const auto cost = Duration(
        static_cast<Duration::rep>(static_cast<double>(bytes) * microseconds / static_cast<double>(per_second_)));
    // what was not used a moment ago may be caught up
    constexpr Duration burst = std::chrono::milliseconds(100);
    SteadyTime until;
    {
        const std::lock_guard lock(mutex_);
        const SteadyTime now = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
        free_from_ = std::max(free_from_, now - burst) + cost;
        until = free_from_;
    }
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock(mutex);
    woken.wait_until(lock, control.stop, std::min(until, control.deadline), [] { return false; });
    control.check();
}

LimitStore::LimitStore(std::shared_ptr<Store> store, std::shared_ptr<RateLimit> limit)
    : store_(std::move(store)), limit_(std::move(limit)) {}

WorkControl LimitStore::limited(const WorkControl& control) const {
    WorkControl slower = control;
    slower.moved = [limit = limit_, control](std::uint64_t bytes) {
        if (control.moved) control.moved(bytes);
        limit->take(bytes, control);
    };
    return slower;
}

void LimitStore::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    store_->list(query, page, control);
}

std::optional<StoredObject> LimitStore::stat(const std::string& key, const WorkControl& control) {
    return store_->stat(key, control);
}

ReadEnd LimitStore::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                         const WorkControl& control) {
    return store_->read(key, range, sink, limited(control));
}

StoredObject LimitStore::write(const std::string& key, const Content& content, const WriteOptions& options,
                               const WorkControl& control) {
    return store_->write(key, content, options, limited(control));
}

bool LimitStore::remove(const std::string& key, const WorkControl& control) {
    return store_->remove(key, control);
}

}  // namespace lifeboat
