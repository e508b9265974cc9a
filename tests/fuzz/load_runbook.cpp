// Any bytes as a runbook, a site and a drill: loading ends, and either there is a value or an error that can be shown.
#include <cstdint>
#include <cstdlib>

#include "runbook/draft.h"
#include "runbook/load.h"

using namespace lifeboat;

namespace {

const Specs& specs() {
    static const Specs all = [] {
        Specs made;
        made.actions.push_back(
            {.name = "log.note", .parameters = {{.name = "text", .required = true}}, .repeatable = true});
        made.actions.push_back(
            {.name = "make",
             .parameters = {{.name = "on", .type = ValueType::resource, .kind = "files", .target = true},
                            {.name = "wait", .type = ValueType::duration},
                            {.name = "path", .type = ValueType::path, .may_be_secret = true}},
             .outputs = {{.name = "made", .type = ValueType::resource}},
             .effect = Effect::stage});
        made.resources.push_back(
            {.type = "files",
             .kinds = {"store"},
             .fields = {{.name = "path", .type = ValueType::path, .required = true, .may_be_secret = true}},
             .usable_in_sandbox = true});
        return made;
    }();
    return all;
}

template <typename T>
void check(const Loaded<T>& loaded) {
    if (loaded.value.has_value() == loaded.diagnostics.has_errors()) std::abort();
    if (loaded.diagnostics.has_errors() && loaded.diagnostics.render().empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(bytes), size);
    const FileReader scripts = [](const std::string&) { return std::optional<std::string>("outputs.n = 1"); };
    kind_of(text);
    const auto runbook = load_runbook(text, "fuzz.yaml", specs(), scripts);
    const auto site = load_site(text, "fuzz.yaml", specs());
    check(runbook);
    check(site);
    check(load_drill(text, "fuzz.yaml", specs(), scripts));
    if (!runbook.value) return 0;
    const auto drafted = draft(*runbook.value, Site{}, Json::object(), {}, specs(), Timestamp{});
    check(drafted);
    if (drafted.value && to_json(draft_from_json(to_json(*drafted.value))) != to_json(*drafted.value)) std::abort();
    return 0;
}
