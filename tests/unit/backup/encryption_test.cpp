#include "backup/encryption.h"

#include "base/text.h"
#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

using Bytestring = std::vector<std::byte>;

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr ScryptCost cheap{.n = 1024};  // scrypt is what it is at any cost
const std::string hex_key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

EncryptionKey key_of(const std::string& text, const std::string& name = "backup_key") {
    return EncryptionKey(Secret(text), name, cheap);
}

const std::string other_hex_key(64, 'e');
const std::string passphrase = "correct horse battery staple";

Bytestring pattern(std::size_t size) {
    Bytestring bytes(size);
    std::uint32_t state = 7;
    for (std::byte& byte : bytes) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<std::byte>(state >> 24);
    }
    return bytes;
}

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ByteSink into(Bytestring& bytes) {
    return [&bytes](std::span<const std::byte> more) { bytes.insert(bytes.end(), more.begin(), more.end()); };
}

struct Encrypted {
    Bytestring object;
    ObjectEncryption facts;
};

Encrypted encrypt(std::span<const std::byte> plain, const EncryptionKey& key) {
    Encrypted encrypted;
    Encryption encryption(key, into(encrypted.object));
    encryption.write(plain);
    encrypted.facts = encryption.finish();
    return encrypted;
}

struct Decrypted {
    Bytestring plain;
    std::optional<Error> error;
};

Decrypted decrypt(std::span<const std::byte> object, const std::vector<EncryptionKey>& keys,
                  std::optional<ObjectEncryption> expected = std::nullopt, std::size_t step = 100000) {
    Decrypted decrypted;
    Decryption decryption(KeyRing(keys), into(decrypted.plain), "object 'shop/x'", std::move(expected));
    try {
        for (std::size_t at = 0; at < object.size(); at += step)
            decryption.write(object.subspan(at, std::min(step, object.size() - at)));
        decryption.finish();
    } catch (const Error& error) {
        decrypted.error = error;
    }
    return decrypted;
}

Bytestring read_whole(const Content& content, std::uint64_t offset, std::size_t step) {
    Bytestring bytes;
    const ByteSource source = content.open(offset);
    Bytestring buffer(step);
    for (std::size_t count = source(buffer); count > 0; count = source(buffer))
        bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
    return bytes;
}

}  // namespace

TEST_CASE("an encrypted object begins with one line that says how it was encrypted") {
    CHECK(text_of(encrypt(pattern(9), key_of(hex_key)).object).substr(0, 76) ==
          "{\"lifeboat\":\"encrypted/v1\",\"scheme\":\"AES256_GCM_HKDF_1MB\",\"key\":\"" + key_of(hex_key).hint() +
              "\"}\n");
    const EncryptionHeader header{
        .key_hint = "1f2e3d4c",
        .passphrase = PassphraseSalt{.salt = "00112233445566778899aabbccddeeff", .cost = ScryptCost{}}};
    const std::string line =
        "{\"lifeboat\":\"encrypted/v1\",\"scheme\":\"AES256_GCM_HKDF_1MB\",\"key\":\"1f2e3d4c\",\"kdf\":{\"name\":"
        "\"scrypt\",\"salt\":\"00112233445566778899aabbccddeeff\",\"n\":131072,\"r\":8,\"p\":1}}\n";
    CHECK(header_line(header) == line);
    CHECK(parse_header_line(line, "it") == header);
    CHECK(is_encrypted(std::as_bytes(std::span(line))));
    CHECK_FALSE(is_encrypted(std::as_bytes(std::span(std::string_view("PGDMP")))));
    CHECK_FALSE(is_encrypted({}));
}

