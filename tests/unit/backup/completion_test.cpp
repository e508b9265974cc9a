#include "backup/completion.h"

#include "backup/creation.h"
#include "backup/verification.h"
#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

constexpr auto id = "2026-02-10T12-00-00Z";

// A store that fails when it is asked for what `fails` says.
class FaultyStore final : public Store {
  public:
    explicit FaultyStore(std::shared_ptr<Store> store) : store_(std::move(store)) {}

    std::function<void(const std::string& call, const std::string& key)> fails = [](const auto&, const auto&) {};

    const std::string& name() const override { return store_->name(); }
    StoreFeatures features() const override { return store_->features(); }
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override {
        fails("list", query.prefix);
        store_->list(query, page, control);
    }
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override {
        fails("stat", key);
        return store_->stat(key, control);
    }
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override {
        fails("read", key);
        return store_->read(key, range, sink, control);
    }
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override {
        fails("write", key);
        return store_->write(key, content, options, control);
    }
    bool remove(const std::string& key, const WorkControl& control) override {
        fails("remove", key);
        return store_->remove(key, control);
    }

  private:
    std::shared_ptr<Store> store_;
};

struct Gap : Bench {
    std::shared_ptr<LocalStore> vault = std::make_shared<LocalStore>("vault", folder / "vault");

    Gap() {
        std::filesystem::create_directory(folder / "vault");
        overwrite(folder / "a", std::string(100'000, 'a'));
        overwrite(folder / "b", "b");
        std::filesystem::create_directories(folder / "config");
        overwrite(folder / "config/app.conf", "port = 80\n");
    }
    // In 'nas' and 'offsite', encrypted.
    CreatedBackup make(const Stores& to) {
        return create_backup(CreateRequest{.set = "shop",
                                           .id = id,
                                           .started_at = clock.now(),
                                           .claim = "maker",
                                           .sources = {{.name = "config", .from = FilesSource{folder / "config"}},
                                                       {.name = "more", .from = FilesSource{folder / "config"}}},
                                           .stores = to,
                                           .key = EncryptionKey(Secret(std::string(64, '7')), "key")},
                             clock, work());
    }
    CompletionRequest request(const CreatedBackup& made, Stores from, Stores to) {
        return {.set = "shop",
                .id = id,
                .manifest_sha256 = made.manifest_sha256,
                .claim = "completer",
                .at = clock.now(),
                .from = std::move(from),
                .to = std::move(to)};
    }
    std::map<std::string, std::string> files(const std::string& store) {
        std::map<std::string, std::string> found;
        const std::filesystem::path root = folder / store;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
            const std::string name = std::filesystem::relative(entry.path(), root).string();
            if (entry.is_regular_file() && name.find("/notes/") == std::string::npos)
                found[name] = bytes_of(entry.path());
        }
        return found;
    }
    Verification verify(Store& store) {
        const auto entry = read_entry(store, 0, "shop", id);
        REQUIRE(entry);
        return verify_backup(store, "shop", *entry, {}, Level::checksummed, work());
    }
};

void flip(const std::filesystem::path& path) {
    std::string bytes = bytes_of(path);
    bytes.at(bytes.size() / 2) = static_cast<char>(bytes.at(bytes.size() / 2) ^ 1);
    overwrite(path, bytes);
}

const std::string config_key = "shop/2026-02-10T12-00-00Z/config/config.tar";
const std::string more_key = "shop/2026-02-10T12-00-00Z/more/more.tar";
const std::string manifest = "shop/2026-02-10T12-00-00Z/manifest.json";
const std::string claim_note = "shop/2026-02-10T12-00-00Z/notes/2026-02-10T12-00-00.000000Z-started.json";

}  // namespace

TEST_CASE("a store that was down gets the same bytes as the others, without the key, the manifest last") {
    Gap gap;
    const CreatedBackup made = gap.make({gap.nas});
    std::vector<std::string> written;
    const auto vault = std::make_shared<FaultyStore>(gap.vault);
    vault->fails = [&](const std::string& call, const std::string& key) {
        if (call == "write") written.push_back(key);
    };
    const CompletedBackup done = complete_backup(gap.request(made, {gap.nas}, {vault, gap.offsite}), gap.work());
    CHECK(done.stores == std::vector<std::string>{"vault", "offsite"});
    CHECK(done.troubles.empty());
    CHECK(done.copied == 2 * made.manifest.size().count);
    CHECK(gap.files("vault") == gap.files("nas"));
    CHECK(gap.files("offsite") == gap.files("nas"));
    CHECK(written ==
          std::vector<std::string>{claim_note, config_key, more_key, "shop/2026-02-10T12-00-00Z/SHA256SUMS", manifest});
    CHECK(std::filesystem::is_empty(gap.folder / "work"));
    CHECK(gap.verify(*gap.vault).level == Level::checksummed);
}

