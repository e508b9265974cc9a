#include <fstream>
#include <map>

#include "base/error.h"
#include "support/scratch_folder.h"
#include "world/archive.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, const std::string& content) {
    fs::create_directories(path.parent_path());
    std::ofstream{path, std::ios::binary} << content;
}

// What there is, as `elsewhere` wants it.
ArchivedFiles files_of(const ArchivedTree& tree) {
    ArchivedFiles files;
    for (const auto& [path, stamp] : tree.stamps)
        files[path] = ArchivedFile{.entry = tree.listing.at(path), .stamp = stamp};
    return files;
}

std::set<std::string> names_in(const fs::path& archive) {
    std::set<std::string> names;
    for (const auto& [path, entry] : list_tar(archive))
        names.insert(path);
    return names;
}

TarMember member(const std::string& path, const std::string& content, std::uint64_t size) {
    return {.path = path, .open = [content, size]() -> std::optional<OpenedMember> {
                return OpenedMember{.size = size, .modified = std::nullopt, .give = [content](const ByteSink& sink) {
                                        sink(std::as_bytes(std::span(content)));
                                    }};
            }};
}

}  // namespace

TEST_CASE("what is left out of an archive is left out with all that lies below it") {
    const ScratchFolder folder;
    put(folder / "tree/keep/a", "a");
    put(folder / "tree/cache/b", "b");
    put(folder / "tree/keep/c.tmp", "c");
    std::vector<std::string> asked;
    const WrittenTar written = write_tar({{.name = "",
                                           .root = folder / "tree",
                                           .take =
                                               [&](const std::string& path, EntryType) {
                                                   asked.push_back(path);
                                                   return path != "cache" && !path.ends_with(".tmp");
                                               }}},
                                         folder / "a.tar");
    CHECK(names_in(folder / "a.tar") == std::set<std::string>{".", "keep", "keep/a"});
    CHECK(written.trees.at(0).listing == list_tar(folder / "a.tar"));
    CHECK(asked == std::vector<std::string>{"cache", "keep", "keep/a", "keep/c.tmp"});
}

TEST_CASE("a file that another archive holds is listed and not archived again, unless anything about it changed") {
    const ScratchFolder folder;
    for (const char* name : {"same", "content", "mode", "touched", "gone"})
        put(folder / "tree" / name, "0123456789");
    const WrittenTar first = write_tar({{.name = "", .root = folder / "tree"}}, folder / "first.tar");
    const ArchivedFiles known = files_of(first.trees.at(0));
    REQUIRE(known.size() == 5);

    put(folder / "tree/content", "9876543210");
    fs::permissions(folder / "tree/mode", fs::perms{0600});
    fs::last_write_time(folder / "tree/touched", fs::last_write_time(folder / "tree/touched") - std::chrono::hours(1));
    fs::remove(folder / "tree/gone");
    put(folder / "tree/sub/new", "new");
    const WrittenTar second =
        write_tar({{.name = "", .root = folder / "tree", .elsewhere = &known}}, folder / "second.tar");
    CHECK(second.trees.at(0).elsewhere == std::set<std::string>{"same"});
    CHECK(names_in(folder / "second.tar") ==
          std::set<std::string>{".", "content", "mode", "touched", "sub", "sub/new"});
    CHECK(second.trees.at(0).listing == list_tree(folder / "tree"));

    // what says that it is the same, and is not, is archived
    ArchivedFiles lying = files_of(second.trees.at(0));
    lying.at("content").entry.sha256 = known.at("content").entry.sha256;
    const WrittenTar third =
        write_tar({{.name = "", .root = folder / "tree", .elsewhere = &lying}}, folder / "third.tar");
    CHECK_FALSE(third.trees.at(0).elsewhere.contains("content"));
    CHECK(third.trees.at(0).elsewhere.contains("sub/new"));
}

TEST_CASE("archives are merged entry by entry") {
    const ScratchFolder folder;
    put(folder / "one/a", "old");
    put(folder / "one/b", std::string(3'000'000, 'b'));
    put(folder / "two/a", "new");
    fs::create_symlink("a", folder / "two/link");
    write_tar({{.name = "", .root = folder / "one"}}, folder / "one.tar");
    write_tar({{.name = "", .root = folder / "two"}}, folder / "two.tar");
    const HashedFile merged =
        merge_tars({{.archive = folder / "one.tar", .wanted = [](const std::string& path) { return path == "b"; }},
                    {.archive = folder / "two.tar", .wanted = [](const std::string&) { return true; }}},
                   folder / "all.tar");
    CHECK(merged.size == fs::file_size(folder / "all.tar"));
    TreeListing wanted = list_tar(folder / "two.tar");
    wanted.emplace("b", list_tar(folder / "one.tar").at("b"));
    CHECK(list_tar(folder / "all.tar") == wanted);
}

TEST_CASE("members that stand in no tree become one, and those that are gone are left out") {
    const ScratchFolder folder;
    TarMember gone = member("gone", "", 0);
    gone.open = []() -> std::optional<OpenedMember> { return std::nullopt; };
    const WrittenMembers written =
        write_tar_of({member("a b/c", "abc", 3), member("empty", "", 0), gone}, folder / "m.tar");
    CHECK(names_in(folder / "m.tar") == std::set<std::string>{".", "a b", "a b/c", "empty"});
    for (const auto& [path, entry] : written.listing)
        CHECK(list_tar(folder / "m.tar").at(path) == entry);
    CHECK(names_in((write_tar_of({}, folder / "none.tar"), folder / "none.tar")) == std::set<std::string>{"."});
    for (const std::uint64_t size : {std::uint64_t{2}, std::uint64_t{4}}) {
        try {
            write_tar_of({member("c", "abc", size)}, folder / "bad.tar");
            FAIL("nothing was thrown");
        } catch (const Error& error) {
            CHECK(error.code == ErrorCode::busy);
        }
        CHECK_FALSE(fs::exists(folder / "bad.tar"));
    }
}
