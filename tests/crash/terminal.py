#!/usr/bin/env python3
"""The terminal of a run is closed in the middle of a step: the run goes on without it and ends recovered. LIFEBOAT names the program."""

import json
import os
import pathlib
import pty
import subprocess
import sys
import tempfile
import time

SITE = "lifeboat: site/v1\nstate: state\n"
RUNBOOK = """lifeboat: runbook/v1
name: slow
inputs:
  folder: {type: text}
steps:
  - {id: first, uses: log.note, with: {text: before it}}
  - id: wait
    run: [/bin/sh, -c, "touch began; while ! test -e open; do sleep 0.05; done"]
    folder: "${{ inputs.folder }}"
    effect: read
    proves: data
  - {id: last, uses: log.note, with: {text: after it}}
"""


def until(what, claim, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if claim():
            return
        time.sleep(0.05)
    sys.exit(f"FAILED: {what} did not happen within {seconds} s")


def state(program, folder):
    seen = subprocess.run([program, "status", "--json"], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(seen.stdout)["state"]


def main():
    program = os.path.realpath(os.environ["LIFEBOAT"])
    with tempfile.TemporaryDirectory(prefix="lifeboat-terminal-") as name:
        folder = pathlib.Path(name)
        (folder / "lifeboat.yaml").write_text(SITE)
        (folder / "runbooks").mkdir()
        (folder / "runbooks/slow.yaml").write_text(RUNBOOK)
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.environ["TERM"] = "xterm"
            os.execv(program, [program, "run", "slow", "--yes", "--set", f"folder={folder}"])
        until("the slow step's beginning", lambda: (folder / "began").exists())
        os.read(terminal, 1024)
        os.close(terminal)  # hang-up: SIGHUP to the run, and EIO for whatever it writes
        time.sleep(0.5)     # long enough for a live line to be drawn into nothing
        if os.waitpid(pid, os.WNOHANG)[0] != 0:
            sys.exit("FAILED: the run ended with its terminal")
        if state(program, folder) != "running":
            sys.exit("FAILED: the run stopped with its terminal")
        (folder / "open").touch()
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != 0 or state(program, folder) != "recovered":
            sys.exit(f"FAILED: the run ended with {os.waitstatus_to_exitcode(status)}, {state(program, folder)}")
    print("ok: the run went on without its terminal and ended recovered")


if __name__ == "__main__":
    main()
