#include "stores/s3.h"

#include <algorithm>
#include <array>

#include "base/sha256.h"
#include "base/text.h"
#include "stores/key.h"
#include "stores/signature_v4.h"
#include "stores/xml.h"

namespace lifeboat {

namespace {

constexpr std::string_view no_body_digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::uint64_t most_parts = 10'000;
constexpr Bytes longest_answer{32u << 20};
constexpr std::size_t block_size = 1u << 20;

std::string endpoint_of(const S3Options& options) {
    if (!options.endpoint.empty()) return options.endpoint;
    return "https://s3." + options.region + ".amazonaws.com";
}

// The service's own word for an error; empty when the answer holds none.
std::string error_word(const HttpResponse& response) {
    const std::optional<XmlElement> answer = parse_xml(response.body);
    return answer && answer->name == "Error" ? answer->text_of("Code") : std::string();
}

constexpr const char* deep_archive = "DEEP_ARCHIVE";

// Objects of "GLACIER_IR" and of Google's "ARCHIVE" can be read at once; of "INTELLIGENT_TIERING" no listing says it.
bool is_frozen_class(const std::string& storage_class) {
    return storage_class == "GLACIER" || storage_class == deep_archive;
}

// A part of what is written, with the digest that goes before it. It is read once and held; one that is too large for
// that, in objects of hundreds of GiB, is read again to be sent.
class Part {
  public:
    Part(const Content& whole, std::uint64_t offset, std::uint64_t size, const std::string& store,
         const std::string& key, const WorkControl& control)
        : size_(size), offset_(offset), content_(whole) {
        const bool hold = size <= most_held;
        const std::size_t block = hold ? static_cast<std::size_t>(size) : block_size;
        held_ = std::make_shared<std::vector<std::byte>>(std::max<std::size_t>(1, block));
        const ByteSource source = whole.open(offset);
        const auto wrong_size = [&](const char* how) {
            return store_error(ErrorCode::incomplete, store, key,
                               "what was to be written has " + std::string(how) + " than its " +
                                   std::to_string(whole.size) + " bytes");
        };
        Sha256 digest;
        for (std::uint64_t done = 0; done < size;) {
            control.check();
            const std::span<std::byte> room = std::span(*held_).subspan(hold ? static_cast<std::size_t>(done) : 0);
            const std::size_t count =
                source(room.first(static_cast<std::size_t>(std::min<std::uint64_t>(block_size, size - done))));
            if (count == 0) throw wrong_size("less");
            digest.update(room.first(count));
            done += count;
        }
        std::array<std::byte, 1> more{};
        if (offset + size == whole.size && source(more) != 0) throw wrong_size("more");
        digest_ = to_hex(digest.finish());
        if (!hold) return;
        offset_ = 0;
        content_ = {.size = size, .open = [held = held_, size](std::uint64_t from) -> ByteSource {
                        return [held, size, from](std::span<std::byte> into) mutable -> std::size_t {
                            const std::size_t count =
                                static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size - from));
                            std::copy_n(held->begin() + static_cast<std::ptrdiff_t>(from), count, into.begin());
                            from += count;
                            return count;
                        };
                    }};
    }

    const std::string& digest() const { return digest_; }
    const Content& content() const { return content_; }
    std::uint64_t offset() const { return offset_; }  // in that content
    std::uint64_t size() const { return size_; }

  private:
    static constexpr std::uint64_t most_held = 32u << 20;

    std::uint64_t size_;
    std::uint64_t offset_;
    Content content_;
    std::shared_ptr<std::vector<std::byte>> held_;
    std::string digest_;
};

std::optional<std::string> listed_text(const std::string& text, bool encoded) {
    if (!encoded) return text;
    std::string spaced = text;
    std::replace(spaced.begin(), spaced.end(), '+', ' ');
    return percent_decoded(spaced);
}

}  // namespace

