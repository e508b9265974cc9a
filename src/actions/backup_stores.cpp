#include <algorithm>

#include "actions/backup_family.h"
#include "actions/files_family.h"
#include "base/error.h"
#include "base/text.h"
#include "stores/azure.h"
#include "stores/gcs.h"
#include "stores/http.h"
#include "stores/limit.h"
#include "stores/local.h"
#include "stores/retry.h"
#include "stores/s3.h"
#include "stores/sftp.h"
#include "stores/webdav.h"

namespace lifeboat {

namespace {

// The fields of one store, checked when the site was loaded; what is missing has its declared default.
class Declared {
  public:
    Declared(const ActionWorld& world, const ResolvedResource& resource) : world_(world), resource_(resource) {}

    std::string text(const char* name, std::string otherwise = {}) const {
        const Json* value = find(name);
        return value == nullptr ? std::move(otherwise) : value->get<std::string>();
    }
    bool flag(const char* name, bool otherwise) const {
        const Json* value = find(name);
        return value == nullptr ? otherwise : value->get<bool>();
    }
    int number(const char* name, int otherwise) const {
        const Json* value = find(name);
        return value == nullptr ? otherwise : value->get<int>();
    }
    Duration duration(const char* name, Duration otherwise) const {
        return parse_duration(text(name)).value_or(otherwise);
    }
    std::optional<Bytes> rate(const char* name) const { return parse_rate(text(name)); }
    std::vector<std::string> texts(const char* name) const {
        const Json* value = find(name);
        return value == nullptr ? std::vector<std::string>{} : value->get<std::vector<std::string>>();
    }
    Secret secret(const char* name) const {
        const Json* value = find(name);
        return value == nullptr ? Secret{} : resolve_secret(*value, world_.secrets);
    }
    HttpLink link() const {
        HttpLink link{.ca_file = text("ca_file")};
        link.stall = duration("stall", link.stall);
        return link;
    }
    HttpAuth auth() const {
        if (find("user") == nullptr) return std::monostate{};
        if (text("auth") == "digest") return HttpDigest{.user = text("user"), .password = secret("password")};
        return HttpBasic{.user = text("user"), .password = secret("password")};
    }

  private:
    const Json* find(const char* name) const {
        const auto found = resource_.fields.find(name);
        return found == resource_.fields.end() || found->is_null() ? nullptr : &*found;
    }

