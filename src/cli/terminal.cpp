#include "cli/terminal.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

namespace lifeboat {

namespace {

std::string_view environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view() : value;
}

// Whether the reader's terminal, or whoever reads the file, understands UTF-8: only a locale that says otherwise means
// no.
bool unicode_wanted() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        if (const std::string_view locale = environment(name); !locale.empty())
            return locale != "C" && locale != "POSIX";
    }
    return true;
}

}  // namespace

Terminal::Terminal(const Redactor& redactor) : redactor_(redactor) {
    const bool wanted =
        environment("NO_COLOR").empty() && environment("TERM") != "dumb" && !environment("TERM").empty();
    output_coloured_ = wanted && isatty(output_.descriptor) == 1;
    talks_to_terminal_ = isatty(talk_.descriptor) == 1 && environment("TERM") != "dumb";
    talk_coloured_ = wanted && talks_to_terminal_;
    unicode_ = unicode_wanted();
    can_ask_ = isatty(0) == 1 && isatty(talk_.descriptor) == 1;
}

void Terminal::write(Stream& stream, std::string_view text) {
    while (!text.empty() && !stream.gone) {
        const ssize_t written = ::write(stream.descriptor, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {
            usleep(1000);
        } else if (errno != EINTR) {
            if (errno != EPIPE && errno != EIO && errno != EBADF) stream.failure = errno;
            stream.gone = true;
        }
    }
}

void Terminal::clear_live() {
    if (live_lines_ == 0) return;
    std::string codes = "\r\x1b[K";
    for (std::size_t i = 1; i < live_lines_; ++i)
        codes += "\x1b[1A\x1b[K";
    write(talk_, codes);
    live_lines_ = 0;
}

void Terminal::output(std::string_view text) {
    const std::lock_guard lock(mutex_);
    clear_live();
    write(output_, redactor_.redact(text));
}

void Terminal::talk(std::string_view text) {
    const std::lock_guard lock(mutex_);
    clear_live();
    write(talk_, redactor_.redact(text));
}

void Terminal::live(const std::string& lines) {
    if (!talks_to_terminal_) return;
    const std::lock_guard lock(mutex_);
    clear_live();
    if (lines.empty()) return;
    write(talk_, redactor_.redact(lines));
    live_lines_ = 1 + static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
}

bool Terminal::confirm(std::string_view question) {
    talk(std::string(question) + " [y/N] ");
    std::string answer;
    char c = 0;
    while (answer.size() < 100) {
        const ssize_t got = ::read(0, &c, 1);
        if (got < 0 && errno == EINTR) return false;
        if (got <= 0 || c == '\n') break;
        answer += c;
    }
    const std::string_view said = trim(answer);
    return said == "y" || said == "Y" || said == "yes" || said == "Yes";
}

std::size_t Terminal::width() const {
    winsize size{};
    if (ioctl(talk_.descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

}  // namespace lifeboat