struct S3Store::Call {
    const std::string& key;  // empty: the bucket
    Query query = {};
    std::string body_digest = std::string(no_body_digest);
    const Content* content = nullptr;  // what is uploaded, from `offset` on
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

S3Store::S3Store(std::string name, S3Options options)
    : name_(std::move(name)),
      options_(std::move(options)),
      endpoint_(endpoint_of(options_)),
      calls_(name_, options_.link),
      conditional_(options_.conditional_writes) {
    const auto refuse = [this](const char* why) { throw store_error(ErrorCode::invalid_file, name_, {}, why); };
    if (options_.bucket.empty() || options_.bucket.find('/') != std::string::npos) refuse("a bucket has to be named");
    if (endpoint_.has_user()) refuse("the endpoint holds a user or a password: give them as secrets of their own");
    if (!endpoint_.query().empty()) refuse("the endpoint's URL ends with its path");
    if (!options_.prefix.empty() && (options_.prefix.front() == '/' || options_.prefix.back() != '/'))
        refuse("the prefix does not begin with '/' and ends with it");
    if (options_.part_size.count < (5u << 20)) refuse("parts are at least 5 MiB large");
}

StoreFeatures S3Store::features() const {
    return StoreFeatures{.exclusive_writes = conditional_.load(), .parallel_reads = 4};
}

std::string S3Store::url_of(const std::string& key, const Query& query) const {
    std::string base = endpoint_.path();
    if (base.ends_with('/')) base.pop_back();
    std::string authority = endpoint_.host();
    const std::string origin = endpoint_.origin();
    const std::string port = origin.substr((endpoint_.scheme() + "://" + authority).size());
    if (options_.virtual_hosts) {
        authority = options_.bucket + "." + authority;
    } else {
        base += "/" + options_.bucket;
    }
    std::string url = endpoint_.scheme() + "://" + authority + port + base + "/";
    if (!key.empty()) url += percent_encoded(options_.prefix + key, true);
    char separator = '?';
    for (const auto& [parameter, value] : query) {
        url += separator + percent_encoded(parameter) + "=" + percent_encoded(value);
        separator = '&';
    }
    return url;
}

HttpResponse S3Store::send(HttpRequest request, const Call& call, const WorkControl& control) {
    std::string url = url_of(call.key, call.query);
    bool clock_corrected = false;
    for (int redirects = 0;;) {
        HttpRequest signed_request = request;
        signed_request.url = Secret(url);
        signed_request.keep = longest_answer;
        if (!options_.bearer.empty()) {
            signed_request.headers.push_back({"Authorization", Secret("Bearer " + options_.bearer.reveal())});
        } else if (!options_.key_id.empty()) {
            const SigningKey key{.region = options_.region,
                                 .key_id = options_.key_id,
                                 .key = options_.key,
                                 .session_token = options_.session_token};
            sign_v4(signed_request, key, call.body_digest, SystemClock().now() + clock_offset_.load());
        }
        const HttpResponse response =
            call.content == nullptr
                ? calls_.send(std::move(signed_request), call.key, control)
                : calls_.upload(std::move(signed_request), *call.content, call.offset, call.size, call.key, control);

        if (response.status == 403 && !clock_corrected) {
            // an answer to HEAD says no more than that it refuses; its date says whether the clock is the reason
            const std::string word = error_word(response);
            const auto theirs = parse_http_date(response.header("date"));
            const auto tolerated = std::chrono::minutes(4);
            const auto ours = SystemClock().now();
            const bool skewed =
                theirs && std::chrono::abs(*theirs - (ours + clock_offset_.load())) > Duration(tolerated);
            if (theirs && (word == "RequestTimeTooSkewed" || (skewed && request.method == "HEAD"))) {
                clock_offset_ = std::chrono::duration_cast<Duration>(*theirs - ours);
                clock_corrected = true;
                continue;
            }
        }
        if (!is_redirect(response.status)) return response;

        const std::string location = response.header("location");
        const std::string region = response.header("x-amz-bucket-region");
        if (location.empty() || redirects == 3) {
            throw store_error(ErrorCode::refused, name_, call.key,
                              "the server sends us elsewhere, but not where" +
                                  (region.empty() ? std::string() : ": the bucket is in region '" + region + "'"),
                              "Set the store's region and endpoint to those of the bucket.");
        }
        const HttpUrl next = HttpUrl(url).resolved(location);
        const bool same_service = next.scheme() == endpoint_.scheme() && next.port() == endpoint_.port() &&
                                  (next.host() == endpoint_.host() || next.host().ends_with("." + endpoint_.host()));
        if (!same_service) {
            throw store_error(ErrorCode::refused, name_, call.key,
                              "the server redirects to '" + next.origin() + "', which is not its endpoint",
                              "Set the store's endpoint to that place if it is yours.");
        }
        url = next.whole();
        ++redirects;
    }
}

Error S3Store::refusal(const HttpResponse& response, const std::string& key) const {
    const std::string word = error_word(response);
    const auto made = [&](ErrorCode code, std::string_view why, std::string hint = {}) {
        return store_error(code, name_, key, why, std::move(hint));
    };
    if (word == "NoSuchKey") return made(ErrorCode::not_found, "there is no such object");
    if (word == "NoSuchBucket")
        return lasting(made(ErrorCode::unreachable, "there is no bucket '" + options_.bucket + "'",
                            "Check the bucket's name, the region and the endpoint."));
    if (word == "InvalidObjectState")
        return made(ErrorCode::archived, "it lies in cold storage", "Ask for it to be thawed first; that takes hours.");
    if (word == "RequestTimeTooSkewed")
        return made(ErrorCode::denied, "the server's clock is too far from ours", "Set the clock of this machine.");
    if (word == "QuotaExceeded") return made(ErrorCode::disk_full, "the quota is used up");
    if (word == "XAmzContentSHA256Mismatch" || word == "BadDigest")
        return made(ErrorCode::corrupt, "what arrived at the server is not what was sent");
    HttpResponse judged = response;
    // some errors come with a status that says something else
    if (word == "SlowDown" || word == "RequestTimeout" || word == "RequestLimitExceeded") judged.status = 503;
    if (word == "InternalError") judged.status = 500;
    if (word == "EntityTooLarge") judged.status = 413;
    return http_refusal(name_, key, judged, word);
}

void S3Store::check_bucket(const WorkControl& control) {
    if (bucket_seen_) return;
    const std::string none;
    const HttpResponse response =
        send(HttpRequest{}, Call{.key = none, .query = {{"list-type", "2"}, {"max-keys", "1"}}}, control);
    if (response.status != 200) throw refusal(response, {});
    bucket_seen_ = true;
}

HttpResponse S3Store::head(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    HttpResponse response = send(HttpRequest{.method = "HEAD"}, Call{.key = key}, control);
    if (response.status == 200) {
        bucket_seen_ = true;
    } else if (response.status == 404) {
        check_bucket(control);
    } else {
        throw refusal(response, key);
    }
    return response;
}

std::optional<StoredObject> S3Store::stat(const std::string& key, const WorkControl& control) {
    const HttpResponse response = head(key, control);
    if (response.status == 404) return std::nullopt;
    return StoredObject{.key = key,
                        .size = Bytes{parse_count(response.header("content-length")).value_or(0)},
                        .modified = parse_http_date(response.header("last-modified")),
                        .validator = strong_etag(response.header("etag"))};
}

void S3Store::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    const std::string none;
    std::string continuation;
    do {
        Call call{.key = none};
        call.query = {{"list-type", "2"},
                      {"encoding-type", "url"},
                      {"max-keys", "1000"},
                      {"prefix", options_.prefix + query.prefix}};
        if (query.one_level) call.query["delimiter"] = "/";
        if (!continuation.empty()) call.query["continuation-token"] = continuation;
        const HttpResponse response = send(HttpRequest{}, call, control);
        if (response.status != 200) throw refusal(response, {});
        bucket_seen_ = true;
        const std::optional<XmlElement> answer = response.cut ? std::nullopt : parse_xml(response.body);
        if (!answer || answer->name != "ListBucketResult")
            throw store_error(ErrorCode::protocol_failed, name_, {}, "the listing is not one of S3's");

        const bool encoded = answer->text_of("EncodingType") == "url";
        std::vector<Listed> lines;
        const auto add = [&](const std::string& written, const XmlElement& element, bool folder) {
            const std::optional<std::string> whole = listed_text(written, encoded);
            if (!whole || !whole->starts_with(options_.prefix)) return;
            Listed line{.object = {.key = whole->substr(options_.prefix.size())}, .folder = folder};
            const std::string_view key = line.object.key;
            // others may have written what is no key to us, folders as empty objects above all
            if (!key_refusal(folder ? key.substr(0, key.size() - 1) : key).empty()) return;
            if (!folder) {
                line.object.size = Bytes{parse_count(element.text_of("Size")).value_or(0)};
                line.object.modified = parse_timestamp(element.text_of("LastModified"));
                line.object.validator = strong_etag(element.text_of("ETag"));
                std::string storage_class = element.text_of("StorageClass");
                if (is_frozen_class(storage_class)) line.object.cold_class = std::move(storage_class);
            }
            lines.push_back(std::move(line));
        };
        for (const XmlElement& element : answer->children) {
            if (element.name == "Contents") add(element.text_of("Key"), element, false);
            if (element.name == "CommonPrefixes") add(element.text_of("Prefix"), element, true);
        }
        std::sort(lines.begin(), lines.end(),
                  [](const Listed& a, const Listed& b) { return a.object.key < b.object.key; });
        if (!lines.empty() && !page(lines)) return;
        const std::string next = answer->text_of("NextContinuationToken");
        const bool more = answer->text_of("IsTruncated") == "true";
        if (more && (next.empty() || next == continuation))
            throw store_error(ErrorCode::protocol_failed, name_, {}, "the listing does not say how it goes on");
        continuation = more ? next : std::string();
    } while (!continuation.empty());
}

