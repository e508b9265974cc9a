#include "stores/measure.h"

#include <algorithm>

namespace lifeboat {

namespace {

SteadyTime steady_now() {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

}  // namespace

MeasureStore::MeasureStore(std::shared_ptr<Store> store) : store_(std::move(store)) {}

StoreMeasure MeasureStore::measured() const {
    const std::lock_guard lock(mutex_);
    return measure_;
}

template <typename Work>
auto MeasureStore::counted_call(const char* call, const Work& work) {
    {
        const std::lock_guard lock(mutex_);
        ++measure_.calls[call];
    }
    try {
        return work();
    } catch (...) {
        const std::lock_guard lock(mutex_);
        ++measure_.failures[call];
        throw;
    }
}

void MeasureStore::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    counted_call("list", [&] { store_->list(query, page, control); });
}

std::optional<StoredObject> MeasureStore::stat(const std::string& key, const WorkControl& control) {
    return counted_call("stat", [&] { return store_->stat(key, control); });
}

ReadEnd MeasureStore::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                           const WorkControl& control) {
    const SteadyTime start = steady_now();
    bool first = true;
    const ByteSink measuring = [&](std::span<const std::byte> bytes) {
        {
            const std::lock_guard lock(mutex_);
            if (std::exchange(first, false)) {
                const Duration waited = steady_now() - start;
                ++measure_.first_bytes;
                measure_.first_byte_total += waited;
                measure_.first_byte_longest = std::max(measure_.first_byte_longest, waited);
            }
            measure_.bytes_read += bytes.size();
        }
        sink(bytes);
    };
    const ReadEnd end = counted_call("read", [&] { return store_->read(key, range, measuring, control); });
    const std::lock_guard lock(mutex_);
    measure_.reading += steady_now() - start;
    return end;
}

StoredObject MeasureStore::write(const std::string& key, const Content& content, const WriteOptions& options,
                                 const WorkControl& control) {
    const SteadyTime start = steady_now();
    StoredObject object = counted_call("write", [&] { return store_->write(key, content, options, control); });
    const std::lock_guard lock(mutex_);
    measure_.bytes_written += object.size.count;
    measure_.writing += steady_now() - start;
    return object;
}

bool MeasureStore::remove(const std::string& key, const WorkControl& control) {
    return counted_call("remove", [&] { return store_->remove(key, control); });
}

}  // namespace lifeboat
