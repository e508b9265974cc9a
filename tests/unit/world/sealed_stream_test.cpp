#include "world/sealed_stream.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sanitizer.h"
#include "base/sha256.h"

using namespace lifeboat;

namespace {

using Bytestring = std::vector<std::byte>;

constexpr std::size_t mebibyte = std::size_t{1} << 20;
// The same rules with segments so short that every byte of a stream can be tried: 32, then 72 bytes of plain text.
constexpr StreamFormat small{.segment = 88};

Bytestring unhex(std::string_view hex) {
    Bytestring bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    return bytes;
}

KeyMaterial key_of(std::string_view hex) {
    const Bytestring bytes = unhex(hex);
    return KeyMaterial(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
}

Bytestring bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

// Not periodic in the segments, so that none is like another.
Bytestring pattern(std::size_t size) {
    Bytestring bytes(size);
    std::uint32_t state = 7;
    for (std::byte& byte : bytes) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<std::byte>(state >> 24);
    }
    return bytes;
}

const KeyMaterial the_key = key_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
const KeyMaterial another_key = key_of("ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

ByteSink into(Bytestring& bytes) {
    return [&bytes](std::span<const std::byte> more) { bytes.insert(bytes.end(), more.begin(), more.end()); };
}

// In pieces of `step` bytes.
template <typename Stream>
void push(Stream& stream, std::span<const std::byte> bytes, std::size_t step) {
    for (std::size_t at = 0; at < bytes.size(); at += step)
        stream.write(bytes.subspan(at, std::min(step, bytes.size() - at)));
}

Bytestring seal(std::span<const std::byte> plain, const StreamFormat& format, std::size_t step = 7777,
                const KeyMaterial& key = the_key, std::string_view associated = "name", Bytestring header = {}) {
    Bytestring sealed;
    StreamEncryptor stream(key, associated, into(sealed), format, std::move(header));
    push(stream, plain, step);
    stream.finish();
    return sealed;
}

struct Opened {
    Bytestring plain;
    std::optional<Error> error;
};

Opened open(std::span<const std::byte> sealed, const StreamFormat& format, std::size_t step = 7777,
            const KeyMaterial& key = the_key, std::string associated = "name", bool key_is_known = false) {
    Opened opened;
    StreamDecryptor stream(key, std::move(associated), into(opened.plain),
                           {.where = "it", .key_is_known = key_is_known, .format = format});
    try {
        push(stream, sealed, step);
        stream.finish();
    } catch (const Error& error) {
        opened.error = error;
    }
    return opened;
}

bool is_prefix(const Bytestring& part, const Bytestring& whole) {
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

// Refused, and what came out before is a beginning of the true text made of whole segments.
void check_refused(const Opened& opened, const Bytestring& plain, const StreamFormat& format) {
    REQUIRE(opened.error);
    CHECK((opened.error->code == ErrorCode::corrupt || opened.error->code == ErrorCode::denied));
    CHECK((opened.error->code == ErrorCode::corrupt || opened.plain.empty()));
    CHECK(is_prefix(opened.plain, plain));
    if (!opened.plain.empty() && opened.plain.size() != plain.size())
        CHECK(format.plain_offset(format.segment_of(opened.plain.size())) == opened.plain.size());
}

// The ciphertext of each segment, without the header.
std::vector<Bytestring> segments_of(const Bytestring& sealed, const StreamFormat& format) {
    std::vector<Bytestring> segments;
    for (std::uint64_t index = 0; format.sealed_offset(index) < sealed.size(); ++index) {
        const auto begin = static_cast<std::size_t>(format.sealed_offset(index));
        const std::size_t size = std::min(format.sealed_room(index), sealed.size() - begin);
        segments.emplace_back(sealed.begin() + static_cast<std::ptrdiff_t>(begin),
                              sealed.begin() + static_cast<std::ptrdiff_t>(begin + size));
    }
    return segments;
}

Bytestring joined(const Bytestring& sealed, const std::vector<Bytestring>& segments, const StreamFormat& format) {
    Bytestring stream(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(format.header_size()));
    for (const Bytestring& segment : segments)
        stream.insert(stream.end(), segment.begin(), segment.end());
    return stream;
}

RangeReader reader_of(const Bytestring& sealed, std::size_t step = 5000) {
    return [&sealed, step](const ByteRange& range, const ByteSink& sink) {
        REQUIRE(range.offset + range.length <= sealed.size());
        const auto part =
            std::span(sealed).subspan(static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length));
        for (std::size_t at = 0; at < part.size(); at += step)
            sink(part.subspan(at, std::min(step, part.size() - at)));
    };
}

const std::vector<std::size_t> border_sizes{0,
                                            1,
                                            15,
                                            16,
                                            17,
                                            mebibyte - 57,
                                            mebibyte - 56,
                                            mebibyte - 55,
                                            mebibyte - 17,
                                            mebibyte - 16,
                                            mebibyte - 1,
                                            mebibyte,
                                            mebibyte + 1,
                                            2 * mebibyte - 73,
                                            2 * mebibyte - 72,
                                            2 * mebibyte - 71,
                                            3 * mebibyte + 12345};

}  // namespace

TEST_CASE("an encrypted stream of any size around the borders of segments comes back") {
    for (const std::size_t size : border_sizes) {
        INFO(size);
        const Bytestring plain = pattern(size);
        for (const std::size_t step : {std::size_t{4096}, mebibyte, 4 * mebibyte}) {
            const Bytestring sealed = seal(plain, {}, step);
            CHECK(sealed.size() == ciphertext_size(size));
            CHECK(plain_size(sealed.size()) == size);
            const Opened opened = open(sealed, {}, step);
            CHECK_FALSE(opened.error);
            CHECK(opened.plain == plain);
        }
    }
}

TEST_CASE("an encrypted stream does not depend on how it is cut into pieces") {
    const Bytestring plain = pattern(300);
    const Bytestring header = new_stream_header(small);
    const Bytestring sealed = seal(plain, small, 300, the_key, "name", header);
    for (std::size_t step = 1; step <= 300; ++step) {
        CHECK(seal(plain, small, step, the_key, "name", header) == sealed);
        CHECK(open(sealed, small, step).plain == plain);
    }
}

TEST_CASE("every size of a stream is told from its ciphertext's, and the others are no streams") {
    std::set<std::uint64_t> whole;
    for (std::uint64_t size = 0; size < 400; ++size) {
        const std::uint64_t sealed = ciphertext_size(size, small);
        CHECK(plain_size(sealed, small) == size);
        CHECK(whole.insert(sealed).second);
        CHECK(seal(pattern(size), small).size() == sealed);
    }
    for (std::uint64_t sealed = 0; sealed < 500; ++sealed)
        CHECK(plain_size(sealed, small).has_value() == whole.contains(sealed));
    CHECK_THROWS_AS(ciphertext_size(std::uint64_t{1} << 53), Error);
    CHECK_FALSE(plain_size(~std::uint64_t{0}));
}

TEST_CASE("the same text is never encrypted to the same bytes") {
    CHECK(seal(pattern(100), small) != seal(pattern(100), small));
}

TEST_CASE("every flipped bit of an encrypted stream is refused before a byte of its segment is used") {
    const Bytestring plain = pattern(200);  // four segments
    Bytestring sealed = seal(plain, small);
    for (std::size_t at = 0; at < sealed.size(); ++at)
        for (const int bit : {0, 3, 7}) {
            INFO(at);
            sealed[at] ^= std::byte{1} << bit;
            const Opened opened = open(sealed, small, 50);
            check_refused(opened, plain, small);
            CHECK(opened.plain.size() <= small.plain_offset(at / small.segment));
            sealed[at] ^= std::byte{1} << bit;
        }
    CHECK(open(sealed, small).plain == plain);
}

TEST_CASE("every byte of the header and of each tag of a stream with segments of 1 MiB counts") {
    const StreamFormat format;
    const Bytestring plain = pattern(2 * mebibyte + 100);
    Bytestring sealed = seal(plain, format);
    std::vector<std::size_t> places;
    for (std::size_t at = 0; at < format.header_size(); ++at)
        places.push_back(at);
    for (const std::size_t end : {mebibyte, 2 * mebibyte, sealed.size()})
        for (std::size_t at = end - AesGcm::tag_size; at < end; at += 5)
            places.push_back(at);
    for (const std::size_t at : places) {
        INFO(at);
        sealed[at] ^= std::byte{0x10};
        check_refused(open(sealed, format, mebibyte), plain, format);
        sealed[at] ^= std::byte{0x10};
    }
}

TEST_CASE("an encrypted stream that was cut anywhere is refused, and a cut at a border is called one") {
    const Bytestring plain = pattern(250);
    const Bytestring sealed = seal(plain, small);
    for (std::size_t size = 0; size < sealed.size(); ++size) {
        INFO(size);
        check_refused(open(std::span(sealed).first(size), small, 60), plain, small);
    }
    CHECK(open(std::span(sealed).first(2 * small.segment), small).error->message ==
          "it: the encrypted stream was cut behind segment 1 of the encrypted stream (its bytes 88 to 176)");
    CHECK(open(std::span(sealed).first(small.segment), small).error->code == ErrorCode::corrupt);
    CHECK(open(std::span(sealed).first(39), small).error->message == "it: the encrypted stream was cut in its header");
}

TEST_CASE("a stream of 1 MiB segments that was cut at a border or at random is refused") {
    const Bytestring plain = pattern(3 * mebibyte);
    const Bytestring sealed = seal(plain, {});
    std::vector<std::size_t> sizes{0, 40, 56, mebibyte, 2 * mebibyte, 3 * mebibyte, sealed.size() - 1};
    std::mt19937 random(4);
    for (int i = 0; i < 12; ++i)
        sizes.push_back(random() % sealed.size());
    for (const std::size_t size : sizes) {
        INFO(size);
        check_refused(open(std::span(sealed).first(size), {}, mebibyte), plain, {});
    }
}

TEST_CASE("segments that were swapped, doubled, left out or taken from elsewhere are refused") {
    const Bytestring plain = pattern(32 + 4 * 72);
    const Bytestring sealed = seal(plain, small);
    const std::vector<Bytestring> segments = segments_of(sealed, small);
    REQUIRE(segments.size() == 5);
    const std::vector<Bytestring> others = segments_of(seal(plain, small), small);
    for (std::size_t a = 0; a < segments.size(); ++a) {
        for (std::size_t b = a + 1; b < segments.size(); ++b) {
            auto swapped = segments;
            std::swap(swapped[a], swapped[b]);
            check_refused(open(joined(sealed, swapped, small), small), plain, small);
        }
        auto doubled = segments;
        doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(a), segments[a]);
        check_refused(open(joined(sealed, doubled, small), small), plain, small);
        auto shortened = segments;
        shortened.erase(shortened.begin() + static_cast<std::ptrdiff_t>(a));
        check_refused(open(joined(sealed, shortened, small), small), plain, small);
        auto foreign = segments;
        foreign[a] = others[a];
        check_refused(open(joined(sealed, foreign, small), small), plain, small);
    }
}

