#include "world/machine.h"

#include <array>
#include <fstream>

#include <unistd.h>

namespace lifeboat {

std::string host_name() {
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

std::string machine_id() {
    std::ifstream file("/etc/machine-id");
    std::string id;
    if (std::getline(file, id) && !id.empty()) return id;
    return host_name();
}

}  // namespace lifeboat
