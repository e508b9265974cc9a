#include "stores/webdav.h"

#include "base/text.h"
#include "stores/folder_walk.h"
#include "stores/key.h"
#include "stores/xml.h"

namespace lifeboat {

namespace {

constexpr Bytes longest_answer{256u << 20};
constexpr std::string_view wanted_properties =
    R"(<?xml version="1.0" encoding="utf-8"?>)"
    R"(<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>)";

bool is_success(const HttpResponse& response) {
    return response.status >= 200 && response.status < 300;
}

// The properties that the server has of a resource; nullptr when it has none.
const XmlElement* properties_of(const XmlElement& response) {
    for (const XmlElement& part : response.children) {
        if (part.name == "propstat" && part.text_of("status").find(" 200") != std::string::npos)
            return part.child("prop");
    }
    return nullptr;
}

}  // namespace

WebdavStore::WebdavStore(std::string name, WebdavOptions options)
    : name_(std::move(name)), options_(std::move(options)), base_(options_.url), calls_(name_, options_.link) {
    const auto refuse = [this](const char* why) { throw store_error(ErrorCode::invalid_file, name_, {}, why); };
    if (base_.has_user()) refuse("the URL holds a user or a password: give them as secrets of their own");
    if (!base_.query().empty()) refuse("the URL ends with its path");
    const std::optional<std::string> path = percent_decoded(base_.path());
    if (!path) refuse("the URL's path is not percent-encoded");
    base_path_ = *path;
    if (!base_path_.ends_with('/')) base_path_ += '/';
}

std::string WebdavStore::url_of(const std::string& path) const {
    return base_.origin() + percent_encoded(base_path_ + path, true);
}

Error WebdavStore::refusal(const HttpResponse& response, const std::string& key) const {
    return http_refusal(name_, key, response, {});
}

HttpResponse WebdavStore::send(const std::string& method, const std::string& path, std::vector<HttpHeader> headers,
                               const WorkControl& control) {
    HttpRequest request{.method = method, .url = Secret(url_of(path)), .headers = std::move(headers)};
    request.auth = options_.auth;
    if (method == "PROPFIND") {
        request.headers.push_back({"Content-Type", Secret("application/xml; charset=utf-8")});
        request.body = wanted_properties;
        request.keep = longest_answer;
    }
    return calls_.send(std::move(request), path, control);
}

HttpResponse WebdavStore::upload(const std::string& path, const std::string& key, const Content& content,
                                 const WorkControl& control) {
    HttpRequest request{.method = "PUT", .url = Secret(url_of(path))};
    request.headers = {{"Content-Type", Secret("application/octet-stream")}};
    request.auth = options_.auth;
    return calls_.upload(std::move(request), content, 0, content.size, key, control);
}

HttpResponse WebdavStore::move(const std::string& from, const std::string& to, bool overwrite,
                               const WorkControl& control) {
    return send("MOVE", from, {{"Destination", Secret(url_of(to))}, {"Overwrite", Secret(overwrite ? "T" : "F")}},
                control);
}

std::optional<std::vector<Listed>> WebdavStore::find(const std::string& path, const char* depth,
                                                     const WorkControl& control) {
    std::optional<Found> found = find_now(path, depth, control);
    if (!found) return std::nullopt;
    return std::move(found->lines);
}

std::optional<WebdavStore::Found> WebdavStore::find_now(const std::string& path, const char* depth,
                                                        const WorkControl& control) {
    const HttpResponse response = send("PROPFIND", path, {{"Depth", Secret(depth)}}, control);
    if (response.status == 404) return std::nullopt;
    // a collection's address without its '/' may be sent there
    if (is_redirect(response.status) && response.header("location").ends_with('/')) return std::nullopt;
    if (response.status != 207) throw refusal(response, path);
    const std::optional<XmlElement> answer = response.cut ? std::nullopt : parse_xml(response.body);
    if (!answer || answer->name != "multistatus")
        throw store_error(ErrorCode::protocol_failed, name_, path, "the listing is not one of WebDAV's");
    const auto now = parse_http_date(response.header("date"));
    std::vector<Listed> lines;
    for (const XmlElement& element : answer->children) {
        if (element.name != "response") continue;
        const XmlElement* properties = properties_of(element);
        const std::optional<std::string> href =
            percent_decoded(HttpUrl(url_of({})).resolved(std::string(trim(element.text_of("href")))).path());
        if (properties == nullptr || !href || !href->starts_with(base_path_)) continue;
        Listed line{.object = {.key = href->substr(base_path_.size())}};
        const XmlElement* type = properties->child("resourcetype");
        line.folder = type != nullptr && type->child("collection") != nullptr;
        if (line.folder && !line.object.key.empty() && !line.object.key.ends_with('/')) line.object.key += '/';
        if (!line.folder) {
            line.object.size = Bytes{parse_count(properties->text_of("getcontentlength")).value_or(0)};
            line.object.modified = parse_http_date(properties->text_of("getlastmodified"));
            const bool settled =
                !line.object.modified || !now || *now >= *line.object.modified + std::chrono::seconds(2);
            if (settled) line.object.validator = strong_etag(properties->text_of("getetag"));
        }
        lines.push_back(std::move(line));
    }
    return Found{.lines = std::move(lines), .now = now};
}

// Removes what writers that died left in the collection.
void WebdavStore::sweep(const std::string& folder, const WorkControl& control) {
    const std::optional<Found> found = find_now(folder, "1", control);
    if (!found) return;
    for (const Listed& line : found->lines) {
        if (line.folder || !line.object.key.starts_with(folder)) continue;
        if (is_left_behind(line.object.key.substr(folder.size()), line.object.modified, found->now))
            send("DELETE", line.object.key, {}, control);
    }
}

void WebdavStore::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    const FolderEntries entries = [&](const std::string& path) {
        std::optional<std::vector<Listed>> lines = find(path, "1", control);
        if (!lines && path.empty())
            throw lasting(store_error(ErrorCode::unreachable, name_, {}, "there is no collection at its URL",
                                      "Check the path of the URL."));
        std::vector<Listed> inside;
        for (Listed& line : lines.value_or(std::vector<Listed>())) {
            if (line.object.key != path && line.object.key.starts_with(path)) inside.push_back(std::move(line));
        }
        return inside;
    };
    walk_folders(query, entries, page, control);
}