TEST_CASE("whatever is appended to an encrypted stream is refused, and called that where the end was whole") {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{10}, std::size_t{32}, std::size_t{104}, std::size_t{120}}) {
        const Bytestring plain = pattern(size);
        const Bytestring sealed = seal(plain, small);
        for (const unsigned more : {1U, 15U, 16U, 17U, 56U, 88U, 72U, 200U}) {
            Bytestring longer = sealed;
            const Bytestring extra = pattern(more);
            longer.insert(longer.end(), extra.begin(), extra.end());
            check_refused(open(longer, small, 1000), plain, small);
        }
    }
    Bytestring full = seal(pattern(104), small);
    full.push_back(std::byte{0});
    CHECK(open(full, small, 1000).error->message ==
          "it: bytes were appended to the encrypted stream, which ends with segment 1 of the encrypted stream (its "
          "bytes 88 to 176)");
}

TEST_CASE("an empty segment behind another is no end of a stream") {
    // as no writer makes it: sealed with the right key, in the right place
    const Bytestring header = new_stream_header(small);
    SegmentCipher cipher(the_key, "name", header, small);
    const Bytestring plain = pattern(32);
    Bytestring sealed = header;
    sealed.resize(header.size() + plain.size() + 2 * AesGcm::tag_size);
    cipher.seal(0, false, plain, std::span(sealed).subspan(40));
    cipher.seal(1, true, {}, std::span(sealed).subspan(88));
    check_refused(open(sealed, small), plain, small);
}

