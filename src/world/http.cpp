#include "world/http.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>

#include <curl/curl.h>

#include "base/error.h"
#include "base/text.h"
#include "world/net.h"

namespace lifeboat {

namespace {

struct Freed {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
    void operator()(char* text) const { curl_free(text); }
};
struct MultiFreed {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
using Easy = std::unique_ptr<CURL, Freed>;
using Url = std::unique_ptr<CURLU, Freed>;

SteadyTime steady_now() {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

// Parts of a URL that was checked once, so that libcurl and we never read it differently.
class ParsedUrl {
  public:
    explicit ParsedUrl(const std::string& text) : url_(curl_url()) {
        const CURLUcode code = url_ ? curl_url_set(url_.get(), CURLUPART_URL, text.c_str(), 0) : CURLUE_OUT_OF_MEMORY;
        if (code != CURLUE_OK || text.find('\0') != std::string::npos) {
            throw Error{ErrorCode::invalid_file, std::string("this is no URL: ") + curl_url_strerror(code),
                        "Write it with its scheme, like https://host/path."};
        }
        if (const std::string scheme = part(CURLUPART_SCHEME); scheme != "http" && scheme != "https") {
            throw Error{ErrorCode::invalid_file, "the URL's scheme '" + scheme + "' is neither http nor https"};
        }
    }

    std::string part(CURLUPart which, unsigned flags = 0) const {
        char* text = nullptr;
        if (curl_url_get(url_.get(), which, &text, flags) != CURLUE_OK) return {};
        const std::unique_ptr<char, Freed> held(text);
        return text;
    }

    std::string whole() const { return part(CURLUPART_URL); }
    std::string scheme() const { return part(CURLUPART_SCHEME); }
    std::string origin() const {
        const std::string standard = scheme() == "https" ? "443" : "80";
        const std::string port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
        return scheme() + "://" + part(CURLUPART_HOST) + (port == standard ? "" : ":" + port);
    }

    // This URL with a `Location` applied to it.
    std::string resolved(const std::string& location) const {
        const Url copy(curl_url_dup(url_.get()));
        if (!copy || curl_url_set(copy.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) return location;
        char* text = nullptr;
        if (curl_url_get(copy.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) return location;
        const std::unique_ptr<char, Freed> held(text);
        return text;
    }

  private:
    Url url_;
};

ErrorCode code_of(CURLcode code) {
    // libcurl has a hundred codes; those not named here are the protocol's
    switch (static_cast<int>(code)) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_CONNECT:
        case CURLE_INTERFACE_FAILED:
            return ErrorCode::unreachable;
        case CURLE_OPERATION_TIMEDOUT:
            return ErrorCode::timed_out;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        case CURLE_SSL_INVALIDCERTSTATUS:
            return ErrorCode::denied;
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
            return ErrorCode::connection_lost;
        case CURLE_OUT_OF_MEMORY:  // also a single header of more than 100 KB
            return ErrorCode::limit_exceeded;
        default:
            return ErrorCode::protocol_failed;
    }
}

Easy new_easy() {
    static std::once_flag started;
    std::call_once(started, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    Easy easy(curl_easy_init());
    if (!easy) throw Error{ErrorCode::limit_exceeded, "libcurl has no memory"};
    return easy;
}

// Milliseconds until `deadline`, at least 1 and at most a minute.
int patience(SteadyTime deadline) {
    const Duration left = std::clamp<Duration>(deadline - steady_now(), Duration::zero(), std::chrono::minutes(1));
    return std::max(1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
}

// Performs `easy` to its end. `what` is "reach 'https://host'".
void perform(CURL* easy, const std::string& what, SteadyTime deadline, const std::stop_token& stop) {
    std::array<char, CURL_ERROR_SIZE> reason{};
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason.data());
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // a name server that does not answer must not keep us when we stop
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);

    const std::unique_ptr<CURLM, MultiFreed> multi(curl_multi_init());
    if (!multi) throw Error{ErrorCode::limit_exceeded, "libcurl has no memory"};
    const auto call = [&what](CURLMcode code) {
        if (code != CURLM_OK) throw Error{ErrorCode::io_failed, "cannot " + what + ": " + curl_multi_strerror(code)};
    };
    call(curl_multi_add_handle(multi.get(), easy));
    struct Removed {
        CURLM* multi;
        CURL* easy;
        ~Removed() { curl_multi_remove_handle(multi, easy); }
    };
    const Removed removed{multi.get(), easy};
    const std::stop_callback wake(stop, [&multi] { curl_multi_wakeup(multi.get()); });

    for (;;) {
        if (stop.stop_requested()) throw Error{ErrorCode::cancelled, "stopped before the end, as asked"};
        if (steady_now() >= deadline) {
            throw Error{ErrorCode::timed_out, "cannot " + what + ": no complete answer in time"};
        }
        int running = 0;
        call(curl_multi_perform(multi.get(), &running));
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            const CURLcode code = message->data.result;
            if (code == CURLE_OK) return;
            const char* text = reason[0] != '\0' ? reason.data() : curl_easy_strerror(code);
            throw Error{code_of(code), "cannot " + what + ": " + printable(text)};
        }
        call(curl_multi_poll(multi.get(), nullptr, 0, patience(deadline), nullptr));
    }
}

// What libcurl's callbacks fill; they let no exception out.
struct Receiver {
    HttpResponse response;
    std::uint64_t keep = 0;
    std::uint64_t header_bytes = 0;
};

constexpr std::uint64_t most_header_bytes = 128u << 10;

std::size_t take_body(char* bytes, std::size_t, std::size_t count, void* user) {
    auto& receiver = *static_cast<Receiver*>(user);
    try {
        const std::size_t room = static_cast<std::size_t>(receiver.keep) - receiver.response.body.size();
        receiver.response.body.append(bytes, std::min(room, count));
        receiver.response.cut = receiver.response.cut || room < count;
        return count;
    } catch (...) {
        return 0;
    }
}

std::size_t take_header(char* bytes, std::size_t, std::size_t count, void* user) {
    auto& receiver = *static_cast<Receiver*>(user);
    try {
        receiver.header_bytes += count;
        if (receiver.header_bytes > most_header_bytes) return 0;
        const std::string_view line(bytes, count);
        if (line.starts_with("HTTP/")) receiver.response.headers.clear();  // an answer after "100 Continue"
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) return count;
        std::string name(line.substr(0, colon));
        for (char& letter : name)
            letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
        receiver.response.headers.emplace(std::move(name), trim(line.substr(colon + 1)));
        return count;
    } catch (...) {
        return 0;
    }
}

bool is_one_line(const std::string& text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
}

HttpResponse one_request(const HttpRequest& request, const ParsedUrl& url, bool with_headers) {
    const Easy easy = new_easy();
    CURL* const handle = easy.get();
    Receiver receiver{.response = {}, .keep = request.keep.count};
    std::unique_ptr<curl_slist, Freed> headers;
    const auto add_header = [&headers](const std::string& line) {
        curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
        if (longer == nullptr) throw Error{ErrorCode::limit_exceeded, "libcurl has no memory"};
        static_cast<void>(headers.release());
        headers.reset(longer);
    };
    add_header("Expect:");  // no waiting for "100 Continue"
    if (with_headers) {
        for (const HttpHeader& header : request.headers) {
            if (header.name.empty() || header.name.find_first_of(": \t") != std::string::npos ||
                !is_one_line(header.name) || !is_one_line(header.value.reveal())) {
                throw Error{ErrorCode::invalid_file, "the header '" + printable(header.name) + "' is not one line"};
            }
            // a semicolon is libcurl's spelling for a header without a value
            add_header(header.value.empty() ? header.name + ";" : header.name + ": " + header.value.reveal());
        }
    }

    curl_easy_setopt(handle, CURLOPT_URL, url.whole().c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!request.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, request.ca_file.c_str());
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "lifeboat");
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    if (request.method == "HEAD") {
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &receiver);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &receiver);

