// A store that measures what goes through it: calls, failures, bytes, and how long the first byte of a read takes.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "stores/store.h"

namespace lifeboat {

struct StoreMeasure {
    std::map<std::string, std::uint64_t> calls;     // by name: "list", "stat", "read", "write", "remove"
    std::map<std::string, std::uint64_t> failures;  // calls that threw, the caller's own errors included
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t first_bytes = 0;                 // reads that gave one
    Duration first_byte_total = Duration::zero();  // over those reads
    Duration first_byte_longest = Duration::zero();
    Duration reading = Duration::zero();  // summed over threads
    Duration writing = Duration::zero();
};

class MeasureStore final : public Store {
  public:
    explicit MeasureStore(std::shared_ptr<Store> store);

    StoreMeasure measured() const;

    const std::string& name() const override { return store_->name(); }
    StoreFeatures features() const override { return store_->features(); }
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override;
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override;
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override;
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override;
    bool remove(const std::string& key, const WorkControl& control) override;
    ColdStorage* cold_storage() override { return store_->cold_storage(); }

  private:
    template <typename Work>
    auto counted_call(const char* call, const Work& work);

    std::shared_ptr<Store> store_;
    mutable std::mutex mutex_;
    StoreMeasure measure_;
};

}  // namespace lifeboat
