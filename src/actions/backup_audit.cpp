#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "backup.audit";
    spec.summary = "Ask whether the backups of a set would save the day";
    spec.doc =
        "Three copies, the original counted, on two kinds of media, one of them off site; fresh, verified, restored to "
        "try it, encrypted and signed as the set says; by what the stores really hold. Fails when a rule does not "
        "hold, unless 'required' is false.";
    spec.parameters = {
        {.name = "backup", .type = ValueType::resource, .doc = "The backup set.", .required = true, .kind = "backup"},
        {.name = "required",
         .type = ValueType::boolean,
         .doc = "Fail when a rule does not hold, rather than only say so.",
         .default_value = true},
    };
    spec.outputs = {
        {.name = "set", .doc = "The backup set."},
        {.name = "newest", .doc = "The backup that was judged; null where there is none."},
        {.name = "holds", .type = ValueType::boolean, .doc = "Every rule holds."},
        {.name = "findings", .type = ValueType::list, .doc = "Each rule: rule, holds, message."},
    };
    spec.effect = Effect::read;
    spec.repeatable = true;
    spec.errors = {{ErrorCode::check_failed, true}, {ErrorCode::refused, true}};
    spec.example = "- id: audit\n  uses: backup.audit\n  with: {backup: backup}\n";
    return spec;
}

class AuditSet final : public Action {
  public:
    explicit AuditSet(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context&) const override { return Json::object(); }

    Outputs run(const Intent&, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        const Audit audit = audit_backups(audit_request(world_, set, context.clock->now()),
                                          catalogue_of(set, open_stores(world_, set), work_of(context).control));
        Outputs outputs = to_json(audit);
        if (audit.holds() || context.arguments.value("required", Json(true)) == Json(false)) return outputs;
        std::vector<std::string> broken;
        for (const AuditFinding& finding : audit.findings)
            if (!finding.holds) broken.push_back(finding.message);
        Error error{ErrorCode::check_failed,
                    "the backups of set '" + set.name + "' would not save the day: " + join(broken, "; ")};
        error.details = std::move(outputs);
        throw error;
    }

  private:
    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

AuditRequest audit_request(const ActionWorld& world, const BackupSet& set, Timestamp now) {
    AuditRequest request{.set = set.name,
                         .max_age = set.max_age,
                         .encrypts = !set.encrypt.is_null(),
                         .signs = !set.sign.is_null() || !set.trust.empty(),
                         .now = now};
    const auto text_in = [](const Json& fields, const char* name) {
        const auto found = fields.find(name);
        return found != fields.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    for (const std::string& name : set.to) {
        const ResolvedResource store = world.resources.named(name);
        request.stores.push_back(
            {.name = name, .media = text_in(store.fields, "media"), .location = text_in(store.fields, "location")});
    }
    return request;
}

std::unique_ptr<Action> backup_audit(const ActionWorld& world) {
    return std::make_unique<AuditSet>(world);
}

}  // namespace lifeboat
