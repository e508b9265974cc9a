#include "runbook/deeds.h"

#include <algorithm>

#include "base/text.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

bool is_variable(std::string_view name) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    if (name.empty() || !letter(name.front())) return false;
    return std::all_of(name.begin(), name.end(), [letter](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

bool stays_below(std::string_view path) {
    if (path.starts_with('/')) return false;
    for (const std::string& part : split(path, '/'))
        if (part == ".." || part.empty()) return false;
    return true;
}

// The action's declaration → what the engine has to know of the deed.
void describe(Deed& deed, const ActionSpec& spec) {
    deed.effect = spec.effect;
    deed.reopens = spec.reopens;
    deed.proves = spec.proves;
    deed.repeatable = spec.repeatable;
    deed.resumable = spec.resumable;
    deed.has_probe = spec.has_probe;
    deed.has_undo = spec.effect == Effect::stage || spec.effect == Effect::change;
    for (const RaisedError& each : spec.errors)
        if (each.nothing_done) deed.harmless.push_back(each.code);
    for (const OutputSpec& output : spec.outputs) {
        if (output.role == OutputRole::consistent_at) deed.consistent_output = output.name;
        if (output.role == OutputRole::writes_stopped_at) deed.writes_stopped_output = output.name;
    }
}

}  // namespace

Deed DeedReader::read(const Fields& fields, DeedBlock block, const Place& place) {
    Deed deed;
    std::vector<std::string> given;
    for (const char* name : {"uses", "run", "lua"})
        if (fields.has(name)) given.push_back("`" + std::string(name) + "`");
    if (given.size() != 1) {
        const std::string message =
            given.empty() ? "nothing is done here" : "exactly one thing is done here, not " + join(given, " and ");
        check_.file().error(span_of(check_.file(), fields.map()), fields.path().text(), message,
                            "Give one of `uses`, `run` and `lua`.");
        return deed;
    }
    if (fields.has("uses")) {
        refuse_keys(fields, {"env", "folder", "effect", "proves", "repeatable", "undo", "probe", "outputs"},
                    "belongs to `run` and `lua`: a built-in action declares its own");
        read_use(deed, fields, place);
        return deed;
    }
    if (fields.has("run")) {
        refuse_keys(fields, {"with"}, "belongs to `uses` and `lua`: a program gets arguments and `env`");
        read_program(deed, fields, place);
    } else {
        refuse_keys(fields, {"env", "folder"}, "belongs to `run`: a script gets `with`");
        read_script(deed, fields, place);
    }
    read_declarations(deed, fields, block, place);
    return deed;
}

void DeedReader::refuse_keys(const Fields& fields, std::initializer_list<std::string_view> keys,
                             const std::string& why) {
    for (const std::string_view key : keys)
        if (fields.has(key)) fields.wrong(key, "'" + std::string(key) + "' " + why);
}

void DeedReader::read_use(Deed& deed, const Fields& fields, const Place& place) {
    const std::string name = fields.text("uses");
    if (name.empty()) return;
    const ActionSpec* spec = check_.specs().action(name);
    const Node& uses = *fields.node("uses");
    const Path path = fields.at("uses");
    if (name == "run" || name == "lua") {
        check_.wrong(uses, path, "'" + name + "' is a key of its own",
                     name == "run" ? "Write `run: [program, argument, …]`." : "Write `lua: <file below scripts/>`.");
        return;
    }
    if (spec == nullptr) {
        if (check_.file().full()) return;
        std::vector<std::string> names;
        for (const ActionSpec& each : check_.specs().actions)
            if (each.name != "run" && each.name != "lua") names.push_back(each.name);
        check_.wrong(uses, path, "unknown action '" + name + "'" + did_you_mean(name, names),
                     "`lifeboat actions` lists all of them.");
        return;
    }
    if (spec->drill_only && !in_drill_)
        check_.wrong(uses, path, "'" + name + "' does damage: it is for drills only",
                     "Put it under `disaster:` of a drill.");
    deed.action = name;
    describe(deed, *spec);
    const std::string subject = "'" + name + "'";
    if (const Node* with = fields.node("with")) {
        deed.arguments = check_.record(*with, spec->parameters, fields.at("with"), &place, subject);
    } else if (!fields.has("with")) {
        const Node nothing{.kind = Node::Kind::map, .begin = uses.begin, .end = uses.end};
        deed.arguments = check_.record(nothing, spec->parameters, fields.path(), &place, subject);
    }
}

bool DeedReader::takes_secrets(std::string_view action, std::string_view parameter, bool otherwise) const {
    const ActionSpec* spec = check_.specs().action(action);
    if (spec == nullptr) return otherwise;
    for (const ParameterSpec& each : spec->parameters)
        if (each.name == parameter) return each.may_be_secret;
    return otherwise;
}

Json DeedReader::argv(const Fields& fields, const Place& place) {
    const Node* run = fields.node("run");
    if (run == nullptr) return Json::array();
    Json words = Json::array();
    const Path path = fields.at("run");
    if (run->items.empty()) return check_.wrong(*run, path, "'run' is empty", "Give the program and its arguments.");
    for (std::size_t i = 0; i < run->items.size(); ++i) {
        const Path item{.parent = &path, .key = {}, .index = i};
        // the program itself may not be empty, an argument may
        const ParameterSpec word{.name = "run", .type = ValueType::text, .required = i == 0};
        words.push_back(check_.value(run->items[i], word, item, &place));
    }
    return words;
}

Json DeedReader::environment(const Fields& fields, const Place& place) {
    Json variables = Json::object();
    const Node* env = fields.node("env");
    if (env == nullptr) return variables;
    const Path path = fields.at("env");
    for (const Entry& entry : env->entries) {
        const Path here{.parent = &path, .key = entry.key.text};
        if (!is_variable(entry.key.text)) {
            check_.file().error(span_of(check_.file(), entry.key), here.text(),
                                "'" + entry.key.text + "' is no name of an environment variable");
            continue;
        }
        const ParameterSpec wanted{.name = entry.key.text, .may_be_secret = takes_secrets("run", "environment", true)};
        variables[entry.key.text] = check_.value(entry.value, wanted, here, &place);
    }
    return variables;
}

Json DeedReader::script_arguments(const Fields& fields, const Place& place) {
    const Node* with = fields.node("with");
    if (with == nullptr) return Json::object();
    const ParameterSpec wanted{
        .name = "with", .type = ValueType::map, .may_be_secret = takes_secrets("lua", "arguments", false)};
    return check_.value(*with, wanted, fields.at("with"), &place);
}

std::string DeedReader::load_script(const Fields& fields) {
    const std::string path = fields.text("lua");
    if (path.empty()) return path;
    const auto refuse = [&](std::string message, std::string hint) {
        check_.wrong(*fields.node("lua"), fields.at("lua"), std::move(message), std::move(hint));
    };
    if (!stays_below(path)) {
        refuse("'" + path + "' does not stay below scripts/",
               "Write the path below scripts/, such as `restore/order.lua`.");
    } else if (!scripts_.contains(path)) {
        if (std::optional<std::string> text = read_script_ ? read_script_(path) : std::nullopt) {
            scripts_.emplace(path, std::move(*text));
        } else {
            refuse("there is no script '" + path + "'",
                   "Scripts stand below scripts/, beside the runbook's folder or in it.");
        }
    }
    return path;
}

void DeedReader::read_program(Deed& deed, const Fields& fields, const Place& place) {
    deed.action = "run";
    deed.arguments = {{"argv", argv(fields, place)}, {"environment", environment(fields, place)}};
    if (const Node* folder = fields.node("folder"))
        deed.arguments["folder"] =
            check_.value(*folder, {.name = "folder", .type = ValueType::path}, fields.at("folder"), &place);
}

void DeedReader::read_script(Deed& deed, const Fields& fields, const Place& place) {
    deed.action = "lua";
    deed.arguments = {{"script", load_script(fields)}, {"arguments", script_arguments(fields, place)}};
}

Json DeedReader::read_outputs(const Fields& fields) {
    Json outputs = Json::object();
    const Node* node = fields.node("outputs");
    if (node == nullptr) return outputs;
    const Path path = fields.at("outputs");
    const ParameterSpec wanted{.name = "type", .required = true, .choices = output_type_names()};
    for (const Entry& entry : node->entries) {
        const Path here{.parent = &path, .key = entry.key.text};
        if (!is_identifier(entry.key.text))
            check_.file().error(span_of(check_.file(), entry.key), here.text(),
                                "'" + entry.key.text + "' is no name for an output",
                                "Names begin with a small letter; small letters, digits and '_' follow.");
        outputs[entry.key.text] = check_.value(entry.value, wanted, here, nullptr);
    }
    return outputs;
}

// The arguments of `undo` or `probe`; where they say nothing about it they run where the deed runs.
Json DeedReader::read_answer(const Fields& fields, std::string_view name, const Json& arguments, const Place& place) {
    const Node* node = fields.node(name);
    if (node == nullptr) return nullptr;
    const Path path = fields.at(name);
    const Fields block(check_, *node, tables_.undo, path);
    if (block.has("run") == block.has("lua"))
        return check_.wrong(*node, path, "'" + std::string(name) + "' is one of `run` and `lua`",
                            "Write `" + std::string(name) + ": {run: [program, argument, …]}`.");
    Deed answer;
    if (block.has("run")) {
        refuse_keys(block, {"with"}, "belongs to `lua`");
        read_program(answer, block, place);
        if (!block.has("env") && arguments.contains("environment"))
            answer.arguments["environment"] = arguments["environment"];
        if (!block.has("folder") && arguments.contains("folder")) answer.arguments["folder"] = arguments["folder"];
    } else {
        refuse_keys(block, {"env", "folder"}, "belongs to `run`");
        read_script(answer, block, place);
    }
    return answer.arguments;
}

void DeedReader::read_declarations(Deed& deed, const Fields& fields, DeedBlock block, const Place& place) {
    const std::string called = "`" + deed.action + "`";
    deed.effect = Effect::change;
    if (const auto effect = effect_named(fields.text("effect"))) {
        deed.effect = *effect;
    } else if (!fields.has("effect") && block != DeedBlock::rollback) {
        fields.wrong(deed.action, "a " + called + " deed declares its `effect`",
                     "Add `effect: ` and read, stage, change or destroy.");
        deed.effect = Effect::read;
    }
    deed.proves = proves_named(fields.text("proves")).value_or(Proves::nothing);
    deed.reopens = fields.boolean("reopens").value_or(false);
    deed.repeatable = fields.boolean("repeatable").value_or(false);
    deed.has_undo = fields.has("undo");
    deed.has_probe = fields.has("probe");
    const Json undo = read_answer(fields, "undo", deed.arguments, place);
    const Json probe = read_answer(fields, "probe", deed.arguments, place);
    deed.arguments["undo"] = undo;
    deed.arguments["probe"] = probe;
    deed.arguments["outputs"] = read_outputs(fields);
    if (deed.effect == Effect::stage && !deed.has_undo && block != DeedBlock::rollback)
        fields.wrong(deed.action, "a `stage` needs `undo`: what it writes has to be removed when the run goes back",
                     "Add `undo: {run: […]}`, or declare another effect.");
    if (deed.effect == Effect::read && deed.has_undo)
        fields.wrong("undo", "a `read` changes nothing: it has nothing to undo");
}

}  // namespace lifeboat
