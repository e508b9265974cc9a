// A throw-away folder for one test: made empty, removed with everything in it when it goes out of scope.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace lifeboat::test {

class ScratchFolder {
  public:
    ScratchFolder();
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& file);
// Makes the folders above as well.
void write_text(const std::filesystem::path& file, std::string_view text);

}  // namespace lifeboat::test
