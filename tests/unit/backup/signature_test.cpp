#include "backup/signature.h"

#include "backup/audit.h"
#include "backup/completion.h"
#include "backup/creation.h"
#include "backup/prune.h"
#include "backup/selection.h"
#include "backup/verification.h"
#include "base/base64.h"
#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

constexpr auto id = "2026-02-10T12-00-00Z";
const std::string signature_key = "shop/2026-02-10T12-00-00Z/manifest.json.sig";

Ed25519Signer key_of(char letter) {
    // the bytes before the key are those of RFC 8410
    const std::string der = "\x30\x2e\x02\x01" + std::string(1, '\0') + "\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20" +
                            std::string(32, letter);
    return Ed25519Signer(Secret(base64_encoded(der)), "key");
}

struct Seal : Bench {
    Ed25519Signer own = key_of('a');
    Ed25519Signer other = key_of('b');

    Seal() {
        std::filesystem::create_directories(folder / "config");
        overwrite(folder / "config/app.conf", "port = 80\n");
    }
    CreatedBackup make(std::optional<Ed25519Signer> sign, const Stores& to) {
        return create_backup(CreateRequest{.set = "shop",
                                           .id = id,
                                           .started_at = clock.now(),
                                           .claim = "maker",
                                           .sources = {{.name = "config", .from = FilesSource{folder / "config"}}},
                                           .stores = to,
                                           .sign = std::move(sign)},
                             clock, work());
    }
    CatalogueEntry entry(const TrustedKeys& trusted, const std::shared_ptr<LocalStore>& store) {
        const Catalogue catalogue = read_catalogue("shop", {store}, {}, trusted);
        REQUIRE(catalogue.entries.size() == 1);
        REQUIRE(catalogue.entries[0].manifest);
        return catalogue.entries[0];
    }
    std::string said(const TrustedKeys& trusted) { return to_words(entry(trusted, nas).signature); }
};

}  // namespace

TEST_CASE("the very bytes of the manifest are signed, and the catalogue says by whom") {
    Seal seal;
    seal.make(seal.own, {seal.nas});
    CHECK(bytes_of(seal.folder / "nas" / signature_key) ==
          seal.own.sign(bytes_of(seal.folder / "nas/shop" / id / "manifest.json")));
    const std::string signer = ed25519_fingerprint(seal.own.public_key());
    CHECK(seal.said({}) == "signed, by a key that is not known here");
    CHECK(seal.said({seal.own.public_key()}) == "signed by " + signer);
    CHECK(seal.said({seal.other.public_key(), seal.own.public_key()}) == "signed by " + signer);
    CHECK(seal.said({seal.other.public_key()}) == "signature is wrong");
    // the sums do not speak of it, so that it can be put beside a backup later
    CHECK(bytes_of(seal.folder / "nas/shop" / id / "SHA256SUMS").find(".sig") == std::string::npos);
}

TEST_CASE("a signature is checked by hand as the page says") {
    Seal seal;
    seal.make(seal.own, {seal.nas});
    const std::string der = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21" + std::string(1, '\0') +
                            std::string(seal.own.public_key().begin(), seal.own.public_key().end());
    const std::filesystem::path place = seal.folder / "nas/shop" / id;
    overwrite(place / "sign.pub",
              "-----BEGIN PUBLIC KEY-----\n" + base64_encoded(der) + "\n-----END PUBLIC KEY-----\n");
    const std::string page = bytes_of(std::string(LIFEBOAT_SOURCE_DIR) + "/docs/backup-format.md");
    for (const std::string beginning : {"openssl pkeyutl -verify", "openssl pkey -pubin"}) {
        const std::size_t begin = page.find("\n    " + beginning);
        REQUIRE(begin != std::string::npos);
        const std::string line = page.substr(begin + 5, page.find('\n', begin + 1) - begin - 5);
        const Command command{
            .argv = {"sh", "-c", line + " > said"}, .environment = clean_environment(), .folder = place};
        CHECK(run_child(command, {}).exit_code == 0);
        if (beginning == "openssl pkey -pubin") {
            CHECK(bytes_of(place / "said").starts_with(ed25519_fingerprint(seal.own.public_key())));
        } else {
            overwrite(place / "manifest.json", bytes_of(place / "manifest.json") + " ");
            CHECK(run_child(command, {}).exit_code != 0);
        }
    }
}

