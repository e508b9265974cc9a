#include "actions/sql_question.h"

#include <charconv>

#include "actions/files_family.h"
#include "actions/postgres_connection.h"
#include "base/text.h"
#include "script/expression.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace {

Error too_many_rows() {
    return {ErrorCode::limit_exceeded, "the query returns more than " + std::to_string(most_answer_rows) + " rows",
            "Let the query count or aggregate."};
}

template <typename Number>
std::optional<Number> number_in(const std::string& text) {
    Number number{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

// By the server's type: numbers and booleans as such, the rest as text. A number too large for us stays text.
Json typed(const PostgresValue& value, unsigned type) {
    if (!value) return nullptr;
    constexpr unsigned boolean = 16, bigint = 20, smallint = 21, integer = 23, oid = 26, real = 700,
                       double_precision = 701, numeric = 1700;
    switch (type) {
        case boolean:
            return *value == "t";
        case bigint:
        case smallint:
        case integer:
        case oid:
            if (const auto number = number_in<std::int64_t>(*value)) return *number;
            break;
        case real:
        case double_precision:
        case numeric:
            if (const auto number = number_in<std::int64_t>(*value)) return *number;
            if (const auto number = number_in<double>(*value)) return *number;
            break;
        default:
            break;
    }
    return *value;
}

std::string without_semicolon(std::string_view query) {
    query = trim(query);
    while (query.ends_with(';'))
        query = trim(query.substr(0, query.size() - 1));
    return std::string(query);
}

// What ends the looking itself, as against a question that was answered wrongly.
bool ends_the_step(ErrorCode code) {
    using enum ErrorCode;
    return code == cancelled || code == connection_lost || code == unreachable || code == internal;
}

class PostgresQuestions final : public SqlQuestions {
  public:
    explicit PostgresQuestions(PostgresConnection session) : session_(std::move(session)) {
        session_.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    }

    SqlAnswer ask(const std::string& query) override {
        session_.execute("SAVEPOINT question");
        try {
            // a cursor takes nothing but a query, and hands out no more than it is asked for
            session_.query("DECLARE question NO SCROLL CURSOR FOR " + without_semicolon(query));
            const PostgresRows found =
                session_.query("FETCH " + std::to_string(most_answer_rows + 1) + " FROM question");
            session_.execute("CLOSE question; RELEASE SAVEPOINT question");
            return answer(found);
        } catch (const Error& error) {
            if (error.code != ErrorCode::connection_lost) session_.execute("ROLLBACK TO SAVEPOINT question");
            throw;
        }
    }

  private:
    static SqlAnswer answer(const PostgresRows& found) {
        if (found.rows.size() > most_answer_rows) throw too_many_rows();
        SqlAnswer answer;
        for (const auto& row : found.rows) {
            Json object = Json::object();
            for (std::size_t i = 0; i < row.size(); ++i)
                object[found.columns[i]] = typed(row[i], found.types[i]);
            answer.rows.push_back(std::move(object));
        }
        if (!found.rows.empty() && !found.columns.empty()) {
            answer.row = answer.rows.front();
            answer.value = typed(found.rows.front().front(), found.types.front());
        }
        return answer;
    }

    PostgresConnection session_;
};

class SqliteQuestions final : public SqlQuestions {
  public:
    SqliteQuestions(SqliteDatabase database, WorkControl control)
        : database_(std::move(database)), control_(std::move(control)) {}

    SqlAnswer ask(const std::string& query) override {
        const SqliteRows found = database_.query(query, Json::array(), control_, most_answer_rows);
        SqlAnswer answer;
        answer.rows = to_json(found);
        if (!found.rows.empty() && !found.columns.empty()) {
            answer.row = answer.rows.front();
            answer.value = found.rows.front().front();
        }
        return answer;
    }

  private:
    SqliteDatabase database_;
    WorkControl control_;
};

}  // namespace

std::unique_ptr<SqlQuestions> ask_postgres(const ActionWorld& world, const ResolvedResource& resource,
                                           const Context& context, Duration each) {
    const auto limit = std::chrono::ceil<std::chrono::milliseconds>(each).count();
    return std::make_unique<PostgresQuestions>(connect_postgres(
        world, resource, context,
        {.read_only = true,
         .settings = {{"statement_timeout", std::to_string(std::max<std::int64_t>(1, limit)) + "ms"}}}));
}

std::unique_ptr<SqlQuestions> ask_sqlite(const ActionWorld& world, const ResolvedResource& resource,
                                         const Context& context) {
    WorkControl control = paced(context, "looking at '" + resource.name + "'");
    SqliteDatabase database =
        look_at_sqlite(place_of_resource(world, resource), context.workspace, {UINT64_MAX}, control);
    return std::make_unique<SqliteQuestions>(std::move(database), std::move(control));
}

std::string why_failed(SqlQuestions& questions, const Json& check, Json& result, const Context& context) {
    try {
        const Expression expect(check.at("expect").get<std::string>());
        const SqlAnswer answer = questions.ask(check.at("query").get<std::string>());
        constexpr std::size_t longest = 1000;
        result["value"] = answer.value.is_string() && answer.value.get_ref<const std::string&>().size() > longest
                              ? Json(answer.value.get<std::string>().substr(0, longest))
                              : answer.value;
        const Json verdict = expect.evaluate({{"value", answer.value}, {"row", answer.row}, {"rows", answer.rows}});
        if (verdict == true) return {};
        const std::string shown = to_text(result["value"]);
        return "expected " + expect.text() + ", value is " + shown +
               (verdict == false ? "" : " (the expression gave " + to_text(verdict) + ")");
    } catch (const Error& error) {
        const bool our_deadline = error.code == ErrorCode::timed_out && error.details.is_null();
        if (ends_the_step(error.code) || our_deadline || context.stop.stop_requested()) throw;
        return error.message;
    }
}

}  // namespace lifeboat
