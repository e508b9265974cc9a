#include "cli/diagnostics_log.h"

#include <mutex>

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include "base/text.h"

namespace lifeboat {

namespace {

class TerminalSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit TerminalSink(Terminal& terminal) : terminal_(terminal) {}

  private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        terminal_.talk(printable(std::string_view(line.data(), line.size()), true));
    }
    void flush_() override {}

    Terminal& terminal_;
};

}  // namespace

struct DiagnosticsLog::Sink {
    spdlog::logger logger;
};

DiagnosticsLog::DiagnosticsLog(Terminal& terminal)
    : sink_(std::make_unique<Sink>(Sink{spdlog::logger("lifeboat", std::make_shared<TerminalSink>(terminal))})) {
    sink_->logger.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l: %v", spdlog::pattern_time_type::utc);
    sink_->logger.set_level(spdlog::level::off);
}

DiagnosticsLog::~DiagnosticsLog() = default;

void DiagnosticsLog::set_level(const std::string& level) {
    sink_->logger.set_level(spdlog::level::from_str(level));
}

void DiagnosticsLog::error(const std::string& message) {
    sink_->logger.error("{}", message);
}

void DiagnosticsLog::info(const std::string& message) {
    sink_->logger.info("{}", message);
}

void DiagnosticsLog::debug(const std::string& message) {
    sink_->logger.debug("{}", message);
}

}  // namespace lifeboat
