// Every kind of store with the real server that it is tested on. A new kind is one more line in `all_stores`.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stores/store.h"

namespace lifeboat::test {

struct StoreUnderTest {
    std::string kind;
    // What is not installed and needed to test it; empty when all is there.
    std::function<std::string()> missing;
    // An empty store. Its server is started once in a test program and lives as long as that.
    std::function<std::shared_ptr<Store>()> make;
    // A store with one object of `size` bytes that are zero but for the `end`; where that costs no space.
    std::function<std::shared_ptr<Store>(const std::string& key, std::uint64_t size, const std::string& end)>
        make_sparse = {};
    // The same where its server keeps files: a new folder, and any number of stores over it.
    struct OnDisk {
        std::filesystem::path folder;
        std::function<std::shared_ptr<Store>()> open;
    };
    std::function<OnDisk()> make_on_disk = {};
    // Stores that cannot work, on the same server, and the code of the error that each of them gives.
    struct Broken {
        std::string how;
        std::shared_ptr<Store> store;
        ErrorCode code;
    };
    std::function<std::vector<Broken>()> broken;
};

const std::vector<StoreUnderTest>& all_stores();

}  // namespace lifeboat::test
