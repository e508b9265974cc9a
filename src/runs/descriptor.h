// An open file as a value, and the few calls on it that the run store makes itself (locks, appends). Whole files are
// written with world/files.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace lifeboat {

// Closed with its last owner.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor();

    int number() const { return number_; }
    bool is_open() const { return number_ >= 0; }

  private:
    int number_ = -1;
};

// `flags` as open(2) takes them; new files are 0600. O_CLOEXEC is always added, so that no child keeps a lock alive.
Descriptor open_file(const std::filesystem::path& path, int flags);
// nullopt when there is no such file.
std::optional<std::string> read_file_if_any(const std::filesystem::path& path);
void write_all(const Descriptor& file, std::string_view bytes, const std::filesystem::path& path);

}  // namespace lifeboat
