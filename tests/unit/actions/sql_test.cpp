#include <catch2/catch.hpp>
#include <thread>

#include "unit/actions/postgres_world.h"
#include "world/sqlite.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

const Json db = PostgresWorld::db;

Json check(const std::string& name, const std::string& query, const std::string& expect) {
    return {{"name", name}, {"query", query}, {"expect", expect}};
}

class Sqlite {
  public:
    Sqlite() : path(folder / "shop.db"), database(SqliteDatabase::create(path)), world(resources()) {
        actions = sql_actions(world.world());
    }
    ScratchFolder folder;
    std::filesystem::path path;
    SqliteDatabase database;
    DeedWorld world;
    ActionList actions;
    const Action& operator[](std::string_view name) const { return action_named(actions, name); }

  private:
    std::map<std::string, Resource> resources() const {
        return {{"db", {.name = "db", .type = "sqlite", .fields = Json{{"path", path.string()}}}}};
    }
};

}  // namespace

TEST_CASE("R9 checks that hold pass, with the values that they saw") {
    PostgresWorld world;
    world.fill(10);
    const Action& action = world["sql.check"];
    CHECK(action.spec().proves == Proves::data);
    CHECK(action.spec().effect == Effect::read);
    const Outputs outputs =
        world.run(action, {{"database", db},
                           {"checks",
                            {check("orders present", "select count(*) from orders", "value > 0"),
                             check("sum", "select sum(total) as total, 'x' as label from orders;",
                                   "row.total == 82.5 and row.label == 'x'"),
                             check("each", "select id from orders order by id", "#rows == 10 and rows[10].id == 10"),
                             check("none", "select id from orders where false", "value == null and #rows == 0"),
                             check("truth", "select exists(select from orders)", "value == true")}}});
    CHECK(outputs.at("passed") == 5);
    CHECK(outputs.at("results")[0] == Json{{"name", "orders present"}, {"passed", true}, {"value", 10}});
    CHECK(outputs.at("results")[1].at("value") == 82.5);
}

TEST_CASE("R9 an empty, a truncated and a stale database fail their checks, all failures at once") {
    PostgresWorld world;
    world.fill(10);
    const Json checks{
        check("orders present", "select count(*) from orders", "value > 5"),
        check("newest is fresh", "select extract(epoch from now() - max(at)) from customers", "value < 60"),
        check("customers", "select count(*) from customers", "value > 0"),
        check("no such table", "select count(*) from invoices", "value > 0"),
        check("compares nothing", "select max(id) from orders where false", "value > 0")};
    const Error stale = world.error_of(world["sql.check"], {{"database", db}, {"checks", checks}});
    CHECK(stale.code == ErrorCode::check_failed);
    const Json results = stale.details.at("results");
    REQUIRE(results.size() == 5);
    CHECK(results[0].at("passed") == true);
    CHECK(results[1].at("passed") == false);
    CHECK(results[2].at("passed") == true);
    CHECK(results[3].at("failure").get<std::string>().find("invoices") != std::string::npos);
    CHECK(results[4].at("passed") == false);
    CHECK(stale.message.starts_with("3 checks of 5 failed: 'newest is fresh': expected value < 60, value is "));

    world.inside().execute("truncate orders");
    CHECK(world.error_of(world["sql.check"], {{"database", db}, {"checks", checks}})
              .details.at("results")[0]
              .at("passed") == false);
    world.server().execute("ALTER DATABASE shop RENAME TO other");
    world.server().execute("CREATE DATABASE shop");
    const Error empty = world.error_of(world["sql.check"], {{"database", db}, {"checks", checks}});
    CHECK(empty.message.starts_with("5 checks of 5 failed"));
    CHECK(world.error_of(world["sql.check"], {{"database", db}, {"checks", Json::array()}}).code ==
          ErrorCode::invalid_file);
}

