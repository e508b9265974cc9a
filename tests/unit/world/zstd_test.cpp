#include "world/zstd.h"

#include <random>

#include "base/error.h"
#include "support/scratch_folder.h"

using namespace lifeboat;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

std::string packed(const std::string& text) {
    std::string made;
    Compressor compressor([&](std::span<const std::byte> bytes) {
        made.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    for (std::size_t at = 0; at < text.size(); at += 70'000)
        compressor.write(bytes_of(text.substr(at, 70'000)));
    compressor.finish();
    return made;
}

// Given in pieces of that size.
std::string unpacked(const std::string& text, std::size_t piece) {
    std::string made;
    Decompressor decompressor([&](std::span<const std::byte> bytes) {
        made.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    for (std::size_t at = 0; at < text.size(); at += piece)
        decompressor.write(bytes_of(text.substr(at, piece)));
    decompressor.finish();
    return made;
}

ErrorCode failure_of(const std::string& text) {
    try {
        static_cast<void>(unpacked(text, 4096));
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

std::string some_text() {
    std::mt19937 random(7);
    std::string text;
    for (int i = 0; i < 30'000; ++i)
        text += "line " + std::to_string(random() % 5000) + "\n";
    return text;
}

}  // namespace

TEST_CASE("what was compressed comes back, in whatever pieces it travels") {
    for (const std::string& text : {std::string(), std::string("x"), std::string(5'000'000, 'a'), some_text()}) {
        const std::string small = packed(text);
        for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 20})
            CHECK(unpacked(small, piece) == text);
    }
    CHECK(packed(some_text()).size() < some_text().size() / 2);
}

TEST_CASE("a cut or changed frame is never taken for a shorter or other one") {
    const std::string good = packed(some_text());
    for (const std::size_t length : {std::size_t{0}, std::size_t{3}, good.size() / 2, good.size() - 1})
        CHECK(failure_of(good.substr(0, length)) == ErrorCode::incomplete);
    for (std::size_t place = 0; place < good.size(); place += 997) {
        std::string bad = good;
        bad[place] = static_cast<char>(bad[place] ^ 1);
        const ErrorCode code = failure_of(bad);
        CHECK((code == ErrorCode::corrupt || code == ErrorCode::incomplete || code == ErrorCode::limit_exceeded));
    }
    CHECK(failure_of(good + "more") == ErrorCode::corrupt);
    CHECK(failure_of(good + good) == ErrorCode::corrupt);
    CHECK(failure_of("plain text that is no frame") == ErrorCode::corrupt);
}
