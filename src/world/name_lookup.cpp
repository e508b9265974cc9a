#include "world/name_lookup.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include <netdb.h>

#include "base/error.h"

namespace lifeboat {

namespace {

// Shared with the thread that asks: it may outlive the call.
struct Resolution {
    std::mutex mutex;
    std::condition_variable_any changed;
    bool done = false;
    int failure = 0;
    std::vector<std::string> addresses;
};

std::vector<std::string> addresses_of(const std::string& host, int flags, int& failure) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* found = nullptr;
    failure = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    std::vector<std::string> addresses;
    if (failure != 0) return addresses;
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0) {
            if (std::find(addresses.begin(), addresses.end(), text) == addresses.end()) addresses.emplace_back(text);
        }
    }
    freeaddrinfo(found);
    return addresses;
}

}  // namespace

std::vector<std::string> look_up_addresses(const std::string& host, const std::stop_token& stop, SteadyTime deadline,
                                           const std::string& tried) {
    int failure = 0;
    if (auto numeric = addresses_of(host, AI_NUMERICHOST, failure); !numeric.empty()) return numeric;

    const auto shared = std::make_shared<Resolution>();
    std::thread([shared, host] {
        int result = 0;
        auto addresses = addresses_of(host, AI_ADDRCONFIG, result);
        // a machine with nothing but loopback has no "configured" address
        if (addresses.empty()) addresses = addresses_of(host, 0, result);
        const std::lock_guard lock(shared->mutex);
        shared->addresses = std::move(addresses);
        shared->failure = result;
        shared->done = true;
        shared->changed.notify_all();
    }).detach();

    std::unique_lock lock(shared->mutex);
    const auto ended = [&shared] { return shared->done; };
    if (deadline == SteadyTime::max()) {
        shared->changed.wait(lock, stop, ended);
    } else {
        shared->changed.wait_until(lock, stop, deadline, ended);
    }
    if (!shared->done) {
        if (stop.stop_requested()) throw Error{ErrorCode::cancelled, tried + ": asked to stop"};
        throw Error{ErrorCode::unreachable, tried + ": the name '" + host + "' was not resolved in time"};
    }
    if (shared->addresses.empty()) {
        throw Error{ErrorCode::unreachable, tried + ": " + gai_strerror(shared->failure),
                    "Check the resource's host and the name service of this machine."};
    }
    return shared->addresses;
}

}  // namespace lifeboat
