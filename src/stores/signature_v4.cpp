#include "stores/signature_v4.h"

#include <array>
#include <cctype>
#include <ctime>
#include <map>

#include "base/sha256.h"
#include "base/text.h"

namespace lifeboat {

namespace {

// "20260201T020000Z"
std::string signing_time(Timestamp when) {
    const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(when).time_since_epoch().count();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 24> text{};
    std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts);
    return text.data();
}

std::string lower(std::string text) {
    for (char& letter : text)
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return text;
}

std::string bytes_of(const Digest& digest) {
    return std::string(digest.begin(), digest.end());
}

}  // namespace

void sign_v4(HttpRequest& request, const SigningKey& key, const std::string& body_digest, Timestamp when) {
    const std::string time = signing_time(when);
    request.headers.push_back({"x-amz-date", Secret(time)});
    request.headers.push_back({"x-amz-content-sha256", Secret(body_digest)});
    if (!key.session_token.empty()) request.headers.push_back({"x-amz-security-token", key.session_token});

    const HttpUrl url(request.url.reveal());
    const std::string origin = url.origin();
    std::map<std::string, std::string> headers{{"host", origin.substr(origin.find("://") + 3)}};
    for (const HttpHeader& header : request.headers)
        headers[lower(header.name)] = std::string(trim(header.value.reveal()));
    std::string names;
    std::string canonical = request.method + "\n" + url.path() + "\n" + url.query() + "\n";
    for (const auto& [name, value] : headers) {
        canonical += name + ":" + value + "\n";
        names += (names.empty() ? "" : ";") + name;
    }
    canonical += "\n" + names + "\n" + body_digest;

    const std::string day = time.substr(0, 8);
    const std::string scope = day + "/" + key.region + "/" + key.service + "/aws4_request";
    const std::string to_sign = "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + sha256_hex(canonical);
    std::string secret = "AWS4" + key.key.reveal();
    for (const std::string& part : {day, key.region, key.service, std::string("aws4_request")})
        secret = bytes_of(hmac_sha256(secret, part));
    const std::string signature = to_hex(hmac_sha256(secret, to_sign));
    request.headers.push_back({"Authorization", Secret("AWS4-HMAC-SHA256 Credential=" + key.key_id + "/" + scope +
                                                       ",SignedHeaders=" + names + ",Signature=" + signature)});
}

}  // namespace lifeboat
