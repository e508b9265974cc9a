#include "base/size.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>

using namespace lifeboat;

TEST_CASE("sizes are read in binary and decimal units") {
    CHECK(parse_bytes("0B") == Bytes{0});
    CHECK(parse_bytes("512B") == Bytes{512});
    CHECK(parse_bytes("1kB") == Bytes{1000});
    CHECK(parse_bytes("1KB") == Bytes{1000});
    CHECK(parse_bytes("1KiB") == Bytes{1024});
    CHECK(parse_bytes("20MiB") == Bytes{20U << 20});
    CHECK(parse_bytes("1MB") == Bytes{1'000'000});
    CHECK(parse_bytes("1.5GB") == Bytes{1'500'000'000});
    CHECK(parse_bytes("1.5GiB") == Bytes{3ULL << 29});
    CHECK(parse_bytes("2TB") == Bytes{2'000'000'000'000});
    CHECK(parse_bytes("0.999999TiB") == Bytes{1'099'510'528'264});
    CHECK(parse_bytes("18446744073709551615B") == Bytes{std::numeric_limits<std::uint64_t>::max()});
}

TEST_CASE("what is no size is refused") {
    for (const char* text : {"", "12", "MiB", "-1B", "1 MiB", "1mib", "1K", "1.B", ".5GB", "1.2.3GB", "1.1234567GB",
                             "1e3B", "18446744073709551616B", "99999999999TiB", "1MiBx", "0x10B"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_bytes(text).has_value());
    }
}

TEST_CASE("a size's text is exact, short and reads back") {
    CHECK(to_text(Bytes{0}) == "0B");
    CHECK(to_text(Bytes{20U << 20}) == "20MiB");
    CHECK(to_text(Bytes{1234}) == "1234B");
    CHECK(to_text(Bytes{10'000'000'000}) == "10GB");
    for (const std::uint64_t count : {1ULL, 1023ULL, 1024ULL, 1'000'000ULL, 1ULL << 40, 18446744073709551615ULL}) {
        CHECK(parse_bytes(to_text(Bytes{count})) == Bytes{count});
    }
}

TEST_CASE("a rate is a size by the second, and never nothing") {
    CHECK(parse_rate("20MiB/s") == Bytes{20U << 20});
    CHECK(parse_rate("1B/s") == Bytes{1});
    for (const char* wrong : {"", "/s", "20MiB", "0B/s", "20/s", "20MiB/m", "20MiB /s "})
        CHECK_FALSE(parse_rate(wrong));
}

TEST_CASE("people read sizes with one decimal") {
    CHECK(to_human(Bytes{0}) == "0 B");
    CHECK(to_human(Bytes{1023}) == "1023 B");
    CHECK(to_human(Bytes{1024}) == "1.0 KiB");
    CHECK(to_human(Bytes{1'500'000'000}) == "1.4 GiB");
    CHECK(to_human(Bytes{(1U << 20) - 1}) == "1.0 MiB");
    CHECK(to_human(Bytes{1ULL << 50}) == "1024.0 TiB");
}
