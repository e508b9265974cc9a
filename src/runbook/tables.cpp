#include "runbook/tables.h"

#include "runbook/words.h"

namespace lifeboat {

namespace {

ParameterSpec text(std::string name, std::string doc) {
    return {.name = std::move(name), .type = ValueType::text, .doc = std::move(doc)};
}

ParameterSpec required(ParameterSpec spec) {
    spec.required = true;
    return spec;
}

ParameterSpec typed(std::string name, ValueType type, std::string doc) {
    return {.name = std::move(name), .type = type, .doc = std::move(doc)};
}

ParameterSpec choice(std::string name, std::vector<std::string> choices, std::string doc) {
    ParameterSpec spec = text(std::move(name), std::move(doc));
    spec.choices = std::move(choices);
    return spec;
}

ParameterSpec texts(std::string name, std::string doc) {
    ParameterSpec spec = typed(std::move(name), ValueType::list, std::move(doc));
    spec.element = ValueType::text;
    return spec;
}

ParameterSpec names_of(std::string kind, std::string name, std::string doc) {
    ParameterSpec spec = typed(std::move(name), ValueType::list, std::move(doc));
    spec.element = ValueType::resource;
    spec.kind = std::move(kind);
    return spec;
}

ParameterSpec record(std::string name, std::string doc, std::vector<ParameterSpec> fields) {
    ParameterSpec spec = typed(std::move(name), ValueType::map, std::move(doc));
    spec.fields = std::move(fields);
    return spec;
}

ParameterSpec with_default(ParameterSpec spec, Json value) {
    spec.default_value = std::move(value);
    return spec;
}

Field format_field(std::string_view format) {
    return {required(
        choice("lifeboat", {std::string(format)}, "What the file is and which version of its format it has."))};
}

ParameterSpec retry() {
    ParameterSpec retry_on = texts(
        "retry_on", "Codes of the errors after which to try again; without it, all that may go away by themselves.");
    retry_on.choices = error_names();
    return record(
        "retry", "How often and when a failed attempt is made again.",
        {required(typed("max_attempts", ValueType::integer, "Attempts in all, the first one included.")),
         with_default(typed("initial_interval", ValueType::duration, "Wait before the second attempt."), "1s"),
         with_default(typed("backoff_coefficient", ValueType::number, "Each wait is this many times the one before."),
                      2),
         with_default(typed("max_interval", ValueType::duration, "No wait is longer."), "1m"),
         with_default(typed("jitter", ValueType::number, "Share of a wait, 0 to 1, by which it varies at random."),
                      0.2),
         retry_on});
}

void append(std::vector<Field>& fields, std::vector<Field> more) {
    fields.insert(fields.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// What does it and with what.
std::vector<Field> deed_fields() {
    return {{text("uses", "The built-in action that does it.")},
            {typed("with", ValueType::map, "Arguments of the action, or of the Lua script."), "arguments"},
            {texts("run", "A program and its arguments; no shell reads them."), "argv"},
            {typed("lua", ValueType::path, "A Lua script below scripts/.")},
            {typed("env", ValueType::map, "Environment of the program, beside LIFEBOAT_*; nothing else is in it."),
             "environment"},
            {typed("folder", ValueType::path, "Where the program runs."), "templated_text"}};
}

// What the author of a program or script has to say about it.
std::vector<Field> declaration_fields() {
    return {{choice("effect", effect_names(),
                    "What a `run` or `lua` deed does to the world: read, stage, change or destroy.")},
            {choice("proves", proves_names(), "What success of a `run` or `lua` deed proves.")},
            {typed("repeatable", ValueType::boolean, "Whether doing a `run` or `lua` deed twice is as good as once.")},
            {typed("undo", ValueType::map, "A `run` or `lua` deed that puts back what this one did."), "undo"},
            {typed("probe", ValueType::map, "A `run` or `lua` deed that tells whether this one was done."), "undo"},
            {typed("outputs", ValueType::map, "Outputs of a `run` or `lua` deed: name and type of each."), "outputs"}};
}

ParameterSpec reopens() {
    return typed("reopens", ValueType::boolean,
                 "For `run` and `lua`: new data may come in from then on. For `uses`: `false` says that the door is "
                 "opened elsewhere.");
}

std::vector<Field> common_step_fields() {
    std::vector<Field> fields{
        {required(text("id", "How the step is called in expressions, `needs` and reports."))},
        {text("doc", "What the step is for.")},
        {typed("if", ValueType::expression, "The step is skipped where this expression is false."), "condition"}};
    append(fields, deed_fields());
    append(fields, declaration_fields());
    append(fields, {{reopens()},
                    {retry()},
                    {typed("timeout", ValueType::duration, "An attempt that takes longer has failed.")},
                    {typed("heartbeat", ValueType::duration, "An attempt without progress for that long has failed.")},
                    {choice("drill", {"safe"},
                            "`safe`: the author vouches that a `run` or `lua` step touches the sandbox only.")}});
    return fields;
}

std::vector<std::string> later_step_keys() {
    return {"approval", "foreach", "runbook", "commit", "on_timeout", "max_affected", "schedule"};
}

}  // namespace

RunbookTables runbook_tables() {
    RunbookTables tables;
    ParameterSpec objectives =
        record("objectives", "What the recovery is judged by.",
               {typed("rto", ValueType::duration, "The longest recovery that is acceptable."),
                typed("rpo", ValueType::duration, "The oldest data that is acceptable to come back to.")});
    tables.runbook = {
        "a runbook",
        {format_field(runbook_format),
         {required(text("name", "The name of the runbook: `lifeboat run <name>`."))},
         {text("summary", "What it recovers and how, in one line.")},
         {with_default(choice("severity", gravity_names(), "How bad the incident is that it is for."), "major")},
         {objectives},
         {typed("contacts", ValueType::list, "Whom to reach during the recovery."), "contacts"},
         {typed("requires", ValueType::map,
                "What the site has to provide: a name and a resource type, a kind of resource, or `backup`."),
          "requires"},
         {typed("inputs", ValueType::map, "What can be said when it is run: `--set <name>=<value>`."), "inputs"},
         {with_default(typed("max_parallel", ValueType::integer, "Steps that run at the same time, at most."), 4)},
         {required(typed("steps", ValueType::list, "What is done.")), "steps"},
         {typed("always", ValueType::list,
                "What is done when the verdict is final, one after the other; repeatable actions only."),
          "always"}},
        {"approvals", "commit", "includes", "schedule", "tiers"}};
    tables.contact = {
        "a contact",
        {{required(text("role", "What the contact is there for."))}, {required(text("reach", "How to reach them."))}}};
    tables.input = {"an input",
                    {{with_default(choice("type", input_type_names(), "The type that its value has."), "text")},
                     {typed("default", ValueType::any,
                            "Its value when none is given; for a timestamp `now` is the time of the plan.")},
                     {text("doc", "What it means.")}}};
    return tables;
}

StepTables step_tables() {
    StepTables tables;
    tables.step = {"a step", common_step_fields(), later_step_keys()};
    append(tables.step.fields,
           {{choice("phase", phase_names(), "The phase of the recovery that its time is counted in.")},
            {texts("needs", "Ids of the steps that it waits for; without the key it waits for the one above.")},
            {typed("fallback", ValueType::map,
                   "A second deed, done when every attempt of the first has failed; its result is the step's."),
             "fallback"},
            {with_default(choice("on_failure", on_failure_names(), "What a failure of the step means for the run."),
                          "rollback")},
            {typed("rollback", ValueType::map, "A deed that replaces the action's own undo."), "rollback"},
            {typed("estimate", ValueType::duration, "How long it takes, until history knows better.")}});
    tables.always = {"a step under `always`", common_step_fields(), later_step_keys()};

    tables.fallback = {"a fallback", deed_fields()};
    append(tables.fallback.fields, declaration_fields());
    append(tables.fallback.fields, {{reopens()}});
    tables.rollback = {"a rollback", deed_fields()};
    append(tables.rollback.fields, declaration_fields());
    tables.undo = {
        "an `undo` or `probe`",
        {{texts("run", "A program and its arguments; no shell reads them."), "argv"},
         {typed("lua", ValueType::path, "A Lua script below scripts/.")},
         {typed("with", ValueType::map, "Arguments of the Lua script."), "arguments"},
         {typed("env", ValueType::map, "Environment of the program; without it, that of the step."), "environment"},
         {typed("folder", ValueType::path, "Where the program runs; without it, where the step runs."),
          "templated_text"}}};
    return tables;
}

SiteTables site_tables() {
    SiteTables tables;
    ParameterSpec key = required(text(
        "key", "The key, a secret: 32 bytes in hexadecimal or base64, or a passphrase of at least 16 characters."));
    key.may_be_secret = true;
    ParameterSpec old_keys = texts("old_keys", "Keys of older backups, to decrypt with and never to encrypt with.");
    old_keys.may_be_secret = true;
    ParameterSpec signing_key = required(text("key", "An Ed25519 private key in PEM, a secret."));
    signing_key.may_be_secret = true;
    ParameterSpec bindings =
        typed("bindings", ValueType::map,
              "What the names that a runbook requires mean here: runbook, required name, resource or backup set.");
    tables.site = {"a site",
                   {format_field(site_format),
                    {typed("resources", ValueType::map, "The named databases, stores, hosts, services and notifiers."),
                     "resources"},
                    {typed("backups", ValueType::map, "The named backup sets."), "backups"},
                    {bindings, "bindings"},
                    {typed("secrets", ValueType::map, "The named secrets and where each comes from."), "secrets"},
                    {typed("notify", ValueType::map, "Who is told what about every run."), "notify"},
                    {typed("state", ValueType::path, "The directory that runs are kept in.")},
                    {typed("drill", ValueType::map, "Written by a drill into the site of its sandbox."), "drill_mark"}},
                   {"schedules", "retention", "fleet", "policies", "include", "runs"}};
    tables.foreign = {
        "a foreign pattern",
        {{required(text("pattern",
                        "How the keys in the store are built, with <time>, <id>, <*> for any text within a part of the "
                        "path, and <**> at the end for the rest of it."))},
         {with_default(text("time",
                            "How <time> is written: %Y %m %d %H %M %S and text between them, or `iso` for every usual "
                            "spelling of 2026-02-01T02:00:00Z."),
                       "iso")},
         {with_default(text("zone", "The zone of times that state none: `UTC`, or an offset such as `+02:00`."),
                       "UTC")},
         {required(choice("kind", {"postgres", "sqlite", "redis", "files", "archive", "json"},
                          "What it is: a dump in any format, a database file, a snapshot, a tar archive or (with <**>) "
                          "a folder of files, a tar archive of several of these, an export."))},
         {text("name", "What it is called in a backup; patterns of one name are alternatives. Without it, the kind.")},
         {with_default(typed("optional", ValueType::boolean, "A backup may be without it."), false)}}};
    ParameterSpec foreign =
        typed("foreign", ValueType::any,
              "How the names of backups that another tool makes are read: one pattern, or a list of them.");
    for (const Field& field : tables.foreign.fields)
        foreign.fields.push_back(field.spec);
    ParameterSpec checks = typed("checks", ValueType::list, "What has to hold in a restored copy of it.");
    checks.fields = {required(text("on", "The resource of the set that is asked.")),
                     required(text("name", "What is checked, for people.")),
                     required(text("query", "One query that returns rows; of a Redis server a command that reads.")),
                     required(typed("expect", ValueType::expression,
                                    "True when all is well: of 'value', 'row' and 'rows', as in sql.check."))};
    tables.backup_set = {
        "a backup set",
        {{names_of("", "of", "Resources whose content it holds.")},
         {foreign, "foreign"},
         {required(names_of("store", "to", "Stores that it is kept in, in the order in which they are asked."))},
         {choice("format", {"custom", "directory", "tar", "plain"}, "How PostgreSQL databases are dumped.")},
         {record("postgres", "What is dumped of PostgreSQL databases, and how fast.",
                 {typed("jobs", ValueType::integer, "Tables dumped at the same time, with format 'directory'."),
                  texts("schemas",
                        "Only these schemas, by their exact names; extensions and large objects are left out "
                        "then."),
                  texts("exclude_tables", "All but these tables, as <schema>.<table>, by their exact names.")})},
         {texts(
             "exclude",
             "Paths of folders and stores that are left out, as in a .gitignore: '*.tmp' anywhere, 'var/cache/' from "
             "the top.")},
         {record("incremental", "Files and objects that have not changed are not stored again.",
                 {required(typed("full_every", ValueType::duration,
                                 "How long until everything is stored anew, such as 7d."))})},
         {choice("compress", {"none", "zstd"},
                 "How what is stored is compressed; PostgreSQL's formats custom and directory are anyway.")},
         {record("encrypt", "How what is stored is encrypted.", {key, old_keys}), "encrypt"},
         {record("sign", "How the manifests of new backups are signed.", {signing_key}), "sign"},
         {texts("trust",
                "Ed25519 public keys, in PEM or base64: a backup that is signed by none of them is never taken. One "
                "that is not signed is shown as such.")},
         {record("retain", "Which backups are kept.",
                 {typed("daily", ValueType::integer, "The newest of each of that many days."),
                  typed("weekly", ValueType::integer, "The newest of each of that many weeks."),
                  typed("monthly", ValueType::integer, "The newest of each of that many months."),
                  typed("yearly", ValueType::integer, "The newest of each of that many years."),
                  typed("last", ValueType::integer, "That many of the newest ones."),
                  typed("within", ValueType::duration, "All that are not older.")})},
         {typed("max_age", ValueType::duration, "A newest backup that is older is a finding.")},
         {typed("max_size", ValueType::size, "A backup that would take more in a store is not written.")},
         {typed("max_count", ValueType::integer, "A store keeps no more of them, whatever `retain` says.")},
         {checks}},
        {"schedule", "verify", "pattern"}};
    tables.secret = {"a secret",
                     {{text("env", "The environment variable that holds it.")},
                      {typed("file", ValueType::path, "The file that holds it; nobody else may be able to read it.")},
                      {texts("command", "The program, with arguments, that prints it.")}}};
    ParameterSpec on = texts("on", "The events to tell.");
    on.choices = {"paused", "in_doubt", "failed", "done"};
    tables.notify = {"`notify`", {{required(on)}, {required(names_of("notifier", "to", "The notifiers to tell."))}}};
    tables.drill_mark = {
        "`drill`",
        {{required(text("id", "The drill that the site belongs to."))},
         {typed("nonces", ValueType::map, "Resource and the nonce that is read back through its connections."),
          "nonces"}}};
    return tables;
}

DrillTables drill_tables() {
    DrillTables tables;
    ParameterSpec sweep = texts("sweep", "The whole drill again, once for each boundary or step.");
    sweep.choices = sweep_names();
    tables.drill = {
        "a drill",
        {format_field(drill_format),
         {required(typed("runbook", ValueType::path, "The runbook to drill, relative to this file."))},
         {text("doc", "What the drill shows.")},
         {required(typed("sandbox", ValueType::map, "The resources to make, by the names that the runbook requires.")),
          "sandbox"},
         {typed("backups", ValueType::map, "The backup sets of the sandbox, by the names that the runbook requires."),
          "backups"},
         {typed("inputs", ValueType::map, "Inputs of the runbook.")},
         {typed("never_touch", ValueType::map, "What may not be reached in any case."), "never_touch"},
         {typed("setup", ValueType::list, "What is done before the disaster."), "steps"},
         {typed("disaster", ValueType::list, "What goes wrong."), "steps"},
         {typed("observe", ValueType::list, "What is looked at after the run."), "steps"},
         {required(typed("expect", ValueType::list, "What has to be true in the end.")), "expect"},
         {sweep}},
        {"schedule", "matrix", "load_test"}};
    tables.never_touch = {"`never_touch`",
                          {{required(texts("hosts", "Patterns of host names, with '*' for any text."))}}};
    tables.expectation = {"an expectation",
                          {{required(typed("that", ValueType::expression, "A bare expression.")), "condition"},
                           {text("doc", "What it means.")}}};
    tables.sandbox = {typed("load", ValueType::path, "What it holds at first: an SQL file, or a folder for files."),
                      typed("version", ValueType::any, "The version of the server to make.")};
    return tables;
}

}  // namespace lifeboat