TEST_CASE("an object whose digest is wrong is never copied: the next store that has it is taken, object by object") {
    Gap gap;
    const CreatedBackup made = gap.make({gap.nas, gap.offsite});
    const auto good = gap.files("nas");
    flip(gap.folder / "nas" / config_key);
    std::filesystem::remove(gap.folder / "offsite" / more_key);
    const CompletedBackup done = complete_backup(gap.request(made, {gap.nas, gap.offsite}, {gap.vault}), gap.work());
    CHECK(done.stores == std::vector<std::string>{"vault"});
    CHECK(gap.files("vault") == good);
    REQUIRE_FALSE(gap.logged.empty());
    CHECK(gap.logged.front().find("store 'nas'") == 0);
}

TEST_CASE("when no store has an object right, nothing of the backup stays where it was missing") {
    Gap gap;
    const CreatedBackup made = gap.make({gap.nas, gap.offsite});
    flip(gap.folder / "nas" / more_key);
    flip(gap.folder / "offsite" / more_key);
    const Error error = error_of([&] {
        complete_backup(gap.request(made, {gap.nas, gap.offsite}, {gap.vault}), gap.work());
    });
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(error.message.find(more_key) != std::string::npos);
    CHECK(gap.files("vault").empty());
    CHECK_FALSE(claim_of(*gap.vault, "shop", id));
}

TEST_CASE("one store that fails while it is completed does not stop the others, and keeps nothing") {
    Gap gap;
    const CreatedBackup made = gap.make({gap.nas});
    const auto vault = std::make_shared<FaultyStore>(gap.vault);
    vault->fails = [&](const std::string& call, const std::string& key) {
        if (call == "write" && key == more_key) throw store_error(ErrorCode::disk_full, "vault", key, "it is full");
    };
    const CompletedBackup done = complete_backup(gap.request(made, {gap.nas}, {vault, gap.offsite}), gap.work());
    CHECK(done.stores == std::vector<std::string>{"offsite"});
    REQUIRE(done.troubles.size() == 1);
    CHECK(done.troubles[0].store == "vault");
    CHECK(done.troubles[0].error.code == ErrorCode::disk_full);
    CHECK(gap.files("vault").empty());
    CHECK_FALSE(claim_of(*gap.vault, "shop", id));
}

TEST_CASE("what the maker left half-written in a store is finished, and every byte of it is looked at") {
    for (const bool damaged : {false, true}) {
        Gap gap;
        const CreatedBackup made = gap.make({gap.nas, gap.vault});
        const auto good = gap.files("nas");
        gap.vault->remove(manifest, {});
        gap.vault->remove(more_key, {});
        if (damaged) flip(gap.folder / "vault" / config_key);
        const CompletedBackup done = complete_backup(gap.request(made, {gap.nas}, {gap.vault}), gap.work());
        CHECK(done.stores == std::vector<std::string>{"vault"});
        CHECK(gap.files("vault") == good);
        // the maker's undo no longer takes it for its own
        CHECK_FALSE(remove_claimed(*gap.vault, "shop", id, "maker"));
        CHECK(gap.verify(*gap.vault).level == Level::checksummed);
    }
}

TEST_CASE("a completion that was killed is finished by the same deed and by another one") {
    for (const std::string next : {"completer", "another"}) {
        Gap gap;
        const CreatedBackup made = gap.make({gap.nas});
        const auto vault = std::make_shared<FaultyStore>(gap.vault);
        bool dead = false;  // nothing can be cleaned up either
        vault->fails = [&](const std::string& call, const std::string& key) {
            dead = dead || (call == "write" && key == manifest);
            if (dead) throw store_error(ErrorCode::unreachable, "vault", key, "it is down");
        };
        CHECK(complete_backup(gap.request(made, {gap.nas}, {vault}), gap.work()).stores.empty());
        CHECK(gap.files("vault").size() == 3);
        CHECK_FALSE(read_entry(*gap.vault, 0, "shop", id));
        CompletionRequest again = gap.request(made, {gap.nas}, {gap.vault});
        again.claim = next;
        CHECK(complete_backup(again, gap.work()).stores == std::vector<std::string>{"vault"});
        CHECK(gap.files("vault") == gap.files("nas"));
    }
}