TEST_CASE("another key or another name is denied, and called damage where the key is known to be right") {
    const Bytestring plain = pattern(100);
    const Bytestring sealed = seal(plain, small);
    for (const auto& opened : {open(sealed, small, 50, another_key), open(sealed, small, 50, the_key, "nama"),
                               open(sealed, small, 50, the_key, "")}) {
        CHECK(opened.plain.empty());
        REQUIRE(opened.error);
        CHECK(opened.error->code == ErrorCode::denied);
        CHECK(opened.error->message == "it: it was encrypted with another key, or its beginning is damaged");
    }
    const Opened known = open(sealed, small, 50, another_key, "name", true);
    REQUIRE(known.error);
    CHECK(known.error->code == ErrorCode::corrupt);
}

TEST_CASE("a stream that was refused takes and gives nothing more") {
    Bytestring sealed = seal(pattern(300), small);
    sealed[100] ^= std::byte{1};
    Bytestring plain;
    StreamDecryptor stream(the_key, "name", into(plain), {.where = "it", .format = small});
    CHECK_THROWS_AS(stream.write(sealed), Error);
    const Bytestring before = plain;
    CHECK_THROWS_AS(stream.write(sealed), Error);
    CHECK_THROWS_AS(stream.finish(), Error);
    CHECK(plain == before);
}

