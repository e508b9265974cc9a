#include "world/files.h"

#include <catch2/catch.hpp>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actions/files_family.h"
#include "actions/files_source.h"
#include "actions/files_swap.h"
#include "unit/actions/deed.h"
#include "world/archive.h"
#include "world/tree.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;
using Answer = ProbeResult::Answer;

namespace {

// A live configuration folder and a copy of how it should be, in a folder of their own.
struct Shop {
    explicit Shop(std::optional<DrillMark> drill = {})
        : root(fs::canonical(fs::temp_directory_path()) /
               ("lifeboat-shop-" + std::to_string(::getpid()) + "-" + std::to_string(++count()))),
          world({{"config",
                  {.name = "config", .type = "files", .fields = {{"path", (root / "etc/app").string()}}, .span = {}}}},
                std::move(drill)),
          list(files_actions(world.world())) {
        remove_tree(root);
        write_text(root / "etc/app/app.conf", "port = 666\n");
        write_text(root / "etc/app/sub/broken", "broken");
        write_text(root / "etc/beside", "stays");
        write_text(root / "good/app.conf", "port = 80\n");
        write_text(root / "good/sub/list", "a\nb\n");
        fs::create_symlink("../app.conf", root / "good/sub/link");
        fs::permissions(root / "good/app.conf", fs::perms{0640});
        fs::permissions(root / "good/sub", fs::perms{02750});
        if (::geteuid() == 0) REQUIRE(::chown((root / "good/app.conf").c_str(), 1234, 4321) == 0);
        before = list_tree(root / "etc");
        good = list_tree(root / "good");
    }
    ~Shop() { remove_tree(root); }
    Shop(const Shop&) = delete;
    Shop& operator=(const Shop&) = delete;

    static int& count() {
        static int made = 0;
        return made;
    }
    fs::path live() const { return root / "etc/app"; }
    fs::path kept() const { return root / "etc/app.lifeboat-run-1.old"; }
    fs::path staged() const { return root / "etc/.lifeboat-run-1-step.staged"; }
    Json restoring(const std::string& from) const {
        return {{"from", (root / from).string()}, {"to", {{"of", "config"}}}};
    }

    fs::path root;
    DeedWorld world;
    ActionList list;
    TreeListing before;
    TreeListing good;
};

std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator{folder})
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

TEST_CASE("R1 a folder is restored beside, exchanged, and the old one kept under the run's name") {
    Shop shop;
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    deed.prepare();
    CHECK(list_tree(shop.root / "etc") == shop.before);
    CHECK(deed.probe().answer == Answer::not_done);
    const Outputs outputs = deed.run();
    CHECK(differences(shop.good, list_tree(shop.live()), Owners::compare).empty());
    CHECK(outputs.at("path") == shop.live().string());
    CHECK(outputs.at("kept") == Json::array({"file:" + shop.kept().string()}));
    CHECK(outputs.at("digest") == fingerprint(shop.good));
    CHECK(outputs.at("entries") == 5);
    CHECK(parse_timestamp(outputs.at("writes_stopped_at").get<std::string>()));
    CHECK(names_in(shop.root / "etc") == std::vector<std::string>{"app", "app.lifeboat-run-1.old", "beside"});
    CHECK(read_text(shop.kept() / "app.conf") == "port = 666\n");

    const ProbeResult probed = deed.probe();
    CHECK(probed.answer == Answer::done);
    CHECK(probed.outputs == outputs);

    CHECK(deed.undo() == "put back '" + shop.live().string() + "'");
    CHECK(list_tree(shop.root / "etc") == shop.before);
    CHECK(deed.undo().empty());
    CHECK(deed.probe().answer == Answer::not_done);
}

TEST_CASE("R28 modes and owners come back with a restore and are read back") {
    Shop shop;
    Deed{shop.world, shop.list, "files.restore", shop.restoring("good")}.prepare_and_run();
    struct stat status {};
    REQUIRE(::stat((shop.live() / "app.conf").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777u) == 0640u);
    if (::geteuid() == 0) CHECK((status.st_uid == 1234 && status.st_gid == 4321));
    REQUIRE(::stat((shop.live() / "sub").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777u) == 02750u);
}

