#include "backup/layout.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

bool is_name_character(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '.' || byte == '_' || byte == '-';
}

// ':' is no part of a file name on every system, so times in names have '-' there.
std::string as_name(std::string text) {
    std::replace(text.begin(), text.end(), ':', '-');
    return text;
}

std::optional<Timestamp> time_of_name(std::string_view name) {
    std::string text(name);
    for (const std::size_t at : {std::size_t{13}, std::size_t{16}}) {
        if (text.size() <= at || text[at] != '-') return std::nullopt;
        text[at] = ':';
    }
    return parse_timestamp(text);
}

}  // namespace

std::string backup_id(Timestamp started_at, int number) {
    const auto second = std::chrono::floor<std::chrono::seconds>(started_at);
    const std::string text = to_text(Timestamp(second));  // 2026-02-01T02:00:00.000000Z
    std::string id = as_name(text.substr(0, 19)) + "Z";
    if (number > 1) id += "-" + std::to_string(number);
    return id;
}

std::optional<Timestamp> time_of_backup_id(std::string_view id) {
    constexpr std::size_t length = 20;  // of 2026-02-01T02-00-00Z
    if (id.size() < length || id[length - 1] != 'Z' || id[10] != 'T') return std::nullopt;
    const std::string_view suffix = id.substr(length);
    if (!suffix.empty()) {
        const std::string_view digits = suffix.substr(1);
        const bool plain =
            suffix.front() == '-' && !digits.empty() && digits.size() <= 6 && digits.front() != '0' &&
            std::all_of(digits.begin(), digits.end(), [](char byte) { return byte >= '0' && byte <= '9'; });
        if (!plain || digits == "1") return std::nullopt;
    }
    return time_of_name(id.substr(0, length));
}

void check_part_name(std::string_view name, std::string_view what) {
    const bool plain = !name.empty() && name.size() <= 100 && name.front() != '.' &&
                       std::all_of(name.begin(), name.end(), is_name_character);
    const bool taken = name == manifest_name || name == signature_name || name == sums_name || name == notes_folder;
    if (plain && !taken) return;
    throw Error{
        ErrorCode::refused, "'" + printable(name) + "' cannot be the name of a " + std::string(what),
        "Use letters, digits, '.', '_' and '-'; not a leading '.', nor 'manifest.json', 'SHA256SUMS' or 'notes'."};
}

std::string backup_folder(std::string_view set, std::string_view id) {
    return std::string(set) + "/" + std::string(id) + "/";
}

std::string object_key(std::string_view set, std::string_view id, std::string_view path) {
    return backup_folder(set, id) + std::string(path);
}

std::string manifest_key(std::string_view set, std::string_view id) {
    return object_key(set, id, manifest_name);
}

std::string note_key(std::string_view set, std::string_view id, Timestamp at, std::string_view kind) {
    return object_key(set, id,
                      std::string(notes_folder) + "/" + as_name(to_text(at)) + "-" + std::string(kind) + ".json");
}

std::optional<NoteName> parse_note_name(std::string_view name) {
    constexpr std::string_view ending = ".json";
    const std::size_t zone = name.find('Z');
    if (!name.ends_with(ending) || zone == std::string_view::npos) return std::nullopt;
    const std::string_view rest = name.substr(zone + 1, name.size() - zone - 1 - ending.size());
    if (rest.size() < 2 || rest.front() != '-') return std::nullopt;
    const auto at = time_of_name(name.substr(0, zone + 1));
    if (!at) return std::nullopt;
    return NoteName{.at = *at, .kind = std::string(rest.substr(1))};
}

}  // namespace lifeboat
