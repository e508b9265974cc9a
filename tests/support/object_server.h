// An object store of our own for tests, on a free port of 127.0.0.1: the XML interface that S3 and Google Cloud Storage
// share, over objects in memory, with faults made on purpose. It is a stand-in, written by us: it checks a bearer token
// if it has one, but no signatures.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace lifeboat::test {

struct ObjectRequest {
    std::string method;
    std::string bucket;
    std::string key;                             // decoded; empty: the bucket
    std::map<std::string, std::string> query;    // decoded
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
    int number = 0;  // counted from 1
};

// What goes wrong with one answer. Bytes are those of the answer's body.
struct ObjectFault {
    std::string answer;                        // these bytes instead of all else; the connection closes behind them
    std::optional<std::uint64_t> cut_after;    // the connection closes
    std::optional<std::uint64_t> stall_after;  // nothing follows, until the server goes
    std::optional<std::uint64_t> flip_at;      // this byte is another one
    std::uint64_t bytes_per_second = 0;
    bool ignore_range = false;
    bool ignore_conditions = false;  // If-Match, If-None-Match and Google's
    bool lose_answer = false;        // does what was asked and closes the connection
    std::function<void()> midway;    // called when half of the body was sent
};

class ObjectServer {
  public:
    explicit ObjectServer(std::string bucket, std::string token = {});
    ~ObjectServer();
    ObjectServer(const ObjectServer&) = delete;
    ObjectServer& operator=(const ObjectServer&) = delete;

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
    // Called for each request, from several threads; nothing goes wrong without it.
    void fail(std::function<ObjectFault(const ObjectRequest&)> faults);

    void put(const std::string& key, const std::string& content);
    std::optional<std::string> content(const std::string& key) const;
    std::vector<std::string> keys() const;
    std::size_t open_uploads() const;
    std::vector<ObjectRequest> requests() const;
    std::size_t connections() const;  // made so far
    std::uint64_t bytes_served() const { return bytes_served_; }
    // Added to the headers of each answer about an object: "x-amz-storage-class: GLACIER\r\n".
    std::string extra_headers;
    // The server's clock minus the real one, in its Date header.
    std::atomic<std::int64_t> clock_seconds = 0;

  private:
    struct Object {
        std::string content;
        std::string etag;
    };
    struct Answer {
        int status = 200;
        std::string headers;
        std::string body;
    };

    void serve();
    void converse(int connection);
    bool answer(int connection, ObjectRequest request);
    Answer answer_to(const ObjectRequest& request, const ObjectFault& fault);
    Answer listing(const ObjectRequest& request) const;
    Answer reading(const ObjectRequest& request, const ObjectFault& fault) const;
    Answer writing(const ObjectRequest& request, const ObjectFault& fault, std::string content);
    bool send(int connection, std::string_view bytes) const;

    std::string bucket_;
    std::string token_;
    int port_ = 0;
    int listener_ = -1;
    std::atomic<bool> over_ = false;
    std::atomic<std::uint64_t> bytes_served_ = 0;
    mutable std::mutex mutex_;
    std::function<ObjectFault(const ObjectRequest&)> faults_;
    std::map<std::string, Object> objects_;
    std::map<std::string, std::map<int, std::string>> uploads_;
    std::vector<ObjectRequest> requests_;
    std::uint64_t versions_ = 0;
    std::vector<int> connections_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

}  // namespace lifeboat::test
