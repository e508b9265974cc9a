#include "stores/http_calls.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace lifeboat {

namespace {

// Thrown by our own callbacks to end a response whose rest is not wanted.
struct Enough {};
struct Changed {};
struct Behind {};

struct ContentRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::optional<std::uint64_t> whole;  // the object's size
};

// "bytes 10-19/100"
std::optional<ContentRange> parse_content_range(std::string_view text) {
    constexpr std::string_view unit = "bytes ";
    const std::size_t dash = text.find('-');
    const std::size_t slash = text.find('/');
    if (!text.starts_with(unit) || dash == std::string_view::npos || slash == std::string_view::npos || slash < dash)
        return std::nullopt;
    const auto first = parse_count(text.substr(unit.size(), dash - unit.size()));
    const auto last = parse_count(text.substr(dash + 1, slash - dash - 1));
    if (!first || !last) return std::nullopt;
    return ContentRange{*first, *last, parse_count(text.substr(slash + 1))};
}

std::string hint_for(ErrorCode code) {
    if (code == ErrorCode::unreachable) return "Check the address and that the server runs.";
    if (code == ErrorCode::denied) return "Check the server's certificate and the CA file given for this store.";
    return {};
}

}  // namespace

HttpCalls::HttpCalls(std::string store, HttpLink link) : store_(std::move(store)), link_(std::move(link)) {}

HttpResponse HttpCalls::send(HttpRequest request, const std::string& key, const WorkControl& control) {
    control.check();
    request.ca_file = link_.ca_file;
    request.connect_to = link_.connect_to;
    if (request.stall == Duration::zero()) request.stall = link_.stall;
    request.deadline = control.deadline;
    request.stop = control.stop;

    // what the caller's callbacks throw is told apart from the client's own failures
    std::exception_ptr theirs;
    const auto keeping = [&theirs](const auto& work) {
        try {
            return work();
        } catch (...) {
            theirs = std::current_exception();
            throw;
        }
    };
    if (request.answered) {
        request.answered = [&, answered = request.answered](const HttpResponse& head) {
            keeping([&] { answered(head); });
        };
    }
    if (request.sink) {
        request.sink = [&, sink = request.sink](std::span<const std::byte> bytes) { keeping([&] { sink(bytes); }); };
    }
    if (request.upload) {
        request.upload->open = [&, open = request.upload->open](std::uint64_t offset) -> ByteSource {
            ByteSource source = keeping([&] { return open(offset); });
            return [&, source](std::span<std::byte> into) { return keeping([&] { return source(into); }); };
        };
    }
    try {
        return client_.send(request);
    } catch (const Error& error) {
        if (theirs) throw;
        throw store_error(error.code, store_, key, error.message,
                          error.hint.empty() ? hint_for(error.code) : error.hint);
    }
}

HttpResponse HttpCalls::upload(HttpRequest request, const Content& content, std::uint64_t offset, std::uint64_t size,
                               const std::string& key, const WorkControl& control) {
    const bool to_the_end = offset + size == content.size;
    if (content.size == 0) {
        std::array<std::byte, 1> more{};
        if (content.open(0)(more) != 0)
            throw store_error(ErrorCode::incomplete, store_, key, "what was to be written has more than its 0 bytes");
    }
    request.upload = HttpUpload{
        .size = size, .open = [&content, &control, offset, size, to_the_end](std::uint64_t again) -> ByteSource {
            // a part ends where the next one begins; the last one shows whether the content ends there too
            return [source = content.open(offset + again), &control, left = size - again,
                    to_the_end](std::span<std::byte> into) mutable -> std::size_t {
                if (left == 0 && !to_the_end) return 0;
                const std::size_t room = left == 0 ? into.size() : std::min<std::size_t>(into.size(), left);
                const std::size_t count = source(into.first(room));
                if (left > 0) {
                    left -= count;
                    control.advance(count);
                }
                return count;
            };
        }};
    return send(std::move(request), key, control);
}

