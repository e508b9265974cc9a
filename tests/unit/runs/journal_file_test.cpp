#include "runs/journal_file.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "base/sha256.h"
#include "base/text.h"
#include "unit/runs/sample.h"

using namespace lifeboat;

namespace {

std::string write_sample(const std::filesystem::path& path) {
    sample::put(path, "");
    JournalFile journal{path, read_journal(path)};
    journal.append(sample::events());
    return sample::content(path);
}

void put_byte(const std::filesystem::path& path, std::size_t at, char byte) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
}

// Runs `body` in a child process, whose limits and mounts are its own; its exit code.
template <typename Body>
int in_child(const Body& body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The journal at `path` is filled until it takes no more; 0 when it then still holds exactly what was accepted.
int fill_until_refused(const std::filesystem::path& path) {
    sample::put(path, "");
    JournalFile journal{path, read_journal(path)};
    const std::vector<Event> all = sample::events();
    journal.append(std::span(all).first(4));
    std::size_t accepted = 4;
    ErrorCode refused = ErrorCode::internal;
    for (int round = 0; round < 10'000; ++round) {
        const Event more{.seq = accepted + 1,
                         .at = sample::second(1),
                         .body = Noted{.step = 0, .key = "n", .value = std::string(700, 'x')}};
        try {
            journal.append(std::span(&more, 1));
            ++accepted;
        } catch (const Error& error) {
            refused = error.code;
            break;
        }
    }
    const JournalContent back = read_journal(path);
    const bool whole = back.events.size() == accepted && !back.torn_tail && sample::content(path).size() == back.length;
    if (!whole) return 1;
    return refused == ErrorCode::disk_full ? 0 : refused == ErrorCode::io_failed ? 2 : 3;
}

}  // namespace

TEST_CASE("a journal reads back what was appended") {
    const sample::Folder folder;
    const auto path = folder.path / "journal.jsonl";
    const std::string text = write_sample(path);
    const JournalContent back = read_journal(path);
    CHECK(sample::as_json(back.events) == sample::as_json(sample::events()));
    CHECK(back.length == text.size());
    CHECK_FALSE(back.torn_tail);
    const auto lines = split(trim(text), '\n');
    CHECK(back.head == sha256_hex(lines.back()));
}

TEST_CASE("a record is one line with the envelope in front, and names the hash of the line before") {
    const Event event{.seq = 2, .at = sample::second(1), .body = AttemptStarted{.step = 4, .deed = 1, .attempt = 2}};
    const std::string prev = sha256_hex("the line before");
    CHECK(journal_line(event, prev) == R"({"v":1,"seq":2,"at":"2026-02-01T02:00:01.000000Z","prev":")" + prev +
                                           R"(","type":"attempt_started","attempt":2,"deed":1,"step":4})");
}

TEST_CASE("the first record follows from 64 zeros, each other one from the line before it") {
    const sample::Folder folder;
    const auto lines = split(trim(write_sample(folder.path / "j")), '\n');
    REQUIRE(lines.size() == sample::events().size());
    std::string prev(64, '0');
    for (const std::string& line : lines) {
        CHECK(Json::parse(line)["prev"] == prev);
        prev = sha256_hex(line);
    }
}

TEST_CASE("R13 a torn last record is cut: every truncation reads as a prefix and can be gone on with") {
    const sample::Folder folder;
    const auto path = folder.path / "journal.jsonl";
    const std::string whole = write_sample(path);
    const std::vector<Event> events = sample::events();
    for (std::size_t length = whole.size() + 1; length-- > 0;) {
        std::filesystem::resize_file(path, length);
        const auto lines = static_cast<std::size_t>(
            std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length), '\n'));
        const JournalContent back = read_journal(path);
        REQUIRE(back.events.size() == lines);
        REQUIRE(back.torn_tail.has_value() == (length > 0 && whole[length - 1] != '\n'));
        if (lines == events.size() || length % 37 != 0) continue;  // going on takes syncs
        JournalFile journal{path, back};
        journal.append(std::span(events).subspan(lines));
        REQUIRE(sample::content(path) == whole);
    }
}

TEST_CASE("a changed byte is detected, but in the last record, whose hash only a report can hold") {
    const sample::Folder folder;
    const auto path = folder.path / "journal.jsonl";
    const std::string whole = write_sample(path);
    const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
    const std::string head = read_journal(path).head;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        put_byte(path, i, static_cast<char>(whole[i] ^ 1));
        std::string result;
        try {
            const JournalContent back = read_journal(path);
            // the last newline gone: the record counts as torn
            result = back.torn_tail ? "torn" : back.head == head ? "unnoticed" : "another head";
        } catch (const Error& error) {
            REQUIRE((error.code == ErrorCode::journal_damaged || error.code == ErrorCode::unsupported));
            result = "damaged";
        }
        if (i < last) {
            REQUIRE(result == "damaged");
        } else {
            REQUIRE(result != "unnoticed");
        }
        put_byte(path, i, whole[i]);
    }
}

