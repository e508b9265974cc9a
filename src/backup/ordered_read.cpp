#include "backup/ordered_read.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace lifeboat {

namespace {

constexpr std::uint64_t range_size = 4u << 20;
constexpr std::size_t most_readers = 8;
constexpr std::size_t most_held = 8;  // ranges, on their way or waiting for their turn

class OrderedRead {
  public:
    OrderedRead(Store& store, const std::string& key, std::uint64_t offset, std::uint64_t size,
                const std::string& validator, const WorkControl& control)
        : store_(store), key_(key), offset_(offset), size_(size), validator_(validator), control_(control) {}

    ReadEnd into(const ByteSink& sink, std::size_t readers) {
        const std::stop_callback pass_on(control_.stop, [this] { stop_.request_stop(); });
        std::vector<std::jthread> threads;
        const Ending ending(*this);  // before the threads are joined
        for (std::size_t i = 0; i < readers; ++i)
            threads.emplace_back([this] { fetch_ranges(); });
        for (std::uint64_t turn = 0; turn < count(); ++turn) {
            auto bytes = take(turn);
            if (!bytes) return ReadEnd::changed;
            sink(*bytes);
            give_back(std::move(*bytes), turn);
        }
        return ReadEnd::complete;
    }

  private:
    // Whatever ends the consumer ends the readers.
    class Ending {
      public:
        explicit Ending(OrderedRead& read) : read_(read) {}
        ~Ending() {
            read_.stop_.request_stop();
            const std::lock_guard lock(read_.mutex_);
            read_.over_ = true;
            read_.moved_on_.notify_all();
        }
        Ending(const Ending&) = delete;
        Ending& operator=(const Ending&) = delete;

      private:
        OrderedRead& read_;
    };

    std::uint64_t count() const { return (size_ - offset_ + range_size - 1) / range_size; }

    // nullopt when the object has changed
    std::optional<std::vector<std::byte>> take(std::uint64_t turn) {
        std::unique_lock lock(mutex_);
        // what lies before the trouble was asked for before it, and comes or has its own
        moved_on_.wait(lock, [&] { return changed_ || arrived_.contains(turn) || (trouble_ && trouble_at_ <= turn); });
        if (changed_) return std::nullopt;
        if (!arrived_.contains(turn)) std::rethrow_exception(trouble_);
        return std::move(arrived_.extract(turn).mapped());
    }

    // The same few blocks of memory go round: new ones would cost as much as the hashing of what is in them.
    void give_back(std::vector<std::byte> bytes, std::uint64_t turn) {
        const std::lock_guard lock(mutex_);
        spare_.push_back(std::move(bytes));
        taken_ = turn + 1;
        moved_on_.notify_all();
    }

    void fetch_ranges() {
        for (;;) {
            std::uint64_t range = 0;
            std::vector<std::byte> bytes;
            {
                std::unique_lock lock(mutex_);
                moved_on_.wait(lock, [&] { return over_ || next_ == count() || next_ < taken_ + most_held; });
                if (over_ || next_ == count()) return;
                range = next_++;
                if (!spare_.empty()) {
                    bytes = std::move(spare_.back());
                    spare_.pop_back();
                }
            }
            bool changed = false;
            std::exception_ptr trouble;
            try {
                changed = fetch(range, bytes) == ReadEnd::changed;
            } catch (...) {
                trouble = std::current_exception();
            }
            const std::lock_guard lock(mutex_);
            if (trouble) {
                if (!trouble_ || range < trouble_at_) {
                    trouble_ = trouble;
                    trouble_at_ = range;
                }
            } else if (changed) {
                changed_ = true;
            } else {
                arrived_.emplace(range, std::move(bytes));
            }
            over_ = over_ || trouble || changed;
            moved_on_.notify_all();
        }
    }

    ReadEnd fetch(std::uint64_t range, std::vector<std::byte>& bytes) {
        const std::uint64_t from = offset_ + range * range_size;
        const std::uint64_t length = std::min(range_size, size_ - from);
        bytes.clear();
        bytes.reserve(length);
        return store_.read(
            key_, ReadRange{.offset = from, .length = length, .validator = validator_},
            [&](std::span<const std::byte> some) { bytes.insert(bytes.end(), some.begin(), some.end()); },
            WorkControl{.stop = stop_.get_token(), .deadline = control_.deadline});
    }

    Store& store_;
    const std::string& key_;
    const std::uint64_t offset_;
    const std::uint64_t size_;
    const std::string& validator_;
    const WorkControl& control_;
    std::stop_source stop_;
    std::mutex mutex_;
    std::condition_variable moved_on_;
    std::map<std::uint64_t, std::vector<std::byte>> arrived_;  // by their number
    std::vector<std::vector<std::byte>> spare_;
    std::uint64_t next_ = 0;      // to be fetched
    std::uint64_t taken_ = 0;     // so many are consumed
    std::exception_ptr trouble_;  // with the foremost range
    std::uint64_t trouble_at_ = 0;
    bool changed_ = false;
    bool over_ = false;
};

}  // namespace

ReadEnd read_in_order(Store& store, const std::string& key, std::uint64_t offset, std::uint64_t size,
                      const std::string& validator, const ByteSink& sink, const WorkControl& control) {
    if (offset == size) return ReadEnd::complete;
    const StoreFeatures features = store.features();
    const std::size_t readers = std::min(features.parallel_reads, most_readers);
    if (readers < 2 || !features.ranges || validator.empty() || size - offset <= range_size)
        return store.read(key, ReadRange{.offset = offset, .length = size - offset, .validator = validator}, sink,
                          control);
    return OrderedRead(store, key, offset, size, validator, control).into(sink, readers);
}

}  // namespace lifeboat