    const ActionWorld& world_;
    const ResolvedResource& resource_;
};

ThawTerms thaw_terms(const Declared& declared) {
    const std::string speed = declared.text("thaw_speed");
    return {.speed = speed == "bulk"        ? ThawSpeed::bulk
                     : speed == "expedited" ? ThawSpeed::expedited
                                            : ThawSpeed::standard,
            .days = std::max(1, declared.number("thaw_days", 7)),
            .takes = parse_duration(declared.text("thaw_takes"))};
}

S3Options s3_options(const Declared& declared) {
    return {.endpoint = declared.text("endpoint"),
            .region = declared.text("region", "us-east-1"),
            .bucket = declared.text("bucket"),
            .prefix = declared.text("prefix"),
            .virtual_hosts = declared.text("style") == "virtual",
            .key_id = declared.secret("access_key").reveal(),
            .key = declared.secret("secret_key"),
            .session_token = declared.secret("session_token"),
            .encryption = declared.text("encryption"),
            .kms_key = declared.text("kms_key"),
            .storage_class = declared.text("storage_class"),
            .thaw = thaw_terms(declared),
            .conditional_writes = declared.flag("conditional_writes", true),
            .link = declared.link()};
}

GcsOptions gcs_options(const Declared& declared) {
    GcsOptions options{.bucket = declared.text("bucket"),
                       .prefix = declared.text("prefix"),
                       .key_id = declared.secret("access_key").reveal(),
                       .key = declared.secret("secret_key"),
                       .token = declared.secret("token"),
                       .storage_class = declared.text("storage_class"),
                       .link = declared.link()};
    options.endpoint = declared.text("endpoint", options.endpoint);
    return options;
}

AzureOptions azure_options(const Declared& declared) {
    return {.account = declared.text("account"),
            .endpoint = declared.text("endpoint"),
            .container = declared.text("container"),
            .prefix = declared.text("prefix"),
            .key = declared.secret("key"),
            .sas = declared.secret("sas"),
            .access_tier = declared.text("access_tier"),
            .thaw = thaw_terms(declared),
            .link = declared.link()};
}

HttpOptions http_options(const Declared& declared) {
    using Listing = HttpOptions::Listing;
    const std::string listing = declared.text("listing");
    return {.url = declared.text("url"),
            .auth = declared.auth(),
            .bearer = declared.secret("token"),
            .listing = listing == "index"     ? Listing::index
                       : listing == "nothing" ? Listing::nothing
                                              : Listing::pages,
            .index = declared.text("index", "SHA256SUMS"),
            .link = declared.link()};
}

SftpOptions sftp_options(const Declared& declared) {
    const std::string transport = declared.text("transport");
    return {.server = {.host = declared.text("host"),
                       .port = declared.number("port", 0),
                       .user = declared.text("user"),
                       .key_file = declared.text("key"),
                       .passphrase = declared.secret("passphrase"),
                       .password = declared.secret("password"),
                       .agent = declared.flag("agent", false),
                       .known_hosts = declared.text("known_hosts"),
                       .fingerprints = declared.texts("host_keys"),
                       .ssh_config = declared.text("ssh_config")},
            .transport = transport == "program"   ? SshTransport::program
                         : transport == "library" ? SshTransport::library
                                                  : SshTransport::automatic,
            .path = declared.text("path"),
            .connections = static_cast<std::size_t>(std::max(1, declared.number("connections", 4)))};
}

std::shared_ptr<Store> remote_store(const ActionWorld& world, const ResolvedResource& resource) {
    if (world.resources.drill())
        throw Error{ErrorCode::refused,
                    "store '" + resource.name + "' is of type '" + resource.type +
                        "': a drill cannot prove that it is part of its sandbox",
                    "Give the drill a store of type 'local'."};
    const Declared declared(world, resource);
    const std::string& name = resource.name;
    if (resource.type == "s3") return std::make_shared<S3Store>(name, s3_options(declared));
    if (resource.type == "gcs") return std::make_shared<S3Store>(name, s3_options(gcs_options(declared)));
    if (resource.type == "azure") return std::make_shared<AzureStore>(name, azure_options(declared));
    if (resource.type == "http") return std::make_shared<HttpStore>(name, http_options(declared));
    if (resource.type == "sftp") return std::make_shared<SftpStore>(name, sftp_options(declared));
    if (resource.type == "webdav")
        return std::make_shared<WebdavStore>(
            name, WebdavOptions{.url = declared.text("url"), .auth = declared.auth(), .link = declared.link()});
    throw Error{ErrorCode::invalid_file, "resource '" + name + "' of type '" + resource.type + "' is no store"};
}

}  // namespace

std::shared_ptr<Store> open_store(const ActionWorld& world, const ResolvedResource& resource,
                                  const std::function<void(std::string_view line)>& log) {
    std::shared_ptr<Store> store;
    if (resource.type == "local") {
        store = std::make_shared<LocalStore>(resource.name, place_of_resource(world, resource));
    } else {
        store = std::make_shared<RetryStore>(
            remote_store(world, resource), RetryPolicy{}, [log, name = resource.name](const RetriedAttempt& failed) {
                if (log)
                    log("store '" + name + "': " + failed.call + " failed and is tried again in " +
                        to_human(failed.delay) + ": " + failed.error.message);
            });
    }
    if (const auto rate = Declared(world, resource).rate("limit"))
        store = std::make_shared<LimitStore>(std::move(store), std::make_shared<RateLimit>(*rate));
    return store;
}

bool is_store(const std::string& type) {
    const std::vector<ResourceSpec> specs = store_resources();
    return std::any_of(specs.begin(), specs.end(), [&type](const ResourceSpec& spec) { return spec.type == type; });
}

Stores open_stores(const ActionWorld& world, const BackupSet& set, const std::vector<std::string>& only,
                   const std::function<void(std::string_view line)>& log) {
    for (const std::string& name : only)
        if (std::find(set.to.begin(), set.to.end(), name) == set.to.end())
            throw Error{ErrorCode::invalid_file, "backup set '" + set.name + "' has no store '" + printable(name) +
                                                     "'" + did_you_mean(name, set.to)};
    Stores stores;
    for (const std::string& name : set.to)
        if (only.empty() || std::find(only.begin(), only.end(), name) != only.end())
            stores.push_back(open_store(world, world.resources.named(name), log));
    return stores;
}

}  // namespace lifeboat
