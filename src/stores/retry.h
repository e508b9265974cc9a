// A store that tries again (R22): a bounded number of times, at growing and jittered distances, and only what may go
// away by itself. A read goes on where it stopped, bound to one version of the object, so that two are never spliced.
#pragma once

#include <memory>
#include <mutex>
#include <random>

#include "stores/cold_storage.h"
#include "stores/store.h"

namespace lifeboat {

struct RetryPolicy {
    int attempts = 5;  // in all, of which the first is one; a read that went on for 1 MiB starts counting anew
    Duration first_delay = std::chrono::milliseconds(500);  // doubles with each attempt
    Duration longest_delay = std::chrono::seconds(30);      // also of what a server asks for
};

// What failed, and how long is waited before the next attempt.
struct RetriedAttempt {
    std::string call;  // "read", "write", …
    std::string key;
    int attempt = 1;
    Error error;
    Duration delay = Duration::zero();
};

class RetryStore final : public Store, public ColdStorage {
  public:
    // `report` may be empty; it is called from the thread that works.
    RetryStore(std::shared_ptr<Store> store, RetryPolicy policy,
               std::function<void(const RetriedAttempt&)> report = {});

    const std::string& name() const override { return store_->name(); }
    StoreFeatures features() const override { return store_->features(); }
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override;
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override;
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override;
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override;
    bool remove(const std::string& key, const WorkControl& control) override;

    ColdStorage* cold_storage() override { return store_->cold_storage() == nullptr ? nullptr : this; }
    ThawState thaw_state(const std::string& key, const WorkControl& control) override;
    void request_thaw(const std::string& key, const WorkControl& control) override;
    Duration thaw_takes(std::string_view cold_class) const override;

  private:
    // Throws `error` again unless it may go away by itself and another attempt is left; else waits.
    void pause(const Error& error, const char* call, const std::string& key, int attempt, const WorkControl& control);
    Duration jittered(Duration longest);
    bool holds(const std::string& key, const Content& content, const WorkControl& control);

    std::shared_ptr<Store> store_;
    RetryPolicy policy_;
    std::function<void(const RetriedAttempt&)> report_;
    std::mutex mutex_;
    std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace lifeboat
