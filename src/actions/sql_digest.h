// What a database's content is reduced to, so that two of them can be compared: per table the number of rows and the
// sum modulo 2^128 of the first 16 bytes (big endian) of each row's SHA-256. The sum does not depend on the order of
// the rows, notices a row that is there twice, and can be added up from parts read in parallel.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/sha256.h"
#include "engine/action.h"

namespace lifeboat {

class RowSum {
  public:
    void add(std::string_view row);
    void add(const RowSum& other);
    std::uint64_t rows() const { return rows_; }
    std::string digest() const;  // 32 hexadecimal digits

  private:
    Sha256 hash_;
    std::uint64_t high_ = 0;
    std::uint64_t low_ = 0;
    std::uint64_t rows_ = 0;
};

struct Fingerprint {
    std::map<std::string, RowSum> tables;
    std::string catalogue;            // digest of the definitions
    Json sequences = Json::object();  // name → where it stands
    std::string ownership;            // digest of owners and privileges: not part of the whole

    // Of tables, catalogue and sequences together.
    std::string digest() const;
    Json tables_as_json() const;
};

struct ActionWorld;
struct ResolvedResource;

Fingerprint fingerprint_postgres(const ActionWorld& world, const ResolvedResource& resource, Context& context,
                                 int jobs);
Fingerprint fingerprint_sqlite(const ActionWorld& world, const ResolvedResource& resource, Context& context);

}  // namespace lifeboat
