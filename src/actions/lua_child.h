// The child behind a `lua:` step: `lifeboat __lua`, never called by people.
#pragma once

namespace lifeboat {

// Reads {"name", "source", "scope"} from stdin, runs the script under limits that hold inside C functions too, prints
// its log lines to stdout and writes its outputs to $LIFEBOAT_OUTPUTS. Returns the exit code: 0, or script_failed_exit
// or script_limit_exit (authored.h) with the message on stderr.
int lua_child_main();

}  // namespace lifeboat
