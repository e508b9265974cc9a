#include "world/process_program.h"

#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

namespace fs = std::filesystem;

bool is_program(const std::string& path) {
    struct stat found {};
    return ::stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

// Empty and relative entries of PATH are left out: what runs must not depend on the folder.
std::optional<fs::path> find_in(std::string_view search_path, const std::string& name) {
    for (const std::string& entry : split(search_path, ':')) {
        if (!entry.starts_with('/')) continue;
        std::string candidate = entry;
        if (!entry.ends_with('/')) candidate += '/';
        candidate += name;
        if (is_program(candidate)) return candidate;
    }
    return std::nullopt;
}

bool has_nul(const std::string& text) {
    return text.find('\0') != std::string::npos;
}

void refuse_nul(const Command& command) {
    bool found = false;
    for (const std::string& argument : command.argv)
        found = found || has_nul(argument);
    for (const auto& [name, value] : command.environment)
        found = found || has_nul(name) || has_nul(value);
    if (found) throw Error{ErrorCode::refused, "an argument or variable of '" + command.argv.front() + "' holds a NUL"};
}

}  // namespace

std::optional<fs::path> find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) {
        return is_program(name) ? std::optional<fs::path>(fs::path(name)) : std::nullopt;
    }
    const char* search_path = std::getenv("PATH");
    return find_in(search_path != nullptr ? std::string_view(search_path) : default_path, name);
}

ProgramPlace find_command(const Command& command) {
    if (command.argv.empty() || command.argv.front().empty()) throw Error{ErrorCode::refused, "the command is empty"};
    refuse_nul(command);
    ProgramPlace place{.program = {}, .folder = command.folder.empty() ? "/" : command.folder};
    std::error_code error;
    if (!fs::is_directory(place.folder, error)) {
        throw Error{ErrorCode::not_found, "the working folder '" + place.folder.string() + "' does not exist"};
    }
    const std::string& name = command.argv.front();
    if (name.find('/') != std::string::npos) {
        place.program = fs::path(name).is_absolute() ? fs::path(name) : place.folder / name;
        if (is_program(place.program)) return place;
        throw Error{ErrorCode::program_missing,
                    fs::exists(place.program, error) ? "'" + name + "' cannot be executed"
                                                     : "there is no program '" + name + "'",
                    "Install it, or correct the path."};
    }
    const auto search_path = command.environment.find("PATH");
    const std::optional<fs::path> found =
        find_in(search_path != command.environment.end() ? std::string_view(search_path->second) : default_path, name);
    if (!found) {
        throw Error{ErrorCode::program_missing, "there is no program '" + name + "' in PATH",
                    "Install it, or give its absolute path."};
    }
    place.program = *found;
    return place;
}

}  // namespace lifeboat