TEST_CASE("checks cannot write, cannot hide a second statement, and end in time") {
    PostgresWorld world;
    world.fill(10);
    const std::string before = world.fingerprint("shop");
    const Json checks{check("writes", "delete from orders returning 1", "true"),
                      check("function", "select setval('customers_id_seq', 1)", "true"),
                      check("two", "select 1; delete from orders", "true"),
                      check("escapes", "select 1; commit; delete from orders; begin; select 1", "true"),
                      check("turns writable", "select set_config('transaction_read_only', 'off', false)", "true"),
                      check("slow", "select pg_sleep(60)", "true"),
                      check("huge", "select generate_series(1, 5000)", "true")};
    const Error error =
        world.error_of(world["sql.check"], {{"database", db}, {"checks", checks}, {"each_within", "200ms"}});
    CHECK(error.code == ErrorCode::check_failed);
    for (const Json& result : error.details.at("results")) {
        INFO(result);
        CHECK(result.at("passed") == false);
    }
    CHECK(world.fingerprint("shop") == before);

    std::stop_source stop;
    Context context = world.context(world["sql.check"],
                                    {{"database", db}, {"checks", {check("slow", "select pg_sleep(60)", "true")}}});
    context.stop = stop.get_token();
    std::jthread stopper([&] {
        while (world.value("postgres",
                           "select count(*) from pg_stat_activity where state = 'active' and query like 'FETCH%'") ==
               "0") {
        }
        stop.request_stop();
    });
    try {
        world["sql.check"].run(Json::object(), context);
        FAIL("was not stopped");
    } catch (const Error& stopped) {
        CHECK(stopped.code == ErrorCode::cancelled);
    }
}

TEST_CASE("R9 checks of an SQLite database") {
    Sqlite sqlite;
    sqlite.database.execute(
        "create table orders(id integer primary key, total real, note text); insert into orders values (1, 1.5, 'x'), "
        "(2, 2, null)");
    const Outputs outputs = sqlite.world.run(
        sqlite["sql.check"],
        {{"database", db},
         {"checks",
          {check("count", "select count(*) from orders", "value == 2"),
           check("row", "select total, note from orders order by id", "row.total == 1.5 and rows[2].note == null")}}});
    CHECK(outputs.at("passed") == 2);
    const Error error = sqlite.world.error_of(
        sqlite["sql.check"],
        {{"database", db},
         {"checks",
          {check("count", "select count(*) from orders", "value == 3"), check("bad", "select x from y", "true")}}});
    CHECK(error.code == ErrorCode::check_failed);
    CHECK(error.details.at("results")[0] ==
          Json{{"name", "count"}, {"passed", false}, {"value", 2}, {"failure", "expected value == 3, value is 2"}});
    CHECK(error.details.at("results")[1].at("passed") == false);
}

TEST_CASE("a fingerprint does not depend on the order of rows, the database's name or how many read it") {
    PostgresWorld world;
    world.fill(2000);
    const Outputs first = world.run(world["sql.fingerprint"], {{"database", db}});
    CHECK(first.at("rows") == 4000);
    CHECK(first.at("tables").size() == 2);
    CHECK(first.at("tables").at("public.orders").at("rows") == 2000);
    CHECK(first.at("sequences").at("public.customers_id_seq") == Json{{"last_value", "2000"}, {"is_called", true}});
    CHECK(world["sql.fingerprint"].spec().proves == Proves::nothing);
    for (const int jobs : {1, 3, 8})
        CHECK(world.run(world["sql.fingerprint"], {{"database", db}, {"jobs", jobs}}) == first);

    world.server().execute("CREATE DATABASE copy TEMPLATE shop");
    world.server().execute(
        "ALTER DATABASE copy SET datestyle TO 'German'; ALTER DATABASE copy SET timezone TO 'Asia/Tokyo';"
        "ALTER DATABASE copy SET bytea_output TO 'escape'; ALTER DATABASE copy SET extra_float_digits TO -5");
    world.inside("copy").execute("cluster orders using orders_customer_idx; update customers set name = name");
    CHECK(world.run(world["sql.fingerprint"], {{"database", {{"of", "db"}, {"database", "copy"}}}}) == first);
}

