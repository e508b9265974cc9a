// A plain dump (SQL for psql), read through before anything of it is loaded: is it whole (R8), does it stay inside the
// database it is loaded into, which of its bytes are loaded, whom does it name as owners. Pure but for the callback
// that hands out its bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lifeboat {

struct ByteRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool operator==(const ByteRange&) const = default;
};

// A statement that the data does not depend on, so that it can be left out.
struct OptionalStatement {
    enum class Kind {
        owner,              // ALTER … OWNER TO
        privilege,          // GRANT, REVOKE, ALTER DEFAULT PRIVILEGES
        extension_comment,  // COMMENT ON EXTENSION: only its owner may
        transaction,        // BEGIN and COMMIT around large objects: the whole load is one transaction
        of_database,        // privileges and comment of the database itself, which a swap copies from the old one
    };
    Kind kind = Kind::owner;
    ByteRange range;
    std::vector<std::string> roles;  // named in it
    std::string text;
};

struct PlainDump {
    ByteRange load;  // what is loaded of it: everything, or from behind its `\connect` up to the next
    std::vector<OptionalStatement> optional;  // inside of `load`, in order
    std::string database;                     // that it connects to; empty when it does not
    int server_major = 0;                     // "Dumped from database version 15.20"; 0: it does not say
    int program_major = 0;                    // "Dumped by pg_dump version"
    std::uint64_t size = 0;
};

// `read` calls its argument with the dump's bytes, in order. `name` is for messages, `database` the one wanted where
// the dump holds several. Throws Error{incomplete} without pg_dump's last line, Error{dump_leaves_database} when what
// would be loaded reaches beyond its database, Error{unsupported} for spellings that could be read in two ways.
PlainDump read_plain_dump(const std::function<void(const std::function<void(std::string_view)>&)>& read,
                          const std::string& name, const std::string& database);

// `load` without the ranges of `left_out` (sorted).
std::vector<ByteRange> ranges_to_load(const PlainDump& dump, const std::vector<ByteRange>& left_out);

// What the statements of `script` (from `pg_restore --section=…`) are. Throws as above.
std::vector<OptionalStatement> optional_statements(std::string_view script, const std::string& name);

}  // namespace lifeboat
