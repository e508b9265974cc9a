#include "world/machine.h"

#include <array>
#include <fstream>

#include <unistd.h>

namespace lifeboat {

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string machine_id() {
    std::ifstream file("/etc/machine-id");
    std::string id;
    if (std::getline(file, id) && !id.empty()) return id;
    return host_name();
}

}  // namespace lifeboat
