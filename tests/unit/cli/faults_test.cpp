#include "cli/faults.h"

#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

using namespace lifeboat;

namespace {

// Writes the numbers of what it was given, one write for each call.
class Pipe final : public Journal {
  public:
    explicit Pipe(int descriptor) : descriptor_(descriptor) {}
    void append(std::span<const Event> events) override {
        std::string text;
        for (const Event& event : events)
            text += std::to_string(event.seq) + " ";
        REQUIRE(::write(descriptor_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    void sync() override {}
    std::string head() const override { return {}; }

  private:
    int descriptor_;
};

// What a process had written when it was gone, and whether it was killed.
std::pair<std::string, bool> append_three(const Faults& faults) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        Pipe inner(ends[1]);
        FaultyJournal journal(inner, faults);
        const std::vector<Event> events{{.seq = 4, .at = {}, .body = RunEnded{}},
                                        {.seq = 5, .at = {}, .body = RunEnded{}},
                                        {.seq = 6, .at = {}, .body = RunEnded{}}};
        journal.append(events);
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string text;
    char c = 0;
    while (::read(ends[0], &c, 1) == 1)
        text += c;
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return {text, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL};
}

}  // namespace

TEST_CASE("faults are read strictly") {
    CHECK_FALSE(parse_faults("").any());
    const Faults faults =
        parse_faults("kill:after-event=7, fail:step=swap,fail:step=load:after,kill:step=restore:after=250ms");
    CHECK(faults.kill_after_event == 7);
    CHECK(faults.fail_instead == std::set<std::string>{"swap"});
    CHECK(faults.fail_after == std::set<std::string>{"load"});
    CHECK(faults.kill_in_step.at("restore") == std::chrono::milliseconds(250));
    for (const char* wrong :
         {"kill", "kill:after-event=", "kill:after-event=x", "kill:after-event=0", "kill:before-event=1x",
          "fail:step=", "kill:step=a", "kill:step=a:after=5", "explode:now", ","}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(parse_faults(wrong), Error);
    }
}

TEST_CASE("a kill falls between any two records of one append") {
    CHECK(append_three({}) == std::pair<std::string, bool>("4 5 6 ", false));
    CHECK(append_three({.kill_before_event = 4}) == std::pair<std::string, bool>("", true));
    CHECK(append_three({.kill_before_event = 6}) == std::pair<std::string, bool>("4 5 ", true));
    CHECK(append_three({.kill_after_event = 5}) == std::pair<std::string, bool>("4 5 ", true));
    CHECK(append_three({.kill_after_event = 3}) == std::pair<std::string, bool>("4 5 6 ", false));
}
