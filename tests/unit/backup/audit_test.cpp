#include "backup/audit.h"

#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

struct Audited : Bench {
    AuditRequest request{.set = "shop",
                         .stores = {{"nas", "disk", "onsite"}, {"offsite", "object", "offsite"}},
                         .max_age = std::chrono::hours(26),
                         .encrypts = true,
                         .now = clock.now()};
    Manifest manifest = sample_manifest("shop", at("2026-02-10T02:00:00Z"), "data");
    std::string hash;

    void make(bool encrypted) {
        if (encrypted)
            manifest.components[0].objects[0].encryption = ObjectEncryption{.scheme = "AES256_GCM_HKDF_1MB",
                                                                            .key_hint = "1f2e3d4c",
                                                                            .plain_size = Bytes{1},
                                                                            .plain_sha256 = std::string(64, 'a')};
        for (const auto& store : stores)
            hash = put(*store, manifest, "data");
    }
    void verified(Level level, const Json& problems = Json::array()) {
        write_note(*nas, "shop", manifest.id, verified_note(at("2026-02-10T03:00:00Z"), hash, level, problems));
    }
    std::vector<std::string> failing() {
        std::vector<std::string> rules;
        for (const AuditFinding& each : audit_backups(request, read_catalogue("shop", stores)).findings)
            if (!each.holds) rules.push_back(each.rule);
        return rules;
    }
};

using Rules = std::vector<std::string>;

}  // namespace

TEST_CASE("an audit holds only when every rule does") {
    Audited shop;
    shop.make(true);
    shop.verified(Level::restored);
    CHECK(shop.failing() == Rules{});
    const Audit audit = audit_backups(shop.request, read_catalogue("shop", shop.stores));
    CHECK(audit.holds());
    CHECK(audit.newest == shop.manifest.id);
    CHECK(audit.findings[1] ==
          AuditFinding{.rule = "copies",
                       .holds = true,
                       .message = "the newest backup lies in 'nas', 'offsite', with the original 3 copies of 3"});

    shop.request.stores[1] = {"offsite", "disk", "onsite"};
    CHECK(shop.failing() == Rules{"media", "offsite"});
    shop.request.now = at("2026-02-12T02:00:00Z");
    CHECK(shop.failing() == Rules{"media", "offsite", "fresh"});
}

TEST_CASE("an audit judges what the stores hold, not what the site wishes") {
    Audited shop;
    CHECK(shop.failing() == Rules{"copies", "media", "offsite", "fresh", "verified", "restored"});
    shop.make(false);
    CHECK(shop.failing() == Rules{"verified", "restored", "encrypted"});
    shop.verified(Level::checksummed);
    CHECK(shop.failing() == Rules{"restored", "encrypted"});
    shop.offsite->remove(manifest_key("shop", shop.manifest.id), {});
    CHECK(shop.failing() == Rules{"copies", "media", "offsite", "restored", "encrypted"});
    // a copy that is known to be damaged is none
    shop.verified(Level::complete, Json::array({Json{{"object", "x"}, {"why", "y"}}}));
    CHECK(shop.failing() == Rules{"copies", "media", "offsite", "fresh", "verified", "restored"});
    std::filesystem::remove_all(shop.folder / "offsite");
    CHECK(shop.failing().front() == "stores");
}
