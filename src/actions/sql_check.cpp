#include "actions/sql_family.h"
#include "actions/sql_question.h"
#include "base/text.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "sql.check";
    spec.summary = "Prove by queries that the data is what it should be";
    spec.doc =
        "Asks each query and evaluates its 'expect' over what came back: 'value' is the first column of the first row, "
        "'row' the first "
        "row, 'rows' the list of all of them. All checks are made, in a read-only session that sees one state of the "
        "database, and all "
        "failures are reported together.";
    spec.parameters = {
        {.name = "database",
         .type = ValueType::resource,
         .doc = "The database to ask.",
         .required = true,
         .kind = "sqlite|postgres"},
        {.name = "checks",
         .type = ValueType::list,
         .doc = "What to ask and what to expect.",
         .required = true,
         .fields =
             {{.name = "name", .doc = "What is checked, for people.", .required = true},
              {.name = "query", .doc = "One query that returns rows.", .required = true},
              {.name = "expect", .type = ValueType::expression, .doc = "True when all is well.", .required = true}}},
        {.name = "each_within",
         .type = ValueType::duration,
         .doc = "Time for one query (PostgreSQL).",
         .default_value = "5m"},
    };
    spec.outputs = {
        {.name = "results", .type = ValueType::list, .doc = "Name, value and verdict of each check."},
        {.name = "passed", .type = ValueType::integer, .doc = "How many checks there were: all of them passed."}};
    spec.effect = Effect::read;
    spec.proves = Proves::data;
    spec.repeatable = true;
    spec.errors = {{ErrorCode::check_failed, true}, {ErrorCode::unreachable, true},     {ErrorCode::denied, true},
                   {ErrorCode::not_found, true},    {ErrorCode::connection_lost, true}, {ErrorCode::refused, true},
                   {ErrorCode::invalid_file, true}, {ErrorCode::corrupt, true}};
    spec.example =
        "- id: check\n  phase: verify\n  uses: sql.check\n  with:\n    database: db\n    checks:\n"
        "      - {name: orders present, query: \"select count(*) from orders\", expect: \"value > 0\"}\n";
    return spec;
}

class Check final : public Action {
  public:
    explicit Check(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context&) const override { return Json::object(); }

    Outputs run(const Intent&, Context& context) const override {
        const Json& checks = context.arguments.at("checks");
        if (!checks.is_array() || checks.empty()) {
            throw Error{ErrorCode::invalid_file, "there is nothing to check",
                        "Give at least one check: without one nothing is proven."};
        }
        const std::unique_ptr<SqlQuestions> questions = open(context);
        Json results = Json::array();
        std::vector<std::string> failures;
        for (const Json& check : checks) {
            const std::string name = check.at("name").get<std::string>();
            context.progress(
                {.what = "checking '" + name + "'", .done = results.size(), .total = checks.size(), .unit = "checks"});
            Json result{{"name", name}, {"passed", false}};
            const std::string failure = why_failed(*questions, check, result, context);
            if (failure.empty()) {
                result["passed"] = true;
            } else {
                result["failure"] = failure;
                failures.push_back("'" + name + "': " + failure);
            }
            results.push_back(std::move(result));
        }
        if (!failures.empty()) {
            Error error{ErrorCode::check_failed, counted(failures.size(), "check") + " of " +
                                                     std::to_string(checks.size()) +
                                                     " failed: " + join(failures, "; ")};
            error.details = Json{{"results", results}};
            throw error;
        }
        return {{"results", results}, {"passed", results.size()}};
    }

  private:
    std::unique_ptr<SqlQuestions> open(const Context& context) const {
        const ResolvedResource resource = world_.resources.resolve(context.arguments.at("database"));
        if (resource.type == "sqlite") return ask_sqlite(world_, resource, context);
        if (resource.type == "postgres") {
            const auto each = parse_duration(context.arguments.value("each_within", "5m"));
            return ask_postgres(world_, resource, context, each.value_or(std::chrono::minutes(5)));
        }
        throw Error{ErrorCode::invalid_file,
                    "resource '" + resource.name + "' is no database: its type is '" + resource.type + "'"};
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> sql_check(const ActionWorld& world) {
    return std::make_unique<Check>(world);
}

}  // namespace lifeboat
