#include "stores/http.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "stores/folder_walk.h"
#include "stores/key.h"

namespace lifeboat {

namespace {

constexpr Bytes longest_page{64u << 20};
constexpr int most_redirects = 5;

bool is_collection_redirect(const HttpResponse& response) {
    return is_redirect(response.status) && response.header("location").ends_with('/');
}

// What the `href`s of a page of HTML point to, with its character references resolved.
std::vector<std::string> links_in(std::string_view html) {
    std::vector<std::string> links;
    constexpr std::string_view mark = "href=\"";
    for (std::size_t at = html.find(mark); at != std::string_view::npos; at = html.find(mark, at)) {
        at += mark.size();
        const std::size_t end = html.find('"', at);
        if (end == std::string_view::npos) break;
        std::string link;
        for (std::size_t i = at; i < end; ++i) {
            constexpr std::string_view ampersand = "&amp;";
            link += html[i];
            if (html.substr(i, end - i).starts_with(ampersand)) i += ampersand.size() - 1;
        }
        links.push_back(std::move(link));
        at = end;
    }
    return links;
}

// "d2c7…  *shop/x.dump" or "./shop/x.dump" → "shop/x.dump"
std::string key_of_line(std::string_view line) {
    constexpr std::size_t digest_length = 64;
    const bool digest = line.size() > digest_length + 2 && line[digest_length] == ' ' &&
                        line.substr(0, digest_length).find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (digest) line.remove_prefix(digest_length + 2);
    if (line.starts_with("./")) line.remove_prefix(2);
    return std::string(line);
}

}  // namespace

HttpStore::HttpStore(std::string name, HttpOptions options)
    : name_(std::move(name)), options_(std::move(options)), base_(options_.url), calls_(name_, options_.link) {
    const auto refuse = [this](const char* why) { throw store_error(ErrorCode::invalid_file, name_, {}, why); };
    if (base_.has_user()) refuse("the URL holds a user or a password: give them as secrets of their own");
    if (!base_.query().empty()) refuse("the URL ends with its path");
    const std::optional<std::string> path = percent_decoded(base_.path());
    if (!path) refuse("the URL's path is not percent-encoded");
    base_path_ = *path;
    if (!base_path_.ends_with('/')) base_path_ += '/';
}

StoreFeatures HttpStore::features() const {
    return StoreFeatures{.writes = false, .exclusive_writes = false, .parallel_reads = 4};
}

std::string HttpStore::url_of(const std::string& path) const {
    return base_.origin() + percent_encoded(base_path_ + path, true);
}

HttpResponse HttpStore::send(HttpRequest request, const std::string& path, const WorkControl& control) {
    request.url = Secret(url_of(path));
    request.auth = options_.auth;
    if (!options_.bearer.empty())
        request.headers.push_back({"Authorization", Secret("Bearer " + options_.bearer.reveal())});
    return calls_.send(std::move(request), path, control);
}

Error HttpStore::refusal(const HttpResponse& response, const std::string& key) const {
    return http_refusal(name_, key, response, {});
}

std::vector<Listed> HttpStore::page_of(const std::string& path, const WorkControl& control) {
    const HttpResponse response = send({.redirects = most_redirects, .keep = longest_page}, path, control);
    if (response.status == 404 && path.empty())
        throw lasting(store_error(ErrorCode::unreachable, name_, {}, "there is no folder at its URL",
                                  "Check the path of the URL."));
    if (response.status == 404) return {};
    if (response.status != 200) throw refusal(response, path);
    std::vector<Listed> lines;
    if (response.header("content-type").starts_with("application/json")) {
        const Json entries = Json::parse(response.body, nullptr, false);
        const auto wrong = [&] {
            return store_error(ErrorCode::protocol_failed, name_, path, "its page of the folder is not one of nginx's");
        };
        if (response.cut || !entries.is_array()) throw wrong();
        for (const Json& entry : entries) {
            if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string()) throw wrong();
            const bool folder = entry.value("type", std::string()) == "directory";
            Listed line{.object = {.key = path + entry["name"].get<std::string>() + (folder ? "/" : "")},
                        .folder = folder};
            if (!folder) {
                line.object.size = Bytes{entry.value("size", std::uint64_t{0})};
                line.object.modified = parse_http_date(entry.value("mtime", std::string()));
            }
            lines.push_back(std::move(line));
        }
        return lines;
    }
    const bool html = response.header("content-type").starts_with("text/html");
    const bool index = response.body.find("Index of ") != std::string::npos;
    if (response.cut || !html || !index)
        throw store_error(ErrorCode::unsupported, name_, path, "the server does not show what is in a folder",
                          "Let the server show its folders, or name an index file.");
    const HttpUrl here(url_of(path));
    std::set<std::string> seen;
    for (const std::string& link : links_in(response.body)) {
        if (link.empty() || link.front() == '?' || link.front() == '#') continue;
        const HttpUrl url = here.resolved(link);
        const std::optional<std::string> there = percent_decoded(url.path());
        // only what is in this folder itself: not the columns' sorting, not the folder above, not the server's logo
        if (url.origin() != here.origin() || !there || !there->starts_with(base_path_ + path)) continue;
        const std::string key = there->substr(base_path_.size());
        std::string_view inside = std::string_view(key).substr(path.size());
        const bool folder = inside.ends_with('/');
        if (folder) inside.remove_suffix(1);
        if (inside.empty() || inside.find('/') != std::string_view::npos || !seen.insert(key).second) continue;
        Listed line{.object = {.key = key}, .folder = folder};
        if (!folder) {
            if (!key_refusal(key).empty()) continue;
            // a page for people rounds sizes
            std::optional<StoredObject> object = stat(key, control);
            if (!object) continue;
            line.object = std::move(*object);
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

std::vector<Listed> HttpStore::index_entries(const WorkControl& control) {
    const HttpResponse response = send({.redirects = most_redirects, .keep = longest_page}, options_.index, control);
    if (response.status == 404)
        throw lasting(store_error(ErrorCode::unreachable, name_, options_.index, "there is no index at its URL"));
    if (response.status != 200) throw refusal(response, options_.index);
    if (response.cut) throw store_error(ErrorCode::limit_exceeded, name_, options_.index, "the index is too long");
    std::vector<Listed> lines;
    for (const std::string& line : split(response.body, '\n')) {
        const std::string key = key_of_line(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
        if (key_refusal(key).empty()) lines.push_back({.object = {.key = key}});
    }
    return lines;
}

void HttpStore::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    FolderEntries entries;
    std::vector<Listed> all;
    switch (options_.listing) {
        case HttpOptions::Listing::nothing:
            throw store_error(ErrorCode::unsupported, name_, {}, "it cannot be listed",
                              "Name an index file, or let the server show its folders.");
        case HttpOptions::Listing::pages:
            entries = [&](const std::string& path) { return page_of(path, control); };
            break;
        case HttpOptions::Listing::index:
            all = index_entries(control);
            entries = [&](const std::string& path) {
                std::vector<Listed> lines;
                std::set<std::string> folders;
                for (const Listed& line : all) {
                    const std::string& key = line.object.key;
                    if (!key.starts_with(path)) continue;
                    if (const std::size_t slash = key.find('/', path.size()); slash != std::string::npos) {
                        folders.insert(key.substr(0, slash + 1));
                    } else if (key.starts_with(query.prefix)) {
                        if (std::optional<StoredObject> object = stat(key, control))
                            lines.push_back({.object = std::move(*object)});
                    }
                }
                for (const std::string& folder : folders)
                    lines.push_back({.object = {.key = folder}, .folder = true});
                return lines;
            };
            break;
    }
    walk_folders(query, entries, page, control);
}

std::optional<StoredObject> HttpStore::stat(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    // without redirects first: that of a folder leads to its page
    HttpResponse response = send({.method = "HEAD"}, key, control);
    if (is_collection_redirect(response)) return std::nullopt;
    if (is_redirect(response.status)) response = send({.method = "HEAD", .redirects = most_redirects}, key, control);
    if (response.status == 404 || response.status == 410) return std::nullopt;
    if (response.status != 200) throw refusal(response, key);
    const auto size = parse_count(response.header("content-length"));
    if (!size) throw store_error(ErrorCode::protocol_failed, name_, key, "the server does not say how large it is");
    return StoredObject{.key = key,
                        .size = Bytes{*size},
                        .modified = parse_http_date(response.header("last-modified")),
                        .validator = settled_etag(response)};
}

ReadEnd HttpStore::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                        const WorkControl& control) {
    check_key(name_, key);
    const HttpCalls::Reading reading{
        .ask =
            [&](HttpRequest request) {
                HttpRequest direct = request;
                HttpResponse response = send(std::move(direct), key, control);
                if (!is_redirect(response.status) || is_collection_redirect(response)) return response;
                request.redirects = most_redirects;
                return send(std::move(request), key, control);
            },
        .stat = [&] { return stat(key, control); },
        .refusal =
            [&](const HttpResponse& response) {
                if (response.status == 404 || response.status == 410 || is_collection_redirect(response))
                    return store_error(ErrorCode::not_found, name_, key, "there is no such object");
                return refusal(response, key);
            },
        .validator = [](const HttpResponse& response) { return strong_etag(response.header("etag")); }};
    return calls_.read(reading, key, range, sink, control);
}

StoredObject HttpStore::write(const std::string& key, const Content&, const WriteOptions&, const WorkControl&) {
    check_key(name_, key);
    throw store_error(ErrorCode::unsupported, name_, key, "this store can only be read");
}

bool HttpStore::remove(const std::string& key, const WorkControl&) {
    check_key(name_, key);
    throw store_error(ErrorCode::unsupported, name_, key, "this store can only be read");
}

}  // namespace lifeboat