TEST_CASE("R1 a restore that is killed after any of its moves is told by the probe, goes on, and can be undone") {
    const int killed_after = GENERATE(-1, 0, 1, 2);
    const bool exchangeable = GENERATE(true, false);
    const bool goes_on = GENERATE(true, false);
    CAPTURE(killed_after, exchangeable, goes_on);
    Shop shop;
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    deed.prepare();
    const FilesSwap swap = files_swap_from_json(deed.intent.at("swap"));
    if (killed_after < 0) {
        write_text(swap.staged / "app.conf", "half of i");  // while it was being staged
    } else {
        const TreeListing staged = copy_tree(shop.root / "good", swap.staged);
        deed.notes["fresh"] = {{"identity", to_json(*identity_of(swap.staged))},
                               {"digest", fingerprint(staged)},
                               {"entries", 5},
                               {"bytes", 14},
                               {"swapped_at", "2026-01-01T00:00:00.000000Z"}};
        if (exchangeable) {
            for (int i = 0; i < killed_after; ++i)
                CHECK(step_forward(swap));
        } else {
            // The order where a file system has no exchange.
            if (killed_after > 0) move_durably(swap.live, swap.kept);
            if (killed_after > 1) move_durably(swap.staged, swap.live);
        }
    }
    CHECK(deed.probe().answer == (killed_after == 2 ? Answer::done : Answer::not_done));
    if (goes_on) {
        const Outputs outputs = deed.run();
        CHECK(outputs.at("digest") == fingerprint(shop.good));
        CHECK(differences(shop.good, list_tree(shop.live()), Owners::compare).empty());
        CHECK(deed.probe().answer == Answer::done);
        CHECK(names_in(shop.root / "etc") == std::vector<std::string>{"app", "app.lifeboat-run-1.old", "beside"});
    }
    deed.undo();
    CHECK(list_tree(shop.root / "etc") == shop.before);
    CHECK(deed.undo().empty());
}

TEST_CASE("an undo that is killed after any of its moves can be done again, and so can the restore") {
    const int killed_after = GENERATE(0, 1, 2);
    Shop shop;
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    deed.prepare_and_run();
    const FilesSwap swap = files_swap_from_json(deed.intent.at("swap"));
    const FileIdentity fresh = file_identity_from_json(deed.notes.at("fresh").at("identity"));
    for (int i = 0; i < killed_after; ++i)
        CHECK(step_back(swap, fresh));
    CHECK(deed.probe().answer == (killed_after == 0 ? Answer::done : Answer::not_done));
    SECTION("undone again") {
        deed.undo();
    }
    SECTION("restored again, then undone") {
        deed.run();
        CHECK(differences(shop.good, list_tree(shop.live()), Owners::compare).empty());
        deed.undo();
    }
    CHECK(list_tree(shop.root / "etc") == shop.before);
}