ReadEnd S3Store::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                      const WorkControl& control) {
    check_key(name_, key);
    const HttpCalls::Reading reading{
        .ask = [&](HttpRequest request) { return send(std::move(request), Call{.key = key}, control); },
        .stat = [&] { return stat(key, control); },
        .refusal = [&](const HttpResponse& response) { return refusal(response, key); },
        .validator = [](const HttpResponse& response) { return strong_etag(response.header("etag")); }};
    return calls_.read(reading, key, range, sink, control);
}

void S3Store::add_write_headers(HttpRequest& request, const WriteOptions& options) const {
    const auto add = [&](const char* header, const std::string& value) {
        if (!value.empty()) request.headers.push_back({header, Secret(value)});
    };
    add("Content-Type", "application/octet-stream");
    if (!options.at_hand || !is_frozen_class(options_.storage_class))
        add(options_.google && !options_.bearer.empty() ? "x-goog-storage-class" : "x-amz-storage-class",
            options_.storage_class);
    add("x-amz-server-side-encryption", options_.encryption);
    add("x-amz-server-side-encryption-aws-kms-key-id", options_.kms_key);
}

void S3Store::add_exclusive(HttpRequest& request) const {
    if (!conditional_) return;
    if (options_.google) {
        request.headers.push_back({"x-goog-if-generation-match", Secret("0")});
    } else {
        request.headers.push_back({"If-None-Match", Secret("*")});
    }
}

