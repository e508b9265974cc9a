#include "backup/manifest.h"

#include "sample.h"
#include "world/process.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

Manifest whole_manifest() {
    Manifest manifest = sample_manifest("shop", at("2026-02-01T02:00:00.25Z"), "content");
    manifest.components.push_back(
        ManifestComponent{.name = "db",
                          .kind = ComponentKind::postgres,
                          .format = "directory",
                          .consistent_at = at("2026-02-01T02:00:01Z"),
                          .objects = {{.key = "db/toc.dat", .size = Bytes{3}, .sha256 = sha256_hex("toc")},
                                      {.key = "db/1.dat.gz", .size = Bytes{1}, .sha256 = sha256_hex("1")}},
                          .facts = {{"rows", {{"public.orders", 1000}}}, {"encoding", "UTF8"}}});
    return manifest;
}

std::string refusal(const Json& value) {
    return error_of([&] { parse_manifest(value.dump(), "backup 'x'"); }).message;
}

}  // namespace

TEST_CASE("a manifest reads back as it was written") {
    const Manifest manifest = whole_manifest();
    CHECK(parse_manifest(manifest_text(manifest), "backup 'x'") == manifest);
    CHECK(manifest.size() == Bytes{11});
    CHECK(manifest.objects() == 3);
    CHECK(manifest.component("db")->format == "directory");
    CHECK(manifest.component("none") == nullptr);
}

TEST_CASE("the bytes of a manifest are the same wherever it is made") {
    const Manifest manifest = sample_manifest("shop", at("2026-02-01T02:00:00Z"), "x");
    CHECK(manifest_text(manifest) == R"({
  "components": [
    {
      "consistent_at": "2026-02-01T02:00:00.000000Z",
      "facts": {},
      "format": "tar",
      "kind": "files",
      "name": "config",
      "objects": [
        {
          "key": "config/config.tar",
          "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
          "size": 1
        }
      ]
    }
  ],
  "consistent_at": "2026-02-01T02:00:00.000000Z",
  "id": "2026-02-01T02-00-00Z",
  "lifeboat": "manifest/v1",
  "made_by": "lifeboat 0.1.0",
  "set": "shop",
  "started_at": "2026-02-01T02:00:00.000000Z"
}
)");
}

TEST_CASE("a manifest of another version, or with fields that are not known, is not guessed at") {
    Json value = to_json(whole_manifest());
    value["lifeboat"] = "manifest/v2";
    const Error newer = error_of([&] { parse_manifest(value.dump(), "backup 'x'"); });
    CHECK(newer.code == ErrorCode::unsupported);
    CHECK(newer.message == "manifest of backup 'x': its format is 'manifest/v2', this version reads 'manifest/v1'");

    value = to_json(whole_manifest());
    value["components"][1]["encryption"] = "aes";
    const Error unknown = error_of([&] { parse_manifest(value.dump(), "backup 'x'"); });
    CHECK(unknown.code == ErrorCode::unsupported);
    CHECK(unknown.message == "manifest of backup 'x': components[1]: format 'manifest/v1' has no field 'encryption'");
}

TEST_CASE("a damaged manifest says what is wrong with it") {
    CHECK(error_of([] { parse_manifest("", "backup 'x'"); }).message == "manifest of backup 'x': it is empty");
    CHECK(error_of([] { parse_manifest("{\"lifeboat\": ", "backup 'x'"); }).code == ErrorCode::corrupt);
    CHECK(error_of([] { parse_manifest("[]", "backup 'x'"); }).message == "manifest of backup 'x': it is no object");

    const Json good = to_json(whole_manifest());
    const auto changed = [&](const std::string& pointer, const Json& value) {
        Json copy = good;
        copy[Json::json_pointer(pointer)] = value;
        return refusal(copy);
    };
    const std::string where = "manifest of backup 'x': ";
    CHECK(changed("/id", "latest") == where + "'latest' is no id of a backup");
    CHECK(changed("/consistent_at", "yesterday") == where + "field 'consistent_at' is no time");
    CHECK(changed("/consistent_at", "2026-02-03T00:00:00Z") == where + "component 'config' is older than the backup");
    CHECK(changed("/components", Json::array()) == where + "it has no components");
    CHECK(changed("/components/1/name", "config") ==
          where + "components[1].objects[0]: object 'db/toc.dat' is not in the folder of its component");
    CHECK(changed("/components/1/kind", "mysql") == where + "components[1]: 'mysql' is no kind of component");
    CHECK(changed("/components/0/objects", Json::array()) ==
          where + "components[0]: component 'config' has no objects");
    CHECK(changed("/components/0/objects/0/key", "config/../../x") ==
          where + "components[0].objects[0]: object 'config/../../x': it holds '..'");
    CHECK(changed("/components/0/objects/0/key", "/etc/passwd") ==
          where + "components[0].objects[0]: object '/etc/passwd': it is an absolute path");
    CHECK(changed("/components/0/objects/0/size", -1) == where + "components[0].objects[0]: field 'size' is no size");
    CHECK(changed("/components/0/objects/0/sha256", "abc") ==
          where + "components[0].objects[0]: field 'sha256' is no SHA-256");
    CHECK(changed("/components/1/objects/1/key", "db/toc.dat") ==
          where + "components[1]: object 'db/toc.dat' is named twice");
    CHECK(changed("/components/1/objects/1/size", 18446744073709551615U) == where + "its sizes are impossible");
    Json missing = good;
    missing.erase("set");
    CHECK(refusal(missing) == where + "field 'set' is missing");
}

TEST_CASE("every cut of a manifest is refused") {
    const std::string text = manifest_text(whole_manifest());
    for (std::size_t length = 0; length + 2 < text.size(); ++length) {
        INFO(length);
        CHECK(error_of([&] { parse_manifest(std::string_view(text).substr(0, length), "x"); }).code ==
              ErrorCode::corrupt);
    }
}

TEST_CASE("SHA256SUMS is what sha256sum -c reads") {
    ScratchFolder folder;
    Manifest manifest = sample_manifest("shop", at("2026-02-01T02:00:00Z"), "content");
    manifest.components[0].objects.push_back(
        {.key = "config/back\\slash", .size = Bytes{1}, .sha256 = sha256_hex("x")});
    const std::string text = manifest_text(manifest);
    std::filesystem::create_directory(folder / "config");
    overwrite(folder / "config/config.tar", "content");
    overwrite(folder / "config/back\\slash", "x");
    overwrite(folder / "manifest.json", text);
    overwrite(folder / "SHA256SUMS", checksum_file(manifest, sha256_hex(text)));
    const Command command{.argv = {"sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"},
                          .environment = clean_environment(),
                          .folder = folder.path()};
    CHECK(run_child(command, {}).exit_code == 0);
    overwrite(folder / "config/config.tar", "Content");
    CHECK(run_child(command, {}).exit_code == 1);
}