    perform(handle, "ask '" + url.origin() + "'", request.deadline, request.stop);
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    receiver.response.status = static_cast<int>(status);
    return std::move(receiver.response);
}

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

HttpResponse http_request(const HttpRequest& request) {
    const ParsedUrl first(request.url.reveal());
    ParsedUrl url(request.url.reveal());
    for (int followed = 0;; ++followed) {
        HttpResponse response = one_request(request, url, url.origin() == first.origin());
        const auto location = response.headers.find("location");
        const bool follow = request.redirects > 0 && is_redirect(response.status) &&
                            (request.method == "GET" || request.method == "HEAD") && location != response.headers.end();
        if (!follow) return response;
        if (followed == request.redirects) {
            throw Error{ErrorCode::protocol_failed, "'" + first.origin() + "' redirects more than " +
                                                        counted(static_cast<std::size_t>(followed), "time")};
        }
        ParsedUrl next(url.resolved(location->second));
        if (url.scheme() == "https" && next.scheme() == "http") {
            throw Error{ErrorCode::protocol_failed, "'" + url.origin() + "' redirects from https to http"};
        }
        url = std::move(next);
    }
}

std::string origin_of(const std::string& url) {
    return ParsedUrl(url).origin();
}

void connect_tcp(const std::string& host, int port, SteadyTime deadline, const std::stop_token& stop) {
    if (port < 1 || port > 65535) {
        throw Error{ErrorCode::invalid_file, "there is no port " + std::to_string(port), "Ports go from 1 to 65535."};
    }
    const Url url(curl_url());
    const std::string bracketed =
        host.find(':') != std::string::npos && !host.starts_with('[') ? "[" + host + "]" : host;
    if (host.empty() || curl_url_set(url.get(), CURLUPART_SCHEME, "http", 0) != CURLUE_OK ||
        curl_url_set(url.get(), CURLUPART_HOST, bracketed.c_str(), 0) != CURLUE_OK ||
        curl_url_set(url.get(), CURLUPART_PORT, std::to_string(port).c_str(), 0) != CURLUE_OK) {
        throw Error{ErrorCode::invalid_file, "'" + printable(host) + "' is no name of a host"};
    }
    const Easy easy = new_easy();
    curl_easy_setopt(easy.get(), CURLOPT_CURLU, url.get());
    curl_easy_setopt(easy.get(), CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
    perform(easy.get(), "connect to '" + host + "' port " + std::to_string(port), deadline, stop);
}

}  // namespace lifeboat
