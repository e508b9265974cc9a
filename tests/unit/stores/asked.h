// What the tests of stores over HTTP share.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "base/sha256.h"
#include "stores/s3.h"
#include "stores/store.h"
#include "support/object_server.h"

namespace lifeboat::test {

inline SteadyTime in(Duration duration) {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + duration;
}

inline S3Options options_for(const ObjectServer& server, Duration stall = std::chrono::seconds(30)) {
    return {.endpoint = server.url(),
            .bucket = "vault",
            .key_id = "AKIDTEST",
            .key = Secret("canary-of-the-secret-key"),
            .link = {.stall = stall}};
}

// No two of its 64 KiB blocks are alike.
inline std::string pattern(std::size_t size, const std::string& seed) {
    std::string text;
    for (int i = 0; text.size() < size; ++i) {
        const Digest digest = sha256(seed + std::to_string(i));
        text.append(digest.begin(), digest.end());
    }
    text.resize(size);
    return text;
}

// What a read gave and how it ended.
struct ReadResult {
    std::string text;
    std::optional<ReadEnd> end;
    std::optional<Error> error;
};

inline ReadResult read_of(Store& store, const std::string& key, const ReadRange& range = {},
                          const WorkControl& control = {.deadline = in(std::chrono::seconds(20))}) {
    ReadResult result;
    try {
        result.end = store.read(
            key, range,
            [&](std::span<const std::byte> bytes) {
                result.text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            },
            control);
    } catch (const Error& error) {
        result.error = error;
    }
    return result;
}

inline Error error_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    FAIL("no error was thrown");
    return Error{ErrorCode::internal, "unreachable"};
}

inline std::string canned(int status, const std::string& headers = {}, const std::string& body = {}) {
    return "HTTP/1.1 " + std::to_string(status) +
           " Status\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
           "\r\n" + body;
}

}  // namespace lifeboat::test
