#include "stores/gcs.h"

namespace lifeboat {

S3Options s3_options(const GcsOptions& options) {
    return {.endpoint = options.endpoint,
            .region = "auto",
            .bucket = options.bucket,
            .prefix = options.prefix,
            .key_id = options.key_id,
            .key = options.key,
            .bearer = options.token,
            .storage_class = options.storage_class,
            .conditional_writes = !options.token.empty(),
            .google = true,
            .link = options.link};
}

}  // namespace lifeboat