std::optional<StoredObject> WebdavStore::stat(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    if (holds_temporary_name(key)) return std::nullopt;
    const std::optional<std::vector<Listed>> lines = find(key, "0", control);
    if (!lines) {
        // is it the object or the store that is missing?
        if (!find({}, "0", control))
            throw lasting(store_error(ErrorCode::unreachable, name_, {}, "there is no collection at its URL",
                                      "Check the path of the URL."));
        return std::nullopt;
    }
    for (const Listed& line : *lines) {
        if (line.object.key == key && !line.folder) return line.object;
    }
    return std::nullopt;
}

ReadEnd WebdavStore::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                          const WorkControl& control) {
    check_key(name_, key);
    const auto missing = [&] { return store_error(ErrorCode::not_found, name_, key, "there is no such object"); };
    if (holds_temporary_name(key)) throw missing();
    const HttpCalls::Reading reading{
        .ask =
            [&](HttpRequest request) {
                request.url = Secret(url_of(key));
                request.auth = options_.auth;
                return calls_.send(std::move(request), key, control);
            },
        .stat = [&] { return stat(key, control); },
        .refusal =
            [&](const HttpResponse& response) {
                const bool collection = is_redirect(response.status) && response.header("location").ends_with('/');
                if (response.status == 404 || collection) {
                    // throws when it is the store that is missing
                    static_cast<void>(stat(key, control));
                    return missing();
                }
                return refusal(response, key);
            },
        .validator = [](const HttpResponse& response) { return strong_etag(response.header("etag")); }};
    return calls_.read(reading, key, range, sink, control);
}

void WebdavStore::make_collections(const std::string& key, const WorkControl& control) {
    const auto make = [&](const std::string& folder) {
        const HttpResponse response = send("MKCOL", folder, {}, control);
        // 405: something is there already
        if (response.status == 201 || response.status == 405) return;
        Error error = refusal(response, key);
        if (response.status == 409 || response.status == 404)
            error = lasting(store_error(ErrorCode::unreachable, name_, key,
                                        "there is no collection above '" + folder + "'", "Check the path of the URL."));
        throw error;
    };
    std::string folder;
    make(folder);
    const std::string_view above = folder_of(key);
    if (above.empty()) return;
    for (const std::string& part : split(above, '/')) {
        folder += part + "/";
        make(folder);
    }
}

