// A small fixed set of declarations for the tests of this room: goldens do not change with the real actions.
#pragma once

#include "runbook/load.h"

namespace lifeboat::testing {

inline ParameterSpec resource(std::string name, std::string kind, bool target = false) {
    return {.name = std::move(name),
            .type = ValueType::resource,
            .required = true,
            .kind = std::move(kind),
            .target = target};
}

inline std::vector<ActionSpec> small_actions() {
    std::vector<ActionSpec> actions;
    actions.push_back({.name = "postgres.assess",
                       .parameters = {resource("database", "postgres")},
                       .outputs = {{.name = "damaged", .type = ValueType::boolean}},
                       .cheap = true});
    actions.push_back(
        {.name = "postgres.fence",
         .parameters = {resource("database", "postgres", true)},
         .outputs = {{.name = "fenced_at", .type = ValueType::timestamp, .role = OutputRole::writes_stopped_at}},
         .effect = Effect::change,
         .repeatable = true,
         .has_probe = true,
         .errors = {{.code = ErrorCode::denied, .nothing_done = true}, {.code = ErrorCode::connection_lost}}});
    actions.push_back(
        {.name = "postgres.restore",
         .parameters = {{.name = "from", .type = ValueType::path, .required = true},
                        resource("beside", "postgres"),
                        {.name = "jobs", .type = ValueType::integer, .default_value = 2},
                        {.name = "statement_timeout", .type = ValueType::duration}},
         .outputs = {{.name = "database", .type = ValueType::resource},
                     {.name = "consistent_at", .type = ValueType::timestamp, .role = OutputRole::consistent_at}},
         .effect = Effect::stage});
    actions.push_back({.name = "postgres.swap",
                       .parameters = {resource("live", "postgres", true), resource("staged", "postgres")},
                       .effect = Effect::change,
                       .has_probe = true});
    actions.push_back({.name = "postgres.unfence",
                       .parameters = {resource("database", "postgres", true)},
                       .effect = Effect::change,
                       .reopens = true,
                       .repeatable = true,
                       .has_probe = true});
    actions.push_back(
        {.name = "postgres.drop", .parameters = {resource("database", "postgres", true)}, .effect = Effect::destroy});
    actions.push_back({.name = "service.stop",
                       .parameters = {resource("service", "service", true)},
                       .effect = Effect::change,
                       .has_probe = true});
    actions.push_back({.name = "service.start",
                       .parameters = {resource("service", "service", true)},
                       .effect = Effect::change,
                       .reopens = true,
                       .has_probe = true});
    actions.push_back({.name = "backup.fetch",
                       .parameters = {resource("backup", "backup"), {.name = "before", .type = ValueType::timestamp}},
                       .outputs = {{.name = "path", .type = ValueType::path}, {.name = "id"}},
                       .effect = Effect::stage,
                       .resumable = true});
    actions.push_back({.name = "backup.create", .parameters = {resource("backup", "backup")}, .effect = Effect::stage});
    actions.push_back(
        {.name = "sql.check",
         .parameters = {resource("database", "sqlite|postgres"),
                        {.name = "checks",
                         .type = ValueType::list,
                         .required = true,
                         .fields = {{.name = "name", .required = true},
                                    {.name = "query", .required = true},
                                    {.name = "expect", .type = ValueType::expression, .required = true}}}},
         .proves = Proves::data,
         .repeatable = true});
    actions.push_back({.name = "sql.fingerprint",
                       .parameters = {resource("database", "sqlite|postgres")},
                       .outputs = {{.name = "digest"}},
                       .repeatable = true});
    actions.push_back({.name = "http.check",
                       .parameters = {{.name = "url", .required = true, .may_be_secret = true},
                                      {.name = "status", .type = ValueType::integer, .default_value = 200},
                                      {.name = "within", .type = ValueType::duration, .default_value = "1m"},
                                      {.name = "method", .choices = {"GET", "HEAD"}}},
                       .proves = Proves::liveness,
                       .repeatable = true});
    actions.push_back({.name = "files.restore",
                       .parameters = {{.name = "from", .type = ValueType::path, .required = true},
                                      {.name = "to", .type = ValueType::path, .required = true},
                                      {.name = "most", .type = ValueType::size}},
                       .effect = Effect::change,
                       .has_probe = true});
    actions.push_back({.name = "notify.send",
                       .parameters = {resource("to", "notifier"), {.name = "text", .required = true}},
                       .effect = Effect::change,
                       .repeatable = true});
    actions.push_back({.name = "log.note", .parameters = {{.name = "text", .required = true}}, .repeatable = true});
    actions.push_back({.name = "token.make", .outputs = {{.name = "token", .secret = true}}, .repeatable = true});
    actions.push_back({.name = "fault.sql",
                       .parameters = {resource("database", "postgres", true), {.name = "statement", .required = true}},
                       .effect = Effect::destroy,
                       .drill_only = true});
    actions.push_back(
        {.name = "run", .parameters = {{.name = "environment", .type = ValueType::map, .may_be_secret = true}}});
    actions.push_back({.name = "lua", .parameters = {{.name = "arguments", .type = ValueType::map}}});
    return actions;
}

inline std::vector<ResourceSpec> small_resources() {
    std::vector<ResourceSpec> resources;
    resources.push_back({.type = "postgres",
                         .kinds = {"database"},
                         .fields = {{.name = "host", .required = true},
                                    {.name = "port", .type = ValueType::integer, .default_value = 5432},
                                    {.name = "database", .required = true},
                                    {.name = "user"},
                                    {.name = "password", .may_be_secret = true}},
                         .usable_in_sandbox = true});
    resources.push_back({.type = "sqlite",
                         .kinds = {"database"},
                         .fields = {{.name = "path", .type = ValueType::path, .required = true}},
                         .usable_in_sandbox = true});
    resources.push_back({.type = "local",
                         .kinds = {"store"},
                         .fields = {{.name = "path", .type = ValueType::path, .required = true}},
                         .usable_in_sandbox = true});
    resources.push_back({.type = "ssh", .kinds = {"host"}, .fields = {{.name = "host", .required = true}}});
    resources.push_back(
        {.type = "command",
         .kinds = {"service"},
         .fields = {{.name = "start", .type = ValueType::list, .required = true, .element = ValueType::text},
                    {.name = "health_url"},
                    {.name = "on", .type = ValueType::resource, .kind = "host"}}});
    resources.push_back({.type = "webhook",
                         .kinds = {"notifier"},
                         .fields = {{.name = "url", .required = true, .may_be_secret = true}}});
    return resources;
}

inline Specs small_specs() {
    return {.actions = small_actions(), .resources = small_resources()};
}

inline std::optional<std::string> small_scripts(const std::string& path) {
    if (path == "order.lua") return "outputs.rows = 3";
    if (path == "undo.lua") return "log('undone')";
    return std::nullopt;
}

}  // namespace lifeboat::testing
