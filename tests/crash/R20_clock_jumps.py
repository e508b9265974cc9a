#!/usr/bin/env python3
"""R20 The wall clock jumps back by an hour, and forth, in the middle of a run (libfaketime on the real program): no figure and no duration is
negative, a deadline of two seconds is neither missed nor reached early because of it, and records stay in the order of their times.
A run that is paused and resumed ten minutes later by the wall clock has those ten minutes in its recovery time."""

import datetime
import pathlib
import signal
import subprocess

from support.lifeboat_testing import LIFEBOAT, LIMIT, Ended, Site, check, environment, skip, step_in, throw_away_folder, wait_until

LIBRARY = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
if LIBRARY is None:
    skip("libfaketime is not installed")

RUNBOOK = """lifeboat: runbook/v1
name: clocks
inputs: {folder: {type: path}}
steps:
  - id: jump
    run: [/bin/sh, -c, "touch began; until test -e jumped; do sleep 0.02; done"]
    folder: "${{ inputs.folder }}"
    effect: read
    drill: safe
    timeout: 60s
  - id: hang
    run: [/bin/sh, -c, "touch hanging; exec sleep 300"]
    folder: "${{ inputs.folder }}"
    effect: read
    drill: safe
    timeout: 2s
    on_failure: continue
  - {id: gate, run: [/usr/bin/test, -e, open], folder: "${{ inputs.folder }}", effect: read, proves: data, drill: safe, on_failure: pause}
"""


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def numbers(value, path=""):
    """Every number in a JSON value, with its path."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from numbers(each, f"{path}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from numbers(each, f"{path}[{index}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


class FakedClock:
    """The program's wall clock is off by `offset` seconds, which can change while it runs; its steady clock is the true one."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "offset"
        self.set(0)

    def set(self, seconds):
        beside = self.folder / "offset.new"
        beside.write_text(f"{seconds:+d}s\n")
        beside.rename(self.file)

    def start(self, site, *words):
        faked = environment(self.folder, LD_PRELOAD=LIBRARY, FAKETIME_TIMESTAMP_FILE=self.file, FAKETIME_NO_CACHE="1", DONT_FAKE_MONOTONIC="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
        return subprocess.Popen([LIFEBOAT, *words, "--site", site.file], cwd=self.folder, env=faked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process):
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        check(False, "the run ends although the clock has jumped", err)
    return Ended(process.returncode, out, err)


def check_figures(report, what):
    negative = [(path, value) for path, value in numbers(report) if value < 0]
    check(not negative, f"R20 {what}: no figure of the report is negative", negative)


for jump in (-3600, 3600):
    with throw_away_folder() as folder:
        clock = FakedClock(folder)
        site = Site(folder, {})
        (folder / "clocks.yaml").write_text(RUNBOOK)
        runner = clock.start(site, "run", "clocks.yaml", "--yes", "--json", "--set", f"folder={folder}")
        wait_until(lambda: runner.poll() is not None or (folder / "began").exists(), "the first step has begun")
        check(runner.poll() is None, f"{jump:+d} s: the run is under way", runner.poll())
        clock.set(jump)
        (folder / "jumped").touch()
        wait_until(lambda: runner.poll() is not None or (folder / "hanging").exists(), "the second step has begun")
        clock.set(0)
        ended = end(runner)
        check(ended.code == 6, f"R20 {jump:+d} s: the run waits at its gate", ended)
        [run] = site.runs()
        events = site.journal(run)
        stamps = [moment(event["at"]) for event in events]
        check(stamps == sorted(stamps), f"R20 {jump:+d} s: the journal's times never go back")
        at = {event["type"]: moment(event["at"]) for event in events if event.get("step") == 0}
        seen = at["attempt_ended"] - at["child_started"] > datetime.timedelta(minutes=50) if jump > 0 else at["attempt_ended"] == at["child_started"]
        check(seen, f"R20 {jump:+d} s: the program saw the jump", at)
        report = site.report(run)
        check_figures(report, f"{jump:+d} s")
        hang = step_in(report, "hang")
        check(hang["error"]["code"] == "timed_out", f"R20 {jump:+d} s: the deadline holds: {hang['error']['message']}", hang)
        jumping = step_in(report, "jump")
        check(jumping["state"] == "done", f"R20 {jump:+d} s: a step with a minute of time is not ended by the jump", jumping)

with throw_away_folder() as folder:
    clock = FakedClock(folder)
    site = Site(folder, {})
    (folder / "clocks.yaml").write_text(RUNBOOK)
    (folder / "jumped").touch()
    ended = end(clock.start(site, "run", "clocks.yaml", "--yes", "--json", "--set", f"folder={folder}"))
    check(ended.code == 6, "R20 pause: the run waits at its gate", ended)
    (folder / "open").touch()
    clock.set(600)
    [run] = site.runs()
    paused = moment(site.journal(run)[-1]["at"])
    ended = end(clock.start(site, "resume", run, "--json"))
    check(ended.code == 0, "R20 pause: it is resumed ten minutes later", ended)
    report = ended.json
    resumed = next(moment(event["at"]) for event in site.journal(run) if event["type"] == "run_resumed")
    check(resumed - paused >= datetime.timedelta(minutes=10), "R20 pause: by the wall clock")
    check(abs(report["reached"]["waited"] - (resumed - paused).total_seconds()) < 1e-3, f"R20 pause: the wait is timed apart: {report['reached']['waited']} s", report["reached"])
    proven = (moment(step_in(report, "gate")["ended"]) - moment(report["incident"]["start"])).total_seconds()
    check(proven > 600 and abs(report["reached"]["rto"] - proven) < 1e-3, f"R20 pause: and counts in the recovery time: {report['reached']['rto']} s", report["reached"])
    check_figures(report, "pause")

with throw_away_folder() as folder:
    clock = FakedClock(folder)
    site = Site(folder, {})
    (folder / "clocks.yaml").write_text(RUNBOOK)
    for name in ("jumped", "open"):
        (folder / name).touch()
    words = ("run", "clocks.yaml", "--yes", "--json", "--set", f"folder={folder}", "--incident-start")
    began = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(minutes=45)
    ended = site(*words, began.astimezone(datetime.timezone(datetime.timedelta(hours=2))).isoformat())
    check(ended.code == 0, "R20 incident: a run with a declared begin, in another zone", ended)
    incident = ended.json["incident"]
    check(incident["declared"] and moment(incident["start"]) == began and incident["start"].endswith("Z"), f"R20 incident: the report says so, in UTC: {incident}")
    proven = (moment(step_in(ended.json, "gate")["ended"]) - began).total_seconds()
    check(abs(ended.json["reached"]["rto"] - proven) < 1e-3, f"R20 incident: the recovery time runs from there: {ended.json['reached']['rto']} s")
    for wrong in (began.replace(tzinfo=None).isoformat(), (began + datetime.timedelta(hours=2)).isoformat(), "yesterday"):
        refused = site(*words, wrong)
        check(refused.code == 2, f"R20 incident: '{wrong}' is refused", refused)
