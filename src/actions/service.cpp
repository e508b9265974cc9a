#include "actions/service_resource.h"
#include "actions/waiting.h"

namespace lifeboat {

namespace {

const ParameterSpec service_parameter{.name = "service",
                                      .type = ValueType::resource,
                                      .doc = "The service.",
                                      .required = true,
                                      .kind = "service",
                                      .target = true};

const ActionSpec& stop_spec() {
    static const ActionSpec spec{
        .name = "service.stop",
        .summary = "Stop a service",
        .doc =
            "Stops the service by its `stop` command, else by TERM and, after the grace, KILL to its "
            "process group. One that does not run is left alone. Its undo starts it again if it was "
            "running. Its probe looks whether it runs.",
        .parameters = {service_parameter,
                       {.name = "grace",
                        .type = ValueType::duration,
                        .doc = "How long it may take to end by itself.",
                        .default_value = "10s"}},
        .outputs = {{.name = "was_running", .type = ValueType::boolean, .doc = "Whether it ran before."}},
        .effect = Effect::change,
        .repeatable = true,
        .has_probe = true,
        .errors = {{.code = ErrorCode::refused, .nothing_done = true},
                   {.code = ErrorCode::program_missing, .nothing_done = true},
                   {.code = ErrorCode::invalid_file, .nothing_done = true},
                   {.code = ErrorCode::child_failed},
                   {.code = ErrorCode::not_healthy},
                   {.code = ErrorCode::busy},
                   {.code = ErrorCode::timed_out},
                   {.code = ErrorCode::cancelled}},
        .example =
            "- id: stop_app\n"
            "  uses: service.stop\n"
            "  with: {service: app}\n",
    };
    return spec;
}

const ActionSpec& start_spec() {
    static const ActionSpec spec{
        .name = "service.start",
        .summary = "Start a service",
        .doc =
            "Starts the service as a daemon in a session of its own, known by its pid file: it "
            "survives the run, the death of the run and its resume, and ends only by `service.stop` "
            "or an undo. One that runs already is left alone. It opens the door for new data. Its "
            "undo stops it again unless it ran before. Its probe looks whether it runs.",
        .parameters = {service_parameter,
                       {.name = "steady",
                        .type = ValueType::duration,
                        .doc = "How long it has to stay up to count as started.",
                        .default_value = "200ms"},
                       {.name = "grace",
                        .type = ValueType::duration,
                        .doc = "How long it may take to end by itself when it is stopped again.",
                        .default_value = "10s"}},
        .outputs = {{.name = "pid",
                     .type = ValueType::any,
                     .doc = "Its process id, or null when only its status command knows that it runs."},
                    {.name = "started_at", .type = ValueType::any, .doc = "When that process began, or null."},
                    {.name = "ran_before", .type = ValueType::boolean, .doc = "Whether it ran already."}},
        .effect = Effect::change,
        .reopens = true,
        .repeatable = true,
        .has_probe = true,
        .errors = {{.code = ErrorCode::refused, .nothing_done = true},
                   {.code = ErrorCode::program_missing, .nothing_done = true},
                   {.code = ErrorCode::invalid_file, .nothing_done = true},
                   {.code = ErrorCode::secret_missing, .nothing_done = true},
                   {.code = ErrorCode::not_healthy},
                   {.code = ErrorCode::timed_out},
                   {.code = ErrorCode::cancelled}},
        .example =
            "- id: start_app\n"
            "  phase: reopen\n"
            "  uses: service.start\n"
            "  with: {service: app}\n",
    };
    return spec;
}

Duration duration_in(const Json& value, const char* name) {
    return parse_duration(value.at(name).get<std::string>()).value_or(Duration::zero());
}

Outputs running_outputs(const CommandService& service, bool ran_before) {
    const std::optional<ChildIdentity> process = service.process();
    return {{"pid", process ? Json(process->pid) : Json()},
            {"started_at", process ? Json(to_text(started_at(*process))) : Json()},
            {"ran_before", ran_before}};
}

Finding program_finding(const Context& context, const CommandService& service) {
    const std::string& program = service.start_command().front();
    Finding finding{.step = context.step_id, .subject = "program '" + program + "' of '" + service.name() + "'"};
    if (find_program(program)) {
        finding.message = "found";
    } else {
        finding.kind = FindingKind::blocker;
        finding.message = "there is no such program";
        finding.hint = "Install it, or correct 'start' of the service.";
    }
    return finding;
}

// Both actions look at the same thing before they begin, and are asked about it afterwards.
class ServiceAction : public Action {
  public:
    explicit ServiceAction(const ActionWorld& world) : world_(world) {}

