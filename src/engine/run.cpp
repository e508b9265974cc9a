#include "engine/run.h"

#include <algorithm>
#include <iterator>

#include "engine/decide.h"
#include "engine/scope.h"

namespace lifeboat {

namespace {

// One life of a run. The loop decides until nothing is left to decide, makes that durable, acts, and waits for what
// happens.
class Life {
  public:
    Life(const Plan& plan, RunState past, const Opening& opening, RunPorts ports)
        : plan_(plan), opening_(opening), ports_(std::move(ports)), state_(std::move(past)) {}

    RunState live() {
        if (state_.ended) return std::move(state_);
        open();
        for (;;) {
            const std::optional<WaitUntil> wait = decide_all();
            const bool only_looks = look();
            write();
            // what a quick look has found by now goes to the disk in the same sync
            if (only_looks && hear(ports_.clock.now())) continue;
            sync();
            act();
            if (!wait) return std::move(state_);
            hear(wait->until);
        }
    }

  private:
    const Plan& plan_;
    const Opening& opening_;
    RunPorts ports_;
    RunState state_;
    Live live_;
    // Applied to the state; nothing touches the world on their account before they are durable.
    std::vector<Event> unwritten_, unsynced_;
    std::vector<Work> to_launch_;
    std::vector<WorkKey> to_cancel_, to_acknowledge_;

    void open() {
        if (state_.started) {
            record(RunResumed{opening_.runner});
            if (!opening_.orphans_ended.empty()) record(OrphansEnded{opening_.orphans_ended});
        } else {
            record(RunStarted{.run_id = opening_.run_id,
                              .plan_digest = plan_.digest,
                              .runner = opening_.runner,
                              .incident_start = opening_.incident_start,
                              .incident_declared = opening_.incident_declared});
        }
        // also of a run that was killed before its first record: it may be told to go back as well
        for (const PersonDecided& decision : opening_.decisions)
            record(decision);
    }

    void record(EventBody body) {
        Event event{.seq = state_.seq + 1, .at = std::max(ports_.clock.now(), state_.last_at), .body = std::move(body)};
        apply(state_, plan_, event);
        unwritten_.push_back(std::move(event));
    }

    void write() {
        if (unwritten_.empty()) return;
        ports_.journal.append(unwritten_);
        std::move(unwritten_.begin(), unwritten_.end(), std::back_inserter(unsynced_));
        unwritten_.clear();
    }

    void sync() {
        if (unsynced_.empty()) return;
        ports_.journal.sync();
        for (const Event& event : unsynced_)
            ports_.observer.saw(event);
        unsynced_.clear();
    }

    // Whether anything happened until then.
    bool hear(std::optional<Timestamp> until) {
        std::vector<Happening> happenings = ports_.crew.wait(until);
        for (Happening& happening : happenings)
            std::visit([this](auto& each) { happened(each); }, happening);
        return !happenings.empty();
    }

    // Until only waiting is left; nullopt when the run has ended or is paused.
    std::optional<WaitUntil> decide_all() {
        for (;;) {
            std::optional<WaitUntil> wait;
            for (Decision& decision : decide(plan_, state_, live_, ports_.clock.now())) {
                if (auto* each = std::get_if<Record>(&decision))
                    record(std::move(each->event));
                else if (auto* launch = std::get_if<Launch>(&decision))
                    take_up(*launch);
                else if (auto* cancel = std::get_if<Cancel>(&decision)) {
                    live_.cancelled.insert(cancel->key);
                    to_cancel_.push_back(cancel->key);
                } else if (auto* until = std::get_if<WaitUntil>(&decision))
                    wait = *until;
                else
                    return std::nullopt;
            }
            if (wait) return wait;
        }
    }

    // Makes the work ready, and records its start where it is about to touch the world.
    void take_up(const Launch& launch) {
        const DraftedStep& step = step_at(plan_, launch.key.step);
        try {
            Work work = work_for(launch, step);
            if (launch.verb == Verb::run) {
                const int attempt = deed_state(launch.key).starts + 1;
                work.context.attempt = attempt;
                record(AttemptStarted{.step = launch.key.step, .deed = launch.key.deed, .attempt = attempt});
            }
            if (launch.verb == Verb::undo)
                record(UndoStarted{.step = launch.key.step, .deed = launch.key.deed, .settling = launch.settling});
            live_.work.emplace(launch.key, launch.verb);
            to_launch_.push_back(std::move(work));
        } catch (const Error& error) {
            refuse(launch, redacted(error));
        }
    }