ReadEnd HttpCalls::read(const Reading& reading, const std::string& key, const ReadRange& range, const ByteSink& sink,
                        const WorkControl& control) {
    const auto too_short = [&] {
        return store_error(ErrorCode::incomplete, store_, key, "it ends before the range that was asked for");
    };
    // for what a range cannot say: no bytes at all
    const auto look_for_nothing = [&] {
        const std::optional<StoredObject> object = reading.stat();
        if (!object) throw store_error(ErrorCode::not_found, store_, key, "there is no such object");
        if (!range.validator.empty() && object->validator != range.validator) return ReadEnd::changed;
        if (range.offset > object->size.count) throw too_short();
        if (range.length.value_or(object->size.count - range.offset) > 0) throw too_short();
        return ReadEnd::complete;
    };
    if (range.length == 0u) return look_for_nothing();

    HttpRequest request;
    request.headers.push_back({"Accept-Encoding", Secret("identity")});
    const bool ranged = range.offset > 0 || range.length.has_value();
    if (ranged) {
        const std::string last = range.length ? std::to_string(range.offset + *range.length - 1) : std::string();
        request.headers.push_back({"Range", Secret("bytes=" + std::to_string(range.offset) + "-" + last)});
    }
    if (!range.validator.empty()) request.headers.push_back({"If-Match", Secret(range.validator)});

    bool surplus = false;  // more follows than was asked for
    std::uint64_t skip = 0;
    std::optional<std::uint64_t> left = range.length;
    request.answered = [&](const HttpResponse& head) {
        if (head.status < 200 || head.status > 299) return;
        const auto wrong = [&](const std::string& why) {
            return store_error(ErrorCode::protocol_failed, store_, key, why);
        };
        if (!range.validator.empty()) {
            const std::string validator = reading.validator(head);
            if (validator.empty()) throw wrong("the server does not say which version it sends");
            if (validator != range.validator) throw Changed{};
        }
        if (head.status == 206) {
            const auto sent = parse_content_range(head.header("content-range"));
            if (sent && sent->whole && range.offset >= *sent->whole) throw Behind{};
            if (!ranged || !sent || sent->first != range.offset || sent->last < sent->first)
                throw wrong("the server sends another range");
            if (range.length && sent->last - sent->first + 1 < *range.length) throw too_short();
            if (range.length && sent->last - sent->first + 1 > *range.length)
                throw wrong("the server sends another range");
            left = sent->last - sent->first + 1;
        } else if (head.status == 200) {
            // a server that ignores ranges sends everything from its start
            skip = range.offset;
            surplus = range.length.has_value();
            const auto whole = parse_count(head.header("content-length"));
            if (whole && (range.offset > *whole || (range.length && *range.length > *whole - range.offset)))
                throw too_short();
        } else {
            throw wrong("the server answered " + std::to_string(head.status) + " to a read");
        }
    };
    request.sink = [&](std::span<const std::byte> bytes) {
        const std::size_t behind = static_cast<std::size_t>(std::min<std::uint64_t>(skip, bytes.size()));
        skip -= behind;
        bytes = bytes.subspan(behind);
        if (left) {
            bytes = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(*left, bytes.size())));
            *left -= bytes.size();
        }
        if (!bytes.empty()) sink(bytes);
        control.advance(bytes.size());
        if (surplus && left == 0u) throw Enough{};
    };
    HttpResponse response;
    try {
        response = reading.ask(request);
    } catch (const Enough&) {
        return ReadEnd::complete;
    } catch (const Changed&) {
        return ReadEnd::changed;
    } catch (const Behind&) {
        return look_for_nothing();
    }
    if (response.status == 412 && !range.validator.empty()) return ReadEnd::changed;
    if (response.status == 416) return look_for_nothing();
    if (response.status != 200 && response.status != 206) throw reading.refusal(response);
    if (skip > 0 || left.value_or(0) > 0) throw too_short();
    return ReadEnd::complete;
}

Error http_refusal(const std::string& store, const std::string& key, const HttpResponse& response,
                   std::string_view reason) {
    const int status = response.status;
    std::string why = "the server answered " + std::to_string(status);
    if (!reason.empty()) why += " (" + printable(reason.substr(0, 100)) + ")";
    const auto made = [&](ErrorCode code, std::string hint = {}) {
        Error error = store_error(code, store, key, why, std::move(hint));
        error.details["status"] = status;
        if (const auto seconds = parse_count(response.header("retry-after"))) error.details["retry_after"] = *seconds;
        return error;
    };
    if (is_redirect(status))
        return made(ErrorCode::refused, "Credentials are not sent to another place: name that place as the endpoint.");
    if (status == 401) return made(ErrorCode::denied, "Check the credentials given for this store.");
    if (status == 403) return made(ErrorCode::denied, "Check what the credentials of this store are allowed to do.");
    if (status == 407) return made(ErrorCode::denied);
    if (status == 404 || status == 410) return made(ErrorCode::not_found);
    if (status == 405 || status == 501) return made(ErrorCode::unsupported);
    if (status == 413) return made(ErrorCode::limit_exceeded);
    if (status == 408 || status == 429 || status == 503) return made(ErrorCode::slow);
    if (status == 507) return made(ErrorCode::disk_full);
    if (status >= 500) return made(ErrorCode::unreachable);
    return made(ErrorCode::io_failed);
}

Error lasting(Error error) {
    error.details["lasting"] = true;
    return error;
}

bool is_lasting(const Error& error) {
    return error.details.is_object() && error.details.value("lasting", false);
}

std::string strong_etag(const std::string& etag) {
    if (etag.empty() || etag.starts_with("W/")) return {};
    return etag.front() == '"' ? etag : "\"" + etag + "\"";
}

std::string settled_etag(const HttpResponse& response) {
    const auto modified = parse_http_date(response.header("last-modified"));
    const auto now = parse_http_date(response.header("date"));
    if (modified && now && *now < *modified + std::chrono::seconds(2)) return {};
    return strong_etag(response.header("etag"));
}

std::optional<std::uint64_t> parse_count(std::string_view digits) {
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return count;
}

}  // namespace lifeboat
