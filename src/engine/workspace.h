// A step's own folder below its run's, made when it is first asked for: most deeds need none. Copies are one workspace;
// any thread may ask.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace lifeboat {

class Workspace {
  public:
    // A folder that is there already.
    Workspace(std::filesystem::path folder = {}) : state_(std::make_shared<State>()) {  // NOLINT(*-explicit-*)
        state_->folder = std::move(folder);
    }
    // A folder that `make` makes.
    Workspace(std::filesystem::path folder, std::function<void(const std::filesystem::path&)> make)
        : Workspace(std::move(folder)) {
        state_->make = std::move(make);
    }

    // Throws what `make` throws.
    const std::filesystem::path& path() const {
        std::call_once(state_->made, [this] {
            if (state_->make) state_->make(state_->folder);
        });
        return state_->folder;
    }
    operator const std::filesystem::path&() const { return path(); }  // NOLINT(*-explicit-*)
    friend std::filesystem::path operator/(const Workspace& workspace, const std::filesystem::path& name) {
        return workspace.path() / name;
    }

    // The name of a file next to the folder, which need not be there for it.
    std::filesystem::path beside(std::string_view suffix) const {
        return state_->folder.native() + std::string(suffix);
    }

  private:
    struct State {
        std::filesystem::path folder;
        std::function<void(const std::filesystem::path&)> make;
        std::once_flag made;
    };
    std::shared_ptr<State> state_;
};

}  // namespace lifeboat