StoredObject WebdavStore::write(const std::string& key, const Content& content, const WriteOptions& options,
                                const WorkControl& control) {
    check_key(name_, key);
    control.check();
    if (holds_temporary_name(key))
        throw store_error(ErrorCode::refused, name_, key, "this key is refused: it is a temporary name");
    const std::string_view above = folder_of(key);
    const std::string folder = above.empty() ? std::string() : std::string(above) + "/";
    const std::string temporary = folder + temporary_name();
    const auto clean_up = [&] {
        try {
            const auto soon =
                std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + std::chrono::seconds(10);
            send("DELETE", temporary, {}, WorkControl{.deadline = soon});
        } catch (const Error&) {
            // a name that is never listed stays behind; the error that ended the write is the one to report
            return;
        }
    };
    // another writer's `remove` may take an empty collection away between its making and our first object in it
    constexpr int tries = 20;
    for (int attempt = 1;; ++attempt) {
        try {
            const HttpResponse put = upload(temporary, key, content, control);
            const auto without_collection = [](const HttpResponse& response) {
                return response.status == 404 || response.status == 409;
            };
            if (without_collection(put) && attempt < tries) {
                make_collections(key, control);
                continue;
            }
            if (!is_success(put)) throw refusal(put, key);
            HttpResponse named = move(temporary, key, false, control);
            if (options.exclusive && named.status == 412)
                throw store_error(ErrorCode::already_exists, name_, key, "it is already there");
            if (named.status == 412 && named.header("server").starts_with("Apache")) {
                // Apache removes what a MOVE replaces before it moves, but puts what a PUT sends in its place at once
                named = upload(key, key, content, control);
                if (is_success(named)) clean_up();
            } else if (named.status == 412) {
                named = move(temporary, key, true, control);
            }
            if (without_collection(named) && attempt < tries) {
                make_collections(key, control);
                continue;
            }
            if (!is_success(named)) throw refusal(named, key);
            break;
        } catch (...) {
            clean_up();
            throw;
        }
    }
    if (swept_.add(folder)) {
        try {
            sweep(folder, control);
        } catch (const Error&) {
            // the object is written, whatever else lies there
        }
    }
    std::optional<StoredObject> object = stat(key, control);
    if (object && object->size.count == content.size) return *object;
    // another writer was there since
    return StoredObject{.key = key, .size = Bytes{content.size}, .modified = std::nullopt, .validator = {}};
}

// Removes the collection `folder` if nothing is in it. Removing takes all that is in it, so it is first moved to where
// no writer looks for it, and moved back when something came in before.
bool WebdavStore::sweep_away(const std::string& folder, const WorkControl& control) {
    const auto is_empty = [&](const std::string& path) {
        const std::optional<std::vector<Listed>> lines = find(path, "1", control);
        return lines && lines->size() == 1;
    };
    if (!is_empty(folder)) {
        sweep(folder, control);
        if (!is_empty(folder)) return false;
    }
    const std::string_view above = folder_of(std::string_view(folder).substr(0, folder.size() - 1));
    const std::string aside = (above.empty() ? std::string() : std::string(above) + "/") + temporary_name() + "/";
    if (move(folder, aside, false, control).status != 201) return false;
    if (is_empty(aside)) return send("DELETE", aside, {}, control).status == 204;
    if (move(aside, folder, false, control).status == 201) return false;
    // the collection was made anew meanwhile: what is in this one goes there, line by line
    for (const Listed& line : find(aside, "1", control).value_or(std::vector<Listed>())) {
        if (line.object.key != aside)
            move(line.object.key, folder + line.object.key.substr(aside.size()), false, control);
    }
    return false;
}

bool WebdavStore::remove(const std::string& key, const WorkControl& control) {
    if (!stat(key, control)) return false;
    const HttpResponse response = send("DELETE", key, {}, control);
    if (response.status == 404) return false;
    if (!is_success(response)) throw refusal(response, key);
    std::string folder(folder_of(key));
    while (!folder.empty() && sweep_away(folder + "/", control))
        folder = std::string(folder_of(folder));
    return true;
}

}  // namespace lifeboat
