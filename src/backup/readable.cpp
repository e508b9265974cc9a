#include "backup/readable.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

#include "backup/layers.h"
#include "base/error.h"
#include "base/text.h"
#include "world/archive.h"
#include "world/gunzip.h"
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

// Reads what gzip packed to its end; its last bytes.
std::string tail_of_gzipped(const std::filesystem::path& path, std::size_t tail, ByteProgress& progress,
                            const WorkControl& control) {
    const ByteSource source = gunzipped(read_from(path));
    std::vector<std::byte> buffer(std::size_t{1} << 18);
    std::string text;
    while (const std::size_t length = source(buffer)) {
        text.append(reinterpret_cast<const char*>(buffer.data()), length);
        if (text.size() > tail) text.erase(0, text.size() - tail);
        control.check();
        progress.add(length);
    }
    return text;
}

std::string tail_of(const std::filesystem::path& path, std::size_t tail) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const auto size = static_cast<std::streamoff>(file.tellg());
    const auto most = static_cast<std::streamoff>(tail);
    std::string text(static_cast<std::size_t>(std::min(size, most)), '\0');
    file.seekg(std::max<std::streamoff>(0, size - most));
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!file) throw Error{ErrorCode::io_failed, "cannot read '" + path.string() + "'"};
    return text;
}

void require_trailer(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    constexpr std::size_t tail = 4096;
    ByteProgress progress(work, "reading the dump of '" + component.name + "' through", std::nullopt);
    const std::string text =
        looks_gzipped(path) ? tail_of_gzipped(path, tail, progress, work.control) : tail_of(path, tail);
    if (text.find("\n" + std::string(dump_trailer)) == std::string::npos)
        throw Error{ErrorCode::incomplete, "the plain dump of '" + component.name + "' does not end as one: '" +
                                               std::string(dump_trailer) + "' is missing"};
}

// For a dump whose name does not tell its format.
bool looks_like_pg_archive(const std::filesystem::path& path) {
    std::array<char, 5> head{};
    std::ifstream file(path, std::ios::binary);
    if (file.read(head.data(), head.size()) && std::string_view(head.data(), head.size()) == "PGDMP") return true;
    return looks_like_tar(path);
}

// pg_restore takes a file that was cut for a shorter one wherever nothing is compressed, and reads on for ever in a cut
// tar.
void require_uncut(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    ByteProgress progress(work, "reading the files of '" + component.name + "' through", std::nullopt);
    if (!std::filesystem::is_directory(path)) {
        WorkControl control = work.control;
        control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
        if (looks_like_tar(path)) list_tar(path, {}, control);
        return;
    }
    constexpr std::string_view end_of_rows = "\\.\n\n\n";
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".gz")) {
            const std::string where = "'" + printable(name) + "' in the dump of '" + component.name + "'";
            if (!looks_gzipped(entry.path())) throw Error{ErrorCode::incomplete, where + " is empty, or no gzip"};
            try {
                tail_of_gzipped(entry.path(), end_of_rows.size(), progress, work.control);
            } catch (Error& error) {
                throw error.during("reading " + where);
            }
        } else if (name.ends_with(".dat") && name.find_first_not_of("0123456789") == name.size() - 4 &&
                   tail_of(entry.path(), end_of_rows.size()) != end_of_rows) {
            throw Error{ErrorCode::incomplete, "'" + printable(name) + "' in the dump of '" + component.name +
                                                   "' is cut: its last line is missing"};
        }
    }
}

void require_dump(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    const bool plain = component.format == "plain" || (component.format == "any" && !looks_like_pg_archive(path));
    if (plain) {
        require_trailer(component, path, work);
        return;
    }
    require_uncut(component, path, work);
    require_restorable(component, path, work);
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
    ExtractOptions options;
    // nothing is made here: whoever extracts it decides about its links
    options.links_may_lead_out = true;
    if (looks_gzipped(path))
        list_tar(gunzipped(read_from(path)), options, control);
    else
        list_tar(path, options, control);
}

void require_whole_json(const ManifestComponent& component, const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!Json::accept(file))
        throw Error{ErrorCode::corrupt,
                    "the export of '" + component.name + "' is no JSON from its beginning to its end"};
}

void require_files(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    if (component.format == "directory") return;  // plain files have no format of their own
    if (component.format == "json")
        require_whole_json(component, path);
    else
        require_whole_tar(component, path, work);
}

}  // namespace

void require_readable(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work) {
    switch (component.kind) {
        case ComponentKind::postgres:
            require_dump(component, path, work);
            return;
        case ComponentKind::sqlite:
            require_sound(component, path, work);
            return;
        case ComponentKind::redis:
            require_loadable(component, path, work);
            return;
        case ComponentKind::files:
            require_files(component, path, work);
            return;
        case ComponentKind::objects:
        case ComponentKind::archive:
            require_whole_tar(component, path, work);
            return;
        case ComponentKind::output:
            return;  // its bytes mean something to the program that wrote them and to nobody else
    }
}

std::filesystem::path path_of(const ManifestComponent& component, const std::filesystem::path& folder) {
    if (component.format == "directory") return folder / component.name;
    if (component.format == layers_format) return assembled_path(component, folder);
    return folder / component.objects.front().key;
}

}  // namespace lifeboat
