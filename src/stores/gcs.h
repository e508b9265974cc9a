// Google Cloud Storage by its XML interface, which speaks S3: with HMAC keys, signed as S3 is, or with an OAuth token.
#pragma once

#include "stores/s3.h"

namespace lifeboat {

struct GcsOptions {
    std::string bucket;
    std::string prefix;  // in front of every key, like "backups/"; may be empty
    std::string key_id;  // of an HMAC key
    Secret key;
    Secret token;  // an OAuth access token instead of the HMAC key
    std::string storage_class;
    std::string endpoint = "https://storage.googleapis.com";
    HttpLink link;
};

// Exclusive writes hold against other writers only with a token: signed requests cannot carry Google's condition.
S3Options s3_options(const GcsOptions& options);

}  // namespace lifeboat
