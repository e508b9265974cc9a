#include "runs/step_log.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

std::string shortened(std::string line, std::uint64_t limit) {
    if (line.size() <= limit) return line;
    std::size_t keep = static_cast<std::size_t>(limit);
    while (keep > 0 && (static_cast<unsigned char>(line[keep]) & 0xc0u) == 0x80u)
        --keep;  // not inside a character
    const std::string rest = to_human(Bytes{line.size() - keep});
    line.resize(keep);
    return line + " … (" + rest + " of this line cut)";
}

}  // namespace

StepLog::StepLog(std::filesystem::path path, const Redactor& redactor, StepLogLimits limits)
    : path_(std::move(path)), redactor_(redactor), limits_(limits) {
    try {
        file_ = open_file(path_, O_WRONLY | O_CREAT | O_APPEND);
        struct stat status {};
        if (::fstat(file_.get(), &status) == 0) written_ = static_cast<std::uint64_t>(status.st_size);
        full_ = written_ >= limits_.file.count;
    } catch (const Error&) {
        full_ = true;
    }
}

StepLog::~StepLog() {
    close();
}

bool StepLog::put(const std::string& text) {
    if (!file_) return false;
    try {
        write_all(file_, text, path_);
    } catch (const Error&) {
        return false;
    }
    written_ += text.size();
    return true;
}

void StepLog::write(std::string_view line) {
    std::string clean = shortened(printable(redactor_.redact(line)), limits_.line.count);
    const std::lock_guard guard(mutex_);
    if (!full_ && !closed_ && written_ + clean.size() + 1 <= limits_.file.count && put(clean + "\n")) {
        // it stands in the file
    } else {
        full_ = true;  // once a line is missing, none may follow as if it were not
        ++cut_lines_;
        cut_bytes_ += line.size() + 1;
    }
    tail_.push_back(std::move(clean));
    if (tail_.size() > limits_.tail) tail_.pop_front();
}

void StepLog::close() {
    const std::lock_guard guard(mutex_);
    if (closed_) return;
    closed_ = true;
    if (cut_lines_ > 0) {
        const auto shown = static_cast<std::size_t>(std::min<std::uint64_t>(cut_lines_, tail_.size()));
        std::string end = "… " + counted(cut_lines_, "line") + " (" + to_human(Bytes{cut_bytes_}) + ") cut";
        end += shown == 0   ? "\n"
               : shown == 1 ? ", the last of them:\n"
                            : ", the last " + std::to_string(shown) + " of them:\n";
        for (auto line = tail_.end() - static_cast<std::ptrdiff_t>(shown); line != tail_.end(); ++line)
            (end += *line) += '\n';
        put(end);
    }
    file_ = FileDescriptor{};
}

std::vector<std::string> StepLog::tail() const {
    const std::lock_guard guard(mutex_);
    return {tail_.begin(), tail_.end()};
}

}  // namespace lifeboat
