#include "world/http.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <exception>
#include <mutex>

#include <curl/curl.h>

#include "base/error.h"
#include "base/text.h"
#include "world/http_url.h"
#include "world/net.h"

namespace lifeboat {

namespace {

struct Freed {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct MultiFreed {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct UrlFreed {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Easy = std::unique_ptr<CURL, Freed>;
using Multi = std::unique_ptr<CURLM, MultiFreed>;
using HeaderLines = std::unique_ptr<curl_slist, Freed>;

SteadyTime steady_now() {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

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

Multi new_multi() {
    Multi multi(curl_multi_init());
    if (!multi) throw Error{ErrorCode::limit_exceeded, "libcurl has no memory"};
    return multi;
}

// Sees whether something travels. Time spent in our own callbacks is not the server's.
class Pulse {
  public:
    explicit Pulse(Duration stall) : stall_(stall), since_(steady_now()) {}

    void moved(std::size_t bytes) {
        bytes_ += bytes;
        if (bytes_ < enough) return;
        bytes_ = 0;
        since_ = steady_now();
    }
    void excuse(Duration spent) { since_ += spent; }
    SteadyTime end() const { return stall_ > Duration::zero() ? since_ + stall_ : SteadyTime::max(); }
    Duration stall() const { return stall_; }

  private:
    static constexpr std::size_t enough = 1024;
    Duration stall_;
    SteadyTime since_;
    std::size_t bytes_ = 0;
};

// What libcurl's callbacks work on; they let no exception out but keep it here.
struct Exchange {
    const HttpRequest* request = nullptr;
    CURL* easy = nullptr;
    Pulse pulse{Duration::zero()};
    HttpResponse response;
    bool begun = false;  // `answered` was called
    std::uint64_t header_bytes = 0;
    ByteSource source;
    std::uint64_t sent = 0;
    std::exception_ptr thrown;

    // Runs what belongs to the caller. False when it threw.
    bool guarded(const std::function<void()>& work) {
        const SteadyTime before = steady_now();
        try {
            work();
        } catch (...) {
            thrown = std::current_exception();
        }
        pulse.excuse(steady_now() - before);
        return thrown == nullptr;
    }

    void begin() {
        if (begun) return;
        begun = true;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        response.status = static_cast<int>(status);
        if (request->answered) request->answered(response);
    }
};

// Performs `easy` to its end. `what` is "reach 'https://host'".
void perform(CURLM* multi, CURL* easy, const std::string& what, SteadyTime deadline, const std::stop_token& stop,
             Exchange* exchange) {
    std::array<char, CURL_ERROR_SIZE> reason{};
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason.data());
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // a name server that does not answer must not keep us when we stop
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);

    const auto call = [&what](CURLMcode code) {
        if (code != CURLM_OK) throw Error{ErrorCode::io_failed, "cannot " + what + ": " + curl_multi_strerror(code)};
    };
    call(curl_multi_add_handle(multi, easy));
    struct Removed {
        CURLM* multi;
        CURL* easy;
        ~Removed() {
            curl_multi_remove_handle(multi, easy);
            curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);
        }
    };
    const Removed removed{multi, easy};
    const std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });

    for (;;) {
        if (stop.stop_requested()) throw Error{ErrorCode::cancelled, "stopped before the end, as asked"};
        const SteadyTime now = steady_now();
        if (now >= deadline) {
            throw Error{ErrorCode::timed_out, "cannot " + what + ": no complete answer in time"};
        }
        const SteadyTime stalled = exchange != nullptr ? exchange->pulse.end() : SteadyTime::max();
        if (now >= stalled) {
            curl_off_t connected = 0;
            curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
            throw Error{connected > 0 ? ErrorCode::slow : ErrorCode::unreachable,
                        "cannot " + what + ": " + (connected > 0 ? "nothing came or went" : "no connection") + " for " +
                            to_human(exchange->pulse.stall())};
        }
        int running = 0;
        call(curl_multi_perform(multi, &running));
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            const CURLcode code = message->data.result;
            if (exchange != nullptr && exchange->thrown) std::rethrow_exception(exchange->thrown);
            if (code == CURLE_OK) return;
            const char* text = reason[0] != '\0' ? reason.data() : curl_easy_strerror(code);
            throw Error{code_of(code), "cannot " + what + ": " + printable(text)};
        }
        // at least a millisecond, at most a minute
        const SteadyTime until = std::min(deadline, exchange != nullptr ? exchange->pulse.end() : SteadyTime::max());
        const Duration wait = std::clamp<Duration>(until - steady_now(), Duration::zero(), std::chrono::minutes(1));
        const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
        call(curl_multi_poll(multi, nullptr, 0, std::max(1, static_cast<int>(milliseconds)), nullptr));
    }
}

constexpr std::uint64_t most_header_bytes = 128u << 10;
constexpr long buffer_bytes = 512L << 10;

