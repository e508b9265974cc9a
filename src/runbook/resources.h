// Resources and backup sets as written, in a site or in a drill's sandbox → checked values.
#pragma once

#include <map>
#include <string>

#include "runbook/fields.h"
#include "runbook/site.h"
#include "runbook/tables.h"

namespace lifeboat {

// Name → type of every resource in `map` as far as they can be read: what the fields of the others may refer to.
std::map<std::string, std::string> declared_types(const Node* map);

class ResourceReader {
  public:
    // Outlives it. What expressions in fields may name is in the scope of `check`.
    explicit ResourceReader(ValueCheck& check) : check_(check) {}

    std::map<std::string, Resource> read(const Node& map, const Path& path);
    // The same where a drill makes the resources: what it makes needs no fields, and `extra` ones are allowed.
    std::map<std::string, Resource> read_sandbox(const Node& map, const Path& path,
                                                 const std::vector<ParameterSpec>& extra);
    std::map<std::string, BackupSet> read_backups(const Node& map, const Path& path, const SiteTables& tables);

  private:
    std::optional<Resource> read_one(const Entry& entry, const Path& path, const std::vector<ParameterSpec>* sandbox);
    BackupSet read_backup(const Entry& entry, const Path& path, const SiteTables& tables);
    void read_checks(BackupSet& set, const Fields& fields);
    void read_postgres(BackupSet& set, const Fields& fields);
    void read_foreign(BackupSet& set, const Fields& fields, const Table& table);
    std::optional<ForeignPattern> read_pattern(const Node& node, const Path& path, const Table& table);
    void read_encryption(BackupSet& set, const Fields& fields);
    void read_signing(BackupSet& set, const Fields& fields);
    void read_retention(BackupSet& set, const Fields& fields);
    void read_extent(BackupSet& set, const Fields& fields);
    bool check_name(const Key& key, const Path& path);

    ValueCheck& check_;
};

// `names` of a list whose items are resources; reports the derived ones, which have no name.
std::vector<std::string> resource_names(ValueCheck& check, const Fields& fields, std::string_view key);

}  // namespace lifeboat
