#include "world/archive.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "world/files.h"
#include "world/process.h"

using namespace lifeboat;
namespace fs = std::filesystem;

namespace {

struct Sandbox {
    PrivateDirectory folder{fs::temp_directory_path(), "lifeboat-archive-test-"};
    fs::path operator/(const std::string& name) const { return folder.path() / name; }
};

void put(const fs::path& path, const std::string& content) {
    std::ofstream{path, std::ios::binary} << content;
}

ErrorCode code_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

// Writes tar headers by hand, so that they can say anything.
class HostileTar {
  public:
    struct Member {
        std::string name;
        char type = '0';
        std::string content;
        std::string target;
        unsigned mode = 0644;
        std::optional<std::uint64_t> claimed_size;
    };

    HostileTar& add(const Member& member) {
        char header[512] = {};
        std::snprintf(header, 100, "%s", member.name.c_str());
        std::snprintf(header + 100, 8, "%07o", member.mode);
        std::snprintf(header + 108, 8, "%07o", 0u);
        std::snprintf(header + 116, 8, "%07o", 0u);
        const auto size = member.claimed_size.value_or(member.content.size());
        std::snprintf(header + 124, 12, "%011llo", static_cast<unsigned long long>(size));
        std::snprintf(header + 136, 12, "%011o", 1'000'000'000u);
        std::memset(header + 148, ' ', 8);
        header[156] = member.type;
        std::snprintf(header + 157, 100, "%s", member.target.c_str());
        std::memcpy(header + 257, "ustar\00000", 8);
        unsigned sum = 0;
        for (const char byte : header)
            sum += static_cast<unsigned char>(byte);
        std::snprintf(header + 148, 8, "%06o", sum);
        bytes_.append(header, sizeof header);
        bytes_ += member.content;
        bytes_.append((512 - member.content.size() % 512) % 512, '\0');
        return *this;
    }
    std::string whole() const { return bytes_ + std::string(1024, '\0'); }
    std::string without_end() const { return bytes_; }

  private:
    std::string bytes_;
};

using Member = HostileTar::Member;

// Everything below a folder, with what is there and what it holds.
std::string everything(const fs::path& root) {
    return fingerprint_tree(root);
}

}  // namespace

TEST_CASE("a tree comes back from its archive as it was") {
    const Sandbox sandbox;
    fs::create_directories(sandbox / "a/sub/empty");
    put(sandbox / "a/file", "content");
    put(sandbox / "a/big", std::string((2 << 20) + 7, 'b'));
    put(sandbox / "a/sub/h\xc3\xa9llo", "utf-8");
    put(sandbox / "a/sub/raw \xff\xfe name", "bytes");
    put(sandbox / ("a/" + std::string(200, 'n')), "a long name");
    fs::create_symlink("../file", sandbox / "a/sub/link");
    fs::permissions(sandbox / "a/file", fs::perms{0600});
    fs::permissions(sandbox / "a/sub", fs::perms{02755});
    fs::permissions(sandbox / "a/sub/empty", fs::perms{0500});

    const WrittenTar written = write_tar({{.name = "", .root = sandbox / "a"}}, sandbox / "a.tar");
    CHECK(written.file.size == fs::file_size(sandbox / "a.tar"));
    CHECK(written.file.sha256 == hash_file(sandbox / "a.tar").sha256);
    CHECK(written.trees.at(0).listing == list_tree(sandbox / "a"));
    CHECK(looks_like_tar(sandbox / "a.tar"));

    const TreeListing said = extract_tar(sandbox / "a.tar", sandbox / "b", {});
    CHECK(differences(list_tree(sandbox / "a"), said, owners_that_can_be_set()).empty());
    CHECK(differences(list_tree(sandbox / "a"), list_tree(sandbox / "b"), owners_that_can_be_set()).empty());
    CHECK(fs::last_write_time(sandbox / "a/file") == fs::last_write_time(sandbox / "b/file"));
    CHECK(list_tar(sandbox / "a.tar") == said);
    CHECK(code_of([&] { extract_tar(sandbox / "a.tar", sandbox / "b", {}); }) == ErrorCode::already_exists);
    CHECK(fs::exists(sandbox / "b/file"));
}

TEST_CASE("an archive can be read by the system's own tar, and the other way round") {
    const Sandbox sandbox;
    fs::create_directories(sandbox / "a/sub");
    put(sandbox / "a/sub/h\xc3\xa9llo", "utf-8");
    put(sandbox / "a/file", "x");
    fs::create_hard_link(sandbox / "a/file", sandbox / "a/same");
    write_tar({{.name = "one", .root = sandbox / "a"}}, sandbox / "a.tar");
    fs::create_directory(sandbox / "out");
    const auto tar = [&](std::vector<std::string> argv) {
        argv.insert(argv.begin(), "tar");
        run_child_checked(Command{.argv = argv, .environment = clean_environment(), .folder = sandbox.folder.path()},
                          {});
    };
    tar({"-xf", "a.tar", "-C", "out"});
    CHECK(fingerprint_tree(sandbox / "out/one") == fingerprint_tree(sandbox / "a"));
    for (const std::string format : {"pax", "gnu", "ustar"}) {
        tar({"--format=" + format, "-cf", format + ".tar", "a"});
        extract_tar(sandbox / (format + ".tar"), sandbox / format, {.inside = "a"});
        CHECK(fingerprint_tree(sandbox / format) == fingerprint_tree(sandbox / "a"));
    }
}

TEST_CASE("several trees share an archive, and one of them, or one file, can be taken out") {
    const Sandbox sandbox;
    fs::create_directories(sandbox / "a/x");
    put(sandbox / "a/x/file", "1");
    put(sandbox / "single", "2");
    write_tar({{.name = "config", .root = sandbox / "a"}, {.name = "one", .root = sandbox / "single"}},
              sandbox / "t.tar");
    extract_tar(sandbox / "t.tar", sandbox / "config", {.inside = "config"});
    CHECK(fingerprint_tree(sandbox / "config") == fingerprint_tree(sandbox / "a"));
    extract_tar(sandbox / "t.tar", sandbox / "file", {.inside = "one"});
    CHECK(fingerprint_tree(sandbox / "file") == fingerprint_tree(sandbox / "single"));
    extract_tar(sandbox / "t.tar", sandbox / "deep", {.inside = "config/x/"});
    CHECK(fs::exists(sandbox / "deep/file"));
    CHECK(code_of([&] { extract_tar(sandbox / "t.tar", sandbox / "no", {.inside = "conf"}); }) ==
          ErrorCode::incomplete);
    CHECK_FALSE(fs::exists(sandbox / "no"));
}

TEST_CASE("R29 a hostile archive is refused as a whole: nothing outside, nothing inside") {
    struct Case {
        const char* name;
        ErrorCode code;
        std::vector<Member> members;
    };
    const Member good{.name = "good.txt", .content = "good"};
    const std::vector<Case> cases{
        {"an absolute path", ErrorCode::refused, {good, {.name = "/tmp/evil", .content = "x"}}},
        {"two dots at the front", ErrorCode::refused, {good, {.name = "../evil", .content = "x"}}},
        {"two dots in the middle", ErrorCode::refused, {good, {.name = "a/../../evil", .content = "x"}}},
        {"two dots at the end", ErrorCode::refused, {good, {.name = "a/..", .type = '5'}}},
        {"two dots that stay inside", ErrorCode::refused, {good, {.name = "a/../b", .content = "x"}}},
        {"a link to an absolute path", ErrorCode::refused, {good, {.name = "l", .type = '2', .target = "/etc/passwd"}}},
        {"a link above the root", ErrorCode::refused, {good, {.name = "d/l", .type = '2', .target = "../../x"}}},
        {"a link that leaves and comes back",
         ErrorCode::refused,
         {good, {.name = "l", .type = '2', .target = "../b/x"}}},
        {"a link to nothing", ErrorCode::refused, {good, {.name = "l", .type = '2', .target = ""}}},
        {"writing through a link",
         ErrorCode::refused,
         {good, {.name = "d", .type = '2', .target = "good.txt"}, {.name = "d/x", .content = "x"}}},
        {"writing through a link to the root",
         ErrorCode::refused,
         {{.name = "d", .type = '2', .target = "."}, {.name = "d/x", .content = "x"}}},
        {"a file over a link",
         ErrorCode::refused,
         {good, {.name = "l", .type = '2', .target = "good.txt"}, {.name = "l", .content = "x"}}},
        {"a directory over a link",
         ErrorCode::refused,
         {good, {.name = "l", .type = '2', .target = "good.txt"}, {.name = "l", .type = '5'}}},
        {"a hard link to the outside", ErrorCode::refused, {good, {.name = "h", .type = '1', .target = "/etc/passwd"}}},
        {"a hard link upwards", ErrorCode::refused, {good, {.name = "h", .type = '1', .target = "../../etc/passwd"}}},
        {"a hard link to what is not in it",
         ErrorCode::refused,
         {good, {.name = "h", .type = '1', .target = "missing"}}},
        {"a hard link to a link",
         ErrorCode::refused,
         {good, {.name = "l", .type = '2', .target = "good.txt"}, {.name = "h", .type = '1', .target = "l"}}},
        {"a hard link to itself", ErrorCode::refused, {good, {.name = "h", .type = '1', .target = "h"}}},
        {"a character device", ErrorCode::refused, {good, {.name = "null", .type = '3'}}},
        {"a block device", ErrorCode::refused, {good, {.name = "sda", .type = '4'}}},
        {"a FIFO", ErrorCode::refused, {good, {.name = "fifo", .type = '6'}}},
        {"the same file twice", ErrorCode::refused, {good, {.name = "./good.txt", .content = "other"}}},
        {"the same directory twice",
         ErrorCode::refused,
         {{.name = "d", .type = '5'}, {.name = "d/", .type = '5', .mode = 0777}}},
        {"a file below a file", ErrorCode::refused, {good, {.name = "good.txt/x", .content = "x"}}},
        {"a size beyond all limits", ErrorCode::limit_exceeded, {good, {.name = "huge", .claimed_size = 077777777777}}},
        {"more than the file holds",
         ErrorCode::incomplete,
         {good, {.name = "cut", .content = "x", .claimed_size = 100000}}},
    };
    for (const auto& hostile : cases) {
        CAPTURE(hostile.name);
        const Sandbox sandbox;
        fs::create_directories(sandbox / "around/beside");
        put(sandbox / "around/beside/file", "untouched");
        HostileTar tar;
        for (const auto& member : hostile.members)
            tar.add(member);
        put(sandbox / "hostile.tar", tar.whole());
        const std::string before = everything(sandbox / "around");
        const ExtractOptions options{.limits = {.bytes = {1u << 30}}};
        CHECK(code_of([&] { extract_tar(sandbox / "hostile.tar", sandbox / "around/target", options); }) ==
              hostile.code);
        CHECK(code_of([&] { list_tar(sandbox / "hostile.tar", options); }) == hostile.code);
        CHECK(everything(sandbox / "around") == before);
        CHECK_FALSE(fs::exists("/tmp/evil"));
    }
}

TEST_CASE("R29 limits of count, depth and ratio hold") {
    const Sandbox sandbox;
    HostileTar many;
    for (int i = 0; i < 100; ++i)
        many.add({.name = "f" + std::to_string(i)});
    put(sandbox / "many.tar", many.whole());
    CHECK(code_of([&] { extract_tar(sandbox / "many.tar", sandbox / "out", {.limits = {.entries = 99}}); }) ==
          ErrorCode::limit_exceeded);
    CHECK(list_tar(sandbox / "many.tar", {.limits = {.entries = 100}}).size() == 101);

    HostileTar deep;
    std::string path = "d";
    for (int i = 0; i < 20; ++i)
        path += "/d";
    deep.add({.name = path});
    put(sandbox / "deep.tar", deep.whole());
    CHECK(code_of([&] { extract_tar(sandbox / "deep.tar", sandbox / "out", {.limits = {.depth = 20}}); }) ==
          ErrorCode::limit_exceeded);

    // A sparse member of the old GNU kind: a few bytes that claim gigabytes of holes.
    put(sandbox / "hole", "x");
    fs::resize_file(sandbox / "hole", 2ull << 30);
    run_child_checked(Command{.argv = {"tar", "-S", "--format=gnu", "-cf", "sparse.tar", "hole"},
                              .environment = clean_environment(),
                              .folder = sandbox.folder.path()},
                      {});
    REQUIRE(fs::file_size(sandbox / "sparse.tar") < 100'000);
    CHECK(code_of([&] { extract_tar(sandbox / "sparse.tar", sandbox / "out", {}); }) == ErrorCode::limit_exceeded);
    CHECK_FALSE(fs::exists(sandbox / "out"));
}

TEST_CASE("R29 set-id bits are not taken over unless asked for") {
    const Sandbox sandbox;
    put(sandbox / "t.tar", HostileTar{}.add({.name = "su", .content = "#!/bin/sh\n", .mode = 06755}).whole());
    extract_tar(sandbox / "t.tar", sandbox / "a", {});
    CHECK(list_tree(sandbox / "a").at("su").mode == 0755);
    extract_tar(sandbox / "t.tar", sandbox / "b", {.keep_set_id = true});
    CHECK(list_tree(sandbox / "b").at("su").mode == 06755);
}

TEST_CASE("links that lead out can be allowed, and still nothing is written through them") {
    const Sandbox sandbox;
    const ExtractOptions allowing{.links_may_lead_out = true};
    put(sandbox / "t.tar", HostileTar{}.add({.name = "l", .type = '2', .target = "/etc/app"}).whole());
    extract_tar(sandbox / "t.tar", sandbox / "a", allowing);
    CHECK(fs::read_symlink(sandbox / "a/l") == "/etc/app");
    fs::create_directory(sandbox / "victim");
    put(sandbox / "u.tar", HostileTar{}
                               .add({.name = "l", .type = '2', .target = (sandbox / "victim").string()})
                               .add({.name = "l/x", .content = "x"})
                               .whole());
    CHECK(code_of([&] { extract_tar(sandbox / "u.tar", sandbox / "b", allowing); }) == ErrorCode::refused);
    CHECK(fs::is_empty(sandbox / "victim"));
}

TEST_CASE("a cut archive is incomplete wherever it is cut, and leaves nothing") {
    const Sandbox sandbox;
    fs::create_directory(sandbox / "a");
    for (int i = 0; i < 5; ++i)
        put(sandbox / ("a/" + std::to_string(i)), std::string(700, 'x'));
    write_tar({{.name = "", .root = sandbox / "a"}}, sandbox / "a.tar");
    const std::string whole = read_small_file(sandbox / "a.tar");
    for (std::size_t length = 0; length < whole.size(); length += 256) {
        CAPTURE(length);
        put(sandbox / "cut.tar", whole.substr(0, length));
        const ErrorCode code = code_of([&] { extract_tar(sandbox / "cut.tar", sandbox / "out", {}); });
        CHECK((code == ErrorCode::incomplete || code == ErrorCode::corrupt));
        CHECK_FALSE(fs::exists(sandbox / "out"));
    }
    put(sandbox / "noise", sha256_hex("noise") + std::string(2000, 'n'));
    CHECK(code_of([&] { extract_tar(sandbox / "noise", sandbox / "out", {}); }) == ErrorCode::corrupt);
    CHECK_FALSE(looks_like_tar(sandbox / "noise"));
}

TEST_CASE("an archive whose sink fails says why and does not look whole") {
    const Sandbox sandbox;
    fs::create_directory(sandbox / "a");
    put(sandbox / "a/file", std::string(1 << 20, 'x'));
    std::string taken;
    const ByteSink sink = [&](std::span<const std::byte> bytes) {
        if (taken.size() > 100'000) throw Error{ErrorCode::disk_full, "no room"};
        taken.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    CHECK(code_of([&] { write_tar({{.name = "", .root = sandbox / "a"}}, sink); }) == ErrorCode::disk_full);
    put(sandbox / "taken.tar", taken);
    CHECK(code_of([&] { list_tar(sandbox / "taken.tar"); }) == ErrorCode::incomplete);
}
