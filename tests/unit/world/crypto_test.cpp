#include "world/crypto.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/sha256.h"

using namespace lifeboat;

namespace {

std::vector<std::uint8_t> octets(std::string_view hex) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    return bytes;
}

}  // namespace

TEST_CASE("HKDF gives what RFC 5869 says") {
    std::string context;
    for (const std::uint8_t byte : octets("f0f1f2f3f4f5f6f7f8f9"))
        context += static_cast<char>(byte);
    CHECK(to_hex(hkdf(HashName::sha256, octets("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                      octets("000102030405060708090a0b0c"), context, 42)
                     .bytes()) ==
          "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    CHECK(to_hex(hkdf(HashName::sha256, octets("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"), {}, {}, 42).bytes()) ==
          "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST_CASE("a context that the library would cut is refused") {
    CHECK(hkdf(HashName::sha256, octets("00"), {}, std::string(1024, 'x'), 32).size() == 32);
    CHECK_THROWS_AS(hkdf(HashName::sha256, octets("00"), {}, std::string(1025, 'x'), 32), Error);
}

TEST_CASE("scrypt gives what RFC 7914 says") {
    CHECK(to_hex(scrypt("password", octets("4e61436c"), {.n = 1024, .r = 8, .p = 16}, 64).bytes()) ==
          "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83"
          "ee6d"
          "8360cbdfa2cc0640");
}

TEST_CASE("a cost of scrypt that a stranger wrote down is paid only within bounds") {
    CHECK(is_bearable(ScryptCost{}));
    CHECK(is_bearable({.n = std::uint64_t{1} << 20, .r = 8, .p = 1}));
    for (const ScryptCost& cost :
         {ScryptCost{.n = 0}, ScryptCost{.n = 131073}, ScryptCost{.n = 512}, ScryptCost{.n = std::uint64_t{1} << 21},
          ScryptCost{.n = std::uint64_t{1} << 63}, ScryptCost{.r = 0}, ScryptCost{.r = 0xffffffff}, ScryptCost{.p = 0},
          ScryptCost{.p = 17}, ScryptCost{.n = std::uint64_t{1} << 20, .p = 16}}) {
        CHECK_FALSE(is_bearable(cost));
        CHECK_THROWS_AS(scrypt("password", octets("00"), cost, 32), Error);
    }
}

TEST_CASE("key material is its own copy, and random bytes differ") {
    KeyMaterial first(32);
    fill_random(first.bytes());
    KeyMaterial second = first;
    CHECK(to_hex(first.bytes()) == to_hex(second.bytes()));
    fill_random(second.bytes());
    CHECK(to_hex(first.bytes()) != to_hex(second.bytes()));
    const std::string kept = to_hex(first.bytes());
    second = std::move(first);
    CHECK(to_hex(second.bytes()) == kept);
}

TEST_CASE("AES-GCM opens nothing that is not authentic, and leaves zeros") {
    AesGcm cipher{KeyMaterial(32)};
    const std::string text = "good news";
    std::vector<std::byte> sealed(text.size() + AesGcm::tag_size);
    cipher.seal({}, std::as_bytes(std::span(text)), sealed);
    std::vector<std::byte> plain(text.size());
    REQUIRE(cipher.open({}, sealed, plain));
    CHECK(std::string(reinterpret_cast<const char*>(plain.data()), plain.size()) == text);
    for (std::byte& byte : sealed) {
        byte ^= std::byte{0x80};
        plain.assign(text.size(), std::byte{1});
        CHECK_FALSE(cipher.open({}, sealed, plain));
        CHECK(plain == std::vector<std::byte>(text.size(), std::byte{0}));
        byte ^= std::byte{0x80};
    }
    CHECK_FALSE(cipher.open({}, std::span<const std::byte>(sealed).first(AesGcm::tag_size - 1), plain));
}
