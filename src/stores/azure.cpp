#include "stores/azure.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <random>

#include "base/base64.h"
#include "base/sha256.h"
#include "base/text.h"
#include "stores/key.h"
#include "stores/xml.h"

namespace lifeboat {

namespace {

constexpr std::string_view api_version = "2021-08-06";
constexpr std::uint64_t most_blocks = 50'000;
constexpr Bytes longest_answer{64u << 20};
constexpr const char* archive_tier = "Archive";

std::string lower(std::string text) {
    for (char& letter : text)
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return text;
}

// All of one length, as the service wants them, and not those of another writer.
std::string block_id(std::uint64_t writer, std::uint64_t number) {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%016llx-%08llu", static_cast<unsigned long long>(writer),
                  static_cast<unsigned long long>(number));
    return base64_encoded(text.data());
}

std::uint64_t random_number() {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    return random();
}

// Lets another writer of the same blob end, the longer the more often it came to that.
void give_way(int attempt, const WorkControl& control) {
    const auto longest = static_cast<std::uint64_t>(std::min(attempt, 10)) * 100'000;
    control.pause(Duration(static_cast<Duration::rep>(random_number() % longest)));
}

std::string error_word(const HttpResponse& response) {
    const std::string word = response.header("x-ms-error-code");
    if (!word.empty()) return word;
    const std::optional<XmlElement> answer = parse_xml(response.body);
    return answer && answer->name == "Error" ? answer->text_of("Code") : std::string();
}

}  // namespace

