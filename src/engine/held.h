// Something that is held as long as this object, and the process, live: a lock on a run or on a target.
#pragma once

namespace lifeboat {

class Held {
  public:
    Held() = default;
    virtual ~Held() = default;
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
};

}  // namespace lifeboat
