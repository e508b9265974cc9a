#include "engine/threads.h"

namespace lifeboat {

namespace {

Error error_of(AttemptOutcome why, const Work& work) {
    switch (why) {
        case AttemptOutcome::timed_out:
            return Error(ErrorCode::timed_out,
                         "'" + work.context.step_id + "' did not end within " +
                             to_human(work.timeout.value_or(Duration::zero())),
                         "Raise its 'timeout' or look at its log.");
        case AttemptOutcome::stalled:
            return Error(ErrorCode::stalled,
                         "'" + work.context.step_id + "' made no progress for " +
                             to_human(work.heartbeat.value_or(Duration::zero())),
                         "Raise its 'heartbeat' or look at its log.");
        case AttemptOutcome::done:
        case AttemptOutcome::failed:
        case AttemptOutcome::cancelled:
        case AttemptOutcome::killed:
            break;
    }
    return Error(ErrorCode::cancelled, "'" + work.context.step_id + "' was asked to stop");
}

}  // namespace

ThreadCrew::ThreadCrew(const Clock& clock, std::function<void(const std::string&, std::string_view)> log_line)
    : clock_(clock), log_line_(std::move(log_line)) {}

ThreadCrew::~ThreadCrew() {
    {
        std::lock_guard lock(mutex_);
        over_ = true;
        for (auto& [key, worker] : workers_) {
            worker->stop.request_stop();
            worker->acknowledged = true;
        }
    }
    acknowledged_.notify_all();
    launched_.notify_all();
    threads_.clear();
}

void ThreadCrew::launch(Work work) {
    auto made = std::make_unique<Worker>();
    Worker& worker = *made;
    worker.work = std::move(work);
    const SteadyTime now = clock_.steady();
    worker.last_sign = now;
    if (worker.work.timeout) worker.deadline = now + *worker.work.timeout;

    Context& context = worker.work.context;
    context.clock = &clock_;
    context.stop = worker.stop.get_token();
    context.deadline = worker.deadline;
    context.progress = [this, &worker](const Progress& progress) {
        std::lock_guard lock(mutex_);
        worker.last_sign = clock_.steady();
        happenings_.emplace_back(ProgressMade{worker.work.key, progress});
        happened_.notify_one();
    };
    context.note = [this, &worker](std::string key, Json value) {
        ask(worker, NoteAsked{worker.work.key, std::move(key), std::move(value)});
    };
    context.child_started = [this, &worker](const ChildGroup& child) {
        ask(worker, ChildAsked{worker.work.key, child});
    };
    context.log = [this, &worker](std::string_view line) { log_line_(worker.work.context.step_id, line); };

    std::unique_lock lock(mutex_);
    workers_[worker.work.key] = std::move(made);
    unclaimed_.push_back(&worker);
    if (unclaimed_.size() > idle_) {
        threads_.emplace_back([this] { labour(); });
    } else {
        lock.unlock();  // whoever wakes up finds it free
        launched_.notify_one();
    }
}

void ThreadCrew::labour() {
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        launched_.wait(lock, [this] { return over_ || !unclaimed_.empty(); });
        --idle_;
        if (unclaimed_.empty()) return;
        Worker& worker = *unclaimed_.front();
        unclaimed_.pop_front();
        lock.unlock();
        Finished finished = carry_out(worker);
        lock.lock();
        happenings_.emplace_back(std::move(finished));  // from here on the worker may be gone
        lock.unlock();
        happened_.notify_one();
        lock.lock();
    }
}

