#include "world/secrets.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "world/file_descriptor.h"
#include "world/process.h"

namespace lifeboat {

namespace {

constexpr std::size_t longest_secret = 64u << 10;
constexpr Duration command_time = std::chrono::seconds(30);

struct Refusal {
    std::string why;
    std::string hint;
};

std::string octal(mode_t mode) {
    std::string digits;
    for (int shift = 6; shift >= 0; shift -= 3)
        digits += static_cast<char>('0' + ((mode >> shift) & 7u));
    return "0" + digits;
}

std::string from_environment(const std::string& variable) {
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr) {
        throw Refusal{"the environment variable '" + variable + "' is not set", "Set it where lifeboat is started."};
    }
    return value;
}

std::string from_file(const std::string& path) {
    const auto failed = [&path](const char* verb) {
        return Refusal{std::string("cannot ") + verb + " '" + path + "': " + std::generic_category().message(errno),
                       ""};
    };
    // not to wait for the other end of a fifo
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) throw failed("open");
    struct stat found {};
    if (::fstat(file.get(), &found) != 0) throw failed("look at");
    if (!S_ISREG(found.st_mode)) throw Refusal{"'" + path + "' is no regular file", ""};
    if ((found.st_mode & 077u) != 0) {
        throw Refusal{"others may read '" + path + "' (its mode is " + octal(found.st_mode) + ")",
                      "Make it readable for its owner only: chmod 0600 " + path + "."};
    }
    if (found.st_uid != ::geteuid() && found.st_uid != 0) {
        throw Refusal{"'" + path + "' belongs to another user",
                      "Make the user that runs lifeboat, or root, its owner."};
    }
    std::string text;
    std::array<char, 4096> chunk{};
    for (;;) {
        const ssize_t count = ::read(file.get(), chunk.data(), chunk.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw failed("read");
        if (count == 0) return text;
        text.append(chunk.data(), static_cast<std::size_t>(count));
        if (text.size() > longest_secret) throw Refusal{"'" + path + "' is longer than 64 KiB", ""};
    }
}

std::map<std::string, std::string> own_environment() {
    std::map<std::string, std::string> environment;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string text(*entry);
        if (const std::size_t equals = text.find('='); equals != std::string::npos) {
            environment.emplace(text.substr(0, equals), text.substr(equals + 1));
        }
    }
    return environment;
}

std::string from_command(const std::vector<std::string>& argv) {
    Command command{.argv = argv, .environment = own_environment(), .keep = Bytes{longest_secret + 1}};
    const SteadyTime deadline = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + command_time;
    try {
        ChildResult result = run_child_checked(command, {.deadline = deadline});
        if (result.output_bytes > longest_secret) throw Refusal{"'" + argv.front() + "' printed more than 64 KiB", ""};
        return std::move(result.output);
    } catch (const Error& error) {
        throw Refusal{error.message, error.hint};
    }
}

std::string read_place(const SecretPlace& place) {
    switch (place.kind) {
        case SecretPlace::Kind::environment:
            return from_environment(place.text);
        case SecretPlace::Kind::file:
            return from_file(place.text);
        case SecretPlace::Kind::command:
            return from_command(place.command);
    }
    throw Error{ErrorCode::internal, "a secret has no place"};
}

}  // namespace

Secret FetchedSecrets::fetch(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (const auto known = fetched_.find(name); known != fetched_.end()) return known->second;
    const auto place = places_.find(name);
    if (place == places_.end()) {
        std::vector<std::string> names;
        for (const auto& [declared, where] : places_)
            names.push_back(declared);
        throw Error{ErrorCode::secret_missing, "there is no secret '" + name + "'" + did_you_mean(name, names),
                    "Say where it comes from under 'secrets:' in the site."};
    }
    try {
        std::string text = read_place(place->second);
        while (place->second.kind != SecretPlace::Kind::environment && !text.empty() &&
               (text.back() == '\n' || text.back() == '\r'))
            text.pop_back();
        if (text.empty()) throw Refusal{"it is empty", ""};
        Secret secret{std::move(text)};
        redactor_.add(name, secret);
        fetched_.emplace(name, secret);
        return secret;
    } catch (const Refusal& refusal) {
        throw Error{ErrorCode::secret_missing, "cannot fetch the secret '" + name + "': " + refusal.why, refusal.hint};
    }
}

}  // namespace lifeboat
