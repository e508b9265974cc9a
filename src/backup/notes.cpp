#include "backup/notes.h"

#include <algorithm>

#include "backup/layout.h"
#include "base/error.h"

namespace lifeboat {

void write_note(Store& store, const std::string& set, const std::string& id, const BackupNote& note,
                const WorkControl& control) {
    constexpr int tries = 100;
    Timestamp at = note.at;
    for (int attempt = 1;; ++attempt, at += std::chrono::microseconds(1)) {
        const Json value{{"lifeboat", note_format},
                         {"kind", note.kind},
                         {"at", to_text(at)},
                         {"manifest_sha256", note.manifest_sha256},
                         {"facts", note.facts}};
        try {
            store.write(note_key(set, id, at, note.kind), content_of(to_pretty_text(value) + "\n"),
                        WriteOptions{.exclusive = true, .at_hand = true}, control);
            return;
        } catch (const Error& error) {
            if (error.code != ErrorCode::already_exists || attempt == tries) throw;
        }
    }
}

namespace {

std::optional<BackupNote> parse_note(const std::string& text, const NoteName& name) {
    try {
        const Json value = parse_json(text, "note");
        if (value.at("lifeboat") != note_format || value.at("kind") != name.kind) return std::nullopt;
        return BackupNote{.kind = name.kind,
                          .at = name.at,
                          .manifest_sha256 = value.at("manifest_sha256"),
                          .facts = value.at("facts")};
    } catch (const Error&) {
        return std::nullopt;
    } catch (const Json::exception&) {
        return std::nullopt;
    }
}

}  // namespace

std::vector<BackupNote> read_notes(Store& store, const std::string& set, const std::string& id,
                                   const WorkControl& control) {
    const std::string folder = object_key(set, id, notes_folder) + "/";
    std::vector<std::pair<std::string, NoteName>> found;
    store.list(
        ListQuery{.prefix = folder, .one_level = true},
        [&](std::span<const Listed> page) {
            for (const Listed& line : page) {
                if (line.folder) continue;
                if (const auto name = parse_note_name(line.object.key.substr(folder.size())))
                    found.emplace_back(line.object.key, *name);
            }
            return true;
        },
        control);
    std::vector<BackupNote> notes;
    for (const auto& [key, name] : found) {
        try {
            if (auto note = parse_note(read_all(store, key, Bytes{1u << 20}, control), name))
                notes.push_back(std::move(*note));
        } catch (const Error& error) {
            if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out) throw;
        }
    }
    std::stable_sort(notes.begin(), notes.end(), [](const BackupNote& a, const BackupNote& b) { return a.at < b.at; });
    return notes;
}

BackupNote verified_note(Timestamp at, std::string manifest_sha256, Level level, const Json& problems) {
    return BackupNote{.kind = "verified",
                      .at = at,
                      .manifest_sha256 = std::move(manifest_sha256),
                      .facts = {{"level", to_text(level)}, {"problems", problems}}};
}

BackupNote pin_note(Timestamp at, std::string manifest_sha256, bool pinned, const std::string& reason,
                    const std::string& by) {
    return BackupNote{.kind = pinned ? "pinned" : "unpinned",
                      .at = at,
                      .manifest_sha256 = std::move(manifest_sha256),
                      .facts = {{"reason", reason}, {"by", by}}};
}

std::optional<Pin> pin_of(std::span<const BackupNote> notes) {
    const auto text_in = [](const Json& facts, const char* name) {
        const auto found = facts.find(name);
        return found != facts.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    std::optional<Pin> pin;
    for (const BackupNote& note : notes) {
        if (note.kind == "pinned")
            pin = Pin{.reason = text_in(note.facts, "reason"), .by = text_in(note.facts, "by"), .at = note.at};
        if (note.kind == "unpinned") pin.reset();
    }
    return pin;
}

Verified verification_of(std::span<const BackupNote> notes, std::string_view manifest_sha256) {
    Verified verified;
    for (const BackupNote& note : notes) {
        if (note.kind != "verified" || note.manifest_sha256 != manifest_sha256) continue;
        const auto level_field = note.facts.find("level");
        if (level_field == note.facts.end() || !level_field->is_string()) continue;
        const auto level = level_named(level_field->get_ref<const std::string&>());
        if (!level) continue;
        const auto problems = note.facts.find("problems");
        const bool damaged = problems != note.facts.end() && problems->is_array() && !problems->empty();
        if (damaged || verified.damaged || *level >= verified.level)
            verified = Verified{.level = *level, .at = note.at, .damaged = damaged};
    }
    return verified;
}

}  // namespace lifeboat
