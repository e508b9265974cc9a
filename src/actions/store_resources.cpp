// The kinds of places where backups live, as a site declares them.
#include "actions/family.h"

namespace lifeboat {

namespace {

using Fields = std::vector<ParameterSpec>;

ParameterSpec text(const char* name, const char* doc, const char* otherwise = nullptr) {
    ParameterSpec field{.name = name, .doc = doc};
    if (otherwise != nullptr) field.default_value = otherwise;
    return field;
}

ParameterSpec required(ParameterSpec field) {
    field.required = true;
    return field;
}

ParameterSpec secret(const char* name, const char* doc) {
    ParameterSpec field{.name = name, .doc = doc};
    field.may_be_secret = true;
    return field;
}

ParameterSpec path(const char* name, const char* doc) {
    return {.name = name, .type = ValueType::path, .doc = doc};
}

ParameterSpec choice(const char* name, const char* doc, std::vector<std::string> choices, const char* otherwise) {
    return {.name = name, .doc = doc, .default_value = otherwise, .choices = std::move(choices)};
}

// What audits and every store ask for.
void add_common(Fields& fields, const char* media, const char* location) {
    fields.push_back({.name = "limit",
                      .type = ValueType::rate,
                      .doc = "At most so many bytes by the second, read and written together, such as 20MiB/s."});
    fields.push_back(
        text("media", "What it is kept on, for the rule of two kinds of media: 'disk', 'tape', 'object' …", media));
    fields.push_back(choice("location", "Where it is, for the rule of one copy off site: 'onsite' or 'offsite'.",
                            {"onsite", "offsite"}, location));
}

void add_http(Fields& fields) {
    fields.push_back(path("ca_file",
                          "File with the certificates that the server's is checked against, instead of the "
                          "system's."));
    fields.push_back({.name = "stall",
                      .type = ValueType::duration,
                      .doc = "A transfer without progress for so long has failed.",
                      .default_value = "1m"});
}

void add_thaw(Fields& fields, std::vector<std::string> speeds, const char* takes) {
    fields.push_back(
        choice("thaw_speed", "How fast objects in cold storage are asked for.", std::move(speeds), "standard"));
    fields.push_back({.name = "thaw_takes", .type = ValueType::duration, .doc = takes});
}

ParameterSpec prefix() {
    return text("prefix", "In front of every key, such as 'backups/'.");
}

ResourceSpec store(const char* type, const char* summary, Fields fields, const char* example) {
    ResourceSpec spec;
    spec.type = type;
    spec.kinds = {"store"};
    spec.summary = summary;
    spec.fields = std::move(fields);
    spec.example = example;
    return spec;
}

ResourceSpec local() {
    Fields fields{required(path("path", "The directory; its last part is made at the first write."))};
    add_common(fields, "disk", "onsite");
    ResourceSpec spec = store("local", "A directory that holds backups: on this machine, or mounted", std::move(fields),
                              "vault: {type: local, path: /srv/backups, media: disk, location: onsite}\n");
    spec.usable_in_sandbox = true;
    return spec;
}

ResourceSpec s3() {
    Fields fields{required(text("bucket", "Name of the bucket, which exists.")),
                  text("endpoint",
                       "Address of the service, such as 'https://minio.example:9000'; without it Amazon's of the "
                       "region."),
                  text("region", "Region that requests are signed for.", "us-east-1"),
                  prefix(),
                  choice("style", "Whether the bucket stands in the path of a URL or in its host's name.",
                         {"path", "virtual"}, "path"),
                  required(secret("access_key", "Id of the access key.")),
                  required(secret("secret_key", "The secret access key.")),
                  secret("session_token", "Token of temporary credentials."),
                  text("encryption", "Server-side encryption of what is written: 'AES256' or 'aws:kms'."),
                  text("kms_key", "Key for 'aws:kms'."),
                  text("storage_class",
                       "Storage class of what is written; without it the bucket's default. Manifests, checksums and "
                       "notes never go into 'GLACIER' or 'DEEP_ARCHIVE'."),
                  {.name = "conditional_writes",
                   .type = ValueType::boolean,
                   .doc = "Whether the service refuses to replace an object when asked so (If-None-Match).",
                   .default_value = true}};
    add_thaw(fields, {"bulk", "standard", "expedited"},
             "How long that takes, for predictions; without it what Amazon states: 12h, 5h and 5m in 'GLACIER', 48h "
             "and 12h in 'DEEP_ARCHIVE', which knows no 'expedited'.");
    fields.push_back({.name = "thaw_days",
                      .type = ValueType::integer,
                      .doc = "For how many days what was thawed can be read.",
                      .default_value = 7});
    add_http(fields);
    add_common(fields, "object", "offsite");
    return store("s3", "A bucket of Amazon S3 or of a service that speaks its protocol", std::move(fields),
                 "offsite: {type: s3, bucket: dr, region: eu-west-1, prefix: shop/, access_key: \"${{ secrets.s3_id "
                 "}}\", secret_key: \"${{ secrets.s3_key }}\"}\n");
}

ResourceSpec gcs() {
    Fields fields{required(text("bucket", "Name of the bucket, which exists.")),
                  prefix(),
                  secret("access_key", "Id of an HMAC key."),
                  secret("secret_key", "The HMAC key's secret."),
                  secret("token", "An OAuth access token instead of an HMAC key."),
                  text("storage_class", "Storage class of what is written; without it the bucket's default."),
                  text("endpoint", "Address of the service.", "https://storage.googleapis.com")};
    add_http(fields);
    add_common(fields, "object", "offsite");
    return store("gcs", "A bucket of Google Cloud Storage", std::move(fields),
                 "google: {type: gcs, bucket: dr, token: \"${{ secrets.google }}\"}\n");
}

ResourceSpec azure() {
    Fields fields{
        required(text("account", "Name of the storage account.")),
        required(text("container", "Name of the container, which exists.")),
        prefix(),
        text("endpoint", "Address of the service; without it that of the account at Azure."),
        secret("key", "The account's key, in base64."),
        secret("sas", "A shared access signature instead of the key: 'sv=…&sig=…'."),
        text("access_tier",
             "Access tier of what is written: 'Hot', 'Cool' …; without it the container's default. Manifests, "
             "checksums and notes never go into 'Archive'.")};
    add_thaw(fields, {"standard", "expedited"},
             "How long that takes, for predictions; without it what Microsoft states: 15h and 1h. What was thawed "
             "stays in the tier 'Hot'.");
    add_http(fields);
    add_common(fields, "object", "offsite");
    return store("azure", "A container of Azure Blob Storage", std::move(fields),
                 "azure: {type: azure, account: dr, container: shop, key: \"${{ secrets.azure }}\"}\n");
}

ResourceSpec webdav() {
    Fields fields{required(text("url", "Address of the collection, such as 'https://nas/dav/backups/'.")),
                  text("user", "Name to log in with."), secret("password", "Its password."),
                  choice("auth", "How the server asks for them.", {"basic", "digest"}, "basic")};
    add_http(fields);
    add_common(fields, "disk", "onsite");
    return store(
        "webdav", "A collection of a WebDAV server", std::move(fields),
        "nas: {type: webdav, url: \"https://nas/dav/backups/\", user: dr, password: \"${{ secrets.nas }}\"}\n");
}

ResourceSpec http() {
    Fields fields{required(text("url", "Address of the folder, such as 'https://mirror/backups/'.")),
                  text("user", "Name to log in with."),
                  secret("password", "Its password."),
                  choice("auth", "How the server asks for them.", {"basic", "digest"}, "basic"),
                  secret("token", "A bearer token instead of name and password."),
                  choice("listing",
                         "How it is known what there is: from the server's own pages of its folders, from "
                         "the file `index`, or not at all.",
                         {"pages", "index", "nothing"}, "pages"),
                  text("index", "The file whose lines end with the keys, as sha256sum writes them.", "SHA256SUMS")};
    add_http(fields);
    add_common(fields, "disk", "offsite");
    return store("http", "A folder that a web server shows, only to be read", std::move(fields),
                 "mirror: {type: http, url: \"https://mirror/backups/\"}\n");
}

ResourceSpec sftp() {
    ParameterSpec host_keys{.name = "host_keys",
                            .type = ValueType::list,
                            .doc = "Fingerprints of the host's keys, 'SHA256:…': exactly these are trusted."};
    host_keys.element = ValueType::text;
    Fields fields{
        required(text("host", "Name or address, or an alias of `ssh_config`.")),
        {.name = "port", .type = ValueType::integer, .doc = "TCP port; without it 22, or what `ssh_config` says."},
        required(text("user", "Name to log in with.")),
        text("path", "The folder, relative to that of the login; without it that one itself."),
        path("key", "File with the private key."),
        secret("passphrase", "Of the private key."),
        secret("password", "To log in with, where there is no key."),
        {.name = "agent",
         .type = ValueType::boolean,
         .doc = "Whether keys of the agent at SSH_AUTH_SOCK may be used.",
         .default_value = false},
        path("known_hosts", "File with the hosts' keys, as OpenSSH writes it."),
        std::move(host_keys),
        path("ssh_config",
             "OpenSSH's configuration, for jump hosts, certificates and aliases; only its program reads "
             "it."),
        choice("transport",
               "OpenSSH's client program, the library that is built in, or whichever can do what is asked here.",
               {"auto", "program", "library"}, "auto"),
        {.name = "connections",
         .type = ValueType::integer,
         .doc = "Connections at the same time, at most.",
         .default_value = 4}};
    add_common(fields, "disk", "onsite");
    return store("sftp", "A folder of another machine, over SSH", std::move(fields),
                 "nas: {type: sftp, host: nas, user: dr, path: /dr/shop, key: /etc/lifeboat/id_ed25519, known_hosts: "
                 "/etc/lifeboat/known_hosts}\n");
}

}  // namespace

std::vector<ResourceSpec> store_resources() {
    return {local(), s3(), sftp(), webdav(), http(), azure(), gcs()};
}

}  // namespace lifeboat
