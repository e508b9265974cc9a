// `--log-level`: what lifeboat itself is doing, on stderr, through the terminal and so through the redactor.
#pragma once

#include <memory>
#include <string>

#include "cli/terminal.h"

namespace lifeboat {

// Thread-safe. `terminal` outlives it.
class DiagnosticsLog {
  public:
    explicit DiagnosticsLog(Terminal& terminal);
    ~DiagnosticsLog();

    // off, error, info or debug; off until then.
    void set_level(const std::string& level);
    void error(const std::string& message);
    void info(const std::string& message);
    void debug(const std::string& message);

  private:
    struct Sink;
    std::unique_ptr<Sink> sink_;
};

}  // namespace lifeboat
