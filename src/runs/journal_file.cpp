#include "runs/journal_file.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::size_t chunk_size = 1u << 20;

[[noreturn]] void damaged(const std::filesystem::path& path, std::size_t line, const std::string& why) {
    throw Error{ErrorCode::journal_damaged,
                "journal '" + path.string() + "' is damaged at line " + std::to_string(line) + ": " + why,
                "The records before that line are good; look at them with 'head' and decide by hand."};
}

// A record's line, checked against what stands before it.
Event parse_line(std::string_view text, const std::filesystem::path& path, std::size_t line, std::string_view prev) {
    Json value;
    try {
        value = parse_json(text, "record");
    } catch (const Error& error) {
        damaged(path, line, error.message);
    }
    const auto version = value.find("v");
    if (!value.is_object() || version == value.end() || !version->is_number_integer()) {
        damaged(path, line, "it is no record");
    }
    if (*version != journal_version) {
        throw Error{ErrorCode::unsupported,
                    "journal '" + path.string() + "' has a record of version " + to_text(*version) + " at line " +
                        std::to_string(line) + ", this lifeboat reads version " + std::to_string(journal_version),
                    "Go on with the lifeboat that began this run."};
    }
    try {
        if (value.at("prev").get_ref<const std::string&>() != prev) {
            damaged(path, line, "it does not follow from the line before");
        }
        Event event{.seq = value.at("seq").get<std::uint64_t>()};
        if (event.seq != line) damaged(path, line, "its number is " + std::to_string(event.seq));
        const auto at = parse_timestamp(value.at("at").get_ref<const std::string&>());
        if (!at) damaged(path, line, "it has no time");
        event.at = *at;
        event.body = event_body_from_json(value);
        return event;
    } catch (const Json::exception& error) {
        damaged(path, line, error.what());
    } catch (const Error& error) {
        if (error.message.starts_with("journal '")) throw;
        damaged(path, line, error.message);
    }
}

// Calls `take` with each line that ends in a newline; returns what stands after the last of them.
template <typename Take>
std::string each_line(const std::filesystem::path& path, const Take& take) {
    const FileDescriptor file = open_file(path, O_RDONLY);
    std::string rest;
    std::string chunk(chunk_size, '\0');
    while (true) {
        const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
        if (got == 0) return rest;
        if (got < 0) {
            if (errno == EINTR) continue;
            throw_errno("read '" + path.string() + "'", errno);
        }
        std::string_view fresh{chunk.data(), static_cast<std::size_t>(got)};
        for (std::size_t end = fresh.find('\n'); end != std::string_view::npos; end = fresh.find('\n')) {
            if (rest.empty()) {
                take(fresh.substr(0, end));
            } else {
                rest += fresh.substr(0, end);
                take(rest);
                rest.clear();
            }
            fresh.remove_prefix(end + 1);
        }
        rest += fresh;
    }
}

// The bytes from `from` on, at most `size`.
std::string read_range(const FileDescriptor& file, std::uint64_t from, std::size_t size,
                       const std::filesystem::path& path) {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const ssize_t got = ::pread(file.get(), bytes.data() + have, size - have, static_cast<off_t>(from + have));
        if (got == 0) break;
        if (got > 0) {
            have += static_cast<std::size_t>(got);
        } else if (errno != EINTR) {
            throw_errno("read '" + path.string() + "'", errno);
        }
    }
    bytes.resize(have);
    return bytes;
}

std::uint64_t size_of(const FileDescriptor& file, const std::filesystem::path& path) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw_errno("look at '" + path.string() + "'", errno);
    return static_cast<std::uint64_t>(status.st_size);
}

std::optional<Event> parse_unverified(std::string_view text) {
    const Json value = Json::parse(text.begin(), text.end(), nullptr, false);
    if (!value.is_object() || !value.contains("at") || !value["at"].is_string()) return std::nullopt;
    const auto at = parse_timestamp(value["at"].get_ref<const std::string&>());
    if (!at) return std::nullopt;
    try {
        return Event{.at = *at, .body = event_body_from_json(value)};
    } catch (const Error&) {
        return std::nullopt;
    }
}

// Whether this event says what has become of the run; `found` is filled in.
bool says(const Event& event, Glimpse& found) {
    if (const auto* ended = std::get_if<RunEnded>(&event.body)) {
        found.ended = true;
        found.verdict = ended->verdict;
        return true;
    }
    if (const auto* verdict = std::get_if<VerdictReached>(&event.body)) {
        found.verdict = verdict->verdict;
        return true;
    }
    if (const auto* paused = std::get_if<Paused>(&event.body)) {
        found.verdict = paused->reason == PauseReason::in_doubt ? Verdict::in_doubt : Verdict::paused;
        return true;
    }
    return std::holds_alternative<RunResumed>(event.body);
}

}  // namespace