TEST_CASE("R1 a restore killed for real before the swap leaves the live folder as it was") {
    Shop shop;
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    deed.prepare();
    const pid_t child = ::fork();
    if (child == 0) {
        deed.context.note = [](const std::string&, const Json&) { ::kill(::getpid(), SIGKILL); };
        deed.run();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(fs::exists(shop.staged()));
    remove_tree(shop.root / "aside");
    fs::rename(shop.staged(), shop.root / "aside");
    CHECK(list_tree(shop.root / "etc") == shop.before);
    fs::rename(shop.root / "aside", shop.staged());
    CHECK(deed.probe().answer == Answer::not_done);
    CHECK(deed.undo() == "removed the unfinished copy beside '" + shop.live().string() + "'");
    CHECK(list_tree(shop.root / "etc") == shop.before);
}

TEST_CASE("R4 a target that somebody replaced since the step was prepared is left alone") {
    Shop shop;
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    deed.prepare();
    fs::rename(shop.live(), shop.root / "etc/elsewhere");
    write_text(shop.live() / "other", "theirs");
    const TreeListing theirs = list_tree(shop.root / "etc");
    CHECK(code_of([&] { deed.run(); }) == ErrorCode::moved);
    CHECK(list_tree(shop.root / "etc") == theirs);
    CHECK(deed.probe().answer == Answer::cannot_tell);
    CHECK(code_of([&] { deed.undo(); }) == ErrorCode::moved);
    CHECK(list_tree(shop.root / "etc") == theirs);
}

TEST_CASE("what somebody put in the place of the restored folder is not undone") {
    Shop shop;
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    deed.prepare_and_run();
    fs::rename(shop.live(), shop.root / "etc/restored");
    write_text(shop.live() / "other", "theirs");
    CHECK(deed.probe().answer == Answer::cannot_tell);
    CHECK(code_of([&] { deed.undo(); }) == ErrorCode::moved);
    CHECK(read_text(shop.live() / "other") == "theirs");
    CHECK(fs::exists(shop.kept()));
}

TEST_CASE("a target that does not exist is made, and undone by taking it away") {
    Shop shop;
    remove_tree(shop.live());
    const TreeListing before = list_tree(shop.root / "etc");
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    deed.prepare();
    CHECK(deed.probe().answer == Answer::not_done);
    SECTION("restored") {
        const Outputs outputs = deed.run();
        CHECK(outputs.at("kept") == Json::array());
        CHECK(deed.probe().answer == Answer::done);
        CHECK(deed.undo() == "removed '" + shop.live().string() + "', which was not there before");
        CHECK(list_tree(shop.root / "etc") == before);
    }
    SECTION("somebody else makes it meanwhile") {
        write_text(shop.live() / "other", "theirs");
        CHECK(code_of([&] { deed.run(); }) == ErrorCode::moved);
        CHECK(deed.probe().answer == Answer::not_done);
        CHECK(deed.undo().empty());
        CHECK(read_text(shop.live() / "other") == "theirs");
    }
}

TEST_CASE("a folder is restored from an archive and from a fetched backup of several resources") {
    Shop shop;
    fs::create_directories(shop.root / "fetched/config");
    fs::create_directories(shop.root / "fetched/db");
    write_tar({{.name = "", .root = shop.root / "good"}}, shop.root / "fetched/config/config.tar");
    const std::string from = GENERATE("fetched", "fetched/config/config.tar");
    Json arguments = shop.restoring(from);
    arguments["fingerprint"] = fingerprint(shop.good);
    Deed deed{shop.world, shop.list, "files.restore", arguments};
    deed.prepare_and_run();
    CHECK(differences(shop.good, list_tree(shop.live()), Owners::compare).empty());
    deed.undo();
    CHECK(list_tree(shop.root / "etc") == shop.before);
}

TEST_CASE("a single file is restored from a file and from an archive of it") {
    Shop shop;
    remove_tree(shop.live());
    write_text(shop.live(), "old");
    write_text(shop.root / "copy", "new");
    write_tar({{.name = "", .root = shop.root / "copy"}}, shop.root / "copy.tar");
    const TreeListing before = list_tree(shop.root / "etc");
    const std::string from = GENERATE("copy", "copy.tar");
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring(from)};
    deed.prepare_and_run();
    CHECK(read_text(shop.live()) == "new");
    CHECK(read_text(shop.kept()) == "old");
    deed.undo();
    CHECK(list_tree(shop.root / "etc") == before);
}

TEST_CASE("sources that do not fit are refused before anything is touched") {
    Shop shop;
    write_text(shop.root / "file", "x");
    write_text(shop.root / "packed.tar.gz", "x");
    write_text(shop.root / "noise.tar", std::string(2000, 'n'));
    REQUIRE(::mkfifo((shop.root / "fifo").c_str(), 0600) == 0);
    struct Case {
        std::string from;
        ErrorCode code;
    };
    const auto [from, code] = GENERATE(
        Case{"missing", ErrorCode::not_found}, Case{"file", ErrorCode::refused}, Case{"etc/app", ErrorCode::refused},
        Case{"etc/app/sub", ErrorCode::refused}, Case{"etc", ErrorCode::refused}, Case{"fifo", ErrorCode::unsupported},
        Case{"packed.tar.gz", ErrorCode::unsupported}, Case{"noise.tar", ErrorCode::corrupt});
    CAPTURE(from);
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring(from)};
    CHECK(code_of([&] { deed.prepare_and_run(); }) == code);
    CHECK(list_tree(shop.root / "etc") == shop.before);
}

