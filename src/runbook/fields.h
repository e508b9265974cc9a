// Tables that declare the keys of a map in a file, and the reader that checks a map against one. Checks, suggestions
// and JSON Schemas come from the same table.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "runbook/values.h"

namespace lifeboat {

struct Field {
    ParameterSpec spec;
    // Names the part of the schema that describes a value which has a reader of its own; empty: `spec` says it all.
    std::string part = {};
};

struct Table {
    std::string subject;  // for messages: "a step"
    std::vector<Field> fields;
    std::vector<std::string> later = {};  // keys of the design that this version does not have yet
};

// The entries of one map, checked against its table: unknown, missing and wrong ones are reported on construction.
// Values that were wrong read as if they were absent.
class Fields {
  public:
    // All outlive it.
    Fields(ValueCheck& check, const Node& map, const Table& table, const Path& path);

    const Node& map() const { return map_; }
    const Path& path() const { return path_; }
    SourceFile& file() const { return check_.file(); }

    // Whether the key stands there, right or wrong.
    bool has(std::string_view name) const;
    const Key* key(std::string_view name) const;
    const Node* node(std::string_view name) const;
    Json value(std::string_view name) const;  // null where absent; the default of the table where there is one
    std::string text(std::string_view name) const;
    std::optional<bool> boolean(std::string_view name) const;
    std::optional<Duration> duration(std::string_view name) const;
    std::vector<std::string> texts(std::string_view name) const;

    // The declaration of a key that stands there.
    const ParameterSpec& declaration(std::string_view name) const;

    SourceSpan span(std::string_view name) const;  // of the value, or of the map
    Path at(std::string_view name) const { return {.parent = &path_, .key = name}; }
    // Reports at the key.
    void wrong(std::string_view name, std::string message, std::string hint = {}) const;

  private:
    struct Found {
        const Field* field;
        const Entry* entry;
        Json value;
        bool good;
    };
    const Found* find(std::string_view name) const;

    ValueCheck& check_;
    const Node& map_;
    const Table& table_;
    const Path& path_;
    std::vector<Found> found_;
};

}  // namespace lifeboat
