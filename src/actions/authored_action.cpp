// What a runbook's author brings along as a step: `run:` and `lua:`.
#include "actions/authored.h"
#include "actions/basic.h"
#include "base/text.h"

namespace lifeboat {

namespace {

// What both take beside what is theirs.
std::vector<ParameterSpec> with_authored_parameters(std::vector<ParameterSpec> own) {
    own.push_back({.name = "outputs",
                   .type = ValueType::map,
                   .doc = "Name and type of each output that it leaves.",
                   .default_value = Json::object()});
    own.push_back({.name = "undo", .type = ValueType::map, .doc = "What puts back what it did."});
    own.push_back({.name = "probe", .type = ValueType::map, .doc = "What tells whether it was done."});
    return own;
}

const ActionSpec& run_spec() {
    static const ActionSpec spec{
        .name = "run",
        .summary = "Run a program",
        .doc =
            "Runs a program with its arguments; no shell reads them. Its environment is clean: PATH, "
            "HOME, LANG, TZ, TMPDIR, what `env` declares, and LIFEBOAT_RUN, LIFEBOAT_STEP, "
            "LIFEBOAT_DRILL (1 or 0), LIFEBOAT_IDEMPOTENCY_KEY (the same for every attempt) and "
            "LIFEBOAT_OUTPUTS, the file in which it leaves its declared outputs as one JSON object. "
            "It succeeds with exit code 0. At the deadline its whole process group is ended. Its undo "
            "is the program under `undo`. Its probe is the one under `probe`: exit code 0 means done "
            "(with the outputs), 1 not done, anything else that it cannot tell.",
        .parameters = with_authored_parameters(
            {{.name = "argv",
              .type = ValueType::list,
              .doc = "The program and its arguments.",
              .required = true,
              .element = ValueType::text},
             {.name = "environment",
              .type = ValueType::map,
              .doc = "Variables that the program sees beside the usual ones.",
              .default_value = Json::object(),
              .may_be_secret = true},
             {.name = "folder", .type = ValueType::path, .doc = "The folder it works in; without it: /."}}),
        .effect = Effect::read,
        .errors = {{.code = ErrorCode::program_missing, .nothing_done = true},
                   {.code = ErrorCode::refused, .nothing_done = true},
                   {.code = ErrorCode::not_found, .nothing_done = true},
                   {.code = ErrorCode::secret_missing, .nothing_done = true},
                   {.code = ErrorCode::child_failed},
                   {.code = ErrorCode::check_failed},
                   {.code = ErrorCode::limit_exceeded},
                   {.code = ErrorCode::timed_out},
                   {.code = ErrorCode::cancelled}},
        .example =
            "- id: warm_cache\n"
            "  run: [/opt/shop/bin/warm-cache, --all]\n"
            "  env: {CACHE_TOKEN: \"${{ secrets.cache }}\"}\n"
            "  effect: change\n"
            "  undo: {run: [/opt/shop/bin/clear-cache]}\n",
    };
    return spec;
}

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
        .parameters = with_authored_parameters(
            {{.name = "script", .type = ValueType::path, .doc = "The script's path below scripts/.", .required = true},
             {.name = "arguments",
              .type = ValueType::map,
              .doc = "What the script sees as `arguments`.",
              .default_value = Json::object()}}),
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

// Both are what the author wrote: the intent says so, and the child of a deed may be of either kind.
class AuthoredAction final : public Action {
  public:
    AuthoredAction(const ActionWorld& world, const ActionSpec& spec) : world_(world), spec_(spec) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Survey survey;
        for (const Json* deed : std::initializer_list<const Json*>{
                 &context.arguments, child_of(context.arguments, "undo"), child_of(context.arguments, "probe")}) {
            if (deed != nullptr) look_for_program(*deed, context, survey);
        }
        return survey;
    }

    Intent prepare(Context& context) const override { return context.arguments; }
    Outputs run(const Intent& intent, Context& context) const override { return run_and_read(world_, context, intent); }
    ProbeResult probe(const Intent& intent, const Notes&, Context& context) const override {
        return probe_authored(world_, context, intent);
    }
    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        return undo_authored(world_, context, intent);
    }

  private:
    static const Json* child_of(const Json& arguments, const char* name) {
        const auto found = arguments.find(name);
        return found != arguments.end() && found->is_object() ? &*found : nullptr;
    }

    // Only what is known already, and stands in our PATH: the deed may have one of its own.
    static void look_for_program(const Json& deed, const Context& context, Survey& survey) {
        const auto argv = deed.find("argv");
        if (argv == deed.end() || !argv->is_array() || argv->empty() || !argv->front().is_string()) return;
        if (const auto environment = deed.find("environment");
            environment != deed.end() && environment->is_object() && environment->contains("PATH"))
            return;
        const std::string name = argv->front().get<std::string>();
        if (name.find('/') != std::string::npos && name.front() != '/') return;
        if (find_program(name)) {
            survey.findings.push_back({.kind = FindingKind::ok,
                                       .step = context.step_id,
                                       .subject = "program '" + name + "'",
                                       .message = "found"});
        } else {
            survey.findings.push_back({.kind = FindingKind::blocker,
                                       .step = context.step_id,
                                       .subject = "program '" + name + "'",
                                       .message = "there is no such program",
                                       .hint = "Install it, or give its absolute path."});
        }
    }

    const ActionWorld& world_;
    const ActionSpec& spec_;
};

}  // namespace

std::unique_ptr<Action> run_action(const ActionWorld& world) {
    return std::make_unique<AuthoredAction>(world, run_spec());
}

std::unique_ptr<Action> lua_action(const ActionWorld& world) {
    return std::make_unique<AuthoredAction>(world, lua_spec());
}

}  // namespace lifeboat
