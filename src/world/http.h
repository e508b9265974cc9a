// One HTTP request over libcurl: HTTP/1.1, http and https only, TLS always verified, proxies of the environment
// ignored. The deadline and a stop interrupt it at once, whatever it waits for. Thread-safe.
#pragma once

#include <filesystem>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/size.h"
#include "base/time.h"

namespace lifeboat {

struct HttpHeader {
    std::string name;
    Secret value;
};

struct HttpRequest {
    std::string method = "GET";
    Secret url;  // may hold a token: messages name its origin only
    std::vector<HttpHeader> headers;
    std::string body;
    std::filesystem::path ca_file;  // trusted instead of the system's certificates
    int redirects = 0;     // how many are followed, for GET and HEAD; headers go to the first origin only (R33)
    Bytes keep{1u << 20};  // of the response's body, its first so many bytes
    SteadyTime deadline = SteadyTime::max();
    std::stop_token stop;
};

struct HttpResponse {
    int status = 0;
    std::multimap<std::string, std::string> headers;  // names in lower case
    std::string body;
    bool cut = false;  // the body was longer than `keep`
};

// Any status is a response. Throws Error{invalid_file (URL) | unreachable | connection_lost | timed_out | cancelled |
// denied (TLS) | protocol_failed}.
HttpResponse http_request(const HttpRequest& request);

// "https://host:8443" of a URL: what may be shown of it. Throws Error{invalid_file} unless it is http or https.
std::string origin_of(const std::string& url);

}  // namespace lifeboat
