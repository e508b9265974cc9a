// The text of one file while it is being read, and the mistakes found in it. Places are byte offsets inside and become
// lines and characters only when something is reported. Nodes and paths hold views into it: it outlives them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"

namespace lifeboat {

// Where in the document something stands: a chain on the stack, turned into text only for a report.
struct Path {
    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);

    const Path* parent = nullptr;
    std::string_view key = {};
    std::size_t index = no_index;

    std::string text() const;  // `steps[3].with.database`
};

class SourceFile {
  public:
    // No file has more mistakes than this: what follows says nothing new.
    static constexpr std::size_t most_mistakes = 200;

    SourceFile(std::string name, std::string text);
    SourceFile(const SourceFile&) = delete;
    SourceFile& operator=(const SourceFile&) = delete;

    std::string_view text() const { return text_; }
    // Between two bytes, cut at the end of the first one's line.
    SourceSpan span(std::size_t begin, std::size_t end) const;

    void error(SourceSpan span, std::string path, std::string message, std::string hint = {});
    void warning(SourceSpan span, std::string path, std::string message, std::string hint = {});
    bool has_errors() const { return diagnostics_.has_errors(); }
    // When true nothing more is kept, and costly suggestions need not be looked for.
    bool full() const { return diagnostics_.all().size() >= most_mistakes; }

    Diagnostics take_diagnostics() { return std::move(diagnostics_); }

  private:
    std::size_t characters_before(std::size_t offset) const;

    std::string text_;
    std::vector<std::uint32_t> lines_;   // offset of each line's first byte
    std::vector<std::uint32_t> blocks_;  // characters before every 256th byte
    Diagnostics diagnostics_;
};

}  // namespace lifeboat
