// Secrets cannot be spoken: a Secret has no way to text except `reveal`, called at the place that needs it.
// In structured values a secret stands as a reference, `{"secret": "name"}`; text made with one is
// `{"secret": ["https://x/", {"secret": "token"}]}`, a list of literal parts and references, and stays secret.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"

namespace lifeboat {

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}
    // The text itself. Pass it straight into the call that needs it; never keep, log or format it.
    const std::string& reveal() const { return text_; }
    bool empty() const { return text_.empty(); }

  private:
    std::string text_;
};

// Where secrets come from (environment, file, command). Fetched when needed, cached for the life of the process.
class SecretSource {
  public:
    virtual ~SecretSource() = default;
    // Throws Error{secret_missing} naming the secret and its source.
    virtual Secret fetch(const std::string& name) = 0;
};

// Whether `value` is a reference or secret text as described above.
bool is_secret(const Json& value);
// The names of all secrets that `value` refers to, at any depth.
std::vector<std::string> secrets_in(const Json& value);
// Plain text, a reference or secret text → its Secret. Throws Error{secret_missing}, or Error{internal} for any other
// value.
Secret resolve_secret(const Json& value, SecretSource& source);

// The safety net below the references: knows every secret fetched in this process. Thread-safe.
class Redactor {
  public:
    // Registers the secret with its JSON-escaped, URL-encoded, base64 and per-line forms. Secrets under 4 characters
    // are not registered.
    void add(const std::string& name, const Secret& secret);
    // Free text (messages, a child's output): every form of every secret becomes `***name***`, longest first.
    std::string redact(std::string_view text) const;
    // Structured values: the name of a secret of 16 or more characters that some string in `value` (keys included)
    // contains.
    std::optional<std::string> exposed_in(const Json& value) const;

  private:
    struct Form {
        std::string text;
        std::string name;
    };
    mutable std::shared_mutex mutex_;
    std::vector<Form> forms_;    // longest first
    std::bitset<65536> starts_;  // the first two bytes of every form: lets most text pass at once
    std::unordered_map<std::uint32_t, std::vector<std::size_t>> by_start_;  // first four bytes → positions in forms_
    std::map<std::string, std::string> long_;  // name → text, for secrets of 16 or more characters
};

}  // namespace lifeboat
