// Objects in cold storage (Glacier, Azure's archive tier) cannot be read until they have been thawed, which takes
// hours; reading one is Error{archived}. This is the small second interface of a store that has such objects.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "world/control.h"

namespace lifeboat {

enum class Thaw {
    ready,    // can be read now
    frozen,   // has to be asked for
    thawing,  // was asked for, not there yet
};

struct ThawState {
    Thaw state = Thaw::ready;
    std::optional<Timestamp> until;  // when a thawed copy goes away again
};

enum class ThawSpeed { bulk, standard, expedited };

// How a store is asked, as its site declares it.
struct ThawTerms {
    ThawSpeed speed = ThawSpeed::standard;
    int days = 7;                   // how long the thawed copy is kept, where the service asks for it
    std::optional<Duration> takes;  // nullopt: what the service states for that speed
};

class ColdStorage {
  public:
    virtual ~ColdStorage() = default;
    // Throws Error{not_found} when there is no such object.
    virtual ThawState thaw_state(const std::string& key, const WorkControl& control) = 0;
    // Asks for the object; nothing happens when that was done before or it can be read anyway.
    virtual void request_thaw(const std::string& key, const WorkControl& control) = 0;
    // From asking to reading, for an object of that class (StoredObject::cold_class).
    virtual Duration thaw_takes(std::string_view cold_class) const = 0;
};

}  // namespace lifeboat