void S3Store::refuse_write(const HttpResponse& response, const std::string& key, bool exclusive) const {
    if (exclusive && (response.status == 412 || response.status == 409))
        throw store_error(ErrorCode::already_exists, name_, key, "it is already there");
    Error error = refusal(response, key);
    // no object is missing when one is written
    if (error.code == ErrorCode::not_found) error.code = ErrorCode::unreachable;
    throw error;
}

StoredObject S3Store::write(const std::string& key, const Content& content, const WriteOptions& options,
                            const WorkControl& control) {
    check_key(name_, key);
    control.check();
    // a service that ignores the condition would replace: looking first leaves it only a moment for that
    if (options.exclusive && stat(key, control))
        throw store_error(ErrorCode::already_exists, name_, key, "it is already there");
    return content.size > options_.multipart_above.count ? write_parts(key, content, options, control)
                                                         : write_whole(key, content, options, control);
}

StoredObject S3Store::write_whole(const std::string& key, const Content& content, const WriteOptions& options,
                                  const WorkControl& control) {
    const Part part(content, 0, content.size, name_, key, control);
    const Call call{.key = key,
                    .body_digest = part.digest(),
                    .content = &part.content(),
                    .offset = part.offset(),
                    .size = part.size()};
    HttpRequest request{.method = "PUT"};
    add_write_headers(request, options);
    if (options.exclusive) add_exclusive(request);
    const HttpResponse response = send(request, call, control);
    if (options.exclusive && conditional_ && response.status == 501) {
        conditional_ = false;
        return write_whole(key, content, options, control);
    }
    if (response.status != 200) refuse_write(response, key, options.exclusive);
    bucket_seen_ = true;
    return StoredObject{.key = key,
                        .size = Bytes{content.size},
                        .modified = std::nullopt,
                        .validator = strong_etag(response.header("etag"))};
}

