// Secrets fetched from where the site says they are: a variable of this process's environment, a file that only its
// owner can read, or the output of a command. Each is fetched once, and known to the redactor before anybody has it.
// Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/secret.h"

namespace lifeboat {

struct SecretPlace {
    enum class Kind { environment, file, command };
    Kind kind = Kind::environment;
    std::string text;                  // name of the variable, or path
    std::vector<std::string> command;  // argv; it sees the environment of this process and has 30 s
};

class FetchedSecrets final : public SecretSource {
  public:
    // `redactor` outlives this.
    FetchedSecrets(std::map<std::string, SecretPlace> places, Redactor& redactor)
        : places_(std::move(places)), redactor_(redactor) {}

    // Throws Error{secret_missing}, naming the secret and its place.
    Secret fetch(const std::string& name) override;

  private:
    std::map<std::string, SecretPlace> places_;
    Redactor& redactor_;
    std::mutex mutex_;
    std::map<std::string, Secret> fetched_;
};

}  // namespace lifeboat