TEST_CASE("R29 a hostile archive changes nothing of the live folder") {
    Shop shop;
    fs::create_directory(shop.root / "bad");
    fs::create_symlink("/etc/passwd", shop.root / "bad/link");
    write_text(shop.root / "bad/app.conf", "x");
    write_tar({{.name = "", .root = shop.root / "bad"}}, shop.root / "bad.tar");
    Deed refused{shop.world, shop.list, "files.restore", shop.restoring("bad.tar")};
    CHECK(code_of([&] { refused.prepare_and_run(); }) == ErrorCode::refused);
    CHECK(list_tree(shop.root / "etc") == shop.before);
    Json arguments = shop.restoring("bad.tar");
    arguments["links_out"] = true;
    Deed allowed{shop.world, shop.list, "files.restore", arguments};
    allowed.prepare_and_run();
    CHECK(fs::read_symlink(shop.live() / "link") == "/etc/passwd");
}

TEST_CASE("a source with another fingerprint than its manifest says is refused") {
    Shop shop;
    Json arguments = shop.restoring("good");
    arguments["fingerprint"] = std::string(64, '0');
    Deed deed{shop.world, shop.list, "files.restore", arguments};
    CHECK(code_of([&] { deed.prepare_and_run(); }) == ErrorCode::corrupt);
    CHECK(list_tree(shop.root / "etc") == shop.before);
}

TEST_CASE("only a part of the source can be restored, and no part outside of it") {
    Shop shop;
    Json arguments = shop.restoring("good");
    arguments["inside"] = "sub";
    Deed{shop.world, shop.list, "files.restore", arguments}.prepare_and_run();
    CHECK(read_text(shop.live() / "list") == "a\nb\n");
    arguments["inside"] = "../etc/beside";
    Deed out{shop.world, shop.list, "files.restore", arguments};
    CHECK(code_of([&] { out.prepare(); }) == ErrorCode::refused);
}

TEST_CASE("a link as the target is followed once, so that the folder behind it is exchanged and the link stays") {
    Shop shop;
    fs::rename(shop.live(), shop.root / "real");
    fs::create_directory_symlink(shop.root / "real", shop.live());
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    deed.prepare_and_run();
    CHECK(fs::is_symlink(shop.live()));
    CHECK(differences(shop.good, list_tree(shop.root / "real"), Owners::compare).empty());
    CHECK(fs::exists(shop.root / "real.lifeboat-run-1.old"));
}

TEST_CASE("two restores of one run keep their old states under different names") {
    Shop shop;
    Deed first{shop.world, shop.list, "files.restore", shop.restoring("good")};
    const Outputs kept_first = first.prepare_and_run();
    Deed second{shop.world, shop.list, "files.restore", shop.restoring("good")};
    second.context.step_id = "again";
    const Outputs kept_second = second.prepare_and_run();
    CHECK(kept_second.at("kept") == Json::array({"file:" + (shop.root / "etc/app.lifeboat-run-1-again.old").string()}));
    second.undo();
    first.undo();
    CHECK(list_tree(shop.root / "etc") == shop.before);
}

TEST_CASE("a mount point is not exchanged") {
    Shop shop;
    if (::mount("tmpfs", (shop.live() / "sub").c_str(), "tmpfs", 0, "size=1m") != 0) {
        WARN("SKIPPED: mounting a tmpfs needs root");
        return;
    }
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    CHECK(code_of([&] { deed.prepare(); }) == ErrorCode::unsupported);
    const Survey survey = deed.action.survey(deed.context);
    CHECK(std::any_of(survey.findings.begin(), survey.findings.end(),
                      [](const Finding& finding) { return finding.kind == FindingKind::blocker; }));
    REQUIRE(::umount((shop.live() / "sub").c_str()) == 0);
}