StoredObject S3Store::write_parts(const std::string& key, const Content& content, const WriteOptions& options,
                                  const WorkControl& control) {
    HttpRequest start{.method = "POST"};
    add_write_headers(start, options);
    const HttpResponse started = send(start, Call{.key = key, .query = {{"uploads", ""}}}, control);
    if (started.status != 200) refuse_write(started, key, false);
    const std::optional<XmlElement> answer = parse_xml(started.body);
    const std::string upload_id = answer ? answer->text_of("UploadId") : std::string();
    if (upload_id.empty())
        throw store_error(ErrorCode::protocol_failed, name_, key, "the server names no upload to add parts to");
    try {
        constexpr std::uint64_t mebibyte = 1u << 20;
        const std::uint64_t smallest = (content.size + most_parts - 1) / most_parts;
        const std::uint64_t part_size =
            std::max(options_.part_size.count, (smallest + mebibyte - 1) / mebibyte * mebibyte);
        std::vector<std::string> etags;
        for (std::uint64_t offset = 0; offset < content.size; offset += part_size) {
            const std::uint64_t size = std::min(part_size, content.size - offset);
            const Part part(content, offset, size, name_, key, control);
            const Call call{.key = key,
                            .query = {{"partNumber", std::to_string(etags.size() + 1)}, {"uploadId", upload_id}},
                            .body_digest = part.digest(),
                            .content = &part.content(),
                            .offset = part.offset(),
                            .size = part.size()};
            const HttpResponse response = send(HttpRequest{.method = "PUT"}, call, control);
            if (response.status != 200) refuse_write(response, key, false);
            etags.push_back(response.header("etag"));
            if (etags.back().empty())
                throw store_error(ErrorCode::protocol_failed, name_, key, "the server names no version of a part");
        }
        const std::string etag = complete(key, upload_id, etags, options.exclusive, control);
        if (!etag.empty())
            return StoredObject{.key = key, .size = Bytes{content.size}, .modified = std::nullopt, .validator = etag};
    } catch (...) {
        abort(key, upload_id);
        throw;
    }
    // some services do not say which version it became
    if (std::optional<StoredObject> object = stat(key, control)) return *object;
    throw store_error(ErrorCode::moved, name_, key, "it was removed as soon as it had been written");
}

std::string S3Store::complete(const std::string& key, const std::string& upload_id,
                              const std::vector<std::string>& etags, bool exclusive, const WorkControl& control) {
    std::string body = "<CompleteMultipartUpload>";
    for (std::size_t i = 0; i < etags.size(); ++i) {
        body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" + xml_escaped(etags[i]) +
                "</ETag></Part>";
    }
    body += "</CompleteMultipartUpload>";
    HttpRequest request{.method = "POST", .headers = {{"Content-Type", Secret("application/xml")}}, .body = body};
    // the service may put the parts together before it answers
    request.stall = std::max<Duration>(options_.link.stall, std::chrono::minutes(10));
    if (exclusive) add_exclusive(request);
    const Call call{.key = key, .query = {{"uploadId", upload_id}}, .body_digest = sha256_hex(body)};
    HttpResponse response = send(request, call, control);
    if (exclusive && conditional_ && response.status == 501) {
        conditional_ = false;
        return complete(key, upload_id, etags, exclusive, control);
    }
    // success is only what the body says, which is written after the status was sent
    const std::optional<XmlElement> answer = parse_xml(response.body);
    if (response.status == 200 && (!answer || answer->name != "CompleteMultipartUploadResult")) response.status = 500;
    if (response.status != 200) refuse_write(response, key, exclusive);
    return strong_etag(answer->text_of("ETag"));
}

