// A store over a folder whose objects can be put into cold storage, with a clock of its own that waiting moves: hours
// pass in no time. What was asked for is there so many hours later.
#pragma once

#include <map>

#include "backup/thaw.h"
#include "sample.h"
#include "stores/cold_storage.h"

namespace lifeboat::test {

class ColdStore final : public Store, public ColdStorage {
  public:
    explicit ColdStore(std::shared_ptr<Store> store) : store_(std::move(store)) {}

    Timestamp now = at("2026-02-10T12:00:00Z");
    Duration takes = std::chrono::hours(5);
    std::map<std::string, std::optional<Timestamp>> cold;  // by key: since when it was asked for
    std::vector<std::string> asked;                        // each request, in its order
    int looks = 0;
    int failing_looks = 0;  // so many looks to come find nobody

    void freeze(const std::string& below) {
        store_->list(
            {.prefix = below},
            [&](std::span<const Listed> page) {
                for (const Listed& line : page)
                    if (!line.object.key.ends_with("manifest.json") && !line.object.key.ends_with("SHA256SUMS"))
                        cold[line.object.key] = std::nullopt;
                return true;
            },
            {});
    }
    // Waiting that moves this clock; the pauses are counted.
    ThawWaiting waiting() {
        return {.now = [this] { return now; },
                .pause =
                    [this](Duration duration, const WorkControl& control) {
                        control.check();
                        pauses.push_back(duration);
                        now += duration;
                    }};
    }
    std::vector<Duration> pauses;

    const std::string& name() const override { return store_->name(); }
    StoreFeatures features() const override { return store_->features(); }
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override {
        store_->list(
            query,
            [&](std::span<const Listed> lines) {
                std::vector<Listed> shown(lines.begin(), lines.end());
                for (Listed& line : shown)
                    if (cold.contains(line.object.key)) line.object.cold_class = "GLACIER";
                return page(shown);
            },
            control);
    }
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override {
        return store_->stat(key, control);
    }
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override {
        if (state_of(key) != Thaw::ready)
            throw store_error(ErrorCode::archived, name(), key, "it lies in cold storage");
        return store_->read(key, range, sink, control);
    }
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override {
        return store_->write(key, content, options, control);
    }
    bool remove(const std::string& key, const WorkControl& control) override { return store_->remove(key, control); }

    ColdStorage* cold_storage() override { return this; }
    ThawState thaw_state(const std::string& key, const WorkControl& control) override {
        control.check();
        ++looks;
        if (failing_looks > 0 && !asked.empty()) {
            --failing_looks;
            throw store_error(ErrorCode::unreachable, name(), key, "nobody answers");
        }
        return {.state = state_of(key), .until = std::nullopt};
    }
    void request_thaw(const std::string& key, const WorkControl&) override {
        if (state_of(key) != Thaw::frozen) return;
        asked.push_back(key);
        cold.at(key) = now;
    }
    Duration thaw_takes(std::string_view) const override { return takes; }

  private:
    Thaw state_of(const std::string& key) const {
        const auto found = cold.find(key);
        if (found == cold.end()) return Thaw::ready;
        if (!found->second) return Thaw::frozen;
        return now - *found->second >= takes ? Thaw::ready : Thaw::thawing;
    }

    std::shared_ptr<Store> store_;
};

}  // namespace lifeboat::test