    // What follows when a verb cannot even be called: its arguments cannot be worked out, or the action is unknown.
    void refuse(const Launch& launch, Error error) {
        const WorkKey key = launch.key;
        switch (launch.verb) {
            case Verb::prepare:
            case Verb::run:
                return record(PrepareFailed{.step = key.step, .deed = key.deed, .error = std::move(error)});
            case Verb::probe:
                return record(Settled{.step = key.step,
                                      .deed = key.deed,
                                      .answer = ProbeResult::Answer::cannot_tell,
                                      .by = Settled::By::probe,
                                      .evidence = error.full_message()});
            case Verb::undo:
                return record(UndoEnded{.step = key.step,
                                        .deed = key.deed,
                                        .settling = launch.settling,
                                        .what = "",
                                        .error = std::move(error)});
        }
    }

    Work work_for(const Launch& launch, const DraftedStep& step) {
        const bool own_rollback = launch.verb == Verb::undo && !launch.settling && step.rollback.has_value();
        const Deed& deed = own_rollback ? *step.rollback : deed_at(step, launch.key.deed);
        const DeedState& known = deed_state(launch.key);
        Work work{.key = launch.key,
                  .verb = launch.verb,
                  .action = ports_.actions.find(deed.action),
                  .instead_of_undo = own_rollback,
                  .intent = known.intent,
                  .notes = known.notes};
        if (work.action == nullptr)
            throw Error(ErrorCode::unsupported, "this lifeboat has no action '" + deed.action + "'");
        Context& context = work.context;
        context.run_id = state_.started->run_id;
        context.step_id = step.id;
        context.idempotency_key = context.run_id + ":" + step.id + (launch.key.deed == 1 ? ":fallback" : "");
        context.attempt = std::max(1, known.starts);
        context.drill = plan_.draft.drill.has_value();
        context.arguments =
            launch.verb == Verb::prepare || own_rollback ? expand(plan_, state_, deed.arguments) : known.arguments;
        context.workspace = ports_.workspace(step.id);
        context.planned = planned_for(launch.key.step);
        if (launch.verb != Verb::undo) work.timeout = step.timeout;
        work.heartbeat = step.heartbeat;
        return work;
    }

    Json planned_for(std::size_t step) const {
        if (step >= plan_.surveys.size() || plan_.surveys[step].candidates.empty()) return nullptr;
        Json out = Json::array();
        for (const Candidate& candidate : plan_.surveys[step].candidates)
            if (candidate.refused.empty()) out.push_back(to_json(candidate));
        return out;
    }

    const DeedState& deed_state(WorkKey key) const {
        return state_.steps[key.step].deeds[static_cast<std::size_t>(key.deed)];
    }

    // A look touches nothing, so it does not wait for the disk. Whether it is all that there was to do.
    bool look() {
        const auto looks = std::stable_partition(to_launch_.begin(), to_launch_.end(),
                                                 [](const Work& work) { return work.verb != Verb::prepare; });
        std::for_each(looks, to_launch_.end(), [this](Work& work) { launch(std::move(work)); });
        const bool any = looks != to_launch_.end();
        to_launch_.erase(looks, to_launch_.end());
        return any && to_launch_.empty() && to_cancel_.empty() && to_acknowledge_.empty();
    }

    void launch(Work work) {
        pending_arguments_[work.key] = work.context.arguments;
        ports_.crew.launch(std::move(work));
    }

    // Everything recorded so far is durable: now the world may be touched.
    void act() {
        for (Work& work : to_launch_)
            launch(std::move(work));
        for (WorkKey key : to_cancel_)
            ports_.crew.cancel(key);
        for (WorkKey key : to_acknowledge_)
            ports_.crew.acknowledge(key);
        to_launch_.clear();
        to_cancel_.clear();
        to_acknowledge_.clear();
    }
    std::map<WorkKey, Json> pending_arguments_;  // of the work under way, to be journaled with its intent

    void happened(Finished& finished) {
        live_.work.erase(finished.key);
        live_.cancelled.erase(finished.key);
        if (finished.error) finished.error = redacted(*finished.error);
        switch (finished.verb) {
            case Verb::prepare:
                return prepared(finished);
            case Verb::run:
                return attempted(finished);
            case Verb::probe:
                return probed(finished);
            case Verb::undo:
                return undone(finished);
        }
    }

