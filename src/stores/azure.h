// A container of Azure Blob Storage, or the part of it below a prefix. Large objects are staged as blocks that become
// one blob when their list is committed. A SAS is a secret although it travels in the URL: no message holds it.
#pragma once

#include <atomic>
#include <map>

#include "stores/cold_storage.h"
#include "stores/http_calls.h"
#include "stores/store.h"

namespace lifeboat {

struct AzureOptions {
    std::string account;
    std::string endpoint;  // "https://host:port/path"; empty: that of the account at Azure
    std::string container;
    std::string prefix;       // in front of every key, like "backups/"; may be empty
    Secret key;               // the account's key, in base64
    Secret sas;               // "sv=…&sig=…" instead of the key
    std::string access_tier;  // of what is written: "Hot", "Cool", …; empty: the container's default
    ThawTerms thaw;           // of what lies in the tier "Archive"; "bulk" is "standard" here
    Bytes blocks_above{64u << 20};
    Bytes block_size{16u << 20};  // larger where an object would have more than 50,000 blocks
    HttpLink link;
};

class AzureStore final : public Store, public ColdStorage {
  public:
    // Throws Error{invalid_file} for options that cannot be.
    AzureStore(std::string name, AzureOptions options);

    const std::string& name() const override { return name_; }
    StoreFeatures features() const override { return StoreFeatures{.parallel_reads = 4}; }
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

  private:
    using Query = std::map<std::string, std::string>;
    struct Call;

    HttpResponse send(const HttpRequest& request, const Call& call, const WorkControl& control);
    void sign(HttpRequest& request, const Query& query, std::uint64_t body_size) const;
    HttpResponse head(const std::string& key, const WorkControl& control);
    Error refusal(const HttpResponse& response, const std::string& key) const;
    void add_tier(HttpRequest& request, const WriteOptions& options) const;
    HttpResponse put_whole(const std::string& key, const Content& content, const WriteOptions& options,
                           const WorkControl& control);
    HttpResponse put_blocks(const std::string& key, const Content& content, const WriteOptions& options,
                            const WorkControl& control);

    std::string name_;
    AzureOptions options_;
    HttpUrl endpoint_;
    std::string key_bytes_;
    HttpCalls calls_;
    std::atomic<Duration> clock_offset_{Duration::zero()};  // the server's clock minus ours (R19)
};

}  // namespace lifeboat
