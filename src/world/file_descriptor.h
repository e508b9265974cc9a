// An open file of this process, closed by its destructor. Every descriptor made in this room is close-on-exec.
#pragma once

#include <utility>

namespace lifeboat {

class FileDescriptor {
  public:
    FileDescriptor() = default;
    explicit FileDescriptor(int number) : number_(number) {}
    ~FileDescriptor() { reset(); }
    FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        if (this != &other) {
            reset();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }

    int get() const { return number_; }
    explicit operator bool() const { return number_ >= 0; }
    int release() { return std::exchange(number_, -1); }
    // Closes and forgets; errors of close are not of interest, since whatever matters was synced before.
    void reset();

  private:
    int number_ = -1;
};

}  // namespace lifeboat
