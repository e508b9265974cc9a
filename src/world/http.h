// HTTP over libcurl: HTTP/1.1, http and https only, TLS always verified, proxies of the environment ignored. Bodies are
// held, or stream through a sink and a source; what those throw reaches the caller unchanged. The deadline and a stop
// interrupt a request at once, whatever it waits for. No credential and no header goes to another origin than the
// first one's (R33). Thread-safe.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "base/secret.h"
#include "base/size.h"
#include "base/time.h"
#include "world/byte_stream.h"
#include "world/http_url.h"

namespace lifeboat {

struct HttpHeader {
    std::string name;
    Secret value;
};

struct HttpBasic {
    std::string user;
    Secret password;
};
struct HttpDigest {
    std::string user;
    Secret password;
};
using HttpAuth = std::variant<std::monostate, HttpBasic, HttpDigest>;

// A body that is read while it is sent; opened again when the server asks for it a second time.
struct HttpUpload {
    std::uint64_t size = 0;
    std::function<ByteSource(std::uint64_t offset)> open;
};

struct HttpResponse {
    int status = 0;
    std::multimap<std::string, std::string> headers;  // names in lower case
    std::string body;
    bool cut = false;  // the body was longer than `keep`

    // The first of that name, which is in lower case; empty when there is none.
    std::string header(const std::string& name) const;
};

struct HttpRequest {
    std::string method = "GET";
    Secret url;  // may hold a token: messages name its origin only
    std::vector<HttpHeader> headers;
    std::string body;
    std::optional<HttpUpload> upload;  // instead of `body`
    HttpAuth auth;
    std::filesystem::path ca_file;        // trusted instead of the system's certificates
    std::vector<std::string> connect_to;  // "host:port:host:port": where to connect to instead
    int redirects = 0;     // how many are followed, for GET and HEAD; headers go to the first origin only (R33)
    Bytes keep{1u << 20};  // of the response's body, its first so many bytes
    // Called once, when the headers of the last response are there and before its body.
    std::function<void(const HttpResponse& head)> answered;
    // Takes the body of a response with a status from 200 to 299 instead of `HttpResponse::body`.
    ByteSink sink;
    // The longest time in which less than 1 KiB travels in either direction; zero: any. What the sink, the source and
    // `answered` take does not count.
    Duration stall = Duration::zero();
    SteadyTime deadline = SteadyTime::max();
    std::stop_token stop;
};

// Keeps its connections and uses them again; one for each request that is under way.
class HttpClient {
  public:
    HttpClient();
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Any status is a response. Throws Error{invalid_file (URL) | unreachable | connection_lost | slow (stalled) |
    // timed_out | cancelled | denied (TLS) | limit_exceeded | protocol_failed}. A source that gives less than its size
    // is Error{incomplete}.
    HttpResponse send(const HttpRequest& request);

  private:
    struct Lines;
    std::unique_ptr<Lines> lines_;
};

// One request over a connection of its own.
HttpResponse http_request(const HttpRequest& request);

bool is_redirect(int status);

}  // namespace lifeboat
