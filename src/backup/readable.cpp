#include "backup/readable.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/text.h"
#include "world/archive.h"
#include "world/postgres_programs.h"
#include "world/redis_programs.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace {

constexpr std::string_view dump_trailer = "-- PostgreSQL database dump complete";

std::string last_line(const std::string& text) {
    std::string last;
    for (const std::string& line : split(text, '\n'))
        if (!trim(line).empty()) last = std::string(trim(line));
    return printable(last);
}

void require_restorable(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    const auto version = component.facts.find("dump_major");
    const int major = version != component.facts.end() && version->is_number_integer() ? version->get<int>() : 0;
    const PostgresProgram program = find_postgres_program("pg_restore", major);
    const auto run = [&](std::vector<std::string> arguments, Command command) {
        command.argv = {program.path.string()};
        command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
        command.argv.push_back(path.string());
        command.environment = clean_environment();
        const ChildResult result = work.run(command);
        if (result.exit_code == 0) return;
        throw Error{ErrorCode::corrupt, "pg_restore cannot read the dump of '" + component.name +
                                            "' to its end: " + last_line(result.errors)};
    };
    run({"--list"}, Command{.output_file = {}, .on_output = [](std::string_view) {}});
    // as SQL into nowhere: every block is read, unpacked and checked
    ByteProgress progress(work, "reading the dump of '" + component.name + "' through", std::nullopt);
    bool whole = false;
    run({"--file=-"}, Command{.on_output = [&](std::string_view line) {
            progress.add(line.size() + 1);
            if (line.starts_with(dump_trailer)) whole = true;
        }});
    if (!whole)
        throw Error{ErrorCode::incomplete, "pg_restore ended early while reading the dump of '" + component.name + "'"};
}

void require_trailer(const ManifestComponent& component, const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const auto size = static_cast<std::streamoff>(file.tellg());
    constexpr std::streamoff tail = 4096;
    std::string text(static_cast<std::size_t>(std::min(size, tail)), '\0');
    file.seekg(std::max<std::streamoff>(0, size - tail));
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!file) throw Error{ErrorCode::io_failed, "cannot read '" + path.string() + "'"};
    if (text.find("\n" + std::string(dump_trailer)) == std::string::npos)
        throw Error{ErrorCode::incomplete, "the plain dump of '" + component.name + "' does not end as one: '" +
                                               std::string(dump_trailer) + "' is missing"};
}

void require_sound(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    work.progress("checking the database '" + component.name + "'", std::nullopt, std::nullopt);
    WorkControl control = work.control;
    control.moved = {};
    const SqliteDatabase database = look_at_sqlite(path, work.workspace, Bytes{UINT64_MAX}, control);
    const std::vector<std::string> complaints = database.integrity_check(control);
    if (complaints.empty()) return;
    throw Error{ErrorCode::corrupt,
                "the database '" + component.name + "' fails its integrity check: " + printable(complaints.front())};
}

void require_loadable(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    work.progress("reading the snapshot of '" + component.name + "' through", std::nullopt, std::nullopt);
    const CheckedSnapshot checked = check_redis_snapshot(path, work.workspace, work.run);
    if (checked.complaint.empty()) return;
    throw Error{ErrorCode::corrupt, "redis-check-rdb cannot read the snapshot of '" + component.name +
                                        "' to its end: " + checked.complaint};
}

void require_whole_tar(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    ByteProgress progress(work, "reading the archive of '" + component.name + "' through", std::nullopt);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    list_tar(path, {}, control);
}

}  // namespace

void require_readable(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    switch (component.kind) {
        case ComponentKind::postgres:
            if (component.format == "plain")
                require_trailer(component, path);
            else
                require_restorable(component, path, work);
            return;
        case ComponentKind::sqlite:
            require_sound(component, path, work);
            return;
        case ComponentKind::redis:
            require_loadable(component, path, work);
            return;
        case ComponentKind::files:
            require_whole_tar(component, path, work);
            return;
    }
}

std::filesystem::path path_of(const ManifestComponent& component, const std::filesystem::path& folder) {
    if (component.kind == ComponentKind::postgres && component.format == "directory") return folder / component.name;
    return folder / component.objects.front().key;
}

}  // namespace lifeboat