TEST_CASE("a header is read in one spelling only") {
    const std::string line = header_line({.key_hint = "1f2e3d4c"});
    const auto refusal = [](std::string text) { return error_of([&] { parse_header_line(text, "it"); }); };
    const std::vector<std::string> damaged{
        "",
        "\n",
        "PGDMP\n",
        line.substr(0, line.size() - 1),
        line + "\n",
        line.substr(0, 50) + "\n",
        " " + line,
        line.substr(0, line.size() - 2) + ",\"more\":1}\n",
        line.substr(0, line.size() - 2) + ",\"kdf\":{}}\n",
        line.substr(0, line.size() - 2) + ",\"kdf\":7}\n",
        line.substr(0, line.size() - 2) + std::string(2000, ' ') + "}\n",
        header_line({.key_hint = "1F2E3D4C"}),
        header_line({.key_hint = "1f2e3d4"}),
        header_line({.key_hint = "1f2e3d4c", .passphrase = PassphraseSalt{.salt = "00"}})};
    for (const std::string& text : damaged) {
        INFO(text);
        CHECK(refusal(text).code == ErrorCode::corrupt);
    }
    std::string later = line;
    later.replace(later.find("v1"), 2, "v2");
    CHECK(refusal(later).code == ErrorCode::unsupported);
    CHECK(refusal(later).message ==
          "it: it is encrypted as 'encrypted/v2' by 'AES256_GCM_HKDF_1MB', this version reads 'encrypted/v1' by "
          "'AES256_GCM_HKDF_1MB'");
}

TEST_CASE("a header cannot ask for a derivation that would take all memory") {
    const EncryptionHeader greedy{.key_hint = "1f2e3d4c",
                                  .passphrase = PassphraseSalt{.salt = "00112233445566778899aabbccddeeff",
                                                               .cost = {.n = std::uint64_t{1} << 40}}};
    CHECK(error_of([&] { parse_header_line(header_line(greedy), "it"); }).code == ErrorCode::corrupt);
}

