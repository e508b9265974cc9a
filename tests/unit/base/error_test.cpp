#include "base/error.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <set>

using namespace lifeboat;

TEST_CASE("every error code has a row of its own with a name and a sentence") {
    std::set<std::string_view> names;
    for (const ErrorInfo& row : error_table()) {
        CAPTURE(row.name);
        CHECK(names.insert(row.name).second);
        CHECK(info(row.code).name == row.name);
        CHECK(error_code_named(row.name) == row.code);
        CHECK(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
        CHECK(row.meaning.ends_with('.'));
        CHECK(row.meaning.find('.') == row.meaning.size() - 1);
    }
    CHECK(names.size() == static_cast<std::size_t>(ErrorCode::journal_damaged) + 1);
    CHECK_FALSE(error_code_named("no_such_code").has_value());
}

TEST_CASE("what may go away by itself is transient, what needs a person is not") {
    for (const auto code : {ErrorCode::unreachable, ErrorCode::connection_lost, ErrorCode::busy, ErrorCode::timed_out,
                            ErrorCode::stalled, ErrorCode::slow, ErrorCode::child_failed, ErrorCode::not_healthy,
                            ErrorCode::protocol_failed, ErrorCode::injected}) {
        CHECK(info(code).transient);
    }
    for (const auto code :
         {ErrorCode::denied, ErrorCode::check_failed, ErrorCode::corrupt, ErrorCode::moved, ErrorCode::cancelled,
          ErrorCode::script_failed, ErrorCode::io_failed, ErrorCode::disk_full}) {
        CHECK_FALSE(info(code).transient);
    }
}

TEST_CASE("an error tells its trail from the inside out") {
    Error error{ErrorCode::not_found, "no object 'orders.dump'", "Check the prefix."};
    CHECK(error.full_message() == "no object 'orders.dump'");
    error.during("while fetching from 'nas'").during("while restoring 'shop'");
    CHECK(error.full_message() == "no object 'orders.dump' (while fetching from 'nas'; while restoring 'shop')");
    CHECK(std::string(error.what()) == "no object 'orders.dump'");
}

TEST_CASE("an error survives JSON and back") {
    Error error{ErrorCode::denied, "cannot log in", "Check the password."};
    error.during("while connecting to 'db1'");
    error.details = {{"user", "ops"}};
    const Json json = to_json(error);
    CHECK(
        to_text(json) ==
        R"({"code":"denied","details":{"user":"ops"},"hint":"Check the password.","message":"cannot log in","trail":["while connecting to 'db1'"]})");
    const Error back = error_from_json(json);
    CHECK(back.code == error.code);
    CHECK(to_json(back) == json);
}

TEST_CASE("empty fields of an error are left out of its JSON") {
    CHECK(to_text(to_json(Error{ErrorCode::busy, "in use"})) == R"({"code":"busy","message":"in use"})");
}

TEST_CASE("an error in a shape from elsewhere is read as far as it goes") {
    CHECK(error_from_json(Json{{"code", "from_the_future"}, {"message", "x"}}).code == ErrorCode::internal);
    CHECK(error_from_json(Json{{"code", 3}, {"message", 4}, {"trail", "x"}}).message.empty());
    CHECK(error_from_json(Json(7)).code == ErrorCode::internal);
}

TEST_CASE("errno becomes a code and a sentence that says what was tried") {
    const auto thrown = [](int number) {
        try {
            throw_errno("open '/x/y'", number);
        } catch (const Error& error) {
            return std::pair{error.code, error.message};
        }
    };
    CHECK(thrown(ENOENT) ==
          std::pair{ErrorCode::not_found, std::string("cannot open '/x/y': no such file or directory")});
    CHECK(thrown(ENOSPC) ==
          std::pair{ErrorCode::disk_full, std::string("cannot open '/x/y': no space left on device")});
    CHECK(thrown(EACCES).first == ErrorCode::denied);
    CHECK(thrown(EEXIST).first == ErrorCode::already_exists);
    CHECK(thrown(ECONNREFUSED).first == ErrorCode::unreachable);
    CHECK(thrown(EPIPE).first == ErrorCode::connection_lost);
    CHECK(thrown(ETIMEDOUT).first == ErrorCode::timed_out);
    CHECK(thrown(EBUSY).first == ErrorCode::busy);
    CHECK(thrown(EMFILE).first == ErrorCode::limit_exceeded);
    CHECK(thrown(EIO).first == ErrorCode::io_failed);
}
