#include "base/sha256.h"

#include <catch2/catch.hpp>

using namespace lifeboat;

TEST_CASE("SHA-256 gives the digests of the standard's examples") {
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a digest in pieces equals the digest of the whole, and the object is ready again") {
    Sha256 digest;
    digest.update("a");
    digest.update("");
    digest.update("bc");
    CHECK(digest.finish() == sha256("abc"));
    digest.update("abc");
    CHECK(digest.finish() == sha256("abc"));
    CHECK(digest.finish() == sha256(""));
}
