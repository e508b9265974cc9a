// What the stores over HTTP share: how a call reaches the server, how a range is read so that only bytes of one version
// and of that range get through, and what a refusal means. Thread-safe.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stores/store.h"
#include "world/http.h"

namespace lifeboat {

// How to reach a server; the same for every kind of store.
struct HttpLink {
    std::filesystem::path ca_file;              // trusted instead of the system's certificates
    std::vector<std::string> connect_to;        // "host:port:host:port": where to connect to instead
    Duration stall = std::chrono::seconds(60);  // without progress for so long: Error{slow}
};

class HttpCalls {
  public:
    HttpCalls(std::string store, HttpLink link);

    // `HttpClient::send` with the link and the control filled in; its failures become store errors about `key`.
    HttpResponse send(HttpRequest request, const std::string& key, const WorkControl& control);
    // The body is `size` bytes of `content` from `offset` on.
    HttpResponse upload(HttpRequest request, const Content& content, std::uint64_t offset, std::uint64_t size,
                        const std::string& key, const WorkControl& control);

    // How the parts of a read that differ between servers are asked for.
    struct Reading {
        // Adds URL and credentials to a GET and sends it, through `send` above.
        std::function<HttpResponse(HttpRequest request)> ask;
        std::function<std::optional<StoredObject>()> stat;
        // What an answer that is neither the bytes nor 412 nor 416 means.
        std::function<Error(const HttpResponse& response)> refusal;
        // The validator of the answer to a GET; empty when it has none.
        std::function<std::string(const HttpResponse& response)> validator;
    };
    ReadEnd read(const Reading& reading, const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control);

    const std::string& store() const { return store_; }

  private:
    std::string store_;
    HttpLink link_;
    HttpClient client_;
};

// What a status that is no success means; `reason` is the server's own word for it and may be empty.
Error http_refusal(const std::string& store, const std::string& key, const HttpResponse& response,
                   std::string_view reason);
// Marks an error that waiting does not mend, although its code is one of those that may go away.
Error lasting(Error error);
bool is_lasting(const Error& error);

// A strong ETag with its quotes; empty for a weak one or none.
std::string strong_etag(const std::string& etag);
// The same, but empty while the object is so young that the server's clock, which ticks in seconds, could give the next
// version the same ETag.
std::string settled_etag(const HttpResponse& response);
std::optional<std::uint64_t> parse_count(std::string_view digits);

}  // namespace lifeboat