struct AzureStore::Call {
    const std::string& key;  // empty: the container
    Query query = {};
    const Content* content = nullptr;  // what is uploaded, from `offset` on
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

AzureStore::AzureStore(std::string name, AzureOptions options)
    : name_(std::move(name)),
      options_(std::move(options)),
      endpoint_(options_.endpoint.empty() ? "https://" + options_.account + ".blob.core.windows.net"
                                          : options_.endpoint),
      calls_(name_, options_.link) {
    const auto refuse = [this](const char* why) { throw store_error(ErrorCode::invalid_file, name_, {}, why); };
    if (options_.container.empty() || options_.container.find('/') != std::string::npos)
        refuse("a container has to be named");
    if (endpoint_.has_user()) refuse("the endpoint holds a user or a password");
    if (!endpoint_.query().empty()) refuse("the endpoint holds a query: give a SAS as a secret of its own");
    if (!options_.prefix.empty() && (options_.prefix.front() == '/' || options_.prefix.back() != '/'))
        refuse("the prefix does not begin with '/' and ends with it");
    if (!options_.key.empty()) {
        if (options_.account.empty()) refuse("an account has to be named with its key");
        const std::optional<std::string> bytes = base64_decoded(options_.key.reveal());
        if (!bytes) refuse("the account's key is not base64");
        key_bytes_ = *bytes;
    }
    if (options_.block_size.count == 0) refuse("blocks are larger than nothing");
}

void AzureStore::sign(HttpRequest& request, const Query& query, std::uint64_t body_size) const {
    const Timestamp now = SystemClock().now() + clock_offset_.load();
    request.headers.push_back({"x-ms-date", Secret(to_http_date(now))});
    std::map<std::string, std::string> headers;
    for (const HttpHeader& header : request.headers)
        headers[lower(header.name)] = std::string(trim(header.value.reveal()));
    std::string text = request.method + "\n";
    for (const char* name :
         {"content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
          "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"}) {
        if (std::string_view(name) == "content-length") {
            text += (body_size == 0 ? std::string() : std::to_string(body_size)) + "\n";
        } else {
            const auto found = headers.find(name);
            text += (found == headers.end() ? std::string() : found->second) + "\n";
        }
    }
    for (const auto& [name, value] : headers) {
        if (name.starts_with("x-ms-")) text += name + ":" + value + "\n";
    }
    text += "/" + options_.account + HttpUrl(request.url.reveal()).path();
    for (const auto& [name, value] : query)
        text += "\n" + name + ":" + value;
    const Digest digest = hmac_sha256(key_bytes_, text);
    const std::string signature = base64_encoded(std::string(digest.begin(), digest.end()));
    request.headers.push_back({"Authorization", Secret("SharedKey " + options_.account + ":" + signature)});
}

HttpResponse AzureStore::send(const HttpRequest& request, const Call& call, const WorkControl& control) {
    std::string path = endpoint_.path();
    if (path.ends_with('/')) path.pop_back();
    std::string url = endpoint_.origin() + path + "/" + options_.container;
    if (!call.key.empty()) url += "/" + percent_encoded(options_.prefix + call.key, true);
    char separator = '?';
    for (const auto& [name, value] : call.query) {
        url += separator + name + "=" + percent_encoded(value);
        separator = '&';
    }
    const std::string sas = options_.sas.reveal();
    if (!sas.empty()) url += separator + (sas.starts_with('?') ? sas.substr(1) : sas);

    for (bool clock_corrected = false;;) {
        HttpRequest signed_request = request;
        signed_request.url = Secret(url);
        signed_request.keep = longest_answer;
        signed_request.headers.push_back({"x-ms-version", Secret(std::string(api_version))});
        if (!key_bytes_.empty()) sign(signed_request, call.query, call.content ? call.size : request.body.size());
        HttpResponse response = call.content == nullptr ? calls_.send(std::move(signed_request), call.key, control)
                                                        : calls_.upload(std::move(signed_request), *call.content,
                                                                        call.offset, call.size, call.key, control);
        if (response.status != 403 || clock_corrected || key_bytes_.empty()) return response;
        const auto theirs = parse_http_date(response.header("date"));
        const Timestamp ours = SystemClock().now();
        if (!theirs || std::chrono::abs(*theirs - (ours + clock_offset_.load())) < Duration(std::chrono::minutes(4)))
            return response;
        clock_offset_ = *theirs - ours;
        clock_corrected = true;
    }
}

Error AzureStore::refusal(const HttpResponse& response, const std::string& key) const {
    const std::string word = error_word(response);
    const auto made = [&](ErrorCode code, const std::string& why, std::string hint = {}) {
        return store_error(code, name_, key, why, std::move(hint));
    };
    if (word == "BlobNotFound") return made(ErrorCode::not_found, "there is no such object");
    if (word == "ContainerNotFound" || word == "ContainerBeingDeleted")
        return lasting(made(ErrorCode::unreachable, "there is no container '" + options_.container + "'",
                            "Check the container's name and the endpoint."));
    if (word == "BlobArchived" || word == "BlobBeingRehydrated")
        return made(ErrorCode::archived, "it lies in cold storage", "Ask for it to be thawed first; that takes hours.");
    HttpResponse judged = response;
    if (word == "ServerBusy" || word == "OperationTimedOut") judged.status = 503;
    // our blocks go when another writer commits his
    if (word == "InvalidBlockList") judged.status = 503;
    return http_refusal(name_, key, judged, word);
}

HttpResponse AzureStore::head(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    HttpResponse response = send({.method = "HEAD"}, Call{.key = key}, control);
    const bool missing = response.status == 404 && error_word(response) != "ContainerNotFound";
    if (response.status != 200 && !missing) throw refusal(response, key);
    return response;
}

std::optional<StoredObject> AzureStore::stat(const std::string& key, const WorkControl& control) {
    const HttpResponse response = head(key, control);
    if (response.status == 404) return std::nullopt;
    return StoredObject{.key = key,
                        .size = Bytes{parse_count(response.header("content-length")).value_or(0)},
                        .modified = parse_http_date(response.header("last-modified")),
                        .validator = strong_etag(response.header("etag"))};
}

void AzureStore::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    const std::string none;
    std::string marker;
    do {
        Call call{.key = none};
        call.query = {{"comp", "list"}, {"restype", "container"}, {"maxresults", "1000"}};
        if (const std::string prefix = options_.prefix + query.prefix; !prefix.empty()) call.query["prefix"] = prefix;
        if (query.one_level) call.query["delimiter"] = "/";
        if (!marker.empty()) call.query["marker"] = marker;
        const HttpResponse response = send({}, call, control);
        if (response.status != 200) throw refusal(response, {});
        // a byte order mark is in front of what Azure sends
        std::string_view body = response.body;
        if (body.starts_with("\xef\xbb\xbf")) body.remove_prefix(3);
        const std::optional<XmlElement> answer = response.cut ? std::nullopt : parse_xml(body);
        if (!answer || answer->name != "EnumerationResults")
            throw store_error(ErrorCode::protocol_failed, name_, {}, "the listing is not one of Azure's");
        std::vector<Listed> lines;
        const XmlElement* blobs = answer->child("Blobs");
        for (const XmlElement& element : blobs == nullptr ? std::vector<XmlElement>() : blobs->children) {
            const std::string whole = element.text_of("Name");
            if (!whole.starts_with(options_.prefix)) continue;
            const bool folder = element.name == "BlobPrefix";
            Listed line{.object = {.key = whole.substr(options_.prefix.size())}, .folder = folder};
            const std::string_view key = line.object.key;
            if (!key_refusal(folder ? key.substr(0, key.size() - 1) : key).empty()) continue;
            if (const XmlElement* properties = element.child("Properties"); !folder && properties != nullptr) {
                line.object.size = Bytes{parse_count(properties->text_of("Content-Length")).value_or(0)};
                line.object.modified = parse_http_date(properties->text_of("Last-Modified"));
                line.object.validator = strong_etag(properties->text_of("Etag"));
                if (properties->text_of("AccessTier") == archive_tier) line.object.cold_class = archive_tier;
            }
            lines.push_back(std::move(line));
        }
        std::sort(lines.begin(), lines.end(),
                  [](const Listed& a, const Listed& b) { return a.object.key < b.object.key; });
        if (!lines.empty() && !page(lines)) return;
        std::string next = answer->text_of("NextMarker");
        if (!next.empty() && next == marker)
            throw store_error(ErrorCode::protocol_failed, name_, {}, "the listing does not go on");
        marker = std::move(next);
    } while (!marker.empty());
}

