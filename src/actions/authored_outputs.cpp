#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actions/authored.h"
#include "base/size.h"
#include "base/text.h"
#include "world/file_descriptor.h"

namespace lifeboat {

namespace {

constexpr std::size_t most_output_bytes = 1u << 20;

// Never a code that means `nothing_done`: the child has run.
Error unreadable(const std::string& called) {
    return Error{ErrorCode::check_failed, "the outputs of " + called + " are no file that can be read"};
}

// Nullopt when there is no file. The child owns that place: it may have put anything there.
std::optional<std::string> read_file(const std::filesystem::path& path, const std::string& called) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file) {
        if (errno == ENOENT) return std::nullopt;
        throw unreadable(called);
    }
    struct stat found {};
    if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) throw unreadable(called);
    std::string text;
    std::array<char, 16384> chunk{};
    for (;;) {
        const ssize_t count = ::read(file.get(), chunk.data(), chunk.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw unreadable(called);
        if (count == 0) return text;
        text.append(chunk.data(), static_cast<std::size_t>(count));
        if (text.size() > most_output_bytes) {
            throw Error{ErrorCode::limit_exceeded, "the outputs of " + called + " are larger than 1 MiB"};
        }
    }
}

bool is_text_that(const Json& value, bool (*holds)(const std::string&)) {
    return value.is_string() && holds(value.get<std::string>());
}

bool is_of(const Json& value, ValueType type) {
    switch (type) {
        case ValueType::text:
        case ValueType::path:
        case ValueType::expression:
            return value.is_string();
        case ValueType::integer:
            return value.is_number_integer();
        case ValueType::number:
            return value.is_number();
        case ValueType::boolean:
            return value.is_boolean();
        case ValueType::duration:
            return is_text_that(value, [](const std::string& text) { return parse_duration(text).has_value(); });
        case ValueType::size:
            return is_text_that(value, [](const std::string& text) { return parse_bytes(text).has_value(); });
        case ValueType::rate:
            return is_text_that(value, [](const std::string& text) { return parse_rate(text).has_value(); });
        case ValueType::timestamp:
            return is_text_that(value, [](const std::string& text) { return parse_timestamp(text).has_value(); });
        case ValueType::list:
            return value.is_array();
        case ValueType::map:
            return value.is_object();
        case ValueType::any:
            return true;
        case ValueType::resource:
            return value.is_object() && value.contains("of");
    }
    return false;
}

ValueType type_named(const std::string& name) {
    for (const ValueType type : {ValueType::text, ValueType::integer, ValueType::number, ValueType::boolean,
                                 ValueType::duration, ValueType::size, ValueType::rate, ValueType::timestamp,
                                 ValueType::path, ValueType::list, ValueType::map, ValueType::any}) {
        if (to_text(type) == name) return type;
    }
    throw Error{ErrorCode::internal, "an output is declared to be a '" + name + "'"};
}

// At any depth something of the shape in which a secret stands: a later step would be given the secret for it.
bool names_a_secret(const Json& value) {
    if (is_secret(value)) return true;
    return value.is_structured() && std::any_of(value.begin(), value.end(), names_a_secret);
}

}  // namespace

Json output_object(const AuthoredEnd& end) {
    const std::optional<std::string> text = read_file(end.outputs.path(), end.called);
    if (!text) return Json::object();
    Json found;
    try {
        found = parse_json(*text, "$LIFEBOAT_OUTPUTS");
    } catch (const Error& error) {
        throw Error{ErrorCode::check_failed, end.called + " left outputs that cannot be read: " + error.message,
                    "Write one JSON object to the file $LIFEBOAT_OUTPUTS."};
    }
    if (!found.is_object())
        throw Error{ErrorCode::check_failed, "the outputs of " + end.called + " are no JSON object"};
    // a script can only pass on what it was given; a program writes what it likes
    if (!end.is_script && names_a_secret(found))
        throw Error{ErrorCode::check_failed, "the outputs of " + end.called + " hold something that refers to a secret",
                    "A map with the single key 'secret' stands for a secret: call the key something else."};
    return found;
}

Outputs check_outputs(const AuthoredEnd& end, const Json& found, const Json& declared) {
    const auto wrong = [&end](const std::string& what, std::string hint = {}) {
        return Error{ErrorCode::check_failed, end.called + " left " + what, std::move(hint)};
    };
    std::vector<std::string> names;
    if (declared.is_object()) {
        for (const auto& [name, type] : declared.items()) {
            names.push_back(name);
            const auto value = found.find(name);
            if (value == found.end()) {
                throw wrong("no output '" + name + "'", "Write one JSON object with it to the file $LIFEBOAT_OUTPUTS.");
            }
            if (!is_of(*value, type_named(type.get<std::string>()))) {
                throw wrong("an output '" + name + "' that is no " + type.get<std::string>());
            }
        }
    }
    for (const auto& [name, value] : found.items()) {
        if (std::find(names.begin(), names.end(), name) == names.end()) {
            throw wrong("an output '" + printable(name) + "' that is not declared" + did_you_mean(name, names),
                        "Declare it under 'outputs:' of the step.");
        }
    }
    return found;
}

}  // namespace lifeboat
