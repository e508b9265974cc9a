#include "actions/authored.h"
#include "actions/basic.h"

namespace lifeboat {

namespace {

const ActionSpec& lua_spec() {
    static const ActionSpec spec{
        .name = "lua",
        .summary = "Run a Lua script",
        .doc =
            "Runs a script from below scripts/ in a child process of its own with limits of memory "
            "and CPU time. It reads `arguments` and `run` (id, step, attempt, drill, "
            "idempotency_key), writes lines with `log(text)`, fills the table `outputs`, and gives up "
            "with `fail(text)`; it reaches neither files nor programs nor the network. Its undo is "
            "the script or program under `undo`. Its probe is the one under `probe`: a script sets "
            "`outputs.done` to true or false, a program ends with 0 or 1.",
        .parameters =
            {{.name = "script", .type = ValueType::path, .doc = "The script's path below scripts/.", .required = true},
             {.name = "arguments",
              .type = ValueType::map,
              .doc = "What the script sees as `arguments`.",
              .default_value = Json::object()},
             {.name = "outputs",
              .type = ValueType::map,
              .doc = "Name and type of each output that it leaves.",
              .default_value = Json::object()},
             {.name = "undo", .type = ValueType::map, .doc = "What puts back what it did."},
             {.name = "probe", .type = ValueType::map, .doc = "What tells whether it was done."}},
        .effect = Effect::read,
        .errors = {{.code = ErrorCode::not_found, .nothing_done = true},
                   {.code = ErrorCode::script_failed},
                   {.code = ErrorCode::limit_exceeded},
                   {.code = ErrorCode::check_failed},
                   {.code = ErrorCode::child_failed},
                   {.code = ErrorCode::timed_out},
                   {.code = ErrorCode::cancelled}},
        .example =
            "- id: choose\n"
            "  lua: choose-window.lua\n"
            "  with: {orders: \"${{ steps.count.outputs.rows }}\"}\n"
            "  effect: read\n"
            "  outputs: {window: duration}\n",
    };
    return spec;
}

class Lua final : public Action {
  public:
    explicit Lua(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return lua_spec(); }

    Intent prepare(Context& context) const override { return context.arguments; }
    Outputs run(const Intent& intent, Context& context) const override { return run_and_read(world_, context, intent); }
    ProbeResult probe(const Intent& intent, const Notes&, Context& context) const override {
        return probe_authored(world_, context, intent);
    }
    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        return undo_authored(world_, context, intent);
    }

  private:
    const ActionWorld& world_;
};

}  // namespace

std::unique_ptr<Action> lua_action(const ActionWorld& world) {
    return std::make_unique<Lua>(world);
}

}  // namespace lifeboat
