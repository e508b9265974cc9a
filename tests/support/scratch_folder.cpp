#include "support/scratch_folder.h"

#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>

#include <stdlib.h>

#include "base/error.h"

namespace lifeboat::test {

ScratchFolder::ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lifeboat-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw_errno("make a folder like '" + pattern + "'", errno);
    path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string read_text(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw_errno("open '" + file.string() + "'", errno);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void write_text(const std::filesystem::path& file, std::string_view text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << text;
    if (!out.flush()) throw_errno("write '" + file.string() + "'", errno);
}

}  // namespace lifeboat::test
