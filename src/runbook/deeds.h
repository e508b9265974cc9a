// A deed as written (`uses` with `with`, `run`, or `lua`, and what the author declares about the latter two) → Deed.
#pragma once

#include <map>
#include <string>

#include "runbook/fields.h"
#include "runbook/load.h"
#include "runbook/runbook.h"
#include "runbook/tables.h"

namespace lifeboat {

// What kind of block the deed stands in: they differ in what has to be said.
enum class DeedBlock { step, fallback, rollback };

class DeedReader {
  public:
    // All outlive it. `in_drill`: the file is a drill.
    DeedReader(ValueCheck& check, const StepTables& tables, const FileReader& scripts, bool in_drill)
        : check_(check), tables_(tables), read_script_(scripts), in_drill_(in_drill) {}

    Deed read(const Fields& fields, DeedBlock block, const Place& place);

    std::map<std::string, std::string> take_scripts() { return std::move(scripts_); }

  private:
    void read_use(Deed& deed, const Fields& fields, const Place& place);
    void read_program(Deed& deed, const Fields& fields, const Place& place);
    void read_script(Deed& deed, const Fields& fields, const Place& place);
    void read_declarations(Deed& deed, const Fields& fields, DeedBlock block, const Place& place);
    Json read_outputs(const Fields& fields);
    Json read_answer(const Fields& fields, std::string_view name, const Json& arguments, const Place& place);
    Json argv(const Fields& fields, const Place& place);
    Json environment(const Fields& fields, const Place& place);
    Json script_arguments(const Fields& fields, const Place& place);
    std::string load_script(const Fields& fields);
    bool takes_secrets(std::string_view action, std::string_view parameter, bool otherwise) const;
    void refuse_keys(const Fields& fields, std::initializer_list<std::string_view> keys, const std::string& why);

    ValueCheck& check_;
    const StepTables& tables_;
    const FileReader& read_script_;
    bool in_drill_;
    std::map<std::string, std::string> scripts_;
};

}  // namespace lifeboat
