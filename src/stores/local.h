// A directory as a store. Objects appear by rename from a synced temporary name in the same folder, and folders are
// synced, so an object that was seen survives a power cut. Paths are walked part by part without following symbolic
// links, which are no objects here; what is neither a plain file nor a folder, temporary names and names that are no
// keys are not listed.
#pragma once

#include <filesystem>

#include "stores/left_behind.h"
#include "stores/store.h"

namespace lifeboat {

class LocalStore final : public Store {
  public:
    // `root` is made at the first write if the folder above it exists; reading a missing one is Error{unreachable}.
    LocalStore(std::string name, std::filesystem::path root);

    const std::string& name() const override { return name_; }
    StoreFeatures features() const override;
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override;
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override;
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override;
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override;
    bool remove(const std::string& key, const WorkControl& control) override;

    const std::filesystem::path& root() const { return root_; }

  private:
    std::string name_;
    std::filesystem::path root_;
    std::shared_ptr<SweptFolders> swept_ = std::make_shared<SweptFolders>();
};

}  // namespace lifeboat
