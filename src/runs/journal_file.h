// A run's journal on disk: one JSON object a line, `{"v":1,"seq":…,"at":…,"prev":…,"type":…, …}`. `prev` is the SHA-256
// (hex) of the previous line's bytes without its newline; for the first line it is 64 zeros. The chain shows every
// change to any record but the last, whose hash nobody holds yet: reports keep it as `head`. A last line without a
// newline was never promised to anyone (its write had not returned) and does not count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/journal.h"
#include "runs/open_file.h"

namespace lifeboat {

inline constexpr int journal_version = 1;
inline constexpr std::string_view journal_root = "0000000000000000000000000000000000000000000000000000000000000000";

// The line of `event` without its newline.
std::string journal_line(const Event& event, std::string_view prev);

// Where the next record goes.
struct JournalEnd {
    std::uint64_t length = 0;        // bytes of the whole records
    std::uint64_t seq = 0;           // of the last record
    std::string head{journal_root};  // what the next record's `prev` will be
};

struct JournalSeen : JournalEnd {
    std::optional<std::string> torn_tail;  // what was left out at the end, and why
};

// Gives `take` one record after the other, each verified, in one pass. Throws Error{journal_damaged} naming the line
// for anything wrong before a torn tail, Error{unsupported} for a record of another version, and what `take` throws.
JournalSeen each_record(const std::filesystem::path& path, const std::function<void(Event)>& take);

struct JournalContent : JournalSeen {
    std::vector<Event> events;
};
JournalContent read_journal(const std::filesystem::path& path);

// What can be said of a run without reading all of its journal: nothing is verified.
struct Glimpse {
    bool begun = false;  // it has a record
    bool ended = false;
    std::optional<Timestamp> started_at;
    std::optional<Verdict> verdict;  // of the last event that says; none while it runs
};
Glimpse glimpse(const std::filesystem::path& journal);

// Appends behind what was found good. One writer, one thread.
class JournalFile final : public Journal {
  public:
    // Cuts a torn tail off first, durably.
    JournalFile(std::filesystem::path path, JournalEnd end);
    // One write for all of them. When it fails the file is cut back to the record before.
    void append(std::span<const Event> events) override;
    // When it fails the file is cut back to the last sync, and nothing more is taken: nobody knows what the disk has.
    void sync() override;
    std::string head() const override { return end_.head; }

  private:
    void cut_back(std::uint64_t length);

    std::filesystem::path path_;
    FileDescriptor file_;
    JournalEnd end_;
    std::uint64_t synced_ = 0;  // bytes
    bool broken_ = false;
};

}  // namespace lifeboat
