#include "backup/work.h"

namespace lifeboat {

namespace {
constexpr auto interval = std::chrono::milliseconds(250);
}

ByteProgress::ByteProgress(const BackupWork& work, std::string what, std::optional<std::uint64_t> total)
    : work_(work), what_(std::move(what)), total_(total), said_(std::chrono::steady_clock::now() - interval) {}

void ByteProgress::add(std::uint64_t bytes) {
    done_ += bytes;
    const auto now = std::chrono::steady_clock::now();
    if (now - said_ < interval) return;
    said_ = now;
    work_.progress(what_, done_, total_);
}

void ByteProgress::rename(std::string what) {
    what_ = std::move(what);
    said_ = std::chrono::steady_clock::now();
    work_.progress(what_, done_, total_);
}

}  // namespace lifeboat