TEST_CASE("R3 a safety copy that cannot be made fails, and the live data is untouched") {
    Shop shop;
    if (::mount("tmpfs", (shop.root / "etc").c_str(), "tmpfs", 0, "size=2m") != 0) {
        WARN("SKIPPED: mounting a tmpfs needs root");
        return;
    }
    write_text(shop.live() / "big", std::string(1'500'000, 'x'));
    const TreeListing before = list_tree(shop.root / "etc");
    write_text(shop.root / "good/big", std::string(1'500'000, 'y'));
    Deed snapshot{shop.world, shop.list, "files.snapshot", {{"of", {{"of", "config"}}}}};
    CHECK(code_of([&] { snapshot.prepare_and_run(); }) == ErrorCode::disk_full);
    CHECK(list_tree(shop.root / "etc") == before);
    Deed restore{shop.world, shop.list, "files.restore", shop.restoring("good")};
    CHECK(code_of([&] { restore.prepare_and_run(); }) == ErrorCode::disk_full);
    CHECK(list_tree(shop.root / "etc") == before);

    // R17: the plan says so before.
    for (const Deed* deed : {&snapshot, &restore}) {
        Context context = deed->context;
        const Survey survey = deed->action.survey(context);
        const auto space = std::find_if(survey.findings.begin(), survey.findings.end(), [](const Finding& finding) {
            return finding.subject.starts_with("free space");
        });
        REQUIRE(space != survey.findings.end());
        CHECK(space->kind == FindingKind::blocker);
        CHECK(space->subject == "free space on '" + (shop.root / "etc").string() + "'");
    }
    REQUIRE(::umount((shop.root / "etc").c_str()) == 0);
}

TEST_CASE("R3 a snapshot stands beside the original until it is undone") {
    Shop shop;
    Deed deed{shop.world, shop.list, "files.snapshot", {{"of", {{"of", "config"}}}}};
    const Outputs outputs = deed.prepare_and_run();
    const fs::path copy = shop.root / "etc/.lifeboat-run-1-step.snapshot";
    CHECK(outputs.at("path") == copy.string());
    CHECK(outputs.at("kept") == Json::array({"file:" + copy.string()}));
    CHECK(outputs.at("digest") == fingerprint_tree(shop.live()));
    CHECK(outputs.at("digest") == fingerprint_tree(copy));
    CHECK(outputs.at("exact") == true);
    CHECK(deed.undo() == "removed the copy '" + copy.string() + "'");
    CHECK(list_tree(shop.root / "etc") == shop.before);
    CHECK(deed.undo().empty());

    Deed restore_from_it{shop.world, shop.list, "files.snapshot", {{"of", {{"of", "config"}}}}};
    restore_from_it.prepare();
    remove_tree(shop.live());
    CHECK(code_of([&] { restore_from_it.run(); }) == ErrorCode::moved);
}

TEST_CASE("R5 a resource whose path names nothing definite is refused") {
    for (const Json& path :
         {Json(""), Json("/"), Json("."), Json("etc/app"), Json("/etc/*"), Json("/etc/../x"), Json(nullptr), Json(7)}) {
        CAPTURE(to_text(path));
        DeedWorld world{{{"config", {.name = "config", .type = "files", .fields = {{"path", path}}, .span = {}}}}};
        const ActionList list = files_actions(world.world());
        Deed deed{world, list, "files.snapshot", {{"of", {{"of", "config"}}}}};
        CHECK(code_of([&] { deed.prepare(); }) == ErrorCode::invalid_file);
    }
}