    void prepared(Finished& finished) {
        const auto [step, deed] = finished.key;
        Json arguments = std::move(pending_arguments_[finished.key]);
        if (!finished.error) finished.error = exposure(arguments, finished.value);
        // A cancelled look has done nothing and is simply made again; one that comes back into a rollback is not wanted
        // any more.
        if (finished.outcome == AttemptOutcome::cancelled || (state_.rollback && !state_.verdict)) return;
        if (finished.error) return record(PrepareFailed{.step = step, .deed = deed, .error = *finished.error});
        record(DeedPrepared{.step = step,
                            .deed = deed,
                            .arguments = std::move(arguments),
                            .intent = intent_of(std::move(finished.value))});
    }

    // An intent of nothing still says that the look was made.
    static Intent intent_of(Json value) { return value.is_null() ? Json::object() : std::move(value); }

    void attempted(Finished& finished) {
        const auto [step, deed] = finished.key;
        if (!finished.error) {
            finished.error = exposure(finished.value, nullptr);
            if (finished.error) finished.outcome = AttemptOutcome::failed;
        }
        Outputs outputs = finished.error || !finished.value.is_object() ? Json::object() : std::move(finished.value);
        record(AttemptEnded{.step = step,
                            .deed = deed,
                            .attempt = deed_state(finished.key).starts,
                            .outcome = finished.outcome,
                            .outputs = std::move(outputs),
                            .error = finished.error});
    }

    void probed(Finished& finished) {
        const auto [step, deed] = finished.key;
        Settled settled{.step = step,
                        .deed = deed,
                        .answer = finished.probe.answer,
                        .by = Settled::By::probe,
                        .evidence = ports_.redactor.redact(finished.probe.evidence),
                        .outputs = finished.probe.outputs};
        if (!finished.error) finished.error = exposure(settled.outputs, nullptr);
        if (finished.error) {
            settled.answer = ProbeResult::Answer::cannot_tell;
            settled.evidence = finished.error->full_message();
        }
        record(std::move(settled));
    }

    void undone(Finished& finished) {
        const auto [step, deed] = finished.key;
        const bool settling = state_.steps[step].deeds[static_cast<std::size_t>(deed)].stage == DeedStage::in_doubt;
        record(UndoEnded{
            .step = step,
            .deed = deed,
            .settling = settling,
            .what = finished.value.is_string() ? ports_.redactor.redact(finished.value.get<std::string>()) : "",
            .error = finished.error});
    }

    void happened(NoteAsked& asked) {
        record(
            Noted{.step = asked.key.step, .deed = asked.key.deed, .key = asked.note, .value = redacted(asked.value)});
        to_acknowledge_.push_back(asked.key);
    }

    void happened(ChildAsked& asked) {
        record(ChildStarted{.step = asked.key.step, .deed = asked.key.deed, .child = asked.child});
        to_acknowledge_.push_back(asked.key);
    }

    void happened(ProgressMade& made) { ports_.observer.progressed(made.key.step, made.progress); }
    void happened(Interrupted&) { live_.interrupted = true; }

    // Law 7's safety net: a secret in a structured value fails the step instead of being written down.
    std::optional<Error> exposure(const Json& first, const Json& second) const {
        auto name = ports_.redactor.exposed_in(first);
        if (!name) name = ports_.redactor.exposed_in(second);
        if (!name) return std::nullopt;
        return Error(ErrorCode::secret_exposed, "a value of this step holds the secret '" + *name + "' in the open",
                     "Pass the secret where a parameter takes one, as ${{ secrets." + *name + " }}.");
    }

    Error redacted(const Error& error) const {
        Error out(error.code, ports_.redactor.redact(error.message), ports_.redactor.redact(error.hint));
        for (const std::string& place : error.trail)
            out.trail.push_back(ports_.redactor.redact(place));
        out.details = redacted(error.details);
        return out;
    }

    Json redacted(const Json& value) const {
        if (value.is_string()) return ports_.redactor.redact(value.get_ref<const std::string&>());
        Json out = value;
        if (out.is_structured())
            for (Json& each : out)
                each = redacted(each);
        return out;
    }
};

}  // namespace

RunState execute(const Plan& plan, RunState past, const Opening& opening, RunPorts ports) {
    return Life(plan, std::move(past), opening, std::move(ports)).live();
}

}  // namespace lifeboat
