// Lists of steps as written → Steps with their graph: ids, `needs`, deeds, and the rules that join them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runbook/deeds.h"
#include "runbook/fields.h"
#include "runbook/step_names.h"
#include "runbook/tables.h"

namespace lifeboat {

class StepReader {
  public:
    // All outlive it.
    StepReader(ValueCheck& check, const FileReader& scripts, bool in_drill);

    // Lists are read in the order in which they run; `root` is a literal. Nothing when `list` is no list.
    void read(const Node& list, std::string_view root, const Path& path);
    // Checks what needs all lists: names of steps in expressions.
    void finish();

    std::vector<Step> take(std::string_view root);
    std::map<std::string, std::string> take_scripts() { return deeds_.take_scripts(); }

  private:
    Step read_step(const Node& node, std::string_view root, std::size_t index, const Path& path);
    void read_policy(Step& step, const Fields& fields, const Place& place);
    void read_retry(Step& step, const Fields& fields);
    void read_fallbacks(Step& step, const Fields& fields, const Place& place);
    void check_always(const Step& step, const Fields& fields);
    void check_drill(const Step& step, const Fields& fields);
    void check_durations(const Fields& fields);
    void take_id(Step& step, const Fields& fields, StepList& list, std::size_t index);
    void join_graph(StepList& list, const Node& node, const Path& path);
    void refuse_cycle(StepList& list, const Node& node, const Path& path);

    ValueCheck& check_;
    bool in_drill_;
    StepTables tables_;
    DeedReader deeds_;
    std::vector<StepList> lists_;
};

}  // namespace lifeboat