TEST_CASE("what somebody else has begun in a store is not touched but named") {
    Gap gap;
    const CreatedBackup made = gap.make({gap.nas});
    write_claim(*gap.vault, "shop", id, {.token = "stranger"}, gap.clock.now(), {});
    gap.vault->write(config_key, content_of("theirs"), {}, {});
    gap.offsite->write(config_key, content_of("nobody's"), {}, {});
    const CompletedBackup done = complete_backup(gap.request(made, {gap.nas}, {gap.vault, gap.offsite}), gap.work());
    CHECK(done.stores.empty());
    REQUIRE(done.troubles.size() == 2);
    CHECK(done.troubles[0].error.message ==
          "backup '2026-02-10T12-00-00Z' of set 'shop' in store 'vault' was begun "
          "by somebody else and is not complete");
    CHECK(done.troubles[1].error.message ==
          "backup '2026-02-10T12-00-00Z' of set 'shop' in store 'offsite' has objects that nobody has claimed");
    CHECK(bytes_of(gap.folder / "vault" / config_key) == "theirs");
    CHECK(bytes_of(gap.folder / "offsite" / config_key) == "nobody's");
    CHECK(claim_of(*gap.vault, "shop", id) == Claim{.token = "stranger"});
}

TEST_CASE("a copy can be removed by the claim of who made it, and the others stay") {
    Gap gap;
    const CreatedBackup made = gap.make({gap.nas});
    complete_backup(gap.request(made, {gap.nas}, {gap.vault}), gap.work());
    CHECK(remove_claimed(*gap.vault, "shop", id, "completer"));
    CHECK_FALSE(remove_claimed(*gap.nas, "shop", id, "completer"));
    CHECK(std::filesystem::is_empty(gap.folder / "vault"));
    CHECK(gap.verify(*gap.nas).level == Level::checksummed);
}

TEST_CASE("a pin goes with the copy") {
    Gap gap;
    const CreatedBackup made = gap.make({gap.nas});
    CompletionRequest request = gap.request(made, {gap.nas}, {gap.vault});
    request.pin = Pin{.reason = "legal hold", .by = "ann", .at = gap.clock.now()};
    complete_backup(request, gap.work());
    const auto copy = read_entry(*gap.vault, 0, "shop", id);
    REQUIRE(copy);
    REQUIRE(copy->pin);
    CHECK(copy->pin->reason == "legal hold");
    CHECK(copy->pin->by == "ann");
}

TEST_CASE("the newest sound backup is completed, one that is asked for, or all that retention would keep") {
    Bench bench;
    const auto day = [](int number) { return at("2026-02-0" + std::to_string(number) + "T02:00:00Z"); };
    std::vector<std::string> ids;
    for (int number = 1; number <= 5; ++number) {
        bench.put(*bench.nas, sample_manifest("shop", day(number), "x"), "x");
        ids.push_back(backup_id(day(number)));
    }
    bench.put(*bench.offsite, sample_manifest("shop", day(4), "x"), "x");
    const auto planned = [&](CompletionWish wish) {
        wish.now = at("2026-02-05T03:00:00Z");
        if (wish.to.empty()) wish.to = {"nas", "offsite"};
        const CompletionPlan plan = plan_completion(read_catalogue("shop", bench.stores), wish);
        std::vector<std::string> lines;
        for (const MissingCopies& missing : plan.backups)
            for (const std::string& store : missing.to)
                lines.push_back(missing.id + " " + missing.from.front() + " -> " + store);
        for (const CompletionTrouble& trouble : plan.troubles)
            lines.push_back("trouble " + trouble.store + " " + trouble.id);
        if (!plan.found) lines.push_back("nothing found");
        return lines;
    };
    using Lines = std::vector<std::string>;
    CHECK(planned({}) == Lines{ids[4] + " nas -> offsite"});
    CHECK(planned({.id = ids[0]}) == Lines{ids[0] + " nas -> offsite"});
    CHECK(planned({.id = ids[3]}).empty());
    CHECK(planned({.id = "2026-01-01T00-00-00Z"}) == Lines{"nothing found"});
    CHECK(planned({.from = {"offsite"}}).empty());  // its newest is in both
    CHECK(planned({.to = {"nas"}}).empty());
    CHECK(planned({.all = true, .policy = {.last = 3}}) ==
          Lines{ids[2] + " nas -> offsite", ids[4] + " nas -> offsite"});

    // of damaged copies only by name; and what is something else there is named
    write_note(*bench.nas, "shop", ids[4],
               verified_note(at("2026-02-05T02:30:00Z"), read_entry(*bench.nas, 0, "shop", ids[4])->manifest_sha256,
                             Level::listed, Json::array({Json{{"object", "x"}, {"why", "gone"}}})));
    CHECK(planned({}).empty());  // the next older one is in both
    CHECK(planned({.id = ids[4]}) == Lines{ids[4] + " nas -> offsite"});
    bench.put(*bench.offsite, sample_manifest("shop", day(2), "another"), "another");
    CHECK(planned({.id = ids[1], .from = {"nas"}}) == Lines{"trouble offsite " + ids[1]});

    bench.stores.push_back(std::make_shared<LocalStore>("gone", bench.folder / "not/there"));
    CHECK(planned({.id = ids[3]}).empty());
    CHECK(planned({.id = ids[3], .to = {"offsite", "gone"}}) == Lines{"trouble gone "});
}