TEST_CASE("32 bytes are a key, as hexadecimal digits or as base64; other texts are passphrases") {
    for (const std::string& text : {hex_key, "\n " + hex_key + " \n",
                                    std::string("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"),
                                    std::string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")}) {
        CHECK_FALSE(key_of(text).is_passphrase());
        CHECK(key_of(text).hint() == "ecad0776");
    }
    CHECK(key_of("-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8=").hint() ==
          key_of("+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=").hint());
    CHECK(key_of(passphrase).is_passphrase());
    CHECK(key_of(std::string(43, 'A') + "A").is_passphrase());
    CHECK(key_of("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=").is_passphrase());  // bits beyond the 32 bytes
    CHECK(key_of("sixteen letters!").is_passphrase());
}

TEST_CASE("a secret that is too short or a key of a wrong length is refused, without a word of it") {
    for (const std::string& text :
         {std::string(), std::string("hunter2hunter2!"), std::string("   \n"), hex_key.substr(1), hex_key + "0"}) {
        const Error error = error_of([&] { key_of(text); });
        CHECK(error.code == ErrorCode::refused);
        CHECK(error.message.find("'backup_key'") != std::string::npos);
        if (!trim(text).empty()) {
            CHECK((error.full_message() + error.hint).find(trim(text)) == std::string::npos);
        }
    }
}

TEST_CASE("what is encrypted with a key or a passphrase comes back, and the manifest gets its facts") {
    for (const std::string& secret : {hex_key, passphrase})
        for (const std::size_t size : {std::size_t{0}, std::size_t{1}, mebibyte - 56, 2 * mebibyte + 7}) {
            INFO(size);
            const EncryptionKey key = key_of(secret);
            const Bytestring plain = pattern(size);
            const Encrypted encrypted = encrypt(plain, key);
            CHECK(encrypted.facts == ObjectEncryption{.scheme = "AES256_GCM_HKDF_1MB",
                                                      .key_hint = key.hint(),
                                                      .plain_size = Bytes{size},
                                                      .plain_sha256 = sha256_hex(text_of(plain))});
            CHECK(encrypted.object.size() == encrypted_size(size, key.header()));
            CHECK(is_encrypted(encrypted.object));
            // by a key of its own, as another machine has it
            const Decrypted decrypted = decrypt(encrypted.object, {key_of(secret)}, encrypted.facts);
            CHECK_FALSE(decrypted.error);
            CHECK(decrypted.plain == plain);
        }
    const Encrypted encrypted = encrypt(pattern(500), key_of(hex_key));
    CHECK(decrypt(encrypted.object, {key_of(hex_key)}, encrypted.facts, 1).plain == pattern(500));
}

TEST_CASE("old keys stay usable for old backups, the right one is found by its hint") {
    const std::vector<EncryptionKey> keys{key_of(other_hex_key, "new"), key_of("the passphrase of last year", "old"),
                                          key_of(passphrase, "older"), key_of(hex_key, "oldest")};
    for (const std::string& secret : {other_hex_key, std::string("the passphrase of last year"), passphrase, hex_key}) {
        const Decrypted decrypted = decrypt(encrypt(pattern(100), key_of(secret)).object, keys);
        CHECK_FALSE(decrypted.error);
        CHECK(decrypted.plain == pattern(100));
    }
}

TEST_CASE("without the right key the hint wanted and those there are named, and no key") {
    const EncryptionKey other = key_of(other_hex_key, "new");
    const EncryptionKey phrase = key_of(passphrase, "old");
    const Encrypted by_key = encrypt(pattern(100), key_of(hex_key));
    const Decrypted refused = decrypt(by_key.object, {other, phrase});
    REQUIRE(refused.error);
    CHECK(refused.plain.empty());
    CHECK(refused.error->code == ErrorCode::denied);
    CHECK(refused.error->message == "object 'shop/x': it takes the key with hint " + by_key.facts.key_hint +
                                        ", but 'new' is a key with hint " + other.hint() + ", 'old' is a passphrase");
    CHECK(decrypt(by_key.object, {}).error->message ==
          "object 'shop/x': it takes the key with hint " + by_key.facts.key_hint + ", and there is none");

    const Encrypted by_phrase = encrypt(pattern(100), key_of("another passphrase"));
    const Decrypted denied = decrypt(by_phrase.object, {other, phrase});
    REQUIRE(denied.error);
    CHECK(denied.error->code == ErrorCode::denied);
    CHECK(denied.error->message.starts_with("object 'shop/x': it takes the passphrase with hint " +
                                            by_phrase.facts.key_hint + ", but 'new' is a key with hint " +
                                            other.hint() + ", 'old' is a passphrase with hint "));
    for (const std::string& secret : {hex_key, other_hex_key, passphrase})
        CHECK(denied.error->full_message().find(secret) == std::string::npos);
}

TEST_CASE("one salt serves all objects of a key, another key object takes another") {
    const EncryptionKey key = key_of(passphrase);
    const EncryptionKey copy = key;
    CHECK(key.header() == copy.header());
    CHECK(key.header().passphrase->salt != key_of(passphrase).header().passphrase->salt);
    CHECK(key.hint() != key_of(passphrase).hint());
}

TEST_CASE("every flipped bit of an encrypted object is refused, before a byte of it is used") {
    for (const std::string& secret : {hex_key, passphrase}) {
        const std::vector<EncryptionKey> keys{key_of(secret), key_of(other_hex_key, "other")};
        Encrypted encrypted = encrypt(pattern(60), keys[0]);
        for (std::size_t at = 0; at < encrypted.object.size(); ++at)
            for (const int bit : {0, 4}) {
                INFO(at);
                encrypted.object[at] ^= std::byte{1} << bit;
                const Decrypted without_manifest = decrypt(encrypted.object, keys);
                REQUIRE(without_manifest.error);
                CHECK(without_manifest.plain.empty());
                const ErrorCode code = without_manifest.error->code;
                CHECK((code == ErrorCode::corrupt || code == ErrorCode::denied || code == ErrorCode::unsupported));
                // with the key's hint in the line whole, the key is known to be right
                const std::size_t line = header_line(keys[0].header()).size();
                if (at >= line) CHECK(code == ErrorCode::corrupt);
                encrypted.object[at] ^= std::byte{1} << bit;
            }
        CHECK_FALSE(decrypt(encrypted.object, keys, encrypted.facts).error);
    }
}

TEST_CASE("an encrypted object that was cut anywhere is refused") {
    const Encrypted encrypted = encrypt(pattern(60), key_of(hex_key));
    for (std::size_t size = 0; size < encrypted.object.size(); ++size) {
        INFO(size);
        const Decrypted decrypted = decrypt(std::span(encrypted.object).first(size), {key_of(hex_key)});
        REQUIRE(decrypted.error);
        CHECK(decrypted.error->code == ErrorCode::corrupt);
        CHECK(decrypted.plain.empty());
    }
}

TEST_CASE("an object that is another one than its manifest says is refused") {
    const EncryptionKey key = key_of(hex_key);
    const Encrypted encrypted = encrypt(pattern(60), key);
    const auto refusal = [&](const ObjectEncryption& expected) {
        const Decrypted decrypted = decrypt(encrypted.object, {key}, expected);
        REQUIRE(decrypted.error);
        return std::pair(decrypted.error->code, decrypted.error->message);
    };
    ObjectEncryption facts = encrypted.facts;
    facts.plain_size = Bytes{61};
    CHECK(refusal(facts) ==
          std::pair(ErrorCode::corrupt, std::string("object 'shop/x': it holds 60 bytes, by its manifest 61")));
    facts = encrypted.facts;
    facts.plain_sha256 = sha256_hex("x");
    CHECK(refusal(facts) ==
          std::pair(ErrorCode::corrupt, std::string("object 'shop/x': what it holds is not what its manifest says")));
    facts = encrypted.facts;
    facts.key_hint = "00000000";
    CHECK(refusal(facts) ==
          std::pair(ErrorCode::corrupt, "object 'shop/x': it names key " + key.hint() + ", its manifest 00000000"));
    facts = encrypted.facts;
    facts.scheme = "ROT13";
    CHECK(refusal(facts).first == ErrorCode::unsupported);
}

TEST_CASE("the digest of the plain bytes can be left out, and is not missed then") {
    Bytestring object;
    Encryption encryption(key_of(hex_key), into(object), PlainDigest::left_out);
    encryption.write(pattern(60));
    const ObjectEncryption facts = encryption.finish();
    CHECK(facts.plain_sha256.empty());
    CHECK(facts.plain_size == Bytes{60});
    CHECK(decrypt(object, {key_of(hex_key)}, facts).plain == pattern(60));
    CHECK_FALSE(decrypt(object, {key_of(hex_key)}, facts).error);
}

TEST_CASE("what is neither encrypted nor ends its first line is refused in constant memory") {
    CHECK(decrypt(pattern(5 * mebibyte), {key_of(hex_key)}).error->code == ErrorCode::corrupt);
    CHECK(decrypt(Bytestring(5 * mebibyte, std::byte{'{'}), {key_of(hex_key)}).error->message ==
          "object 'shop/x': the header of its encryption is damaged or not there");
}

TEST_CASE("any range of an encrypted object is what a slice of the text is") {
    const EncryptionKey key = key_of(passphrase);
    const Bytestring plain = pattern(2 * mebibyte + 1000);
    const Encrypted encrypted = encrypt(plain, key);
    const auto beginning = std::span(encrypted.object).first(EncryptedObject::beginning);
    EncryptedObject object(KeyRing({key}), beginning, encrypted.object.size(), "it", encrypted.facts);
    CHECK(object.plain_size() == plain.size());
    CHECK(object.header() == key.header());
    std::uint64_t asked = 0;
    const RangeReader reader = [&](const ByteRange& range, const ByteSink& sink) {
        asked += range.length;
        sink(std::span(encrypted.object)
                 .subspan(static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length)));
    };
    for (const ByteRange& range :
         {ByteRange{.offset = 0, .length = 10}, ByteRange{.offset = mebibyte - 60, .length = 20},
          ByteRange{.offset = mebibyte + 5, .length = mebibyte}, ByteRange{.offset = plain.size() - 1, .length = 1},
          ByteRange{.offset = 0, .length = plain.size()}, ByteRange{.offset = plain.size(), .length = 0}}) {
        asked = 0;
        Bytestring got;
        object.read(range, reader, into(got));
        const auto slice =
            std::span(plain).subspan(static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length));
        CHECK(got == Bytestring(slice.begin(), slice.end()));
        CHECK(asked == object.needed(range).length);
        CHECK(asked <= range.length + 2 * mebibyte);
    }
    CHECK(error_of([&] {
              EncryptedObject(KeyRing({key}), beginning, encrypted.object.size() - 2 * mebibyte, "it", encrypted.facts);
          }).code == ErrorCode::corrupt);
    CHECK(error_of([&] { EncryptedObject(KeyRing({key}), beginning.first(100), 100, "it"); }).code ==
          ErrorCode::corrupt);
    CHECK(error_of([&] {
              EncryptedObject(KeyRing({key_of(hex_key)}), beginning, encrypted.object.size(), "it");
          }).code == ErrorCode::denied);
}

