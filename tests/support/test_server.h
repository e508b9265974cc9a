// A real server for tests, started by a script of tests/servers on free ports of 127.0.0.1 in a throw-away folder. It
// ends, with all its processes, when this object goes, and also when the test program dies.
#pragma once

#include <map>
#include <string>

#include <sys/types.h>

#include "support/scratch_folder.h"

namespace lifeboat::test {

class TestServer {
  public:
    // The packages that are not installed but needed by `script`, like "radosgw.sh"; empty when it can start.
    static std::string missing(const std::string& script);

    // `variables` are added to the script's environment.
    explicit TestServer(const std::string& script, const std::map<std::string, std::string>& variables = {});
    ~TestServer();
    TestServer(const TestServer&) = delete;
    TestServer& operator=(const TestServer&) = delete;

    // What the script said of the server, like "S3_ENDPOINT".
    const std::string& operator[](const std::string& name) const;
    const std::filesystem::path& folder() const { return folder_.path(); }

  private:
    ScratchFolder folder_;
    std::map<std::string, std::string> values_;
    pid_t group_ = -1;
    int standard_input_ = -1;
};

// The first of `count` ports of 127.0.0.1 in a row on which nothing listens.
int free_ports(int count);

}  // namespace lifeboat::test
