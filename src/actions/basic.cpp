#include "actions/basic.h"

namespace lifeboat {

namespace {

const ActionSpec& log_note_spec() {
    static const ActionSpec spec{
        .name = "log.note",
        .summary = "Write a line to the step's log",
        .doc = "Does nothing but write its text to the step's log: a milestone for those who read the report later.",
        .parameters = {{.name = "text", .type = ValueType::text, .doc = "The line.", .required = true}},
        .effect = Effect::read,
        .repeatable = true,
        .cheap = true,
        .example =
            "- id: begun\n"
            "  uses: log.note\n"
            "  with: {text: \"recovery of ${{ resources.db.database }} begins\"}\n",
    };
    return spec;
}

class LogNote final : public Action {
  public:
    const ActionSpec& spec() const override { return log_note_spec(); }
    Intent prepare(Context&) const override { return Json::object(); }
    Outputs run(const Intent&, Context& context) const override {
        const auto text = context.arguments.find("text");
        if (text != context.arguments.end() && text->is_string()) context.log(text->get_ref<const std::string&>());
        return Json::object();
    }
};

}  // namespace

ActionList basic_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(std::make_unique<LogNote>());
    list.push_back(run_action(world));
    list.push_back(lua_action(world));
    return list;
}

}  // namespace lifeboat
