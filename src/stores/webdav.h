// A collection of a WebDAV server. Objects are sent under a temporary name and moved to their own, which servers do in
// one step (what Apache would replace in two is sent again, straight to its name); collections are made as needed and
// go with the last object in them. Weak ETags are no validators: the versions of an object that is a second old may not
// be told apart. Redirects are not followed.
#pragma once

#include "stores/http_calls.h"
#include "stores/left_behind.h"
#include "stores/store.h"

namespace lifeboat {

struct WebdavOptions {
    std::string url;  // of the collection: "https://host/backups/"; made at the first write if the one above exists
    HttpAuth auth;    // HttpBasic or HttpDigest
    HttpLink link;
};

class WebdavStore final : public Store {
  public:
    // Throws Error{invalid_file} for options that cannot be.
    WebdavStore(std::string name, WebdavOptions options);

    const std::string& name() const override { return name_; }
    // Servers look whether the name is free and move then, in two steps.
    StoreFeatures features() const override { return StoreFeatures{.exclusive_writes = false, .parallel_reads = 4}; }
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override;
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override;
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override;
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override;
    bool remove(const std::string& key, const WorkControl& control) override;

  private:
    // Of an object, or of a collection when `path` is empty or ends with '/'.
    std::string url_of(const std::string& path) const;
    HttpResponse send(const std::string& method, const std::string& path, std::vector<HttpHeader> headers,
                      const WorkControl& control);
    HttpResponse upload(const std::string& path, const std::string& key, const Content& content,
                        const WorkControl& control);
    HttpResponse move(const std::string& from, const std::string& to, bool overwrite, const WorkControl& control);
    // The resource itself and what is in it; nullopt when it is missing.
    std::optional<std::vector<Listed>> find(const std::string& path, const char* depth, const WorkControl& control);
    // The same, and what time it is there.
    struct Found {
        std::vector<Listed> lines;
        std::optional<Timestamp> now;
    };
    std::optional<Found> find_now(const std::string& path, const char* depth, const WorkControl& control);
    void sweep(const std::string& folder, const WorkControl& control);
    void make_collections(const std::string& key, const WorkControl& control);
    bool sweep_away(const std::string& folder, const WorkControl& control);
    Error refusal(const HttpResponse& response, const std::string& key) const;

    std::string name_;
    WebdavOptions options_;
    HttpUrl base_;
    std::string base_path_;  // decoded, ends with '/'
    HttpCalls calls_;
    SweptFolders swept_;
};

}  // namespace lifeboat
