// The terminal: stdout for output, stderr for talk, both through the redactor. A terminal that has gone away is no
// error: from then on what is written to it is dropped, and the run goes on (R34). Decoration only where a terminal
// shows it. Thread-safe.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "report/words.h"

namespace lifeboat {

class Terminal {
  public:
    // `redactor` outlives the terminal. Decoration follows NO_COLOR, TERM and the locale of the environment.
    explicit Terminal(const Redactor& redactor);

    void output(std::string_view text);
    void talk(std::string_view text);
    // The lines that stand below everything else on stderr and are replaced by the next call; nothing without a
    // terminal.
    void live(const std::string& lines);

    bool talks_to_terminal() const { return talks_to_terminal_; }
    bool can_ask() const { return can_ask_; }
    // Asks on stderr, reads a line from stdin; only `y` and `yes` mean yes.
    bool confirm(std::string_view question);

    TextStyle output_style() const { return {.colour = output_coloured_, .unicode = unicode_}; }
    TextStyle talk_style() const { return {.colour = talk_coloured_, .unicode = unicode_}; }
    std::size_t width() const;

    // Why output could not be written (an errno), or 0. A reader that went away is no failure.
    int output_failure() const { return output_.failure; }

  private:
    struct Stream {
        int descriptor;
        bool gone = false;
        int failure = 0;
    };
    static void write(Stream& stream, std::string_view text);
    void clear_live();

    const Redactor& redactor_;
    std::mutex mutex_;
    Stream output_{1};
    Stream talk_{2};
    bool output_coloured_ = false;
    bool talk_coloured_ = false;
    bool unicode_ = true;
    bool talks_to_terminal_ = false;
    bool can_ask_ = false;
    std::size_t live_lines_ = 0;
};

}  // namespace lifeboat
