#include <deque>

#include "backup/completion.h"
#include "backup/creation.h"
#include "backup/fetch.h"
#include "backup/layers.h"
#include "backup/prune.h"
#include "backup/verification.h"
#include "sample.h"
#include "world/archive.h"
#include "world/tree.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;

namespace {

// A folder and the objects of a store, backed up into two stores once a day.
struct Diary : Bench {
    std::shared_ptr<LocalStore> uploads = std::make_shared<LocalStore>("uploads", folder / "uploads");
    std::optional<EncryptionKey> key;
    bool compress = false;
    std::deque<CreatedBackup> made;

    Diary() {
        fs::create_directory(folder / "uploads");
        write("config/a.conf", "a");
        write("config/sub/b.conf", std::string(100'000, 'b'));
        write("config/cache/x.tmp", "x");
        write("uploads/pictures/1.png", std::string(50'000, '1'));
        write("uploads/pictures/2.png", std::string(50'000, '2'));
    }
    void write(const std::string& path, const std::string& content) {
        fs::create_directories((folder / path).parent_path());
        overwrite(folder / path, content);
    }
    CreateRequest request() {
        return {.set = "diary",
                .id = backup_id(clock.now()),
                .started_at = clock.now(),
                .claim = "run/" + std::to_string(made.size()),
                .sources = {{.name = "config",
                             .from = FilesSource{.path = folder / "config", .exclude = PathPatterns({"*.tmp"})}},
                            {.name = "uploads", .from = ObjectsSource{.store = uploads}}},
                .stores = stores,
                .key = key,
                .compress = compress,
                .full_every = std::chrono::hours(24 * 7),
                .keys = keys()};
    }
    KeyRing keys() const { return key ? KeyRing{{*key}} : KeyRing{}; }
    const CreatedBackup& create() {
        made.push_back(create_backup(request(), clock, work()));
        clock.set(clock.now() + std::chrono::hours(24));
        return made.back();
    }
    Verification verify(std::size_t number, Store& store) {
        const auto entry = read_entry(store, 0, "diary", made.at(number).manifest.id);
        REQUIRE(entry);
        return verify_backup(store, "diary", *entry, keys(), Level::readable, work());
    }
    Fetched fetch(std::size_t number) {
        const CreatedBackup& created = made.at(number);
        return fetch_backup({.set = "diary",
                             .candidates = {{created.manifest.id, "nas", created.manifest_sha256},
                                            {created.manifest.id, "offsite", created.manifest_sha256}},
                             .stores = stores,
                             .keys = keys(),
                             .folder = folder / "fetched"},
                            work());
    }
    // What a restore would make of it.
    TreeListing restored(const Fetched& fetched, const std::string& component) {
        fs::remove_all(folder / "restored");
        return extract_tar(fetched.components.at(component), folder / "restored", {.keep_set_id = true});
    }
    // As it is now, without what is left out.
    TreeListing now() {
        TreeListing listing = list_tree(folder / "config");
        std::erase_if(listing, [](const auto& each) { return each.first.ends_with(".tmp"); });
        return listing;
    }
};

std::vector<std::string> keys_of(const ManifestComponent& component) {
    std::vector<std::string> keys;
    for (const ManifestObject& object : component.objects)
        keys.push_back((object.from.empty() ? "" : object.from + ": ") + object.key);
    return keys;
}

}  // namespace

TEST_CASE("what has not changed is not stored again, and every backup of the chain restores to what was there") {
    Diary diary;
    const bool packed = GENERATE(false, true);
    if (packed) {
        diary.key = EncryptionKey(Secret(std::string(64, 'a')), "key");
        diary.compress = true;
    }
    std::vector<TreeListing> were{diary.now()};
    CHECK(diary.create().manifest.parent.empty());

    diary.write("config/a.conf", "another");
    fs::remove_all(diary.folder / "config/cache");
    diary.write("uploads/pictures/2.png", std::string(60'000, 'z'));
    were.push_back(diary.now());
    const CreatedBackup& second = diary.create();
    CHECK(second.manifest.parent == "2026-02-10T12-00-00Z");
    CHECK(keys_of(second.manifest.components.at(0)) ==
          std::vector<std::string>{"2026-02-10T12-00-00Z: config/2026-02-10T12-00-00Z.tar",
                                   "config/2026-02-11T12-00-00Z.tar", "config/2026-02-11T12-00-00Z.index"});
    CHECK(second.manifest.components.at(0).facts.at("unchanged") == 1);
    CHECK(second.manifest.components.at(1).facts.at("unchanged") == 1);
    if (!packed) CHECK(second.manifest.own_size().count < 80'000);

    diary.write("config/new.conf", "new");
    fs::remove(diary.folder / "uploads/pictures/1.png");
    were.push_back(diary.now());
    const CreatedBackup& third = diary.create();
    CHECK(third.manifest.parent == second.manifest.id);
    CHECK(parse_manifest(manifest_text(third.manifest), "it") == third.manifest);

    for (std::size_t number = 0; number < were.size(); ++number) {
        INFO(number);
        CHECK(diary.verify(number, *diary.nas).level == Level::readable);
        CHECK(diary.restored(diary.fetch(number), "config") == were[number]);
    }
    const TreeListing uploads = diary.restored(diary.fetch(2), "uploads");
    CHECK_FALSE(uploads.contains("pictures/1.png"));
    CHECK(uploads.at("pictures/2.png").sha256 == sha256_hex(std::string(60'000, 'z')));
}

TEST_CASE(
    "a damaged or missing layer is found and named in every backup that needs it, and mended from another store") {
    Diary diary;
    diary.create();
    diary.write("config/a.conf", "another");
    diary.create();
    const fs::path layer = diary.folder.path() / "nas/diary/2026-02-10T12-00-00Z/config/2026-02-10T12-00-00Z.tar";
    const std::string good = bytes_of(layer);
    std::string bad = good;
    bad[600] = static_cast<char>(bad[600] ^ 1);
    overwrite(layer, bad);
    for (const std::size_t number : {0u, 1u}) {
        const Verification found = diary.verify(number, *diary.nas);
        CHECK(found.level == Level::complete);
        REQUIRE(found.problems.size() == 1);
        CHECK(found.problems.front().object == "config/2026-02-10T12-00-00Z.tar");
    }
    CHECK(diary.restored(diary.fetch(1), "config") == diary.now());
    fs::remove(layer);
    CHECK(diary.verify(1, *diary.nas).level == Level::listed);
    // nothing is built on it any more
    const CreatedBackup& next = diary.create();
    CHECK(next.manifest.parent.empty());
    CHECK(diary.logged.back().find("stored anew") != std::string::npos);
}

TEST_CASE("everything is stored anew where the last backup is too old, not everywhere, or not kept as this one") {
    Diary diary;
    diary.create();
    SECTION("too old") {
        for (int day = 1; day < 7; ++day)
            CHECK_FALSE(diary.create().manifest.parent.empty());
        CHECK(diary.create().manifest.parent.empty());
        CHECK_FALSE(diary.create().manifest.parent.empty());
    }
    SECTION("not everywhere") {
        diary.offsite->remove(manifest_key("diary", diary.made[0].manifest.id), {});
        CHECK(diary.create().manifest.parent.empty());
    }
    SECTION("not encrypted, as this one will be") {
        diary.key = EncryptionKey(Secret(std::string(64, 'a')), "key");
        CHECK(diary.create().manifest.parent.empty());
        CHECK_FALSE(diary.create().manifest.parent.empty());
    }
    SECTION("encrypted with a key that is lost") {
        diary.key = EncryptionKey(Secret(std::string(64, 'a')), "key");
        diary.create();
        diary.key = EncryptionKey(Secret(std::string(64, 'b')), "key");
        CHECK(diary.create().manifest.parent.empty());
    }
}

TEST_CASE("retention keeps what a kept backup builds on") {
    Diary diary;
    for (int day = 0; day < 5; ++day)
        diary.create();
    const PrunePlan plan = plan_prune(read_catalogue("diary", diary.stores), {"nas", "offsite"},
                                      RetentionPolicy{.last = 1}, std::nullopt, diary.clock.now());
    CHECK(plan.stores.at(0).retention.removable.empty());
    for (int day = 0; day < 3; ++day)
        diary.create();  // the first of them is a full one
    const PrunePlan later = plan_prune(read_catalogue("diary", diary.stores), {"nas"}, RetentionPolicy{.last = 1},
                                       std::nullopt, diary.clock.now());
    CHECK(later.stores.at(0).retention.removable.size() == 7);
    CHECK(later.stores.at(0).retention.removable.front() == diary.made[6].manifest.id);  // children first
}

TEST_CASE("the layers of a folder come back by hand as the page of the format says") {
    Diary diary;
    diary.create();
    diary.write("config/a.conf", "another");
    fs::remove_all(diary.folder / "config/sub");
    fs::create_directory(diary.folder / "config/empty");
    fs::create_symlink("a.conf", diary.folder / "config/link");
    diary.write("config/odd name.conf", "odd");
    const CreatedBackup& last = diary.create();
    write_text(diary.folder / "assemble.py", program_of_the_page("assemble.py"));
    const std::string script = "set -e; sha256sum --quiet -c SHA256SUMS; /usr/bin/python3 " +
                               (diary.folder / "assemble.py").string() + " config " + (diary.folder / "hand").string();
    const ChildResult result = run_child({.argv = {"sh", "-c", script},
                                          .environment = clean_environment(),
                                          .folder = diary.folder.path() / "nas/diary" / last.manifest.id},
                                         {});
    INFO(result.errors);
    REQUIRE(result.exit_code == 0);
    CHECK(list_tree(diary.folder / "hand") == diary.now());
}

TEST_CASE("a key that is also a folder of others cannot be backed up, and is named") {
    // as an object store can have them
    struct Odd final : Store {
        std::string name_ = "odd";
        const std::string& name() const override { return name_; }
        StoreFeatures features() const override { return {}; }
        void list(const ListQuery&, const ListedPage& page, const WorkControl&) override {
            static_cast<void>(page(
                std::vector<Listed>{{.object = {.key = "a"}}, {.object = {.key = "a-b"}}, {.object = {.key = "a/b"}}}));
        }
        std::optional<StoredObject> stat(const std::string&, const WorkControl&) override { return std::nullopt; }
        ReadEnd read(const std::string&, const ReadRange&, const ByteSink&, const WorkControl&) override {
            return ReadEnd::complete;
        }
        StoredObject write(const std::string&, const Content&, const WriteOptions&, const WorkControl&) override {
            return {};
        }
        bool remove(const std::string&, const WorkControl&) override { return false; }
    };
    Bench bench;
    const Error error = error_of([&] {
        dump_objects("uploads", {.store = std::make_shared<Odd>()}, bench.folder / "out", bench.clock, bench.work());
    });
    CHECK(error.code == ErrorCode::unsupported);
    CHECK(error.message.find("'a'") != std::string::npos);
}

TEST_CASE("the output of a program is kept, and nothing, or a failure, is no output") {
    Bench bench;
    const auto dump_of = [&](const std::string& script, const std::string& folder) {
        return dump_output("words", {.command = {.argv = {"sh", "-c", script}, .environment = clean_environment()}},
                           bench.folder / folder, bench.clock, bench.work());
    };
    const ManifestComponent component = dump_of("printf 'all of it'", "one");
    CHECK(component.kind == ComponentKind::output);
    REQUIRE(component.objects.size() == 1);
    CHECK(component.objects[0].key == "words/words.out");
    CHECK(component.objects[0].sha256 == sha256_hex("all of it"));
    CHECK(error_of([&] { dump_of("true", "two"); }).code == ErrorCode::incomplete);
    CHECK(error_of([&] { dump_of("printf half; exit 3", "three"); }).code == ErrorCode::child_failed);
}

TEST_CASE("a backup larger than its set allows is not written") {
    Diary diary;
    CreateRequest request = diary.request();
    request.max_size = Bytes{100'000};
    const Error error = error_of([&] { create_backup(request, diary.clock, diary.work()); });
    CHECK(error.code == ErrorCode::limit_exceeded);
    CHECK(read_catalogue("diary", diary.stores).entries.empty());
    CHECK(fs::is_empty(diary.folder / "nas"));
}

TEST_CASE("an index reads back as it was written, and nothing else is one") {
    LayerIndex index;
    index["."] = {.archived = {.entry = {.type = EntryType::directory, .mode = 0755}}};
    index["raw \xff\n%41"] = {
        .archived = {.entry = {.mode = 0600, .owner = 7, .size = 3, .sha256 = std::string(64, 'a')}, .stamp = "s"},
        .layer = "c/1.tar"};
    index["link"] = {.archived = {.entry = {.type = EntryType::link, .target = "a b"}}};
    const std::string text = index_text(index);
    CHECK(parse_index(text, "it") == index);
    CHECK(text.find("raw%20%FF%0A%2541") != std::string::npos);
    const auto code = [](const std::string& bad) {
        return error_of([&] { static_cast<void>(parse_index(bad, "it")); }).code;
    };
    CHECK(code("") == ErrorCode::corrupt);
    CHECK(code(text.substr(0, text.size() - 1)) == ErrorCode::corrupt);
    CHECK(code(text.substr(0, text.rfind("{"))) == ErrorCode::corrupt);
    CHECK(code("{\"lifeboat\":\"layer-index/v2\",\"entries\":0}\n") == ErrorCode::unsupported);
    CHECK(code("{\"lifeboat\":\"layer-index/v1\",\"entries\":1}\n{\"path\":\"%4\"}\n") == ErrorCode::corrupt);
}

TEST_CASE("a store that missed several nights is completed with what its newest backup builds on first") {
    Diary diary;
    diary.create();
    diary.write("config/a.conf", "another");
    diary.create();
    diary.write("config/a.conf", "yet another");
    diary.create();
    for (const CreatedBackup& each : diary.made)
        remove_backup(*diary.offsite, "diary", each.manifest.id);
    const CompletionPlan plan =
        plan_completion(read_catalogue("diary", diary.stores), {.now = diary.clock.now(), .to = {"nas", "offsite"}});
    std::vector<std::string> order;
    for (const MissingCopies& missing : plan.backups) {
        order.push_back(missing.id);
        const CompletedBackup done = complete_backup({.set = "diary",
                                                      .id = missing.id,
                                                      .manifest_sha256 = missing.manifest_sha256,
                                                      .claim = "complete/" + missing.id,
                                                      .at = diary.clock.now(),
                                                      .from = {diary.nas},
                                                      .to = {diary.offsite}},
                                                     diary.work());
        CHECK(done.stores == std::vector<std::string>{"offsite"});
    }
    CHECK(order ==
          std::vector<std::string>{diary.made[0].manifest.id, diary.made[1].manifest.id, diary.made[2].manifest.id});
    CHECK(diary.verify(2, *diary.offsite).level == Level::readable);
}