// The step's boundary: the one place where what a deed throws is caught.
Finished ThreadCrew::carry_out(Worker& worker) {
    Work& work = worker.work;
    Finished finished{.key = work.key, .verb = work.verb};
    try {
        switch (work.verb) {
            case Verb::prepare:
                finished.value = work.action->prepare(work.context);
                break;
            case Verb::run:
                finished.value = work.action->run(work.intent, work.context);
                break;
            case Verb::probe:
                finished.probe = work.action->probe(work.intent, work.notes, work.context);
                break;
            case Verb::undo:
                if (work.instead_of_undo) {
                    const Intent intent = work.action->prepare(work.context);
                    work.action->run(intent, work.context);
                    finished.value = "its own rollback, '" + work.action->spec().name + "', was done";
                } else {
                    finished.value = work.action->undo(work.intent, work.notes, work.context);
                }
                break;
        }
        return finished;
    } catch (const Error& error) {
        finished.error = error;
    } catch (const std::exception& problem) {
        finished.error =
            Error(ErrorCode::internal, "'" + work.context.step_id + "' met something unforeseen: " + problem.what());
    }
    finished.outcome = AttemptOutcome::failed;
    std::lock_guard lock(mutex_);
    if (worker.stopped_for) {
        finished.outcome = *worker.stopped_for;
        Error error = error_of(*worker.stopped_for, work);
        if (finished.error->code != ErrorCode::cancelled && finished.error->code != ErrorCode::timed_out)
            error.during("stopping it: " + finished.error->message);
        finished.error = std::move(error);
    }
    return finished;
}

void ThreadCrew::ask(Worker& worker, Happening happening) {
    std::unique_lock lock(mutex_);
    worker.acknowledged = false;
    happenings_.push_back(std::move(happening));
    happened_.notify_one();
    acknowledged_.wait(lock, [&] { return worker.acknowledged; });
}

void ThreadCrew::cancel(WorkKey key) {
    std::lock_guard lock(mutex_);
    const auto found = workers_.find(key);
    if (found == workers_.end()) return;
    if (!found->second->stopped_for) found->second->stopped_for = AttemptOutcome::cancelled;
    found->second->stop.request_stop();
}

void ThreadCrew::acknowledge(WorkKey key) {
    std::lock_guard lock(mutex_);
    if (const auto found = workers_.find(key); found != workers_.end()) found->second->acknowledged = true;
    acknowledged_.notify_all();
}

void ThreadCrew::stop_late_workers(SteadyTime now) {
    for (auto& [key, worker] : workers_) {
        if (worker->stopped_for) continue;
        const bool silent = worker->work.heartbeat && worker->work.verb == Verb::run &&
                            now - worker->last_sign >= *worker->work.heartbeat;
        if (now >= worker->deadline) {
            worker->stopped_for = AttemptOutcome::timed_out;
        } else if (silent) {
            worker->stopped_for = AttemptOutcome::stalled;
        } else {
            continue;
        }
        worker->stop.request_stop();
    }
}

SteadyTime ThreadCrew::next_deadline() const {
    SteadyTime next = SteadyTime::max();
    for (const auto& [key, worker] : workers_) {
        if (worker->stopped_for) continue;
        next = std::min(next, worker->deadline);
        if (worker->work.heartbeat && worker->work.verb == Verb::run)
            next = std::min(next, worker->last_sign + *worker->work.heartbeat);
    }
    return next;
}

std::vector<Happening> ThreadCrew::wait(std::optional<Timestamp> until) {
    std::vector<Happening> out;
    std::unique_lock lock(mutex_);
    // The wait for a wall-clock time is measured on the steady clock, so that a jump of the wall clock cannot
    // freeze it.
    SteadyTime wake = SteadyTime::max();
    if (until) wake = clock_.steady() + elapsed(clock_.now(), *until);
    while (happenings_.empty() && !interrupted_) {
        const SteadyTime now = clock_.steady();
        stop_late_workers(now);
        const SteadyTime next = std::min(wake, next_deadline());
        if (now >= wake) break;
        if (next == SteadyTime::max()) {
            happened_.wait(lock);
        } else {
            happened_.wait_for(lock, next - now);
        }
    }
    if (std::exchange(interrupted_, false)) out.emplace_back(Interrupted{});
    for (Happening& happening : happenings_) {
        if (const auto* each = std::get_if<Finished>(&happening)) workers_.erase(each->key);
        out.push_back(std::move(happening));
    }
    happenings_.clear();
    return out;
}

void ThreadCrew::interrupt() {
    std::lock_guard lock(mutex_);
    interrupted_ = true;
    happened_.notify_one();
}

}  // namespace lifeboat