std::size_t take_body(char* bytes, std::size_t, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    exchange.pulse.moved(count);
    const bool taken = exchange.guarded([&] {
        exchange.begin();
        HttpResponse& response = exchange.response;
        if (exchange.request->sink && response.status >= 200 && response.status < 300) {
            exchange.request->sink(std::as_bytes(std::span(bytes, count)));
            return;
        }
        const std::size_t room = static_cast<std::size_t>(exchange.request->keep.count) - response.body.size();
        response.body.append(bytes, std::min(room, count));
        response.cut = response.cut || room < count;
    });
    return taken ? count : CURL_WRITEFUNC_ERROR;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    exchange.pulse.moved(count);
    try {
        exchange.header_bytes += count;
        if (exchange.header_bytes > most_header_bytes) return 0;
        const std::string_view line(bytes, count);
        // an answer after "100 Continue", or after the one that asked for a digest
        if (line.starts_with("HTTP/")) exchange.response.headers.clear();
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) return count;
        std::string name(line.substr(0, colon));
        for (char& letter : name)
            letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
        exchange.response.headers.emplace(std::move(name), trim(line.substr(colon + 1)));
        return count;
    } catch (...) {
        return 0;
    }
}

std::size_t give_body(char* buffer, std::size_t, std::size_t room, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    std::size_t count = 0;
    const bool given = exchange.guarded([&] {
        const HttpUpload& upload = *exchange.request->upload;
        if (!exchange.source) exchange.source = upload.open(0);
        const std::uint64_t left = upload.size - exchange.sent;
        if (left == 0) return;
        count = exchange.source(
            std::as_writable_bytes(std::span(buffer, static_cast<std::size_t>(std::min<std::uint64_t>(room, left)))));
        exchange.sent += count;
        const auto wrong_size = [&upload](const char* how) {
            return Error{ErrorCode::incomplete, "what was to be sent has " + std::string(how) + " than its " +
                                                    std::to_string(upload.size) + " bytes"};
        };
        if (count == 0) throw wrong_size("less");
        if (exchange.sent == upload.size) {
            std::array<std::byte, 1> more{};
            if (exchange.source(more) != 0) throw wrong_size("more");
        }
    });
    if (!given) return CURL_READFUNC_ABORT;
    exchange.pulse.moved(count);
    return count;
}

int give_again(void* user, curl_off_t offset, int origin) {
    auto& exchange = *static_cast<Exchange*>(user);
    if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
    const bool opened = exchange.guarded([&] {
        exchange.source = exchange.request->upload->open(static_cast<std::uint64_t>(offset));
        exchange.sent = static_cast<std::uint64_t>(offset);
    });
    return opened ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

bool is_one_line(const std::string& text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
}

HeaderLines header_lines(const HttpRequest& request, bool trusted) {
    HeaderLines lines;
    const auto add = [&lines](const std::string& line) {
        curl_slist* longer = curl_slist_append(lines.get(), line.c_str());
        if (longer == nullptr) throw Error{ErrorCode::limit_exceeded, "libcurl has no memory"};
        static_cast<void>(lines.release());
        lines.reset(longer);
    };
    // no waiting for "100 Continue" but before a body that may be long
    if (!request.upload) add("Expect:");
    if (!trusted) return lines;
    for (const HttpHeader& header : request.headers) {
        if (header.name.empty() || header.name.find_first_of(": \t") != std::string::npos ||
            !is_one_line(header.name) || !is_one_line(header.value.reveal())) {
            throw Error{ErrorCode::invalid_file, "the header '" + printable(header.name) + "' is not one line"};
        }
        // a semicolon is libcurl's spelling for a header without a value
        add(header.value.empty() ? header.name + ";" : header.name + ": " + header.value.reveal());
    }
    return lines;
}

void authorize(CURL* easy, const HttpAuth& auth) {
    const auto log_in = [easy](const std::string& user, const Secret& password, unsigned long kind) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, static_cast<long>(kind));
        curl_easy_setopt(easy, CURLOPT_USERNAME, user.c_str());
        curl_easy_setopt(easy, CURLOPT_PASSWORD, password.reveal().c_str());
    };
    if (const auto* basic = std::get_if<HttpBasic>(&auth)) log_in(basic->user, basic->password, CURLAUTH_BASIC);
    if (const auto* digest = std::get_if<HttpDigest>(&auth)) log_in(digest->user, digest->password, CURLAUTH_DIGEST);
}

