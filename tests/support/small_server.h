// A real HTTP server on a free port of 127.0.0.1, for tests of clients: each connection's request is read whole and
// answered with the bytes that the handler returns; an empty answer leaves the connection hanging until the server
// goes.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace lifeboat::test {

class SmallServer {
  public:
    using Handler = std::function<std::string(const std::string& request)>;
    explicit SmallServer(Handler handler);
    ~SmallServer();
    SmallServer(const SmallServer&) = delete;
    SmallServer& operator=(const SmallServer&) = delete;

    int port() const { return port_; }
    std::string url(const std::string& path = "/") const;
    // What has been asked so far, head and body.
    std::vector<std::string> requests() const;

  private:
    void serve();
    void answer(int connection);

    Handler handler_;
    int port_ = 0;
    int listener_ = -1;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::vector<int> hanging_;
    std::thread thread_;
};

// A complete response with its length.
std::string http_answer(int status, const std::string& body, const std::string& more_headers = {});

// A port of 127.0.0.1 on which nothing listens.
int closed_port();

}  // namespace lifeboat::test
