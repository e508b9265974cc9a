#include "stores/retry.h"

#include <algorithm>
#include <exception>

#include "stores/http_calls.h"

namespace lifeboat {

namespace {

constexpr std::uint64_t progress_that_counts = 1u << 20;

// Keeps what a caller's own sink, source or page throws: that is never tried again, whatever its code.
class Theirs {
  public:
    template <typename Work>
    auto keep(const Work& work) {
        try {
            return work();
        } catch (...) {
            thrown_ = true;
            throw;
        }
    }
    bool thrown() const { return thrown_; }

  private:
    bool thrown_ = false;
};

}  // namespace

RetryStore::RetryStore(std::shared_ptr<Store> store, RetryPolicy policy,
                       std::function<void(const RetriedAttempt&)> report)
    : store_(std::move(store)), policy_(policy), report_(std::move(report)) {}

Duration RetryStore::jittered(Duration longest) {
    const std::lock_guard lock(mutex_);
    return Duration(std::uniform_int_distribution<Duration::rep>(longest.count() / 2, longest.count())(random_));
}

void RetryStore::pause(const Error& error, const char* call, const std::string& key, int attempt,
                       const WorkControl& control) {
    const bool out_of_time = error.code == ErrorCode::timed_out && std::chrono::steady_clock::now() >= control.deadline;
    if (!info(error.code).transient || is_lasting(error) || out_of_time || attempt >= policy_.attempts) throw error;
    Duration longest = policy_.first_delay;
    for (int doubled = 1; doubled < attempt && longest < policy_.longest_delay; ++doubled)
        longest *= 2;
    longest = std::min(longest, policy_.longest_delay);
    Duration delay = jittered(longest);
    if (error.details.is_object()) {
        const std::uint64_t asked = error.details.value("retry_after", std::uint64_t{0});
        const auto most = static_cast<std::uint64_t>(policy_.longest_delay.count());
        if (asked > 0)
            delay =
                std::max(delay, Duration(static_cast<Duration::rep>(std::min(asked, most / 1'000'000) * 1'000'000)));
    }
    if (report_) report_({.call = call, .key = key, .attempt = attempt, .error = error, .delay = delay});
    control.pause(delay);
}

void RetryStore::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    // what the caller has seen is not shown again
    std::string last;
    Theirs theirs;
    const ListedPage fresh_page = [&](std::span<const Listed> lines) {
        const auto fresh = std::find_if(lines.begin(), lines.end(),
                                        [&](const Listed& line) { return last.empty() || line.object.key > last; });
        lines = lines.subspan(static_cast<std::size_t>(fresh - lines.begin()));
        if (lines.empty()) return true;
        last = lines.back().object.key;
        return theirs.keep([&] { return page(lines); });
    };
    for (int attempt = 1;; ++attempt) {
        try {
            return store_->list(query, fresh_page, control);
        } catch (const Error& error) {
            if (theirs.thrown()) throw;
            pause(error, "list", query.prefix, attempt, control);
        }
    }
}

std::optional<StoredObject> RetryStore::stat(const std::string& key, const WorkControl& control) {
    for (int attempt = 1;; ++attempt) {
        try {
            return store_->stat(key, control);
        } catch (const Error& error) {
            pause(error, "stat", key, attempt, control);
        }
    }
}

ReadEnd RetryStore::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                         const WorkControl& control) {
    ReadRange rest = range;
    if (rest.validator.empty() && store_->features().validators) {
        // without a version to bind it to, a read could only go on blindly
        if (const std::optional<StoredObject> object = stat(key, control)) rest.validator = object->validator;
    }
    std::uint64_t taken = 0;
    std::uint64_t counted_from = 0;
    Theirs theirs;
    const ByteSink counting = [&](std::span<const std::byte> bytes) {
        theirs.keep([&] { sink(bytes); });
        taken += bytes.size();
    };
    for (int attempt = 1;; ++attempt) {
        try {
            const ReadEnd end = store_->read(key, rest, counting, control);
            if (end == ReadEnd::complete || !range.validator.empty()) return end;
            if (taken > 0)
                throw store_error(ErrorCode::moved, name(), key, "it changed while it was read",
                                  "Read it again from its beginning.");
            // it changed between our look and our read: nothing is lost
            const std::optional<StoredObject> object = store_->stat(key, control);
            rest.validator = object ? object->validator : std::string();
            if (attempt >= policy_.attempts)
                throw store_error(ErrorCode::moved, name(), key, "it changes faster than it can be read");
        } catch (const Error& error) {
            if (theirs.thrown()) throw;
            if (taken > 0 && rest.validator.empty()) throw;
            if (taken - counted_from >= progress_that_counts) attempt = 1;
            counted_from = taken;
            pause(error, "read", key, attempt, control);
            rest.offset = range.offset + taken;
            if (range.length) rest.length = *range.length - taken;
        }
    }
}

// Whether the object is `content`, byte for byte.
bool RetryStore::holds(const std::string& key, const Content& content, const WorkControl& control) {
    struct Differs {};
    const ByteSource source = content.open(0);
    std::vector<std::byte> block;
    try {
        const ReadEnd end = store_->read(
            key, ReadRange{},
            [&](std::span<const std::byte> bytes) {
                block.resize(bytes.size());
                for (std::size_t filled = 0; filled < block.size();) {
                    const std::size_t count = source(std::span(block).subspan(filled));
                    if (count == 0) throw Differs{};
                    filled += count;
                }
                if (!std::equal(bytes.begin(), bytes.end(), block.begin())) throw Differs{};
            },
            control);
        block.resize(1);
        return end == ReadEnd::complete && source(block) == 0;
    } catch (const Differs&) {
        return false;
    }
}

StoredObject RetryStore::write(const std::string& key, const Content& content, const WriteOptions& options,
                               const WorkControl& control) {
    Theirs theirs;
    Content watched{.size = content.size, .open = [&](std::uint64_t offset) -> ByteSource {
                        return [&, source = theirs.keep([&] { return content.open(offset); })](
                                   std::span<std::byte> into) { return theirs.keep([&] { return source(into); }); };
                    }};
    for (int attempt = 1;; ++attempt) {
        try {
            return store_->write(key, watched, options, control);
        } catch (const Error& error) {
            if (theirs.thrown()) throw;
            // an attempt whose answer was lost may have written it
            if (error.code == ErrorCode::already_exists && attempt > 1 && holds(key, content, control)) {
                if (std::optional<StoredObject> object = stat(key, control)) return *object;
            }
            pause(error, "write", key, attempt, control);
        }
    }
}

ThawState RetryStore::thaw_state(const std::string& key, const WorkControl& control) {
    for (int attempt = 1;; ++attempt) {
        try {
            return store_->cold_storage()->thaw_state(key, control);
        } catch (const Error& error) {
            pause(error, "thaw_state", key, attempt, control);
        }
    }
}

void RetryStore::request_thaw(const std::string& key, const WorkControl& control) {
    for (int attempt = 1;; ++attempt) {
        try {
            return store_->cold_storage()->request_thaw(key, control);
        } catch (const Error& error) {
            pause(error, "request_thaw", key, attempt, control);
        }
    }
}

Duration RetryStore::thaw_takes(std::string_view cold_class) const {
    return store_->cold_storage()->thaw_takes(cold_class);
}

bool RetryStore::remove(const std::string& key, const WorkControl& control) {
    for (int attempt = 1;; ++attempt) {
        try {
            // an attempt whose answer was lost may have removed it
            return store_->remove(key, control) || attempt > 1;
        } catch (const Error& error) {
            pause(error, "remove", key, attempt, control);
        }
    }
}

}  // namespace lifeboat
