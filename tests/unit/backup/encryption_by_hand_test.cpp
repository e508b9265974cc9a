// The promise of docs/backup-format.md: what lifeboat encrypts is read without it, and the other way round. The program
// of that page is taken from there.
#include <random>

#include "backup/encryption.h"
#include "sample.h"
#include "world/process.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

// Debian's own, whatever else PATH has.
const std::string python = "/usr/bin/python3";

bool have_cryptography() {
    if (!std::filesystem::exists(python)) return false;
    return run_child({.argv = {python, "-c", "import cryptography"}, .environment = clean_environment()}, {})
               .exit_code == 0;
}

std::string some_text(std::size_t size) {
    std::mt19937 random(static_cast<std::uint32_t>(size));
    std::string text(size, '\0');
    for (char& byte : text)
        byte = static_cast<char>(random());
    return text;
}

struct Kind {
    std::string secret;
    ScryptCost cost;
};

// Keys in every spelling, a passphrase at its real cost once and a cheap one.
const std::vector<Kind> kinds{{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff\n", {}},
                              {"+/ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", {}},
                              {"-_ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", {}},
                              {"a passphrase with ümlauts\n", {.n = 1024}},
                              {"correct horse battery staple", {}}};

std::vector<std::size_t> sizes_for(const Kind& kind) {
    if (kind.cost == ScryptCost{} && kind.secret.find(' ') != std::string::npos) return {100};
    return {0, 1, 1048519, 1048520, 1048521, 2097080, 2097081, 3000000};
}

}  // namespace

TEST_CASE("an encrypted object is decrypted by hand as its page says, for every kind of key") {
    if (!have_cryptography()) {
        WARN("SKIPPED: python3-cryptography is not installed");
        return;
    }
    const ScratchFolder folder;
    write_text(folder / "decrypt.py", program_of_the_page("decrypt.py"));
    for (const Kind& kind : kinds)
        for (const std::size_t size : sizes_for(kind)) {
            INFO(kind.secret << " " << size);
            const std::string plain = some_text(size);
            std::string sealed;
            Encryption encryption(EncryptionKey(Secret(kind.secret), "key", kind.cost),
                                  [&](std::span<const std::byte> bytes) {
                                      sealed.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                                  });
            encryption.write(std::as_bytes(std::span(plain)));
            encryption.finish();
            write_text(folder / "key", kind.secret);
            write_text(folder / "sealed", sealed);
            std::filesystem::remove(folder / "plain");
            run_child_checked({.argv = {python, folder / "decrypt.py", folder / "key"},
                               .environment = clean_environment(),
                               .input_file = folder / "sealed",
                               .output_file = folder / "plain"},
                              {});
            CHECK(read_text(folder / "plain") == plain);

            sealed[sealed.size() - 1] = static_cast<char>(sealed.back() ^ 1);
            write_text(folder / "sealed", sealed);
            std::filesystem::remove(folder / "plain");
            const ChildResult refused = run_child({.argv = {python, folder / "decrypt.py", folder / "key"},
                                                   .environment = clean_environment(),
                                                   .input_file = folder / "sealed",
                                                   .output_file = folder / "plain"},
                                                  {});
            CHECK(refused.exit_code == 1);
            CHECK(refused.errors.find("InvalidTag") != std::string::npos);
        }
}

TEST_CASE("what another library encrypted as the page says is decrypted, for every kind of key") {
    if (!have_cryptography()) {
        WARN("SKIPPED: python3-cryptography is not installed");
        return;
    }
    const ScratchFolder folder;
    for (const Kind& kind : kinds)
        for (const std::size_t size : sizes_for(kind)) {
            INFO(kind.secret << " " << size);
            const std::string plain = some_text(size);
            write_text(folder / "key", kind.secret);
            write_text(folder / "plain", plain);
            std::filesystem::remove(folder / "sealed");
            const EncryptionKey key(Secret(kind.secret), "key");
            std::vector<std::string> argv{
                python, std::string(LIFEBOAT_SOURCE_DIR) + "/tests/support/encrypt_by_hand.py", folder / "key"};
            if (key.is_passphrase()) argv.push_back(std::to_string(kind.cost.n));
            run_child_checked({.argv = argv,
                               .environment = clean_environment(),
                               .input_file = folder / "plain",
                               .output_file = folder / "sealed"},
                              {});
            std::string got;
            Decryption decryption(
                KeyRing({key}),
                [&](std::span<const std::byte> bytes) {
                    got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                },
                "the object");
            const std::string sealed = read_text(folder / "sealed");
            decryption.write(std::as_bytes(std::span(sealed)));
            decryption.finish();
            CHECK(got == plain);
        }
}
