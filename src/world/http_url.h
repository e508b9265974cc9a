// A URL in its parts, read once by libcurl, so that it and we never read it differently; and the small texts of HTTP.
// What is in a URL may be secret: only `origin` may be shown.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

struct Curl_URL;

namespace lifeboat {

class HttpUrl {
  public:
    // Throws Error{invalid_file} unless it is http or https.
    explicit HttpUrl(const std::string& text);

    std::string whole() const;
    std::string scheme() const;
    std::string host() const;
    std::string port() const;
    std::string path() const;   // as written, percent-encoded
    std::string query() const;  // without the '?'
    bool has_user() const;      // a user or a password stands in it
    // "https://host:8443", without a standard port.
    std::string origin() const;
    // This URL with a `Location` or `href` applied to it.
    HttpUrl resolved(const std::string& location) const;

  private:
    struct Freed {
        void operator()(Curl_URL* url) const;
    };
    std::string part(int which, unsigned flags = 0) const;

    std::unique_ptr<Curl_URL, Freed> url_;
};

std::string origin_of(const std::string& url);

// Every byte but letters, digits, '-', '.', '_' and '~' as %XX; '/' is kept when `keep_slashes`.
std::string percent_encoded(std::string_view text, bool keep_slashes = false);
// nullopt for a '%' that is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text);

// The `Date` and `Last-Modified` headers: "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<Timestamp> parse_http_date(const std::string& text);
std::string to_http_date(Timestamp when);

}  // namespace lifeboat
