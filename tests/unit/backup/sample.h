// What the tests of this room share: a clock that stands still, work without a run around it, local stores in a
// throw-away folder, and backups made of plain text as if they were dumps.
#pragma once

#include <catch2/catch.hpp>
#include <fstream>
#include <functional>

#include "backup/catalogue.h"
#include "backup/layout.h"
#include "backup/work.h"
#include "base/sha256.h"
#include "stores/local.h"
#include "support/scratch_folder.h"

namespace lifeboat::test {

class StillClock final : public Clock {
  public:
    explicit StillClock(Timestamp at) : at_(at) {}
    Timestamp now() const override { return at_; }
    SteadyTime steady() const override { return SteadyTime{}; }
    void set(Timestamp at) { at_ = at; }

  private:
    Timestamp at_;
};

inline Timestamp at(const std::string& text) {
    const auto parsed = parse_timestamp(text);
    REQUIRE(parsed);
    return *parsed;
}

inline Error error_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    return Error{ErrorCode::internal, {}};
}

// A tar component of one object with any content: what is inside does not matter below the level 'readable'.
inline Manifest sample_manifest(const std::string& set, Timestamp when, const std::string& content, int number = 1) {
    Manifest manifest{.id = backup_id(when, number),
                      .set = set,
                      .started_at = when,
                      .consistent_at = when,
                      .made_by = "lifeboat 0.1.0"};
    manifest.components.push_back(ManifestComponent{
        .name = "config",
        .kind = ComponentKind::files,
        .format = "tar",
        .consistent_at = when,
        .objects = {{.key = "config/config.tar", .size = Bytes{content.size()}, .sha256 = sha256_hex(content)}}});
    return manifest;
}

struct Bench {
    ScratchFolder folder;
    std::shared_ptr<LocalStore> nas = std::make_shared<LocalStore>("nas", folder / "nas");
    std::shared_ptr<LocalStore> offsite = std::make_shared<LocalStore>("offsite", folder / "offsite");
    Stores stores{nas, offsite};
    StillClock clock{at("2026-02-10T12:00:00Z")};
    std::vector<std::string> logged;

    Bench() {
        std::filesystem::create_directory(folder / "nas");
        std::filesystem::create_directory(folder / "offsite");
        std::filesystem::create_directory(folder / "work");
    }

    BackupWork work() {
        return BackupWork{.control = {},
                          .workspace = folder / "work",
                          .run = [](const Command& command) { return run_child(command, {}); },
                          .log = [this](std::string_view line) { logged.emplace_back(line); }};
    }

    // Stores the backup as `create_backup` would; returns the SHA-256 of its manifest.
    std::string put(Store& store, const Manifest& manifest, const std::string& content) {
        const std::string text = manifest_text(manifest);
        const std::string sha256 = sha256_hex(text);
        for (const ManifestComponent& component : manifest.components)
            for (const ManifestObject& object : component.objects)
                store.write(object_key(manifest.set, manifest.id, object.key), content_of(content), {}, {});
        store.write(object_key(manifest.set, manifest.id, sums_name), content_of(checksum_file(manifest, sha256)), {},
                    {});
        store.write(manifest_key(manifest.set, manifest.id), content_of(text), {}, {});
        return sha256;
    }
};

inline std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// What docs/backup-format.md tells its reader to save under that name.
inline std::string program_of_the_page(const std::string& name) {
    const std::string page = read_text(std::string(LIFEBOAT_SOURCE_DIR) + "/docs/backup-format.md");
    const std::string fence = "```python\n";
    const std::size_t begin = page.find(fence, page.find("Save this as `" + name + "`"));
    REQUIRE(begin != std::string::npos);
    const std::size_t end = page.find("```\n", begin + fence.size());
    REQUIRE(end != std::string::npos);
    return page.substr(begin + fence.size(), end - begin - fence.size());
}

inline void overwrite(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace lifeboat::test