TEST_CASE("a damaged record in the middle names its line") {
    const sample::Folder folder;
    const auto path = folder.path / "journal.jsonl";
    std::vector<std::string> lines = split(trim(write_sample(path)), '\n');
    const auto message = [&path](const std::string& text) {
        sample::put(path, text);
        try {
            read_journal(path);
            return std::string("read");
        } catch (const Error& error) {
            return std::string(info(error.code).name) + ": " + error.message;
        }
    };
    const std::string place = "journal '" + path.string() + "' is damaged at line ";
    SECTION("a record that is no JSON") {
        lines[2] = "{";
        CHECK(
            message(join(lines, "\n") + "\n") ==
            "journal_damaged: " + place +
                "3: 'record' is not valid JSON at line 1, column 2: unexpected end of input; expected string literal");
    }
    SECTION("a record left out") {
        lines.erase(lines.begin() + 4);
        CHECK(message(join(lines, "\n") + "\n") ==
              "journal_damaged: " + place + "5: it does not follow from the line before");
    }
    SECTION("a record rewritten") {
        lines[3].replace(lines[3].find("/x/"), 3, "/y/");
        CHECK(message(join(lines, "\n") + "\n") ==
              "journal_damaged: " + place + "5: it does not follow from the line before");
    }
    SECTION("an empty line") {
        lines.insert(lines.begin() + 1, "");
        CHECK(message(join(lines, "\n") + "\n") == "journal_damaged: " + place +
                                                       "2: 'record' is not valid JSON at line 1, column 1: unexpected "
                                                       "end of input; expected '[', '{', or a literal");
    }
    SECTION("a record of another version") {
        lines[0].replace(lines[0].find("\"v\":1"), 5, "\"v\":2");
        CHECK(message(join(lines, "\n") + "\n") ==
              "unsupported: journal '" + path.string() +
                  "' has a record of version 2 at line 1, this lifeboat reads version 1");
    }
}

TEST_CASE("R13 records are appended in their order only") {
    const sample::Folder folder;
    const auto path = folder.path / "journal.jsonl";
    write_sample(path);
    JournalFile journal{path, read_journal(path)};
    const Event again{.seq = 3, .at = sample::second(1), .body = AttemptStarted{}};
    CHECK_THROWS_AS(journal.append(std::span(&again, 1)), Error);
    CHECK(read_journal(path).events.size() == sample::events().size());
}

TEST_CASE("after a write that a limit stopped half way nothing half-written counts") {
    const sample::Folder folder;
    const int result = in_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{20'000, 20'000};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        return fill_until_refused(folder.path / "journal.jsonl");
    });
    CHECK(result == 2);  // io_failed, and whole
}

TEST_CASE("after a full disk nothing half-written counts") {
    const sample::Folder folder;
    constexpr int no_mount = 77;
    const int result = in_child([&] {
        if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return no_mount;
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        if (::mount("tmpfs", folder.path.c_str(), "tmpfs", 0, "size=64k") != 0) return no_mount;
        return fill_until_refused(folder.path / "journal.jsonl");
    });
    if (result == no_mount) {
        std::puts("SKIPPED: this machine does not let a test mount a small file system");
        return;
    }
    CHECK(result == 0);  // disk_full, and whole
}

TEST_CASE("a glimpse tells how a run stands from the two ends of its journal") {
    const sample::Folder folder;
    const auto path = folder.path / "journal.jsonl";
    sample::put(path, "");
    std::vector<Event> events = sample::events();
    const auto seen_after = [&](std::size_t count) {
        sample::put(path, "");
        JournalFile journal{path, read_journal(path)};
        journal.append(std::span(events).first(count));
        return glimpse(path);
    };
    CHECK_FALSE(seen_after(0).begun);
    CHECK(seen_after(1).started_at == sample::second(0));
    CHECK_FALSE(seen_after(9).verdict);
    CHECK(seen_after(10).verdict == Verdict::recovered);
    CHECK_FALSE(seen_after(10).ended);
    CHECK(seen_after(11).ended);

    events.resize(3);
    events.push_back({.seq = 4, .at = sample::second(2), .body = Paused{.reason = PauseReason::in_doubt}});
    events.push_back({.seq = 5, .at = sample::second(3), .body = RunResumed{.runner = sample::runner()}});
    // a record longer than what is read at first
    events.push_back(
        {.seq = 6, .at = sample::second(4), .body = Noted{.key = "long", .value = std::string(300'000, 'x')}});
    CHECK(seen_after(4).verdict == Verdict::in_doubt);
    CHECK_FALSE(seen_after(5).verdict);
    CHECK(seen_after(6).begun);
    CHECK_FALSE(seen_after(6).verdict);
}

TEST_CASE("a hundred thousand records are read in one pass within 200 MiB") {
    const sample::Folder folder;
    const auto path = folder.path / "journal.jsonl";
    sample::put(path, "");
    {
        JournalFile journal{path, read_journal(path)};
        std::vector<Event> batch;
        std::uint64_t seq = 0;
        const auto flush = [&] {
            journal.append(batch);
            batch.clear();
        };
        batch.push_back(
            {.seq = ++seq, .at = sample::second(0), .body = RunStarted{.run_id = "r", .runner = sample::runner()}});
        while (seq < 100'000) {
            const auto step = static_cast<std::size_t>(seq);
            batch.push_back(
                {.seq = ++seq,
                 .at = sample::second(1),
                 .body = DeedPrepared{.step = step, .arguments = {{"message", "hello"}}, .intent = Json::object()}});
            batch.push_back({.seq = ++seq, .at = sample::second(1), .body = AttemptStarted{.step = step}});
            batch.push_back({.seq = ++seq, .at = sample::second(1), .body = AttemptEnded{.step = step}});
            if (batch.size() > 3'000) flush();
        }
        flush();
    }
    const int result = in_child([&] {
        const JournalContent back = read_journal(path);
        rusage used{};
        ::getrusage(RUSAGE_SELF, &used);
        if (back.events.size() < 100'000) return 1;
        return under_sanitizer || used.ru_maxrss < 200 * 1024 ? 0 : 2;
    });
    CHECK(result == 0);
}