void S3Store::abort(const std::string& key, const std::string& upload_id) {
    // also when we were asked to stop: parts that nobody needs cost money until they go
    try {
        const auto soon =
            std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + std::chrono::seconds(10);
        send(HttpRequest{.method = "DELETE"}, Call{.key = key, .query = {{"uploadId", upload_id}}},
             WorkControl{.deadline = soon});
    } catch (const Error&) {
        // the error that ended the upload is the one to report
        return;
    }
}

bool S3Store::remove(const std::string& key, const WorkControl& control) {
    // deleting says nothing about what was there
    if (!stat(key, control)) return false;
    const HttpResponse response = send(HttpRequest{.method = "DELETE"}, Call{.key = key}, control);
    if (response.status == 404) return false;
    if (response.status != 204 && response.status != 200) throw refusal(response, key);
    return true;
}

ThawState S3Store::thaw_state(const std::string& key, const WorkControl& control) {
    const HttpResponse response = head(key, control);
    if (response.status == 404) throw store_error(ErrorCode::not_found, name_, key, "there is no such object");
    const std::string restore = response.header("x-amz-restore");
    const bool frozen =
        is_frozen_class(response.header("x-amz-storage-class")) || !response.header("x-amz-archive-status").empty();
    if (!frozen) return {};
    if (restore.find("ongoing-request=\"true\"") != std::string::npos) return {.state = Thaw::thawing};
    if (restore.find("ongoing-request=\"false\"") == std::string::npos) return {.state = Thaw::frozen};
    ThawState state;
    constexpr std::string_view mark = "expiry-date=\"";
    if (const std::size_t at = restore.find(mark); at != std::string::npos) {
        const std::size_t begin = at + mark.size();
        state.until = parse_http_date(restore.substr(begin, restore.find('"', begin) - begin));
    }
    return state;
}

void S3Store::request_thaw(const std::string& key, const WorkControl& control) {
    if (thaw_state(key, control).state != Thaw::frozen) return;
    std::string tier = "Standard";
    if (options_.thaw.speed == ThawSpeed::bulk) tier = "Bulk";
    if (options_.thaw.speed == ThawSpeed::expedited) tier = "Expedited";
    const std::string body = "<RestoreRequest><Days>" + std::to_string(options_.thaw.days) +
                             "</Days><GlacierJobParameters><Tier>" + tier +
                             "</Tier></GlacierJobParameters></RestoreRequest>";
    const HttpResponse response =
        send(HttpRequest{.method = "POST", .headers = {{"Content-Type", Secret("application/xml")}}, .body = body},
             Call{.key = key, .query = {{"restore", ""}}, .body_digest = sha256_hex(body)}, control);
    const bool asked_before = response.status == 409 && error_word(response) == "RestoreAlreadyInProgress";
    if (response.status != 200 && response.status != 202 && !asked_before) throw refusal(response, key);
}

Duration S3Store::thaw_takes(std::string_view cold_class) const {
    if (options_.thaw.takes) return *options_.thaw.takes;
    const bool deep = cold_class == deep_archive;
    switch (options_.thaw.speed) {
        case ThawSpeed::bulk:
            return deep ? std::chrono::hours(48) : std::chrono::hours(12);
        case ThawSpeed::expedited:
            if (!deep) return std::chrono::minutes(5);
            break;
        case ThawSpeed::standard:
            break;
    }
    return deep ? std::chrono::hours(12) : std::chrono::hours(5);
}

}  // namespace lifeboat