TEST_CASE("a fingerprint notices every change of content and of definitions") {
    PostgresWorld world;
    world.fill(50);
    std::string before = world.fingerprint("shop");
    const std::string untouched = before;
    const auto notices = [&](const std::string& change, const std::string& back) {
        INFO(change);
        world.inside().execute(change);
        const std::string after = world.fingerprint("shop");
        CHECK(after != before);
        if (!back.empty()) {
            world.inside().execute(back);
            CHECK(world.fingerprint("shop") == untouched);
        }
    };
    notices("update customers set notes = null where id = 7",
            "update customers set notes = E'tab\\tnew\\nline \\\\ 7' where id = 7");
    notices("update customers set notes = '' where id = 7",
            "update customers set notes = E'tab\\tnew\\nline \\\\ 7' where id = 7");
    notices("create index extra on orders(total)", "drop index extra");
    notices("alter table customers alter column name type varchar(50)",
            "alter table customers alter column name type text");
    notices("create or replace view big as select id from orders where total > 11",
            "create or replace view big as select id from orders where total > 10");
    notices(
        "create or replace function f() returns int language sql begin atomic select 2; end",
        "create or replace function f() returns int language sql begin atomic select case when true then 1 end; end");
    notices("alter type mood rename value 'sad' to 'gloomy'", "alter type mood rename value 'gloomy' to 'sad'");
    notices("alter table orders alter column customer set not null",
            "alter table orders alter column customer drop not null");
    notices("create schema more; create table more.t()", "drop schema more cascade");
    notices("select setval('customers_id_seq', 49)", "select setval('customers_id_seq', 50)");
    notices("insert into customers(id, name) values (1000, 'twice'), (1001, 'twice')",
            "delete from customers where id >= 1000");
    // two rows that swap a value: the same bytes in other rows
    notices("update customers set name = case id when 1 then 'customer 2' else 'customer 1' end where id in (1, 2)",
            "update customers set name = 'customer ' || id where id in (1, 2)");
    notices("delete from orders where id = 50", "");
    before.clear();

    const std::string ownership = world.fingerprint("shop", "ownership");
    const std::string digest = world.fingerprint("shop");
    world.server().execute("CREATE ROLE somebody");
    world.inside().execute("alter table customers owner to somebody");
    CHECK(world.fingerprint("shop", "ownership") != ownership);
    CHECK(world.fingerprint("shop") == digest);
}

TEST_CASE("a large table is read in pieces that add up to the whole") {
    PostgresWorld world;
    // wide rows that are not compressed: more than one piece of 16384 blocks
    world.inside().execute(
        "create table wide(id int, pad text); alter table wide alter column pad set storage plain;"
        "insert into wide select i, repeat('x', 7000) from generate_series(1, 40000) i");
    const Outputs one = world.run(world["sql.fingerprint"], {{"database", db}, {"jobs", 1}});
    CHECK(one.at("tables").at("public.wide").at("rows") == 40000);
    world.inside().execute("create table narrow as select * from wide limit 0; drop table narrow");
    CHECK(world.run(world["sql.fingerprint"], {{"database", db}, {"jobs", 2}}) == one);
}

TEST_CASE("the fingerprint of an SQLite database") {
    Sqlite sqlite;
    sqlite.database.execute(
        "create table t(id integer primary key autoincrement, v); insert into t(v) values (1), ('1'), (1.5), (x'31'), "
        "(null); create index i on t(v)");
    const Outputs first = sqlite.world.run(sqlite["sql.fingerprint"], {{"database", db}});
    CHECK(first.at("rows") == 5);
    CHECK(first.at("sequences") == Json{{"t", 5}});
    std::set<std::string> seen{first.at("digest").get<std::string>()};
    for (const char* change : {"update t set v = '1' where id = 1", "update t set v = x'31' where id = 2",
                               "update t set v = '' where id = 5", "drop index i", "delete from t where id = 5",
                               "update sqlite_sequence set seq = 9"}) {
        INFO(change);
        sqlite.database.execute(change);
        CHECK(
            seen.insert(sqlite.world.run(sqlite["sql.fingerprint"], {{"database", db}}).at("digest").get<std::string>())
                .second);
    }
}
