#include "base/version.h"

namespace lifeboat {

std::string_view version() {
    return LIFEBOAT_VERSION;
}

}  // namespace lifeboat
