#include "world/signature.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/base64.h"
#include "base/error.h"
#include "base/sha256.h"
#include "support/scratch_folder.h"
#include "world/files.h"
#include "world/process.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

std::string octets(std::string_view hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return bytes;
}

std::string private_pem(const std::string& hex) {
    return "-----BEGIN PRIVATE KEY-----\n" + base64_encoded(octets("302e020100300506032b657004220420" + hex)) +
           "\n-----END PRIVATE KEY-----\n";
}

std::string hex_of(std::string_view bytes) {
    return to_hex(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
}

struct Vector {
    std::string secret;
    std::string open;
    std::string text;
    std::string signature;
};

// Tests 1 and 2 of RFC 8032, section 7.1.
const std::vector<Vector> vectors{{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                                   "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                                   "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61"
                                   "e39701cf9b46bd25bf5f0595bbe2465"
                                   "5141438e7a100b"},
                                  {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                                   "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                                   "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458"
                                   "f3613d0f11d8c387b2eaeb4302aeeb0"
                                   "0d291612bb0c00"}};

}  // namespace

TEST_CASE("Ed25519 signs as RFC 8032 says, and notices every change") {
    for (const Vector& each : vectors) {
        const Ed25519Signer key(Secret(private_pem(each.secret)), "key");
        CHECK(to_hex(key.public_key()) == each.open);
        const std::string text = octets(each.text);
        const std::string signature = key.sign(text);
        CHECK(hex_of(signature) == each.signature);
        CHECK(is_signature(signature, text, key.public_key()));
        CHECK_FALSE(is_signature(signature, text + "x", key.public_key()));
        CHECK_FALSE(is_signature(signature.substr(1), text, key.public_key()));
        CHECK_FALSE(is_signature(signature + "x", text, key.public_key()));
        for (const std::size_t place : {0U, 31U, 32U, 63U}) {
            std::string changed = signature;
            changed[place] = static_cast<char>(changed[place] ^ 1);
            CHECK_FALSE(is_signature(changed, text, key.public_key()));
        }
        CHECK_FALSE(is_signature(signature, text,
                                 Ed25519Signer(Secret(private_pem(std::string(64, '7'))), "other").public_key()));
    }
}

TEST_CASE("keys are read in every spelling that openssl has, and nothing else is one") {
    const ScratchFolder folder;
    const auto openssl = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "openssl");
        return run_child({.argv = std::move(arguments), .environment = clean_environment(), .folder = folder.path()},
                         {});
    };
    REQUIRE(openssl({"genpkey", "-algorithm", "ed25519", "-out", "key"}).exit_code == 0);
    REQUIRE(openssl({"pkey", "-in", "key", "-pubout", "-out", "pub"}).exit_code == 0);
    REQUIRE(openssl({"pkey", "-in", "key", "-pubout", "-outform", "DER", "-out", "der"}).exit_code == 0);
    const Ed25519Signer key(Secret(read_small_file(folder / "key", Bytes{4096})), "key");
    const std::string pem = read_small_file(folder / "pub", Bytes{4096});
    const std::string der = read_small_file(folder / "der", Bytes{4096});
    const auto open = parse_ed25519_public(pem);
    REQUIRE(open);
    CHECK(*open == key.public_key());
    CHECK(parse_ed25519_public("  " + base64_encoded(der) + "\n") == open);
    CHECK(parse_ed25519_public(base64_encoded(der.substr(12))) == open);
    CHECK(ed25519_fingerprint(*open) == sha256_hex(der).substr(0, 16));

    for (const std::string& text : {std::string(), std::string("x"), base64_encoded(der.substr(1)),
                                    base64_encoded(der + "x"), base64_encoded(std::string(44, 'x')),
                                    pem.substr(0, pem.size() - 2), read_small_file(folder / "key", Bytes{4096})})
        CHECK_FALSE(parse_ed25519_public(text));
    for (const std::string& text : {std::string(), std::string("x"), pem, base64_encoded(std::string(48, 'x'))}) {
        try {
            const Ed25519Signer refused(Secret(text), "backup_sign");
            FAIL("taken: " + text);
        } catch (const Error& error) {
            CHECK(error.code == ErrorCode::refused);
            CHECK(error.message == "secret 'backup_sign' is no Ed25519 private key");
        }
    }

    // both ways with openssl itself
    std::ofstream(folder / "text") << "some text\n";
    std::ofstream(folder / "own.sig") << key.sign("some text\n");
    CHECK(openssl({"pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "pub", "-sigfile", "own.sig", "-in", "text"})
              .exit_code == 0);
    REQUIRE(openssl({"pkeyutl", "-sign", "-rawin", "-inkey", "key", "-in", "text", "-out", "its.sig"}).exit_code == 0);
    CHECK(is_signature(read_small_file(folder / "its.sig", Bytes{4096}), "some text\n", key.public_key()));
}
