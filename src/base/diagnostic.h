// Mistakes of a file's author: collected with their place, all of them at once, and rendered with line and caret.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

// 1-based; columns count characters, not bytes. Line 0 means "the file as a whole".
struct SourcePosition {
    int line = 0;
    int column = 0;
    auto operator<=>(const SourcePosition&) const = default;
};

struct SourceSpan {
    SourcePosition at;
    int length = 1;  // characters under the caret line, never past the line's end when shown
};

enum class Severity { error, warning };

struct Diagnostic {
    Severity severity = Severity::error;
    SourceSpan span;
    std::string path;     // where in the document: `steps[3].with.database`; empty at the root
    std::string message;  // lowercase, no full stop
    std::string hint;     // one sentence, or empty
};

// The diagnostics of one source file, in the order of their places when rendered.
class Diagnostics {
  public:
    Diagnostics() = default;
    Diagnostics(std::string file, std::string source) : file_(std::move(file)), source_(std::move(source)) {}

    void add(Diagnostic diagnostic) { all_.push_back(std::move(diagnostic)); }
    void error(SourceSpan span, std::string path, std::string message, std::string hint = {});
    void warning(SourceSpan span, std::string path, std::string message, std::string hint = {});

    bool has_errors() const;
    const std::vector<Diagnostic>& all() const { return all_; }
    const std::string& file() const { return file_; }

    // `file:line:column: error: message`, the source line, the caret, `hint: …`; ends with a count when there are
    // several.
    std::string render() const;

  private:
    std::string file_;
    std::string source_;
    std::vector<Diagnostic> all_;
};

}  // namespace lifeboat
