#include "support/object_server.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <ctime>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sha256.h"

namespace lifeboat::test {

namespace {

std::string decoded(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            plain += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
            i += 2;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

std::string encoded(std::string_view text) {
    std::string written;
    for (const char byte : text) {
        if (std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '/' || byte == '-') {
            written += byte;
        } else {
            std::array<char, 4> code{};
            std::snprintf(code.data(), code.size(), "%%%02X", static_cast<unsigned char>(byte));
            written += code.data();
        }
    }
    return written;
}

std::string lower(std::string text) {
    for (char& letter : text)
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return text;
}

std::string date_of(std::time_t when) {
    std::tm parts{};
    ::gmtime_r(&when, &parts);
    std::array<char, 40> text{};
    std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text.data();
}

std::string error_body(const std::string& code) {
    return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code></Error>";
}

const std::string& value_of(const std::map<std::string, std::string>& values, const std::string& name) {
    static const std::string none;
    const auto found = values.find(name);
    return found == values.end() ? none : found->second;
}

// Head of a request, without its body.
ObjectRequest parse_head(const std::string& head) {
    ObjectRequest request;
    const std::size_t space = head.find(' ');
    const std::string target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
    request.method = head.substr(0, space);
    const std::size_t mark = target.find('?');
    const std::string path = target.substr(0, mark);
    const std::size_t slash = path.find('/', 1);
    request.bucket = decoded(path.substr(1, slash == std::string::npos ? slash : slash - 1));
    if (slash != std::string::npos) request.key = decoded(path.substr(slash + 1));
    if (mark != std::string::npos) {
        for (std::size_t begin = mark + 1; begin < target.size();) {
            const std::size_t end = std::min(target.find('&', begin), target.size());
            const std::string pair = target.substr(begin, end - begin);
            const std::size_t equals = std::min(pair.find('='), pair.size());
            request.query[decoded(pair.substr(0, equals))] =
                equals < pair.size() ? decoded(pair.substr(equals + 1)) : std::string();
            begin = end + 1;
        }
    }
    for (std::size_t begin = head.find("\r\n") + 2; begin < head.size();) {
        const std::size_t end = std::min(head.find("\r\n", begin), head.size());
        const std::string line = head.substr(begin, end - begin);
        if (const std::size_t colon = line.find(':'); colon != std::string::npos) {
            const std::size_t text = line.find_first_not_of(' ', colon + 1);
            request.headers[lower(line.substr(0, colon))] = text == std::string::npos ? "" : line.substr(text);
        }
        begin = end + 2;
    }
    return request;
}

}  // namespace

ObjectServer::ObjectServer(std::string bucket, std::string token)
    : bucket_(std::move(bucket)), token_(std::move(token)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 64) != 0 || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { serve(); });
}

ObjectServer::~ObjectServer() {
    over_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
        const std::lock_guard lock(mutex_);
        for (const int connection : connections_)
            ::shutdown(connection, SHUT_RDWR);
    }
    for (std::thread& thread : threads_)
        thread.join();
    for (const int connection : connections_)
        ::close(connection);
    ::close(listener_);
}

void ObjectServer::fail(std::function<ObjectFault(const ObjectRequest&)> faults) {
    const std::lock_guard lock(mutex_);
    faults_ = std::move(faults);
}

void ObjectServer::put(const std::string& key, const std::string& content) {
    const std::lock_guard lock(mutex_);
    objects_[key] = {content, "\"" + std::to_string(++versions_) + "-" + sha256_hex(content).substr(0, 8) + "\""};
}

std::optional<std::string> ObjectServer::content(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    if (found == objects_.end()) return std::nullopt;
    return found->second.content;
}

std::vector<std::string> ObjectServer::keys() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [key, object] : objects_)
        all.push_back(key);
    return all;
}

std::size_t ObjectServer::open_uploads() const {
    const std::lock_guard lock(mutex_);
    return uploads_.size();
}

std::size_t ObjectServer::connections() const {
    const std::lock_guard lock(mutex_);
    return connections_.size();
}

std::vector<ObjectRequest> ObjectServer::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void ObjectServer::serve() {
    for (;;) {
        const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) return;
        const std::lock_guard lock(mutex_);
        connections_.push_back(connection);
        threads_.emplace_back([this, connection] { converse(connection); });
    }
}