TEST_CASE("any range of an encrypted stream is what a slice of the text is") {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{32}, std::size_t{33}, std::size_t{104},
                                   std::size_t{105}, std::size_t{250}}) {
        const Bytestring plain = pattern(size);
        const Bytestring sealed = seal(plain, small);
        SeekableDecryptor stream(the_key, "name", std::span(sealed).first(40), sealed.size(),
                                 {.where = "it", .format = small});
        REQUIRE(stream.size() == size);
        for (std::size_t offset = 0; offset <= size; offset += offset < 110 ? 1 : 7)
            for (std::size_t length = 0; length <= size - offset; length += 3) {
                Bytestring got;
                stream.read({.offset = offset, .length = length}, reader_of(sealed, 13), into(got));
                const auto slice = std::span(plain).subspan(offset, length);
                CHECK(got == Bytestring(slice.begin(), slice.end()));
            }
        CHECK_THROWS_AS(stream.needed({.offset = 0, .length = size + 1}), Error);
        CHECK_THROWS_AS(stream.needed({.offset = size + 1, .length = 0}), Error);
        CHECK_THROWS_AS(stream.needed({.offset = 1, .length = ~std::uint64_t{0}}), Error);
    }
}

TEST_CASE("a range of a stream of 1 MiB segments asks for whole segments and no others") {
    const Bytestring plain = pattern(3 * mebibyte + 5);
    const Bytestring sealed = seal(plain, {});
    SeekableDecryptor stream(the_key, "name", std::span(sealed).first(40), sealed.size(), {.where = "it"});
    CHECK(stream.needed({.offset = 0, .length = 0}) == ByteRange{});
    CHECK(stream.needed({.offset = 0, .length = 1}) == ByteRange{.offset = 40, .length = mebibyte - 40});
    CHECK(stream.needed({.offset = mebibyte - 57, .length = 2}) ==
          ByteRange{.offset = 40, .length = 2 * mebibyte - 40});
    CHECK(stream.needed({.offset = mebibyte - 56, .length = 1}) == ByteRange{.offset = mebibyte, .length = mebibyte});
    CHECK(stream.needed({.offset = plain.size() - 1, .length = 1}) ==
          ByteRange{.offset = 3 * mebibyte, .length = sealed.size() - 3 * mebibyte});
    std::mt19937 random(11);
    for (int i = 0; i < 20; ++i) {
        const std::size_t offset = random() % plain.size();
        const std::size_t length = random() % (plain.size() - offset);
        Bytestring got;
        stream.read({.offset = offset, .length = length}, reader_of(sealed), into(got));
        const auto slice = std::span(plain).subspan(offset, length);
        CHECK(got == Bytestring(slice.begin(), slice.end()));
    }
}

