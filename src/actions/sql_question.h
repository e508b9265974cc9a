// One question at a time to a database that is only read, in the same state for all of them where the database can
// promise that.
#pragma once

#include <memory>
#include <string>

#include "actions/family.h"

namespace lifeboat {

struct SqlAnswer {
    Json value;                 // the first column of the first row; null when there is none
    Json row;                   // the first row as an object, or null
    Json rows = Json::array();  // all of them
};

class SqlQuestions {
  public:
    virtual ~SqlQuestions() = default;
    // One statement that returns rows. Throws Error{sql_failed | limit_exceeded (more than 1,000 rows) | …}; questions
    // after a failed one are answered all the same.
    virtual SqlAnswer ask(const std::string& query) = 0;
};

// `each` is the time one question may take.
std::unique_ptr<SqlQuestions> ask_postgres(const ActionWorld& world, const ResolvedResource& resource,
                                           const Context& context, Duration each);
std::unique_ptr<SqlQuestions> ask_sqlite(const ActionWorld& world, const ResolvedResource& resource,
                                         const Context& context);

// Asks the `query` of a check and evaluates its `expect`: why it failed, empty when it passed. The value goes into
// `result`. Throws what ends the looking itself, as against a question that was answered wrongly.
std::string why_failed(SqlQuestions& questions, const Json& check, Json& result, const Context& context);

constexpr std::size_t most_answer_rows = 1000;

}  // namespace lifeboat
