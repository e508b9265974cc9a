#!/usr/bin/env python3
"""R14 Two runs on one target: while the first runs, the second is refused and told who holds it; on two targets of one site both run side by
side. A killed holder is taken over from at once, by its resume. A wall clock that is off by an hour (libfaketime) steals nothing."""

import atexit
import os
import pathlib
import signal

from support.lifeboat_testing import Site, check, skip, throw_away_folder, wait_until

LIBRARY = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
RUNBOOK = """lifeboat: runbook/v1
name: hold
requires: {config: files}
inputs: {folder: {type: path}, good: {type: path}, mark: {type: text}}
steps:
  - {id: restore, uses: files.restore, with: {from: "${{ inputs.good }}", to: config}}
  - id: wait
    run: [/bin/sh, -c, 'touch "began-$0"; until test -e "open-$0" -o ! -e "began-$0"; do sleep 0.02; done', "${{ inputs.mark }}"]
    folder: "${{ inputs.folder }}"
    effect: read
    proves: data
    drill: safe
"""


def runbook_words(folder, mark, config):
    return ["run", "hold.yaml", "--yes", "--json", "--set", f"folder={folder}", "--set", f"good={folder / 'good'}", "--set", f"mark={mark}", "--bind", f"config={config}"]


def start(site, *words):
    """What still runs when the test ends is ended with it."""
    runner = site.start(*words)
    atexit.register(end, runner)
    return runner


def end(runner):
    if runner.poll() is None:
        runner.kill()


def begin(site, mark, config):
    runner = start(site, *runbook_words(site.folder, mark, config))
    wait_until(lambda: runner.poll() is not None or (site.folder / f"began-{mark}").exists(), f"run '{mark}' is under way")
    check(runner.poll() is None, f"run '{mark}' holds its target")
    return runner


def finish(site, runner, mark):
    (site.folder / f"open-{mark}").touch()
    out, err = runner.communicate(timeout=120)
    check(runner.returncode == 0, f"run '{mark}' ends well", err.decode())


def clocks():
    yield "true", {}
    if LIBRARY is not None:
        for offset in ("-1h", "+1h"):
            yield offset, {"LD_PRELOAD": LIBRARY, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


with throw_away_folder() as folder:
    for name in ("good", "left", "right"):
        (folder / name).mkdir()
        (folder / name / "app.conf").write_text(name)
    site = Site(folder, {name: {"type": "files", "path": str(folder / name)} for name in ("left", "right")})
    (folder / "hold.yaml").write_text(RUNBOOK)

    first = begin(site, "first", "left")
    [run] = site.runs()
    for clock, faked in clocks():
        second = site(*runbook_words(folder, "second", "left"), **faked)
        check(second.code == 10, f"R14 clock {clock}: a second run on the target is refused", second)
        said = second.out + second.err
        check(all(word in said for word in (run, f"process {first.pid}", "user", "host", "since")), f"R14 clock {clock}: it is told run, process, user, host and since when", second)
        taken = site("resume", run, "--json", **faked)
        check(taken.code == 10 and first.poll() is None, f"R14 clock {clock}: a run that lives is not taken over", taken)
        check(site.runs() == [run] and not (folder / "began-second").exists(), f"R14 clock {clock}: nothing of the refused ones is left")

    third = begin(site, "third", "right")
    check(first.poll() is None, "R14 two runs on two targets of one site run side by side")
    finish(site, third, "third")

    for clock, faked in clocks():
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        refused = site(*runbook_words(folder, "second", "left"), **faked)
        check(refused.code == 10 and run in refused.out + refused.err, f"R14 clock {clock}: the dead run's target stays closed to other runs", refused)
        (folder / "began-first").unlink()
        first = start(site, "resume", run, "--json")
        wait_until(lambda: first.poll() is not None or (folder / "began-first").exists(), "the resumed run is under way")
        check(first.poll() is None, f"R14 clock {clock}: its resume takes the killed holder's place at once")
    finish(site, first, "first")
    fourth = begin(site, "fourth", "left")
    finish(site, fourth, "fourth")
    check(True, "R14 when it has ended, the target is free")

if LIBRARY is None:
    skip("libfaketime is not installed (everything else passed)")
