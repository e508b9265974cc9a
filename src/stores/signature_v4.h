// AWS Signature Version 4, in headers. Our own, because libcurl 7.88 sends the date twice when it is given (which a
// clock that is corrected needs) and signs headers that it then does not send.
#pragma once

#include <string>

#include "world/http.h"

namespace lifeboat {

struct SigningKey {
    std::string region;
    std::string service = "s3";
    std::string key_id;
    Secret key;
    Secret session_token;  // may be empty
};

// Adds the headers x-amz-date, x-amz-content-sha256, x-amz-security-token and Authorization to `request`, whose method,
// URL (percent-encoded, its query sorted by name with a '=' behind each name) and other headers are final: all of them
// are signed. `body_digest` is the hexadecimal SHA-256 of the body.
void sign_v4(HttpRequest& request, const SigningKey& key, const std::string& body_digest, Timestamp when);

}  // namespace lifeboat