TEST_CASE("random access refuses damage in what it reads, a wrong key, a cut stream and an incomplete answer") {
    const Bytestring plain = pattern(250);
    Bytestring sealed = seal(plain, small);
    const auto code_of = [&](const KeyMaterial& key, std::uint64_t size, const ByteRange& range) {
        Bytestring got;
        try {
            SeekableDecryptor stream(key, "name", std::span(sealed).first(40), size, {.where = "it", .format = small});
            stream.read(range, reader_of(sealed), into(got));
        } catch (const Error& error) {
            CHECK(is_prefix(got, plain));
            return error.code;
        }
        return ErrorCode::internal;
    };
    CHECK(code_of(another_key, sealed.size(), {.offset = 0, .length = 1}) == ErrorCode::denied);
    CHECK(code_of(the_key, 2 * small.segment, {.offset = 87, .length = 1}) == ErrorCode::corrupt);  // cut at a border
    CHECK(code_of(the_key, sealed.size() - 1, {.offset = 248, .length = 1}) == ErrorCode::corrupt);
    CHECK(code_of(the_key, small.segment + 16, {.offset = 0, .length = 1}) == ErrorCode::corrupt);  // no stream's size
    CHECK(code_of(the_key, 10, {}) == ErrorCode::corrupt);
    sealed[100] ^= std::byte{1};
    CHECK(code_of(the_key, sealed.size(), {.offset = 0, .length = 40}) == ErrorCode::corrupt);
    sealed[100] ^= std::byte{1};

    SeekableDecryptor stream(the_key, "name", std::span(sealed).first(40), sealed.size(),
                             {.where = "it", .format = small});
    Bytestring got;
    const auto too_little = [&](const ByteRange& range, const ByteSink& sink) {
        sink(std::span(sealed).subspan(static_cast<std::size_t>(range.offset),
                                       static_cast<std::size_t>(range.length) - 1));
    };
    CHECK_THROWS_AS(stream.read({.offset = 40, .length = 10}, too_little, into(got)), Error);
    CHECK(got.empty());
    const auto too_much = [&](const ByteRange& range, const ByteSink& sink) {
        sink(std::span(sealed).subspan(static_cast<std::size_t>(range.offset),
                                       static_cast<std::size_t>(range.length) + 1));
    };
    CHECK_THROWS_AS(stream.read({.offset = 40, .length = 10}, too_much, into(got)), Error);
}

