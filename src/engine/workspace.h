// A step's own folder below its run's, made when it is first asked for: most deeds need none. Copies are one workspace;
// any thread may ask.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>

namespace lifeboat {

class Workspace {
  public:
    // A folder that is there already.
    Workspace(std::filesystem::path folder = {}) : state_(std::make_shared<State>()) {  // NOLINT(*-explicit-*)
        state_->folder = std::move(folder);
    }
    explicit Workspace(std::function<std::filesystem::path()> make) : Workspace() { state_->make = std::move(make); }

    // Throws what `make` throws.
    const std::filesystem::path& path() const {
        std::call_once(state_->made, [this] {
            if (state_->make) state_->folder = state_->make();
        });
        return state_->folder;
    }
    operator const std::filesystem::path&() const { return path(); }  // NOLINT(*-explicit-*)
    friend std::filesystem::path operator/(const Workspace& workspace, const std::filesystem::path& name) {
        return workspace.path() / name;
    }

  private:
    struct State {
        std::function<std::filesystem::path()> make;
        std::filesystem::path folder;
        std::once_flag made;
    };
    std::shared_ptr<State> state_;
};

}  // namespace lifeboat
