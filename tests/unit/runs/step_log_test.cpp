#include "runs/step_log.h"

#include <catch2/catch.hpp>
#include <thread>

#include "base/text.h"
#include "unit/runs/sample.h"

using namespace lifeboat;

TEST_CASE("a short log is kept as it is") {
    const sample::Folder folder;
    const Redactor redactor;
    StepLog log{folder.path / "a.log", redactor};
    log.write("one");
    log.write("two");
    CHECK(log.tail() == std::vector<std::string>{"one", "two"});
    log.close();
    CHECK(sample::content(folder.path / "a.log") == "one\ntwo\n");
}

TEST_CASE("a later life goes on behind what stands in the log") {
    const sample::Folder folder;
    const Redactor redactor;
    StepLog{folder.path / "a.log", redactor}.write("first life");
    StepLog{folder.path / "a.log", redactor}.write("second life");
    CHECK(sample::content(folder.path / "a.log") == "first life\nsecond life\n");
}

TEST_CASE("R38 a log of any length stays bounded, keeps its head, its last 100 lines and the count of the rest") {
    const sample::Folder folder;
    const Redactor redactor;
    constexpr int lines = 500'000;
    const auto line = [](int i) { return "line " + std::to_string(i) + " " + std::string(90, '.'); };
    {
        StepLog log{folder.path / "a.log", redactor};
        for (int i = 0; i < lines; ++i)
            log.write(line(i));
    }
    const std::string text = sample::content(folder.path / "a.log");
    CHECK(text.size() < (1u << 20) + 100 * 120 + 100);
    const auto kept = split(trim(text), '\n');
    REQUIRE(kept.size() > 200);
    const std::size_t head = kept.size() - 101;
    for (std::size_t i = 0; i < head; ++i)
        REQUIRE(kept[i] == line(static_cast<int>(i)));
    CHECK(kept[head].starts_with("… " + std::to_string(lines - static_cast<int>(head)) + " lines ("));
    CHECK(kept[head].ends_with(") cut, the last 100 of them:"));
    for (int i = 0; i < 100; ++i)
        REQUIRE(kept[head + 1 + static_cast<std::size_t>(i)] == line(lines - 100 + i));
}

TEST_CASE("R11 secrets do not reach the log, not even at the place where a line is cut") {
    const sample::Folder folder;
    Redactor redactor;
    redactor.add("db", Secret{"correct-horse-battery"});
    StepLog log{folder.path / "a.log", redactor, {.line = {20}}};
    log.write("password=correct-horse-battery");
    log.write("0123456789correct-horse-battery");
    log.close();
    const std::string text = sample::content(folder.path / "a.log");
    CHECK(text == "password=***db***\n0123456789***db***\n");
}

TEST_CASE("bytes that drive a terminal are made visible, long lines are cut between characters") {
    const sample::Folder folder;
    const Redactor redactor;
    StepLog log{folder.path / "a.log", redactor, {.line = {10}}};
    log.write("\x1b[2Jx");
    log.write("12345678äö");
    log.write("123456789ä");
    log.close();
    CHECK(sample::content(folder.path / "a.log") ==
          "\\x1b[2Jx\n12345678ä … (2 B of this line cut)\n123456789 … (2 B of this line cut)\n");
}

TEST_CASE("threads may write into one log") {
    const sample::Folder folder;
    const Redactor redactor;
    {
        StepLog log{folder.path / "a.log", redactor};
        std::vector<std::thread> writers;
        for (int writer = 0; writer < 4; ++writer) {
            writers.emplace_back([&log, writer] {
                for (int i = 0; i < 500; ++i)
                    log.write("writer " + std::to_string(writer));
            });
        }
        for (std::thread& writer : writers)
            writer.join();
    }
    auto lines = split(trim(sample::content(folder.path / "a.log")), '\n');
    std::sort(lines.begin(), lines.end());
    REQUIRE(lines.size() == 2000);
    for (std::size_t i = 0; i < lines.size(); ++i)
        REQUIRE(lines[i] == "writer " + std::to_string(i / 500));
}

TEST_CASE("a log that cannot be written fails nobody") {
    const Redactor redactor;
    StepLog log{"/nowhere/at/all.log", redactor};
    log.write("said");
    CHECK(log.tail() == std::vector<std::string>{"said"});
}