// Keys, sizes and bytes that Tink publishes for its own implementations (tink-java, streamingaead/internal/testing).
TEST_CASE("Tink's published streams are decrypted, and made again to the byte") {
    struct Published {
        std::string key;
        StreamFormat format;
        std::string associated;
        std::string plain;
        std::string sealed;
    };
    const std::string short_key = "6eb56cdc726dfbe5d57f2fcdc6e9345b";
    const std::string long_key = "00112233445566778899aabbccddeeff6eb56cdc726dfbe5d57f2fcdc6e9345b";
    const std::vector<Published> published{
        {short_key,
         {.segment = 64, .derived_key = 16, .hash = HashName::sha1},
         "aad",
         "This is a fairly long plaintext. It is of the exact length to create three output blocks. ",
         "1893b3af5e14ab378d065addfc8484da642c0862877baea8db92d9c77406a406168478821c4298eab3e6d531277f4c1a051714faebcae"
         "f"
         "cbca7b7be05e9445eaa0bb2904153398a25084dd80ae0edcd1c3079fcea2cd3770630ee36f7539207b8ec9d754956d486b71cdf989f0e"
         "d"
         "6fba6779b63558be0a66e668df14e1603cd2af8944844078345286d0b292e772e7190775c51a0f83e40c0b75821027e7e538e111"},
        {short_key,
         {.segment = 64, .derived_key = 16, .hash = HashName::sha1},
         "",
         "",
         "18ec99b2c3884194023bd41bb9bff309205354c750fa0cb3c0d02609abf71f88eaeaa48d7deca27f"},
        {short_key,
         {.segment = 64, .derived_key = 16, .hash = HashName::sha256},
         "",
         "",
         "18be78bce0cab6fd38a9041eea8ab0ffc4cf17e3c00b661d3927f5f79069f41a210fedc40b25648c"},
        {short_key,
         {.segment = 64, .derived_key = 16, .hash = HashName::sha512},
         "",
         "",
         "18fec8139ccb406e0f140d7e2bcc41e1b899bc1b121574cc31d1c78ed2ca1cdf324665b8dce21095"},
        {long_key,
         {.segment = 64, .derived_key = 16, .hash = HashName::sha1},
         "",
         "",
         "180880e85a24207a7b72cefde26306ed09d7d76e58104b751d005a3ffd72dd6151f0d9c8ccf163f7"},
        {long_key,
         {.segment = 64, .derived_key = 32, .hash = HashName::sha1},
         "",
         "",
         "28fae780c70a82d1256c8303a1261ac6a98cf557b4e173967a62f3c149517ba5b2431da93b3c6e90f508b34dc14bfda59bab05681c6ad"
         "3"
         "fa"},
        {long_key,
         {.segment = 120, .derived_key = 32, .hash = HashName::sha1},
         std::string("\0\1\2\3", 4),
         "BLOCK 1.BLOCK 2.BLOCK 3.BLOCK 4.BLOCK 5.BLOCK 6.BLOCK 7.BLOCK 8.",
         "28782994617714a80fa085e15051a16854522330d6d0f26c049b2192f09cdd98b2eb90c753bfff277a29e54fa4afb15d648c28477eb07"
         "f"
         "012535c767f5fdce24ffffae318480c1d37357d6d3c511159318afa09ef38aa3f5456fd7817c5c02dd6e1a7fef174c8bd24e38b5982ac"
         "1"
         "05497c0101ac5581fe5b"}};
    for (const Published& stream : published) {
        const Bytestring sealed = unhex(stream.sealed);
        const Opened opened = open(sealed, stream.format, 11, key_of(stream.key), stream.associated);
        CHECK_FALSE(opened.error);
        CHECK(opened.plain == bytes_of(stream.plain));
        const Bytestring header(sealed.begin(),
                                sealed.begin() + static_cast<std::ptrdiff_t>(stream.format.header_size()));
        CHECK(seal(bytes_of(stream.plain), stream.format, 11, key_of(stream.key), stream.associated, header) == sealed);
    }
}

TEST_CASE("a stream of 1 GiB takes no more memory than a short one") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // its exit code: how many MiB the process has grown by; 255 when the text did not come back
        constexpr std::size_t chunks = 1024;
        const Bytestring chunk = pattern(mebibyte);
        struct rusage before {};
        ::getrusage(RUSAGE_SELF, &before);
        std::uint64_t came = 0;
        bool same = true;
        StreamDecryptor decryptor(the_key, "name",
                                  [&](std::span<const std::byte> plain) {
                                      const std::size_t at = came % mebibyte;
                                      const std::size_t first = std::min(plain.size(), mebibyte - at);
                                      same = same && std::equal(plain.begin(),
                                                                plain.begin() + static_cast<std::ptrdiff_t>(first),
                                                                chunk.begin() + static_cast<std::ptrdiff_t>(at));
                                      came += plain.size();
                                  },
                                  {.where = "it"});
        StreamEncryptor encryptor(the_key, "name", [&](std::span<const std::byte> sealed) { decryptor.write(sealed); });
        for (std::size_t i = 0; i < chunks; ++i)
            encryptor.write(chunk);
        encryptor.finish();
        decryptor.finish();
        struct rusage after {};
        ::getrusage(RUSAGE_SELF, &after);
        const long grown = (after.ru_maxrss - before.ru_maxrss) / 1024;
        ::_exit(same && came == chunks * mebibyte ? static_cast<int>(std::clamp(grown, 0L, 254L)) : 255);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) < (under_sanitizer ? 255 : 16));
}