void ObjectServer::converse(int connection) {
    std::string held;
    std::array<char, 65536> chunk{};
    const auto more = [&] {
        const ssize_t count = ::recv(connection, chunk.data(), chunk.size(), 0);
        if (count <= 0) return false;
        held.append(chunk.data(), static_cast<std::size_t>(count));
        return true;
    };
    while (!over_) {
        std::size_t end = held.find("\r\n\r\n");
        while (end == std::string::npos && more())
            end = held.find("\r\n\r\n");
        if (end == std::string::npos) break;
        ObjectRequest request = parse_head(held.substr(0, end));
        held.erase(0, end + 4);
        const std::string& length = value_of(request.headers, "content-length");
        const std::size_t size = length.empty() ? 0 : std::stoul(length);
        if (value_of(request.headers, "expect") == "100-continue") send(connection, "HTTP/1.1 100 Continue\r\n\r\n");
        while (held.size() < size && more()) {
        }
        if (held.size() < size) break;
        request.body = held.substr(0, size);
        held.erase(0, size);
        if (!answer(connection, std::move(request))) break;
    }
    // the descriptor itself is closed with the server, so that its number is not used again meanwhile
    ::shutdown(connection, SHUT_RDWR);
}

bool ObjectServer::send(int connection, std::string_view bytes) const {
    while (!bytes.empty()) {
        const ssize_t count = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

// False when the connection is to be closed.
bool ObjectServer::answer(int connection, ObjectRequest request) {
    std::function<ObjectFault(const ObjectRequest&)> faults;
    {
        const std::lock_guard lock(mutex_);
        request.number = static_cast<int>(requests_.size()) + 1;
        requests_.push_back(request);
        faults = faults_;
    }
    ObjectFault fault = faults ? faults(request) : ObjectFault{};
    if (!fault.answer.empty()) {
        send(connection, fault.answer);
        return false;
    }
    Answer made = answer_to(request, fault);
    if (fault.lose_answer) return false;
    if (fault.flip_at && *fault.flip_at < made.body.size())
        made.body[*fault.flip_at] = static_cast<char>(made.body[*fault.flip_at] ^ 1);
    const std::time_t now = std::time(nullptr) + clock_seconds;
    const bool bodiless = request.method == "HEAD" || made.status == 204;
    const std::string head = "HTTP/1.1 " + std::to_string(made.status) + " Status\r\nDate: " + date_of(now) +
                             "\r\nContent-Length: " + std::to_string(made.body.size()) + "\r\n" + made.headers + "\r\n";
    if (!send(connection, head)) return false;
    if (bodiless) return true;
    std::size_t sent = 0;
    while (sent < made.body.size()) {
        std::size_t count = std::min<std::size_t>(made.body.size() - sent, 16384);
        const auto up_to = [&](std::uint64_t border) {
            if (sent < border) count = std::min<std::size_t>(count, border - sent);
        };
        if (fault.cut_after) {
            if (sent >= *fault.cut_after) return false;
            up_to(*fault.cut_after);
        }
        if (fault.stall_after) {
            if (sent >= *fault.stall_after) {
                // until one of the two ends goes
                std::array<char, 1> nothing{};
                ::recv(connection, nothing.data(), nothing.size(), 0);
                return false;
            }
            up_to(*fault.stall_after);
        }
        if (fault.midway && sent >= made.body.size() / 2) std::exchange(fault.midway, nullptr)();
        if (fault.bytes_per_second > 0) {
            count = std::min<std::size_t>(count, std::max<std::uint64_t>(1, fault.bytes_per_second / 20));
            std::this_thread::sleep_for(std::chrono::microseconds(count * 1'000'000 / fault.bytes_per_second));
        }
        if (!send(connection, std::string_view(made.body).substr(sent, count))) return false;
        sent += count;
        bytes_served_ += count;
    }
    return true;
}

ObjectServer::Answer ObjectServer::answer_to(const ObjectRequest& request, const ObjectFault& fault) {
    if (!token_.empty() && value_of(request.headers, "authorization") != "Bearer " + token_)
        return {401, "", error_body("AuthenticationRequired")};
    if (request.bucket != bucket_) return {404, "", error_body("NoSuchBucket")};
    const std::lock_guard lock(mutex_);
    if (request.key.empty()) return listing(request);
    const std::string& upload = value_of(request.query, "uploadId");
    if (request.method == "GET" || request.method == "HEAD") return reading(request, fault);
    if (request.method == "DELETE" && !upload.empty()) return {uploads_.erase(upload) > 0 ? 204 : 404, "", ""};
    if (request.method == "DELETE") {
        if (objects_.erase(request.key) == 0) return {404, "", error_body("NoSuchKey")};
        return {204, "", ""};
    }
    if (request.method == "POST" && request.query.contains("restore")) return {202, "", ""};
    if (request.method == "POST" && request.query.contains("uploads")) {
        const std::string id = "upload " + std::to_string(++versions_);
        uploads_[id];
        return {200, "",
                "<InitiateMultipartUploadResult><UploadId>" + id + "</UploadId></InitiateMultipartUploadResult>"};
    }
    if (!upload.empty() && !uploads_.contains(upload)) return {404, "", error_body("NoSuchUpload")};
    if (request.method == "PUT" && !upload.empty()) {
        uploads_[upload][std::stoi(value_of(request.query, "partNumber"))] = request.body;
        return {200, "ETag: \"" + sha256_hex(request.body).substr(0, 32) + "\"\r\n", ""};
    }
    if (request.method == "POST" && !upload.empty()) {
        std::string whole;
        for (const auto& [number, part] : uploads_[upload])
            whole += part;
        Answer written = writing(request, fault, whole);
        if (written.status != 200) return written;
        uploads_.erase(upload);
        written.body = "<CompleteMultipartUploadResult><ETag>" + objects_[request.key].etag +
                       "</ETag></CompleteMultipartUploadResult>";
        return written;
    }
    if (request.method == "PUT") return writing(request, fault, request.body);
    return {405, "", error_body("MethodNotAllowed")};
}

ObjectServer::Answer ObjectServer::writing(const ObjectRequest& request, const ObjectFault& fault,
                                           std::string content) {
    const bool only_new = !fault.ignore_conditions && (value_of(request.headers, "if-none-match") == "*" ||
                                                       value_of(request.headers, "x-goog-if-generation-match") == "0");
    if (only_new && objects_.contains(request.key)) return {412, "", error_body("PreconditionFailed")};
    const std::string etag = "\"" + std::to_string(++versions_) + "-" + sha256_hex(content).substr(0, 8) + "\"";
    objects_[request.key] = {std::move(content), etag};
    return {200, "ETag: " + etag + "\r\n", ""};
}

ObjectServer::Answer ObjectServer::reading(const ObjectRequest& request, const ObjectFault& fault) const {
    const auto found = objects_.find(request.key);
    if (found == objects_.end()) return {404, "", error_body("NoSuchKey")};
    const Object& object = found->second;
    const std::string& wanted = value_of(request.headers, "if-match");
    if (!wanted.empty() && wanted != object.etag && !fault.ignore_conditions)
        return {412, "", error_body("PreconditionFailed")};
    const std::string headers = "ETag: " + object.etag + "\r\nAccept-Ranges: bytes\r\n" + extra_headers;
    const std::string& range = value_of(request.headers, "range");
    if (range.empty() || fault.ignore_range) return {200, headers, object.content};
    const std::size_t dash = range.find('-');
    const std::size_t first = std::stoul(range.substr(6, dash - 6));
    const std::size_t size = object.content.size();
    if (first >= size)
        return {416, "Content-Range: bytes */" + std::to_string(size) + "\r\n", error_body("InvalidRange")};
    const std::size_t last =
        dash + 1 < range.size() ? std::min(size - 1, std::stoul(range.substr(dash + 1))) : size - 1;
    return {206,
            headers + "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
                std::to_string(size) + "\r\n",
            object.content.substr(first, last - first + 1)};
}

ObjectServer::Answer ObjectServer::listing(const ObjectRequest& request) const {
    const std::string& prefix = value_of(request.query, "prefix");
    const bool folded = value_of(request.query, "delimiter") == "/";
    const std::string& after = value_of(request.query, "continuation-token");
    const std::string& most = value_of(request.query, "max-keys");
    const std::size_t limit = most.empty() ? 1000 : std::stoul(most);
    const bool url = value_of(request.query, "encoding-type") == "url";
    std::string body = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    if (url) body += "<EncodingType>url</EncodingType>";
    const auto written = [&](const std::string& key) { return url ? encoded(key) : key; };
    std::size_t count = 0;
    std::string last;
    bool more = false;
    for (const auto& [key, object] : objects_) {
        if (!key.starts_with(prefix)) continue;
        const std::size_t slash = folded ? key.find('/', prefix.size()) : std::string::npos;
        const std::string name = slash == std::string::npos ? key : key.substr(0, slash + 1);
        if (name <= after || name == last) continue;
        if (count == limit) {
            more = true;
            break;
        }
        ++count;
        last = name;
        body += slash == std::string::npos
                    ? "<Contents><Key>" + written(key) + "</Key><Size>" + std::to_string(object.content.size()) +
                          "</Size><LastModified>2026-02-01T02:00:00.000Z</LastModified><ETag>" + object.etag +
                          "</ETag></Contents>"
                    : "<CommonPrefixes><Prefix>" + written(name) + "</Prefix></CommonPrefixes>";
    }
    body += std::string("<IsTruncated>") + (more ? "true" : "false") + "</IsTruncated>";
    if (more) body += "<NextContinuationToken>" + last + "</NextContinuationToken>";
    return {200, "", body + "</ListBucketResult>"};
}

}  // namespace lifeboat::test
