// A folder that a web server shows, to be read only. It is listed from an index file, or from the pages that nginx
// (HTML or JSON) and Apache make of a folder; where a page does not give exact sizes, each object is asked for its own.
// Redirects of reads are followed; the credentials go to the first origin only (R33).
#pragma once

#include "stores/http_calls.h"
#include "stores/store.h"

namespace lifeboat {

struct HttpOptions {
    enum class Listing {
        pages,   // the server's own page of each folder
        index,   // the file `index`
        nothing  // objects can be read only by whoever knows their keys
    };

    std::string url;  // of the folder: "https://host/backups/"
    HttpAuth auth;
    Secret bearer;  // a token instead of `auth`; may be empty
    Listing listing = Listing::pages;
    std::string index = "SHA256SUMS";  // lines that end with a key, as sha256sum writes them, or that are one
    HttpLink link;
};

class HttpStore final : public Store {
  public:
    // Throws Error{invalid_file} for options that cannot be.
    HttpStore(std::string name, HttpOptions options);

    const std::string& name() const override { return name_; }
    StoreFeatures features() const override;
    // Throws Error{unsupported} where nothing can be listed.
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override;
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override;
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override;
    // Throw Error{unsupported}.
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override;
    bool remove(const std::string& key, const WorkControl& control) override;

  private:
    std::string url_of(const std::string& path) const;
    HttpResponse send(HttpRequest request, const std::string& path, const WorkControl& control);
    Error refusal(const HttpResponse& response, const std::string& key) const;
    std::vector<Listed> page_of(const std::string& path, const WorkControl& control);
    std::vector<Listed> index_entries(const WorkControl& control);

    std::string name_;
    HttpOptions options_;
    HttpUrl base_;
    std::string base_path_;  // decoded, ends with '/'
    HttpCalls calls_;
};

}  // namespace lifeboat
