#include "cli/live_view.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "engine/state.h"
#include "report/event_line.h"

namespace lifeboat {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto redraw = milliseconds(250);
constexpr auto plain_lines = seconds(5);
constexpr auto recent = seconds(15);

double rate_between(const ProgressSample& from, const ProgressSample& to) {
    const double time = std::chrono::duration<double>(to.at - from.at).count();
    return time <= 0 || to.done < from.done ? 0 : static_cast<double>(to.done - from.done) / time;
}

Duration in_seconds(double count) {
    return std::chrono::duration_cast<Duration>(std::chrono::seconds(std::lround(std::min(count, 1e9))));
}

std::string amount(std::uint64_t count, const std::string& unit) {
    return unit == "bytes" ? to_human(Bytes{count}) : std::to_string(count) + " " + unit;
}

template <typename... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace

std::string progress_text(const Progress& progress, const std::deque<ProgressSample>& samples) {
    std::vector<std::string> parts;
    if (progress.done) {
        std::string text = amount(*progress.done, progress.unit);
        if (progress.total) text += " of " + amount(*progress.total, progress.unit);
        parts.push_back(std::move(text));
    }
    if (samples.size() > 1) {
        const ProgressSample& last = samples.back();
        const auto fresh = std::find_if(samples.begin(), samples.end(),
                                        [&last](const ProgressSample& one) { return last.at - one.at <= recent; });
        const double whole = rate_between(samples.front(), last);
        const double late = fresh + 1 == samples.end() ? whole : rate_between(*fresh, last);
        if (progress.unit == "bytes") parts.push_back(to_human(Bytes{static_cast<std::uint64_t>(late)}) + "/s");
        if (progress.total && *progress.total > last.done) {
            const auto left = static_cast<double>(*progress.total - last.done);
            if (late < 1e-9 || whole < 1e-9) {
                parts.emplace_back("time left unknown");
            } else {
                const auto [least, most] = std::minmax({left / late, left / whole});
                const std::string from = to_human(in_seconds(least));
                const std::string to = to_human(in_seconds(most));
                parts.push_back((from == to ? from : from + " to " + to) + " left");
            }
        }
    }
    return join(parts, ", ");
}

LiveView::LiveView(Terminal& terminal, const Plan& plan, const Clock& clock, bool quiet)
    : terminal_(terminal), plan_(plan), clock_(clock), quiet_(quiet) {
    ticker_ = std::thread([this] {
        std::unique_lock lock(mutex_);
        const auto pause = terminal_.talks_to_terminal() ? Duration(redraw) : Duration(plain_lines);
        while (!stopped_.wait_for(lock, pause, [this] { return stopping_; }))
            tick();
    });
}

LiveView::~LiveView() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stopped_.notify_all();
    ticker_.join();
    terminal_.live("");
}

std::optional<Duration> LiveView::begin(std::size_t step, const std::string& verb) {
    const SteadyTime now = clock_.steady();
    running_[step] = Running{.since = now, .verb = verb, .progress = {}, .samples = {}, .last_sign = now};
    return std::nullopt;
}

std::optional<Duration> LiveView::end(std::size_t step) {
    const auto found = running_.find(step);
    if (found == running_.end()) return std::nullopt;
    const Duration took = clock_.steady() - found->second.since;
    running_.erase(found);
    return took;
}

void LiveView::saw(const Event& event) {
    const std::lock_guard lock(mutex_);
    const std::optional<Duration> took =
        std::visit(Overloaded{
                       [this](const AttemptStarted& body) { return begin(body.step, ""); },
                       [this](const AttemptEnded& body) { return end(body.step); },
                       [this](const UndoStarted& body) { return begin(body.step, "undoing"); },
                       [this](const UndoEnded& body) { return end(body.step); },
                       [](const auto&) { return std::optional<Duration>(); },
                   },
                   event.body);
    if (quiet_) return;
    if (const auto line = event_line(plan_, event, took, terminal_.talk_style())) terminal_.talk(*line + "\n");
}

void LiveView::progressed(std::size_t step, const Progress& progress) {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(step);
    if (found == running_.end()) return;
    Running& running = found->second;
    const SteadyTime now = clock_.steady();
    if (progress.what != running.progress.what ||
        (progress.done && running.progress.done && *progress.done < *running.progress.done))
        running.samples.clear();
    running.progress = progress;
    running.last_sign = now;
    if (progress.done && (running.samples.empty() || now - running.samples.back().at >= milliseconds(200))) {
        running.samples.push_back({.at = now, .done = *progress.done});
        // the first sample stays: it is what the rate so far is measured from
        if (running.samples.size() > 500) running.samples.erase(running.samples.begin() + 1);
    }
}

void LiveView::say(const std::string& line) {
    if (!quiet_) terminal_.talk(line + "\n");
}

std::string LiveView::line_of(std::size_t step, const Running& running, SteadyTime now) const {
    std::string line = "  … " + step_at(plan_, step).id + (running.verb.empty() ? "" : " (" + running.verb + ")") +
                       "  " +
                       to_human(std::chrono::duration_cast<Duration>(std::chrono::floor<seconds>(now - running.since)));
    if (!running.progress.what.empty()) line += "  " + printable(running.progress.what);
    if (const std::string text = progress_text(running.progress, running.samples); !text.empty()) line += "  " + text;
    if (const auto silence = now - running.last_sign; silence > seconds(10))
        line +=
            ", no progress for " + to_human(std::chrono::duration_cast<Duration>(std::chrono::floor<seconds>(silence)));
    return line;
}

void LiveView::tick() {
    if (quiet_) return;
    const SteadyTime now = clock_.steady();
    if (!terminal_.talks_to_terminal()) {
        for (const auto& [step, running] : running_) {
            if (now - running.since >= plain_lines) terminal_.talk(line_of(step, running, now) + "\n");
        }
        return;
    }
    const std::size_t width = terminal_.width();
    std::vector<std::string> lines;
    for (const auto& [step, running] : running_) {
        if (now - running.since < milliseconds(500)) continue;
        std::string line = line_of(step, running, now);
        while (characters(line) >= width) {
            line.pop_back();
            while (!is_utf8(line) && !line.empty())
                line.pop_back();
        }
        lines.push_back(std::move(line));
        if (lines.size() == 8) break;
    }
    terminal_.live(join(lines, "\n"));
}

}  // namespace lifeboat