    Survey survey(Context& context) const override {
        Survey survey;
        if (const Json service = context.arguments.value("service", Json()); service.is_object()) {
            survey.findings.push_back(program_finding(context, CommandService(world_, service)));
        }
        return survey;
    }

    Intent prepare(Context& context) const override {
        Intent intent = context.arguments;
        const CommandService service(world_, intent.at("service"));
        const Life life = service.life(context);
        if (life == Life::unknown) {
            throw Error{ErrorCode::refused, "it cannot be told whether the service '" + service.name() + "' runs",
                        "Look at what its 'status' command says."};
        }
        intent["was_running"] = life == Life::running;
        return intent;
    }

  protected:
    // `wanted`: how the service is when the deed is done.
    ProbeResult look(const Intent& intent, Context& context, Life wanted) const {
        const CommandService service(world_, intent.at("service"));
        const Life life = service.life(context);
        ProbeResult result{.evidence = "the service '" + service.name() + "' " +
                                       (life == Life::running   ? "runs"
                                        : life == Life::stopped ? "does not run"
                                                                : "does not tell whether it runs")};
        if (life == Life::unknown) return result;
        result.answer = life == wanted ? ProbeResult::Answer::done : ProbeResult::Answer::not_done;
        return result;
    }

    const ActionWorld& world_;
};

class ServiceStop final : public ServiceAction {
  public:
    using ServiceAction::ServiceAction;
    const ActionSpec& spec() const override { return stop_spec(); }

    Outputs run(const Intent& intent, Context& context) const override {
        const CommandService service(world_, intent.at("service"));
        if (service.life(context) != Life::stopped) service.stop(context, duration_in(intent, "grace"));
        return outputs(intent);
    }

    ProbeResult probe(const Intent& intent, const Notes&, Context& context) const override {
        ProbeResult result = look(intent, context, Life::stopped);
        if (result.answer == ProbeResult::Answer::done) result.outputs = outputs(intent);
        return result;
    }

    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        const CommandService service(world_, intent.at("service"));
        if (!intent.at("was_running").get<bool>() || service.life(context) == Life::running) return {};
        service.start(context, std::chrono::milliseconds(200));
        return "started the service '" + service.name() + "' again";
    }

  private:
    static Outputs outputs(const Intent& intent) { return {{"was_running", intent.at("was_running")}}; }
};

class ServiceStart final : public ServiceAction {
  public:
    using ServiceAction::ServiceAction;
    const ActionSpec& spec() const override { return start_spec(); }

    Outputs run(const Intent& intent, Context& context) const override {
        const CommandService service(world_, intent.at("service"));
        if (service.life(context) == Life::running) {
            return running_outputs(service, intent.at("was_running").get<bool>());
        }
        service.start(context, duration_in(intent, "steady"));
        return running_outputs(service, false);
    }

    ProbeResult probe(const Intent& intent, const Notes&, Context& context) const override {
        ProbeResult result = look(intent, context, Life::running);
        if (result.answer == ProbeResult::Answer::done) {
            result.outputs =
                running_outputs(CommandService(world_, intent.at("service")), intent.at("was_running").get<bool>());
        }
        return result;
    }

    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        const CommandService service(world_, intent.at("service"));
        if (intent.at("was_running").get<bool>() || service.life(context) == Life::stopped) return {};
        service.stop(context, duration_in(intent, "grace"));
        return "stopped the service '" + service.name() + "' again";
    }
};

}  // namespace

ActionList service_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(std::make_unique<ServiceStop>(world));
    list.push_back(std::make_unique<ServiceStart>(world));
    return list;
}

}  // namespace lifeboat
