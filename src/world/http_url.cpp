#include "world/http_url.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <curl/curl.h>

#include "base/error.h"

namespace lifeboat {

namespace {

constexpr unsigned as_written = CURLU_PATH_AS_IS;

Error no_url(CURLUcode code) {
    return Error{ErrorCode::invalid_file, std::string("this is no URL: ") + curl_url_strerror(code),
                 "Write it with its scheme, like https://host/path."};
}

int hexadecimal(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

}  // namespace

void HttpUrl::Freed::operator()(Curl_URL* url) const {
    curl_url_cleanup(url);
}

HttpUrl::HttpUrl(const std::string& text) : url_(curl_url()) {
    const CURLUcode code =
        url_ ? curl_url_set(url_.get(), CURLUPART_URL, text.c_str(), as_written) : CURLUE_OUT_OF_MEMORY;
    if (code != CURLUE_OK || text.find('\0') != std::string::npos) throw no_url(code);
    if (const std::string named = scheme(); named != "http" && named != "https") {
        throw Error{ErrorCode::invalid_file, "the URL's scheme '" + named + "' is neither http nor https"};
    }
}

std::string HttpUrl::part(int which, unsigned flags) const {
    char* text = nullptr;
    if (curl_url_get(url_.get(), static_cast<CURLUPart>(which), &text, flags) != CURLUE_OK) return {};
    const std::unique_ptr<char, decltype(&curl_free)> held(text, curl_free);
    return text;
}

std::string HttpUrl::whole() const {
    return part(CURLUPART_URL);
}
std::string HttpUrl::scheme() const {
    return part(CURLUPART_SCHEME);
}
std::string HttpUrl::host() const {
    return part(CURLUPART_HOST);
}
std::string HttpUrl::port() const {
    return part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
}
std::string HttpUrl::path() const {
    return part(CURLUPART_PATH);
}
std::string HttpUrl::query() const {
    return part(CURLUPART_QUERY);
}
bool HttpUrl::has_user() const {
    return !part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty();
}

std::string HttpUrl::origin() const {
    const std::string standard = scheme() == "https" ? "443" : "80";
    return scheme() + "://" + host() + (port() == standard ? "" : ":" + port());
}

HttpUrl HttpUrl::resolved(const std::string& location) const {
    const std::unique_ptr<Curl_URL, Freed> copy(curl_url_dup(url_.get()));
    const CURLUcode code =
        copy ? curl_url_set(copy.get(), CURLUPART_URL, location.c_str(), as_written) : CURLUE_OUT_OF_MEMORY;
    char* text = nullptr;
    if (code != CURLUE_OK || curl_url_get(copy.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) throw no_url(code);
    const std::unique_ptr<char, decltype(&curl_free)> held(text, curl_free);
    return HttpUrl(text);
}

std::string origin_of(const std::string& url) {
    return HttpUrl(url).origin();
}

std::string percent_encoded(std::string_view text, bool keep_slashes) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char byte : text) {
        const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~' ||
                           (keep_slashes && byte == '/');
        if (plain) {
            encoded += byte;
            continue;
        }
        const auto code = static_cast<unsigned char>(byte);
        encoded += '%';
        encoded += digits[code >> 4];
        encoded += digits[code & 15];
    }
    return encoded;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hexadecimal(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hexadecimal(text[i + 2]) : -1;
        if (high < 0 || low < 0) return std::nullopt;
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return decoded;
}

std::optional<Timestamp> parse_http_date(const std::string& text) {
    const std::time_t seconds = text.empty() ? -1 : curl_getdate(text.c_str(), nullptr);
    if (seconds < 0) return std::nullopt;
    return Timestamp(std::chrono::seconds(seconds));
}

std::string to_http_date(Timestamp when) {
    constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(when).time_since_epoch().count();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  days[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                  months[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                  parts.tm_sec);
    return text.data();
}

}  // namespace lifeboat
