#include "actions/sql_family.h"

namespace lifeboat {

ActionList sql_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(sql_check(world));
    list.push_back(sql_fingerprint(world));
    list.push_back(fault_sql(world));
    return list;
}

}  // namespace lifeboat
