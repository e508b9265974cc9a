// Every key that the three kinds of files know, declared once: name, type, default, one sentence.
#pragma once

#include "runbook/fields.h"

namespace lifeboat {

// The first key and the version that this binary reads.
inline constexpr std::string_view site_format = "site/v1";
inline constexpr std::string_view runbook_format = "runbook/v1";
inline constexpr std::string_view drill_format = "drill/v1";

struct RunbookTables {
    Table runbook;
    Table contact;
    Table input;
};
RunbookTables runbook_tables();

struct StepTables {
    Table step;
    Table always;
    Table fallback;
    Table rollback;
    Table undo;  // and probe
};
StepTables step_tables();

struct SiteTables {
    Table site;
    Table backup_set;
    Table foreign;  // one pattern of a backup set
    Table secret;
    Table notify;
    Table drill_mark;
};
SiteTables site_tables();

struct DrillTables {
    Table drill;
    Table never_touch;
    Table expectation;
    std::vector<ParameterSpec> sandbox;  // fields of a resource that only a drill's sandbox has
};
DrillTables drill_tables();

}  // namespace lifeboat
