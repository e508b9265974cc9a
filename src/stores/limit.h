// A store that moves at most so many bytes a second, read and written together. Several stores and threads may share
// one `RateLimit`. It counts what the store below reports as moved.
#pragma once

#include <memory>
#include <mutex>

#include "stores/store.h"

namespace lifeboat {

class RateLimit {
  public:
    // At least one byte a second.
    explicit RateLimit(Bytes per_second);

    // Waits until `bytes` more may travel. Ends like `WorkControl::check`.
    void take(std::uint64_t bytes, const WorkControl& control);

  private:
    std::uint64_t per_second_;
    std::mutex mutex_;
    SteadyTime free_from_{};  // when everything that was let through has had its time
};

class LimitStore final : public Store {
  public:
    LimitStore(std::shared_ptr<Store> store, std::shared_ptr<RateLimit> limit);

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
    WorkControl limited(const WorkControl& control) const;

    std::shared_ptr<Store> store_;
    std::shared_ptr<RateLimit> limit_;
};

}  // namespace lifeboat