ReadEnd AzureStore::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                         const WorkControl& control) {
    check_key(name_, key);
    const HttpCalls::Reading reading{
        .ask = [&](HttpRequest request) { return send(request, Call{.key = key}, control); },
        .stat = [&] { return stat(key, control); },
        .refusal = [&](const HttpResponse& response) { return refusal(response, key); },
        .validator = [](const HttpResponse& response) { return strong_etag(response.header("etag")); }};
    return calls_.read(reading, key, range, sink, control);
}

void AzureStore::add_tier(HttpRequest& request, const WriteOptions& options) const {
    const bool archives = lower(options_.access_tier) == lower(archive_tier);
    if (options_.access_tier.empty() || (archives && options.at_hand)) return;
    request.headers.push_back({"x-ms-access-tier", Secret(options_.access_tier)});
}

HttpResponse AzureStore::put_whole(const std::string& key, const Content& content, const WriteOptions& options,
                                   const WorkControl& control) {
    HttpRequest request{.method = "PUT"};
    request.headers = {{"x-ms-blob-type", Secret("BlockBlob")}, {"Content-Type", Secret("application/octet-stream")}};
    add_tier(request, options);
    if (options.exclusive) request.headers.push_back({"If-None-Match", Secret("*")});
    return send(request, Call{.key = key, .content = &content, .size = content.size}, control);
}

