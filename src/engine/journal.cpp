#include "engine/journal.h"

namespace lifeboat {

void Observer::progressed(std::size_t, const Progress&) {}

}  // namespace lifeboat
