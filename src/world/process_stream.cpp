#include "world/process_stream.h"

#include <algorithm>

namespace lifeboat {

void ProcessStream::take(std::string_view chunk) {
    bytes_ += chunk.size();
    if (chunk.size() >= keep_) {
        kept_.assign(chunk.substr(chunk.size() - keep_));
    } else {
        if (kept_.size() + chunk.size() > 2 * keep_) kept_.erase(0, kept_.size() - (keep_ - chunk.size()));
        kept_ += chunk;
    }
    if (on_line_) take_lines(chunk);
}

void ProcessStream::take_lines(std::string_view chunk) {
    while (!chunk.empty()) {
        const std::size_t end = chunk.find('\n');
        const std::string_view part = chunk.substr(0, end);
        if (end != std::string_view::npos && !in_line_) {
            on_line_(part.substr(0, longest_line));
        } else {
            line_ += part.substr(0, longest_line - line_.size());
            in_line_ = true;
            if (end != std::string_view::npos) finish();
        }
        if (end == std::string_view::npos) return;
        chunk.remove_prefix(end + 1);
    }
}

void ProcessStream::finish() {
    if (!in_line_) return;
    in_line_ = false;
    on_line_(line_);
    line_.clear();
}

std::string ProcessStream::tail() const {
    return kept_.substr(kept_.size() - std::min<std::size_t>(kept_.size(), keep_));
}

}  // namespace lifeboat
