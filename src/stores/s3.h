// A bucket of an S3 service, or the part of it below a prefix. Objects of some size are sent in parts that become
// visible together when the last one is there; every body is signed with its SHA-256, so the server refuses what was
// damaged on its way. Redirects are followed by signing again, and only to the endpoint itself and names below it
// (R33).
#pragma once

#include <atomic>
#include <map>

#include "stores/cold_storage.h"
#include "stores/http_calls.h"
#include "stores/store.h"

namespace lifeboat {

struct S3Options {
    std::string endpoint;  // "https://host:port"; empty: Amazon's of the region
    std::string region = "us-east-1";
    std::string bucket;
    std::string prefix;          // in front of every key, like "backups/"; may be empty
    bool virtual_hosts = false;  // the bucket is part of the host's name instead of the path
    std::string key_id;
    Secret key;
    Secret session_token;    // of temporary credentials; may be empty
    Secret bearer;           // an OAuth token instead of all of these (Google)
    std::string encryption;  // of what is written: "AES256", "aws:kms"; empty: the bucket's default
    std::string kms_key;
    std::string storage_class;       // of what is written; empty: the bucket's default
    ThawTerms thaw;                  // of what lies in the classes "GLACIER" and "DEEP_ARCHIVE"
    bool conditional_writes = true;  // the service refuses to replace when asked so (If-None-Match)
    bool google = false;             // Google's header names
    Bytes multipart_above{16u << 20};
    Bytes part_size{16u << 20};  // larger where an object would have more than 10,000 parts
    HttpLink link;
};

class S3Store final : public Store, public ColdStorage {
  public:
    // Throws Error{invalid_file} for options that cannot be.
    S3Store(std::string name, S3Options options);

    const std::string& name() const override { return name_; }
    StoreFeatures features() const override;
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override;
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override;
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override;
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override;
    bool remove(const std::string& key, const WorkControl& control) override;

    ColdStorage* cold_storage() override { return this; }
    ThawState thaw_state(const std::string& key, const WorkControl& control) override;
    void request_thaw(const std::string& key, const WorkControl& control) override;
    Duration thaw_takes(std::string_view cold_class) const override;

    // The server's clock minus ours, once it has refused a signature for that; requests are signed with it (R19).
    Duration clock_offset() const { return clock_offset_.load(); }

  private:
    using Query = std::map<std::string, std::string>;
    struct Call;

    std::string url_of(const std::string& key, const Query& query) const;
    // `request` without URL and credentials; `body_digest` is the hexadecimal SHA-256 of what it carries.
    HttpResponse send(HttpRequest request, const Call& call, const WorkControl& control);
    HttpResponse head(const std::string& key, const WorkControl& control);
    Error refusal(const HttpResponse& response, const std::string& key) const;
    void check_bucket(const WorkControl& control);
    void add_write_headers(HttpRequest& request, const WriteOptions& options) const;
    void add_exclusive(HttpRequest& request) const;
    StoredObject write_whole(const std::string& key, const Content& content, const WriteOptions& options,
                             const WorkControl& control);
    StoredObject write_parts(const std::string& key, const Content& content, const WriteOptions& options,
                             const WorkControl& control);
    std::string complete(const std::string& key, const std::string& upload_id, const std::vector<std::string>& etags,
                         bool exclusive, const WorkControl& control);
    void abort(const std::string& key, const std::string& upload_id);
    [[noreturn]] void refuse_write(const HttpResponse& response, const std::string& key, bool exclusive) const;

    std::string name_;
    S3Options options_;
    HttpUrl endpoint_;
    HttpCalls calls_;
    std::atomic<Duration> clock_offset_{Duration::zero()};
    std::atomic<bool> bucket_seen_ = false;
    std::atomic<bool> conditional_;
};

}  // namespace lifeboat
