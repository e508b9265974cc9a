#include "cli/decisions.h"

#include "actions/family.h"
#include "base/text.h"
#include "cli/loading.h"
#include "cli/places.h"

namespace lifeboat {

namespace {

std::optional<PersonDecided::What> answer_named(std::string_view word) {
    if (word == "done") return PersonDecided::What::answer_done;
    if (word == "not_done") return PersonDecided::What::answer_not_done;
    if (word == "retry") return PersonDecided::What::answer_retry;
    return std::nullopt;
}

// A resume runs the copies kept in the run; people are told when the files are different today.
void name_changed_files(Session& session, const Plan& plan) {
    try {
        const auto site = find_site(session.site);
        for (const std::string& changed : changed_sources(plan.draft, site))
            session.terminal.talk("note: " + printable(changed) +
                                  " is different today; the copy kept in the run is carried out\n");
    } catch (const Error& error) {
        session.log.info("could not compare the runbook: " + error.message);
    }
}

}  // namespace

std::vector<PersonDecided> answers(const std::vector<std::string>& words, const Plan& plan, const std::string& by) {
    std::vector<PersonDecided> decided;
    for (const std::string& word : words) {
        const std::size_t equals = word.rfind('=');
        const std::string step = word.substr(0, equals);
        const auto what = equals == std::string::npos ? std::nullopt : answer_named(word.substr(equals + 1));
        if (!what) {
            throw Error{ErrorCode::usage, "'" + printable(word) + "' is no answer",
                        "Write `--answer <step>=done`, `=not_done` or `=retry`."};
        }
        std::vector<std::string> ids;
        std::optional<std::size_t> index;
        for (std::size_t i = 0; i < step_count(plan); ++i) {
            ids.push_back(step_at(plan, i).id);
            if (ids.back() == step) index = i;
        }
        if (!index)
            throw Error{ErrorCode::usage, "the run has no step '" + printable(step) + "'" + did_you_mean(step, ids),
                        "`lifeboat status` lists the steps."};
        decided.push_back({.what = *what, .step = index, .accept_loss = false, .by = by});
    }
    return decided;
}

int go_on(Session& session, DirectoryRunStore& store, const std::string& run_id, const Decide& decide) {
    const Plan plan = store.plan(run_id);
    return live(session, store, run_id, plan, {.decide = [&](const RunState& state) {
                    name_changed_files(session, plan);
                    return decide(plan, state);
                }});
}

}  // namespace lifeboat
