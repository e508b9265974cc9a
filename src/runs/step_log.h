// What a step and its children say: the head of it in a file of bounded size, the last lines of it behind that (R38).
// Every line is redacted as a whole, then its control bytes are made visible. Thread-safe. A log that cannot be written
// never fails a step: what was lost is counted. The redactor must outlive it.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/size.h"
#include "runs/open_file.h"

namespace lifeboat {

struct StepLogLimits {
    Bytes file{1u << 20};    // head; the closing lines come on top of it
    std::size_t tail = 100;  // lines
    Bytes line{8u << 10};    // longer lines are cut, and say so
};

class StepLog {
  public:
    // Goes on behind what an earlier life wrote.
    StepLog(std::filesystem::path path, const Redactor& redactor, StepLogLimits limits = {});
    StepLog(const StepLog&) = delete;
    StepLog& operator=(const StepLog&) = delete;
    ~StepLog();  // closes

    void write(std::string_view line);
    // Writes how much was cut and the last lines of it. Later lines are only counted.
    void close();

    // The last lines, oldest first, also of what stands in the file.
    std::vector<std::string> tail() const;

  private:
    bool put(const std::string& text);

    std::filesystem::path path_;
    const Redactor& redactor_;
    StepLogLimits limits_;
    mutable std::mutex mutex_;
    FileDescriptor file_;
    std::uint64_t written_ = 0;
    std::uint64_t cut_lines_ = 0;
    std::uint64_t cut_bytes_ = 0;
    std::deque<std::string> tail_;
    bool full_ = false;
    bool closed_ = false;
};

}  // namespace lifeboat
