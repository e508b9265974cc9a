#include "actions/files_family.h"
#include "base/error.h"
#include "base/text.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "sqlite.check";
    spec.summary = "Look for damage in an SQLite database, without ever writing to it";
    spec.doc =
        "Opens the file as immutable where neither -wal nor -journal stands beside it, else a private copy of all of "
        "them. 'quick' walks all pages, 'full' also "
        "compares indexes with their tables and follows foreign keys. With `report` damage is told by the outputs and "
        "only a file that cannot be looked at fails "
        "the step, which is what an assessment wants; without it damage fails the step. A sound file may still hold "
        "the wrong data: use sql.check for that.";
    spec.parameters = {
        {.name = "database", .type = ValueType::resource, .doc = "The database.", .required = true, .kind = "sqlite"},
        {.name = "level",
         .doc = "How thoroughly it is checked.",
         .default_value = "quick",
         .choices = {"quick", "full"}},
        {.name = "expect_tables",
         .type = ValueType::list,
         .doc = "Tables that must be there.",
         .element = ValueType::text},
        {.name = "report",
         .type = ValueType::boolean,
         .doc = "Whether damage is reported instead of failing the step.",
         .default_value = false},
    };
    spec.outputs = {
        {.name = "ok", .type = ValueType::boolean, .doc = "Whether nothing is wrong with it."},
        {.name = "exists", .type = ValueType::boolean, .doc = "Whether the file is there."},
        {.name = "problems", .type = ValueType::list, .doc = "What is wrong, at most 100 lines."},
        {.name = "size", .type = ValueType::integer, .doc = "Bytes of the main file."},
        {.name = "tables", .type = ValueType::list, .doc = "Names of its tables, as far as they can be read."},
        {.name = "looked_at", .doc = "'in place' or 'as a copy'."},
    };
    spec.effect = Effect::read;
    spec.repeatable = true;
    spec.cheap = true;
    spec.errors = {{ErrorCode::corrupt, true},
                   {ErrorCode::not_found, true},
                   {ErrorCode::denied, true},
                   {ErrorCode::busy, true},
                   {ErrorCode::limit_exceeded, true}};
    spec.example = "- id: assess\n  uses: sqlite.check\n  with: {database: db, report: true}\n";
    return spec;
}

// What a plan looks at before the incident is declared costs seconds at most.
constexpr Bytes largest_in_plan{256u << 20};

class CheckSqlite final : public Action {
  public:
    explicit CheckSqlite(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Survey survey;
        if (!has_argument(context, "database")) return survey;
        std::error_code unknown;
        const auto size = fs::file_size(place(context), unknown);
        if (!unknown) survey.bytes = Bytes{size};
        return survey;
    }

    Intent prepare(Context&) const override { return Json::object(); }

    Outputs run(const Intent&, Context& context) const override {
        const fs::path path = place(context);
        const bool report = context.arguments.value("report", Json(false)) == Json(true);
        if (!identity_of(path)) {
            if (!report) throw Error{ErrorCode::not_found, "there is no database '" + path.string() + "'"};
            return {{"ok", false}, {"exists", false},   {"problems", Json::array({"the file does not exist"})},
                    {"size", 0},   {"tables", nullptr}, {"looked_at", "in place"}};
        }
        const bool planning = context.run_id.empty();
        if (planning && fs::file_size(path) > largest_in_plan.count) {
            throw Error{ErrorCode::limit_exceeded, "'" + path.string() + "' is larger than " +
                                                       to_human(largest_in_plan) +
                                                       ", it is not looked at before the run: its state is unknown"};
        }
        Outputs outputs = look(path, planning ? largest_in_plan : Bytes{UINT64_MAX}, context);
        const Json& problems = outputs.at("problems");
        if (!problems.empty() && !report) {
            Error error{ErrorCode::corrupt,
                        "the database '" + path.string() + "' is damaged: " + problems.front().get<std::string>(),
                        problems.size() > 1 ? "There are more problems, see the details." : ""};
            error.details = std::move(outputs);
            throw error;
        }
        return outputs;
    }

  private:
    fs::path place(const Context& context) const {
        return place_of_resource(world_, world_.resources.resolve(context.arguments.at("database")));
    }

    Outputs look(const fs::path& path, Bytes copy_limit, const Context& context) const {
        const WorkControl control = paced(context, "checking '" + path.string() + "'");
        for (int attempt = 1;; ++attempt) {
            const auto database = look_at_sqlite(path, world_.state / "looks", copy_limit, control);
            std::vector<std::string> problems;
            Json tables = nullptr;
            if (wants_full(context)) {
                problems = database.integrity_check(control);
                if (problems.empty()) problems = database.foreign_key_check(control);
            } else {
                problems = database.quick_check(control);
            }
            try {
                const auto names = database.tables(control);
                tables = names;
                add_missing_tables(names, context, problems);
            } catch (const Error& error) {
                if (error.code != ErrorCode::corrupt) throw;  // no table can be named: the check has complained already
            }
            if (database.still_as_opened()) {
                return {{"ok", problems.empty()}, {"exists", true},
                        {"problems", problems},   {"size", fs::file_size(path)},
                        {"tables", tables},       {"looked_at", database.is_copy() ? "as a copy" : "in place"}};
            }
            // Read while somebody wrote: what was seen may be torn.
            if (attempt == 3) {
                throw Error{ErrorCode::busy, "'" + path.string() + "' is being written to, so it cannot be looked at",
                            "Stop what writes to it, then try again."};
            }
        }
    }

    static bool wants_full(const Context& context) {
        return has_argument(context, "level") && context.arguments.at("level") == "full";
    }

    static void add_missing_tables(const std::vector<std::string>& names, const Context& context,
                                   std::vector<std::string>& problems) {
        if (!has_argument(context, "expect_tables")) return;
        for (const auto& wanted : context.arguments.at("expect_tables")) {
            const auto name = wanted.get<std::string>();
            if (std::find(names.begin(), names.end(), name) == names.end())
                problems.push_back("the table '" + name + "' is missing");
        }
    }

    ActionWorld world_;
    ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> sqlite_check(const ActionWorld& world) {
    return std::make_unique<CheckSqlite>(world);
}

}  // namespace lifeboat