TEST_CASE("in a drill only what shows the sandbox's nonce is touched") {
    Shop shop{DrillMark{.drill = "d", .nonces = {{"config", "nonce-1"}}}};
    Deed deed{shop.world, shop.list, "files.restore", shop.restoring("good")};
    CHECK(code_of([&] { deed.prepare(); }) == ErrorCode::refused);
    write_text(shop.root / "nonce", "nonce-2\n");
    CHECK(code_of([&] { deed.prepare(); }) == ErrorCode::refused);
    write_text(shop.root / "nonce", "nonce-1\n");
    CHECK_NOTHROW(deed.prepare_and_run());
}

TEST_CASE("a file of the sandbox is damaged, told by the probe, and made whole again") {
    Shop shop{DrillMark{.drill = "d", .nonces = {{"config", "nonce-1"}}}};
    write_text(shop.root / "nonce", "nonce-1\n");
    const Json of{{"of", "config"}};
    const auto [arguments, damaged] = GENERATE_COPY(table<Json, std::string>({
        {{{"of", of}, {"file", "app.conf"}, {"offset", 2}, {"bytes", "XY"}, {"times", 2}}, "poXYXY 666\n"},
        {{{"of", of}, {"file", "app.conf"}, {"truncate", "4B"}}, "port"},
        {{{"of", of}, {"file", "app.conf"}, {"truncate", 0}}, ""},
    }));
    Deed deed{shop.world, shop.list, "fault.corrupt_file", arguments};
    deed.prepare();
    CHECK(deed.probe().answer == Answer::not_done);
    const Outputs outputs = deed.run();
    CHECK(read_text(shop.live() / "app.conf") == damaged);
    CHECK(outputs.at("size") == fs::file_size(shop.live() / "app.conf"));
    CHECK(deed.probe().answer == Answer::done);
    deed.run();
    deed.undo();
    CHECK(read_text(shop.live() / "app.conf") == "port = 666\n");
    CHECK(deed.undo().empty());
}

TEST_CASE("damage is refused outside of a drill, outside of the resource, and when it is not said which") {
    Shop outside;
    const Json of{{"of", "config"}};
    Deed real{outside.world, outside.list, "fault.corrupt_file", {{"of", of}, {"file", "app.conf"}, {"bytes", "x"}}};
    CHECK(code_of([&] { real.prepare(); }) == ErrorCode::refused);

    Shop shop{DrillMark{.drill = "d", .nonces = {{"config", "nonce-1"}}}};
    write_text(shop.root / "nonce", "nonce-1\n");
    const auto code = [&](Json arguments) {
        arguments["of"] = of;
        Deed deed{shop.world, shop.list, "fault.corrupt_file", arguments};
        return code_of([&] { deed.prepare(); });
    };
    CHECK(code({{"file", "../beside"}, {"bytes", "x"}}) == ErrorCode::refused);
    CHECK(code({{"bytes", "x"}}) == ErrorCode::not_found);
    CHECK(code({{"file", "nothing"}, {"bytes", "x"}}) == ErrorCode::not_found);
    CHECK(code({{"file", "app.conf"}}) == ErrorCode::invalid_file);
    CHECK(code({{"file", "app.conf"}, {"bytes", "x"}, {"truncate", 1}}) == ErrorCode::invalid_file);
    CHECK(code({{"file", "app.conf"}, {"bytes", "x"}, {"offset", -1}}) == ErrorCode::invalid_file);
    CHECK(list_tree(shop.root / "etc") == shop.before);
}

TEST_CASE("a files resource is identified by machine and real path") {
    Shop shop;
    fs::create_directory_symlink(shop.live(), shop.root / "link");
    const auto identify = [&](const fs::path& path) {
        return identify_files(
            shop.world.world(),
            {.name = "config", .type = "files", .fields = {{"path", path.string()}}, .reference = {}});
    };
    const TargetIdentity direct = identify(shop.live());
    const TargetIdentity linked = identify(shop.root / "link");
    CHECK(direct.declared.ends_with(":" + shop.live().string()));
    CHECK(identify(shop.live().string() + "/").declared == direct.declared);
    CHECK(linked.declared != direct.declared);
    CHECK(linked.measured == direct.measured);
    CHECK(direct.measured->starts_with("files machine "));
    CHECK(direct.measured->ends_with(":" + shop.live().string()));
}
