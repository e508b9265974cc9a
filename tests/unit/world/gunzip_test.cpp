#include "world/gunzip.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/error.h"
#include "support/scratch_folder.h"
#include "world/process.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

std::string packed_by_gzip(const std::string& content) {
    const ScratchFolder folder;
    std::ofstream(folder / "plain", std::ios::binary) << content;
    Command command;
    command.argv = {"gzip", "--stdout", "--", (folder / "plain").string()};
    command.environment = clean_environment();
    command.output_file = folder / "packed";
    REQUIRE(run_child(command, {}).exit_code == 0);
    std::ifstream file(folder / "packed", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// Given in pieces of `piece` bytes, read in pieces of `room`.
std::string unpacked(std::string packed, std::size_t piece = 1000, std::size_t room = 777) {
    std::size_t at = 0;
    const ByteSource source = gunzipped([&](std::span<std::byte> out) {
        const std::size_t length = std::min({piece, out.size(), packed.size() - at});
        std::memcpy(out.data(), packed.data() + at, length);
        at += length;
        return length;
    });
    std::string content;
    std::vector<std::byte> buffer(room);
    while (const std::size_t length = source(buffer))
        content.append(reinterpret_cast<const char*>(buffer.data()), length);
    return content;
}

ErrorCode code_of(const std::string& packed) {
    try {
        unpacked(packed);
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

std::string sample() {
    std::string content;
    for (int i = 0; i < 20000; ++i)
        content += std::to_string(i * 7919 % 10007) + "\n";
    return content;
}

}  // namespace

TEST_CASE("what gzip packed is unpacked, in pieces of any size") {
    const std::string content = sample();
    const std::string packed = packed_by_gzip(content);
    CHECK(unpacked(packed) == content);
    CHECK(unpacked(packed, 1, 1) == content);
    CHECK(unpacked(packed, 1 << 20, 1 << 20) == content);
    CHECK(unpacked(packed + packed) == content + content);
    CHECK(unpacked(packed + std::string(3000, '\0')) == content);
    CHECK(unpacked(packed_by_gzip("")).empty());
    CHECK(unpacked("").empty());
}

TEST_CASE("R8 gzip data that is cut anywhere, flipped or followed by something else is refused") {
    const std::string packed = packed_by_gzip(sample());
    for (std::size_t length = 1; length < packed.size(); length += packed.size() / 97 + 1)
        CHECK(code_of(packed.substr(0, length)) == ErrorCode::incomplete);
    CHECK(code_of(packed.substr(0, packed.size() - 1)) == ErrorCode::incomplete);
    for (const std::size_t place : {std::size_t{0}, packed.size() / 2, packed.size() - 6, packed.size() - 2}) {
        std::string flipped = packed;
        flipped[place] = static_cast<char>(flipped[place] ^ 1);
        INFO(place);
        const ErrorCode code = code_of(flipped);
        CHECK((code == ErrorCode::corrupt || code == ErrorCode::incomplete));
    }
    CHECK(code_of(packed + "x") == ErrorCode::incomplete);
    CHECK(code_of(packed + "something else") == ErrorCode::corrupt);
    CHECK(code_of(packed + std::string(1, '\0') + "x") == ErrorCode::corrupt);
    CHECK(code_of("plain text, not gzip") == ErrorCode::corrupt);
}
