#include "cli/places.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <set>

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

constexpr std::size_t largest_file = 32U << 20;
constexpr std::array extensions{".yaml", ".yml"};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

bool is_there(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

std::vector<fs::path> runbook_folders(const std::optional<fs::path>& site) {
    std::error_code ignored;
    std::vector<fs::path> folders;
    if (site) folders.push_back(fs::absolute(*site, ignored).parent_path() / "runbooks");
    const fs::path here = fs::current_path(ignored) / "runbooks";
    if (folders.empty() || folders.front() != here) folders.push_back(here);
    return folders;
}

class Descriptor {
  public:
    explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
    ~Descriptor() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

}  // namespace

std::optional<fs::path> find_site(const std::optional<std::string>& option) {
    const std::string named = option ? *option : environment("LIFEBOAT_SITE");
    std::error_code ignored;
    if (!named.empty()) {
        if (!is_there(named)) {
            throw Error{ErrorCode::usage, "the site file '" + printable(named) + "' does not exist",
                        option ? "It was named by --site." : "It was named by the environment variable LIFEBOAT_SITE."};
        }
        return fs::absolute(named, ignored);
    }
    for (fs::path folder = fs::current_path(ignored); !folder.empty(); folder = folder.parent_path()) {
        if (is_there(folder / "lifeboat.yaml")) return folder / "lifeboat.yaml";
        if (folder == folder.parent_path()) break;
    }
    const fs::path global = "/etc/lifeboat/lifeboat.yaml";
    if (is_there(global)) return global;
    return std::nullopt;
}

std::optional<fs::path> look_for_runbook(const std::string& name, const std::optional<fs::path>& site) {
    std::error_code ignored;
    if (fs::is_regular_file(name, ignored)) return fs::path(name);
    if (name.find('/') != std::string::npos) return std::nullopt;
    for (const fs::path& folder : runbook_folders(site)) {
        for (const char* extension : extensions) {
            if (const fs::path path = folder / (name + extension); is_there(path)) return path;
        }
        if (is_there(folder / name)) return folder / name;
    }
    return std::nullopt;
}

fs::path find_runbook(const std::string& name, const std::optional<fs::path>& site) {
    if (name.empty()) throw Error{ErrorCode::usage, "the name of the runbook is empty", "Give a name or a path."};
    if (const auto found = look_for_runbook(name, site)) return *found;
    std::set<std::string> found;
    for (const fs::path& path : runbooks_around(site))
        found.insert(path.stem().string());
    const std::vector<std::string> names(found.begin(), found.end());
    std::vector<std::string> folders;
    for (const fs::path& folder : runbook_folders(site))
        folders.push_back("'" + folder.string() + "'");
    throw Error{ErrorCode::usage, "there is no runbook '" + printable(name) + "'" + did_you_mean(name, names),
                names.empty() ? "It is neither a file here, nor in " + join(folders, " or ") + "."
                              : "Runbooks found: " + join(names, ", ") + "."};
}

std::vector<fs::path> runbooks_around(const std::optional<fs::path>& site) {
    std::vector<fs::path> found;
    for (const fs::path& folder : runbook_folders(site)) {
        std::error_code problem;
        for (fs::directory_iterator i(folder, problem), end; !problem && i != end; i.increment(problem)) {
            const std::string extension = i->path().extension().string();
            if (std::find(extensions.begin(), extensions.end(), extension) != extensions.end())
                found.push_back(i->path());
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

fs::path state_folder(const Site& site) {
    std::error_code ignored;
    if (!site.state.empty()) {
        return fs::absolute(fs::absolute(site.file, ignored).parent_path() / site.state, ignored).lexically_normal();
    }
    if (const std::string base = environment("XDG_STATE_HOME"); base.starts_with('/'))
        return fs::path(base) / "lifeboat";
    std::string home = environment("HOME");
    if (home.empty()) {
        const passwd* entry = ::getpwuid(::geteuid());
        home = entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "/var/lib";
    }
    return fs::path(home) / ".local/state/lifeboat";
}

std::string read_text_file(const fs::path& path) {
    const std::string shown = "'" + printable(path.string()) + "'";
    const auto refuse = [&shown](int error_number) {
        try {
            throw_errno("read " + shown, error_number);
        } catch (const Error& error) {
            throw Error{ErrorCode::usage, error.message, "Check the path and its permissions."};
        }
    };
    // O_NONBLOCK: a named pipe must not hold us up
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.get() < 0) refuse(errno);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) refuse(errno);
    if (!S_ISREG(status.st_mode))
        throw Error{ErrorCode::usage, "cannot read " + shown + ": it is no regular file", "Name a file."};
    std::string text;
    std::array<char, 65536> buffer{};
    while (true) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) refuse(errno);
        if (got == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > largest_file) {
            throw Error{ErrorCode::invalid_file, shown + " is larger than 32 MiB",
                        "No runbook, drill or site is that long: is it the right file?"};
        }
    }
}

void write_text_file(const fs::path& path, std::string_view text) {
    write_text_file(path, [text](const TextSink& out) { out(text); });
}

void write_text_file(const fs::path& path, const std::function<void(const TextSink&)>& write) {
    const std::string shown = "'" + printable(path.string()) + "'";
    const fs::path temporary = path.string() + ".new";
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) throw_errno("write " + shown, errno);
    write([&](std::string_view text) {
        while (!text.empty()) {
            const ssize_t written = ::write(file.get(), text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) throw_errno("write " + shown, errno);
            text.remove_prefix(static_cast<std::size_t>(written));
        }
    });
    if (::fsync(file.get()) != 0) throw_errno("write " + shown, errno);
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno("write " + shown, errno);
}

std::string user_name() {
    const passwd* entry = ::getpwuid(::geteuid());
    if (const std::string before = environment("SUDO_USER"); !before.empty() && ::geteuid() == 0)
        return before + " (as root)";
    return entry != nullptr ? entry->pw_name : "uid " + std::to_string(::geteuid());
}

}  // namespace lifeboat