TEST_CASE("a copy whose signature is wrong is damaged for verification, and never chosen where keys are trusted") {
    Seal seal;
    const TrustedKeys trusted{seal.own.public_key()};
    seal.make(seal.own, {seal.nas, seal.offsite});
    for (const std::string& bad : {std::string("x"), std::string(), std::string(5000, 'x'), seal.other.sign("else"),
                                   seal.own.sign("something else")}) {
        overwrite(seal.folder / "nas" / signature_key, bad);
        const CatalogueEntry entry = seal.entry(trusted, seal.nas);
        CHECK(to_words(entry.signature) == "signature is wrong");
        CHECK_FALSE(entry.sound());
        const Verification found = verify_backup(*seal.nas, "shop", entry, {}, Level::checksummed, seal.work());
        CHECK(found.level == Level::listed);
        REQUIRE(found.problems.size() == 1);
        CHECK(found.problems[0].object == "manifest.json.sig");

        const Catalogue catalogue = read_catalogue("shop", seal.stores, {}, trusted);
        const Selection selection = select_backups(catalogue.entries, {.now = seal.clock.now()});
        REQUIRE(selection.eligible.size() == 1);
        CHECK(selection.eligible[0].store == "offsite");
        REQUIRE(selection.refused.size() == 1);
        CHECK(selection.refused[0].why == "its signature is wrong");
        // without a key nothing can be said against it
        CHECK(select_backups(read_catalogue("shop", seal.stores).entries, {.now = seal.clock.now()}).eligible.size() ==
              2);
    }
}

TEST_CASE("a backup that is not signed is shown as such and taken") {
    Seal seal;
    seal.make(std::nullopt, {seal.nas});
    const CatalogueEntry entry = seal.entry({seal.own.public_key()}, seal.nas);
    CHECK(to_words(entry.signature) == "unsigned");
    CHECK(entry.sound());
    CHECK(select_backups(std::vector<CatalogueEntry>{entry}, {.now = seal.clock.now()}).eligible.size() == 1);
    CHECK(verify_backup(*seal.nas, "shop", entry, {}, Level::readable, seal.work()).level == Level::readable);
}

TEST_CASE("the audit of a set that speaks of signatures wants the newest backup signed") {
    for (const bool sign : {true, false}) {
        Seal seal;
        seal.make(sign ? std::optional(seal.own) : std::nullopt, {seal.nas});
        const Catalogue catalogue = read_catalogue("shop", {seal.nas}, {}, {seal.own.public_key()});
        const auto signed_rule = [&](bool signs) -> std::optional<AuditFinding> {
            for (const AuditFinding& each :
                 audit_backups({.set = "shop", .stores = {}, .signs = signs, .now = seal.clock.now()}, catalogue)
                     .findings)
                if (each.rule == "signed") return each;
            return std::nullopt;
        };
        CHECK_FALSE(signed_rule(false));
        REQUIRE(signed_rule(true));
        CHECK(signed_rule(true)->holds == sign);
    }
}

TEST_CASE("a signature goes with a copy, from whichever store has it right") {
    Seal seal;
    std::filesystem::create_directory(seal.folder / "vault");
    const auto vault = std::make_shared<LocalStore>("vault", seal.folder / "vault");
    const CreatedBackup made = seal.make(seal.own, {seal.nas, seal.offsite});
    overwrite(seal.folder / "nas" / signature_key, std::string(64, 'x'));
    const CompletedBackup done = complete_backup({.set = "shop",
                                                  .id = id,
                                                  .manifest_sha256 = made.manifest_sha256,
                                                  .claim = "completer",
                                                  .at = seal.clock.now(),
                                                  .from = {seal.nas, seal.offsite},
                                                  .to = {vault},
                                                  .pin = std::nullopt,
                                                  .trusted = {seal.own.public_key()}},
                                                 seal.work());
    CHECK(done.stores == std::vector<std::string>{"vault"});
    CHECK(bytes_of(seal.folder / "vault" / signature_key) == bytes_of(seal.folder / "offsite" / signature_key));
    CHECK(remove_backup(*vault, "shop", id).count > 0);
    CHECK(std::filesystem::is_empty(seal.folder / "vault"));
}