TEST_CASE("content that is encrypted while it is read gives the same object from every offset") {
    const EncryptionKey key = key_of(hex_key);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, mebibyte - 56, mebibyte - 55, 3 * mebibyte + 999}) {
        const Bytestring plain = pattern(size);
        const Content content = encrypted_content(content_of(text_of(plain)), key);
        const Bytestring whole = read_whole(content, 0, 70001);
        CHECK(whole.size() == content.size);
        CHECK(whole.size() == encrypted_size(size, key.header()));
        CHECK(decrypt(whole, {key}).plain == plain);
        const std::size_t line = header_line(key.header()).size();
        for (const std::size_t offset :
             {std::size_t{1}, line - 1, line, line + 39, line + 40, line + 41, line + 55, line + mebibyte - 1,
              line + mebibyte, line + mebibyte + 1, line + 3 * mebibyte, whole.size() - 1, whole.size()}) {
            if (offset > whole.size()) continue;
            INFO(size << " " << offset);
            CHECK(read_whole(content, offset, 300007) ==
                  Bytestring(whole.begin() + static_cast<std::ptrdiff_t>(offset), whole.end()));
        }
    }
}

TEST_CASE("content that changes while it is encrypted is refused rather than given away") {
    auto text = std::make_shared<std::string>(text_of(pattern(2 * mebibyte)));
    const Content changing{.size = text->size(),
                           .open = [text](std::uint64_t offset) { return content_of(*text).open(offset); }};
    const Content content = encrypted_content(changing, key_of(hex_key));
    const Bytestring first = read_whole(content, 0, 1000);
    (*text)[mebibyte + 5] ^= 1;
    const Error error = error_of([&] { read_whole(content, mebibyte + 500, 1000); });
    CHECK(error.code == ErrorCode::moved);
    CHECK(error.message == "what is being encrypted has changed since it was first read");
    text->resize(100);
    CHECK(error_of([&] { read_whole(content, 0, 1000); }).code == ErrorCode::moved);
}

TEST_CASE("an encrypted object goes to a store and comes back from it") {
    Bench bench;
    const EncryptionKey key = key_of(passphrase);
    const Bytestring plain = pattern(mebibyte + 3);
    bench.nas->write("shop/x", encrypted_content(content_of(text_of(plain)), key), {}, {});
    Bytestring got;
    Decryption decryption(KeyRing({key}), into(got), "object 'shop/x' in store 'nas'");
    const ReadEnd end =
        bench.nas->read("shop/x", {}, [&](std::span<const std::byte> bytes) { decryption.write(bytes); }, {});
    decryption.finish();
    CHECK(end == ReadEnd::complete);
    CHECK(got == plain);
}