HttpResponse AzureStore::put_blocks(const std::string& key, const Content& content, const WriteOptions& options,
                                    const WorkControl& control) {
    // blocks that are never committed go away by themselves after a week
    const std::uint64_t writer = random_number();
    const std::uint64_t block_size =
        std::max(options_.block_size.count, (content.size + most_blocks - 1) / most_blocks);
    std::string list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
    std::uint64_t number = 0;
    for (std::uint64_t offset = 0; offset < content.size; offset += block_size) {
        const std::string id = block_id(writer, number++);
        const Call call{.key = key,
                        .query = {{"blockid", id}, {"comp", "block"}},
                        .content = &content,
                        .offset = offset,
                        .size = std::min(block_size, content.size - offset)};
        HttpRequest request{.method = "PUT", .headers = {{"Content-Type", Secret("application/octet-stream")}}};
        const HttpResponse response = send(request, call, control);
        if (response.status != 201) throw refusal(response, key);
        list += "<Uncommitted>" + id + "</Uncommitted>";
    }
    HttpRequest request{.method = "PUT", .headers = {{"Content-Type", Secret("application/xml")}}};
    request.headers.push_back({"x-ms-blob-content-type", Secret("application/octet-stream")});
    add_tier(request, options);
    if (options.exclusive) request.headers.push_back({"If-None-Match", Secret("*")});
    request.body = list + "</BlockList>";
    return send(request, Call{.key = key, .query = {{"comp", "blocklist"}}}, control);
}

StoredObject AzureStore::write(const std::string& key, const Content& content, const WriteOptions& options,
                               const WorkControl& control) {
    check_key(name_, key);
    control.check();
    // another writer's commit throws our staged blocks away: then they are staged again
    constexpr int tries = 20;
    for (int attempt = 1;; ++attempt) {
        const HttpResponse response = content.size > options_.blocks_above.count
                                          ? put_blocks(key, content, options, control)
                                          : put_whole(key, content, options, control);
        if (response.status == 201) {
            return StoredObject{.key = key,
                                .size = Bytes{content.size},
                                .modified = parse_http_date(response.header("last-modified")),
                                .validator = strong_etag(response.header("etag"))};
        }
        const std::string word = error_word(response);
        if (word == "InvalidBlockList" && attempt < tries) {
            give_way(attempt, control);
            continue;
        }
        if (options.exclusive && (response.status == 412 || word == "BlobAlreadyExists"))
            throw store_error(ErrorCode::already_exists, name_, key, "it is already there");
        throw refusal(response, key);
    }
}

bool AzureStore::remove(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    const HttpResponse response = send({.method = "DELETE"}, Call{.key = key}, control);
    if (response.status == 202) return true;
    if (response.status == 404 && error_word(response) == "BlobNotFound") return false;
    throw refusal(response, key);
}

ThawState AzureStore::thaw_state(const std::string& key, const WorkControl& control) {
    const HttpResponse response = head(key, control);
    if (response.status == 404) throw store_error(ErrorCode::not_found, name_, key, "there is no such object");
    if (response.header("x-ms-access-tier") != archive_tier) return {};
    return {.state = response.header("x-ms-archive-status").empty() ? Thaw::frozen : Thaw::thawing};
}

void AzureStore::request_thaw(const std::string& key, const WorkControl& control) {
    if (thaw_state(key, control).state != Thaw::frozen) return;
    HttpRequest asked{.method = "PUT"};
    // its type is named, since the client would add one that is not signed
    asked.headers = {
        {"Content-Type", Secret("application/octet-stream")},
        {"x-ms-access-tier", Secret("Hot")},
        {"x-ms-rehydrate-priority", Secret(options_.thaw.speed == ThawSpeed::expedited ? "High" : "Standard")}};
    const HttpResponse response = send(asked, Call{.key = key, .query = {{"comp", "tier"}}}, control);
    // another machine has asked meanwhile
    if (error_word(response) == "BlobBeingRehydrated") return;
    if (response.status != 200 && response.status != 202) throw refusal(response, key);
}

Duration AzureStore::thaw_takes(std::string_view) const {
    if (options_.thaw.takes) return *options_.thaw.takes;
    return options_.thaw.speed == ThawSpeed::expedited ? std::chrono::hours(1) : std::chrono::hours(15);
}

}  // namespace lifeboat