std::string journal_line(const Event& event, std::string_view prev) {
    Json body = to_json(event.body);
    // the envelope comes first, for people who read journals
    std::string line = "{\"v\":" + std::to_string(journal_version) + ",\"seq\":" + std::to_string(event.seq) +
                       ",\"at\":\"" + to_text(event.at) + "\",\"prev\":\"" + std::string(prev) + "\",\"type\":\"" +
                       std::string(type_of(event)) + "\"";
    body.erase("type");
    if (!body.empty())
        (line += ',') += std::string_view{to_text(body)}.substr(1);
    else
        line += '}';
    return line;
}

JournalSeen each_record(const std::filesystem::path& path, const std::function<void(Event)>& take) {
    JournalSeen seen;
    const std::size_t torn = each_line(path, [&](std::string_view text) {
                                 take(parse_line(text, path, static_cast<std::size_t>(++seen.seq), seen.head));
                                 seen.head = sha256_hex(text);
                                 seen.length += text.size() + 1;
                             }).size();
    if (torn > 0) {
        seen.torn_tail = "the last record was not written to its end (" + counted(torn, "byte") + " after line " +
                         std::to_string(seen.seq) + ") and does not count";
    }
    return seen;
}

JournalContent read_journal(const std::filesystem::path& path) {
    std::vector<Event> events;
    JournalContent content{each_record(path, [&events](Event event) { events.push_back(std::move(event)); }), {}};
    content.events = std::move(events);
    return content;
}

Glimpse glimpse(const std::filesystem::path& journal) {
    Glimpse found;
    const FileDescriptor file = open_file(journal, O_RDONLY);
    const std::uint64_t size = size_of(file, journal);
    const auto first = read_range(file, 0, static_cast<std::size_t>(std::min<std::uint64_t>(size, 4096)), journal);
    const std::size_t first_end = first.find('\n');
    if (first_end == std::string::npos) return found;
    found.begun = true;
    if (const auto event = parse_unverified(std::string_view{first}.substr(0, first_end))) found.started_at = event->at;

    std::string tail;
    for (std::uint64_t length = 65536;; length *= 4) {
        const std::uint64_t from = size > length ? size - length : 0;
        tail = read_range(file, from, static_cast<std::size_t>(size - from), journal);
        // without the torn end and without the piece of a line in front, something must be left
        const std::size_t last = tail.rfind('\n');
        tail.resize(last == std::string::npos ? 0 : last);
        if (from == 0) break;
        if (const std::size_t newline = tail.find('\n'); newline != std::string::npos) {
            tail.erase(0, newline + 1);
            break;
        }
    }
    std::string_view left = tail;
    while (!left.empty()) {
        const std::size_t newline = left.rfind('\n');
        const std::string_view line = newline == std::string_view::npos ? left : left.substr(newline + 1);
        if (const auto event = parse_unverified(line); event && says(*event, found)) break;
        left = newline == std::string_view::npos ? std::string_view{} : left.substr(0, newline);
    }
    return found;
}

JournalFile::JournalFile(std::filesystem::path path, JournalEnd end)
    : path_(std::move(path)), file_(open_file(path_, O_WRONLY | O_APPEND)), end_(std::move(end)) {
    synced_ = end_.length;
    if (size_of(file_, path_) == end_.length) return;
    cut_back(end_.length);
    if (broken_ || ::fdatasync(file_.get()) != 0) {
        throw_errno("cut the torn end off '" + path_.string() + "'", errno);
    }
}

void JournalFile::cut_back(std::uint64_t length) {
    while (::ftruncate(file_.get(), static_cast<off_t>(length)) != 0) {
        if (errno == EINTR) continue;
        broken_ = true;
        return;
    }
}

void JournalFile::append(std::span<const Event> events) {
    if (events.empty()) return;
    if (broken_) {
        throw Error{ErrorCode::io_failed, "journal '" + path_.string() + "' takes no more records after a failed write",
                    "Look after the disk, then resume the run."};
    }
    std::string lines;
    std::string head = end_.head;
    std::uint64_t seq = end_.seq;
    for (const Event& event : events) {
        if (event.seq != ++seq) {
            throw Error{ErrorCode::internal, "record " + std::to_string(event.seq) + " was appended where " +
                                                 std::to_string(seq) + " comes next"};
        }
        const std::string line = journal_line(event, head);
        head = sha256_hex(line);
        (lines += line) += '\n';
    }
    try {
        write_all(file_, lines, path_);
    } catch (Error& error) {
        cut_back(end_.length);
        if (error.code != ErrorCode::disk_full) error.code = ErrorCode::io_failed;
        throw;
    }
    end_.length += lines.size();
    end_.seq = seq;
    end_.head = std::move(head);
}

void JournalFile::sync() {
    if (synced_ == end_.length) return;
    try {
        if (::fdatasync(file_.get()) != 0) throw_errno("sync '" + path_.string() + "'", errno);
    } catch (Error& error) {
        broken_ = true;
        cut_back(synced_);
        if (error.code != ErrorCode::disk_full) error.code = ErrorCode::io_failed;
        throw;
    }
    synced_ = end_.length;
}

}  // namespace lifeboat
