// One deed taken through its verbs as the engine does it: prepared once, with the notes that its runs left.
#pragma once

#include <string>

#include "unit/actions/deed_world.h"

namespace lifeboat::test {

struct Deed {
    Deed(DeedWorld& world, const ActionList& list, std::string_view name, Json arguments)
        : action(action_named(list, name)), context(world.context(action, std::move(arguments))) {
        context.note = [this](const std::string& key, Json value) { notes[key] = std::move(value); };
    }
    Deed(const Deed&) = delete;
    Deed& operator=(const Deed&) = delete;

    void prepare() { intent = action.prepare(context); }
    Outputs run() { return action.run(intent, context); }
    Outputs prepare_and_run() {
        prepare();
        return run();
    }
    ProbeResult probe() { return action.probe(intent, notes, context); }
    std::string undo() { return action.undo(intent, notes, context); }

    const Action& action;
    Context context;
    Intent intent;
    Notes notes;
};

// The code of the error that `act` throws; `internal` when it throws none.
template <typename Act>
ErrorCode code_of(Act act) {
    try {
        act();
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

}  // namespace lifeboat::test