// One request and its response; `trusted`: the credentials and headers may go there.
HttpResponse exchange_once(CURLM* multi, CURL* easy, const HttpRequest& request, const HttpUrl& url, bool trusted) {
    Exchange exchange{.request = &request, .easy = easy, .pulse = Pulse(request.stall)};
    const HeaderLines headers = header_lines(request, trusted);
    HeaderLines connect_to;
    for (const std::string& line : request.connect_to) {
        curl_slist* longer = curl_slist_append(connect_to.get(), line.c_str());
        if (longer == nullptr) throw Error{ErrorCode::limit_exceeded, "libcurl has no memory"};
        static_cast<void>(connect_to.release());
        connect_to.reset(longer);
    }

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url.whole().c_str());
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!request.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, request.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "lifeboat");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
    if (connect_to) curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to.get());
    if (request.sink) curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer_bytes);
    if (request.method == "HEAD") {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request.upload) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, buffer_bytes);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.upload->size));
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, give_again);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, &exchange);
    } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (trusted) authorize(easy, request.auth);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);

    perform(multi, easy, "ask '" + url.origin() + "'", request.deadline, request.stop, &exchange);
    exchange.begin();
    return std::move(exchange.response);
}

HttpResponse follow(CURLM* multi, CURL* easy, const HttpRequest& request) {
    const HttpUrl first(request.url.reveal());
    HttpUrl url(request.url.reveal());
    for (int followed = 0;; ++followed) {
        // a redirect that will be followed is not the answer
        HttpRequest step = request;
        if (request.redirects > 0 && (request.method == "GET" || request.method == "HEAD")) {
            step.answered = [&](const HttpResponse& head) {
                if (is_redirect(head.status) && head.headers.contains("location")) return;
                if (request.answered) request.answered(head);
            };
        }
        HttpResponse response = exchange_once(multi, easy, step, url, url.origin() == first.origin());
        const auto location = response.headers.find("location");
        const bool go_on = request.redirects > 0 && is_redirect(response.status) &&
                           (request.method == "GET" || request.method == "HEAD") && location != response.headers.end();
        if (!go_on) return response;
        if (followed == request.redirects) {
            throw Error{ErrorCode::protocol_failed, "'" + first.origin() + "' redirects more than " +
                                                        counted(static_cast<std::size_t>(followed), "time")};
        }
        HttpUrl next = url.resolved(location->second);
        if (url.scheme() == "https" && next.scheme() == "http") {
            throw Error{ErrorCode::protocol_failed, "'" + url.origin() + "' redirects from https to http"};
        }
        url = std::move(next);
    }
}

}  // namespace

// libcurl keeps connections with the multi handle, so each line is a pair that serves one request at a time.
struct HttpClient::Lines {
    struct Line {
        Multi multi = new_multi();
        Easy easy = new_easy();
    };
    std::mutex mutex;
    std::vector<Line> idle;

    Line take() {
        {
            const std::lock_guard lock(mutex);
            if (!idle.empty()) {
                Line line = std::move(idle.back());
                idle.pop_back();
                return line;
            }
        }
        return Line{};
    }

    void give_back(Line line) {
        constexpr std::size_t most_idle = 16;
        const std::lock_guard lock(mutex);
        if (idle.size() < most_idle) idle.push_back(std::move(line));
    }
};

HttpClient::HttpClient() : lines_(std::make_unique<Lines>()) {}
HttpClient::~HttpClient() = default;

HttpResponse HttpClient::send(const HttpRequest& request) {
    Lines::Line line = lines_->take();
    // a line on which something broke is not used again
    HttpResponse response = follow(line.multi.get(), line.easy.get(), request);
    // forgets the credentials, keeps the connection
    curl_easy_reset(line.easy.get());
    lines_->give_back(std::move(line));
    return response;
}

HttpResponse http_request(const HttpRequest& request) {
    return HttpClient().send(request);
}

std::string HttpResponse::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
}

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

void connect_tcp(const std::string& host, int port, SteadyTime deadline, const std::stop_token& stop) {
    if (port < 1 || port > 65535) {
        throw Error{ErrorCode::invalid_file, "there is no port " + std::to_string(port), "Ports go from 1 to 65535."};
    }
    const std::unique_ptr<CURLU, UrlFreed> url(curl_url());
    const std::string bracketed =
        host.find(':') != std::string::npos && !host.starts_with('[') ? "[" + host + "]" : host;
    if (host.empty() || curl_url_set(url.get(), CURLUPART_SCHEME, "http", 0) != CURLUE_OK ||
        curl_url_set(url.get(), CURLUPART_HOST, bracketed.c_str(), 0) != CURLUE_OK ||
        curl_url_set(url.get(), CURLUPART_PORT, std::to_string(port).c_str(), 0) != CURLUE_OK) {
        throw Error{ErrorCode::invalid_file, "'" + printable(host) + "' is no name of a host"};
    }
    const Multi multi = new_multi();
    const Easy easy = new_easy();
    curl_easy_setopt(easy.get(), CURLOPT_CURLU, url.get());
    curl_easy_setopt(easy.get(), CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
    perform(multi.get(), easy.get(), "connect to '" + host + "' port " + std::to_string(port), deadline, stop, nullptr);
}

}  // namespace lifeboat
