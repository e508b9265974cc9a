// One stream of a child: each line is handed on, the last bytes are kept. Memory is constant whatever the child prints
// (R38).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/size.h"

namespace lifeboat {

class ProcessStream {
  public:
    ProcessStream(Bytes keep, std::function<void(std::string_view line)> on_line)
        : keep_(keep.count), on_line_(std::move(on_line)) {}

    void take(std::string_view chunk);
    // The stream has ended: a last line without a newline is handed on too.
    void finish();

    std::uint64_t bytes() const { return bytes_; }
    std::string tail() const;

    static constexpr std::size_t longest_line = 64u << 10;

  private:
    void take_lines(std::string_view chunk);

    std::uint64_t keep_;
    std::function<void(std::string_view)> on_line_;
    std::uint64_t bytes_ = 0;
    std::string kept_;  // at least the last `keep_` bytes, at most twice as many
    std::string line_;  // begun, at most `longest_line` of it
    bool in_line_ = false;
};

}  // namespace lifeboat
