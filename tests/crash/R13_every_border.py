#!/usr/bin/env python3
"""R13 The real program is killed (SIGKILL) at both sides of the border of each of ten steps and inside each of them, and resumed: every side
effect happened exactly once, every step saw the outputs of the one before, the journal only grew, a torn last record was cut and said, and
the runbook that is carried out is the one kept in the run, whatever its file says by now."""

import concurrent.futures
import json
import os
import signal

from support.lifeboat_testing import Site, check, step_in, throw_away_folder

STEPS = 10
# adds one line to the step's counter; what it was given comes from the step before
ACT = 'echo "$2" >> "count-$1"; echo "{\\"n\\": $(( $2 + 1 ))}" > "$LIFEBOAT_OUTPUTS"'
PROBE = 'test -e "count-$1" || exit 1; echo "{\\"n\\": $(( $(cat "count-$1") + 1 ))}" > "$LIFEBOAT_OUTPUTS"'
UNDO = 'rm -f "count-$1"'


def runbook():
    lines = ["lifeboat: runbook/v1", "name: ten", "requires: {mark: files}", "inputs: {folder: {type: path}, first: {type: integer, default: 1}}", "steps:"]
    for i in range(1, STEPS + 1):
        given = "${{ inputs.first }}" if i == 1 else f"${{{{ steps.s{i - 1}.outputs.n }}}}"
        deed = lambda script: json.dumps(["/bin/sh", "-c", script, "sh", str(i), given])
        lines += [f"  - id: s{i}", f"    run: {deed(ACT)}", '    folder: "${{ inputs.folder }}"', "    effect: change", "    proves: data", "    drill: safe", "    outputs: {n: integer}",
                  f'    probe: {{run: {deed(PROBE)}, folder: "${{{{ inputs.folder }}}}"}}', f'    undo: {{run: {deed(UNDO)}, folder: "${{{{ inputs.folder }}}}"}}']
    return "\n".join(lines) + "\n"


def bench(folder):
    (folder / "nonce").write_text("n\n")
    (folder / "box").mkdir()
    site = Site(folder, {"mark": {"type": "files", "path": str(folder / "box")}}, nonces={"mark": "n"})
    (folder / "runbooks").mkdir()
    (folder / "runbooks" / "ten.yaml").write_text(runbook())
    return site


def run(site, **more):
    return site("run", "ten", "--yes", "--json", "--set", f"folder={site.folder}", **more)


def expect(what, holds, details=""):
    if not holds:
        raise AssertionError(f"{what}\n{details}")


def counters(folder):
    return {path.name: path.read_text() for path in sorted(folder.glob("count-*"))}


WANTED = {f"count-{i}": f"{i}\n" for i in range(1, STEPS + 1)}


def one_round(fault, torn):
    with throw_away_folder() as folder:
        site = bench(folder)
        killed = run(site, fault=fault)
        if killed.code == 0 and "step=" in fault:  # the time ran out after the step's end
            return "over before the kill"
        expect("the runner is killed", killed.code == -signal.SIGKILL, killed)
        [run_id] = site.runs()
        if any(event["type"] == "run_ended" for event in site.journal(run_id)):
            return "over before the kill"
        journal = folder / "state" / "runs" / run_id / "journal.jsonl"
        before = journal.read_bytes()
        if torn:  # as a power cut in the middle of the next append leaves it
            journal.write_bytes(before + b'{"v":1,"seq":%d,"at":"2026-02-01T02:0' % (before.count(b"\n") + 1))
        file = folder / "runbooks" / "ten.yaml"
        changed = file.read_text() + "  - {id: evil, run: [/bin/sh, -c, 'touch \"$0\"', \"" + str(folder / "evil") + "\"], effect: read}\n"
        file.write_text(changed)
        resumed = site("resume", "--json")
        expect("the resumed run ends well", resumed.code == 0 and resumed.json["verdict"] == "recovered", resumed)
        expect("each side effect happened exactly once, with what the step before gave", counters(folder) == WANTED, counters(folder))
        expect("the outputs are those of an undisturbed run", [step_in(resumed.json, f"s{i}")["outputs"] for i in range(1, STEPS + 1)] == [{"n": i + 1} for i in range(1, STEPS + 1)], resumed)
        expect("the journal has only grown", journal.read_bytes().startswith(before))
        events = site.journal(run_id)
        expect("no record is missing and none is there twice", [event["seq"] for event in events] == list(range(1, len(events) + 1)))
        ends = [event["step"] for event in events if event["type"] == "step_ended"]
        expect("every step has one end", sorted(ends) == list(range(STEPS)), ends)
        expect("a changed file of the runbook is named, and not read", not (folder / "evil").exists() and "is different today" in resumed.err, resumed.err)
        expect("a torn record is said", not torn or "was not written to its end" in resumed.err, resumed.err)
        return "resumed"


with throw_away_folder() as folder:
    site = bench(folder)
    ended = run(site)
    check(ended.code == 0 and counters(folder) == WANTED, "R13 undisturbed, ten steps act once each", ended)
    events = site.journal(site.runs()[-1])
    prepared = [event for event in events if event["type"] == "deed_prepared"]
    check([event["arguments"]["argv"][-1] for event in prepared] == list(range(1, STEPS + 1)), "R13 the journal holds what each step was given")
    attempts = [event for event in events if event["type"] == "attempt_ended"]
    check([(event["attempt"], event["outputs"]["n"]) for event in attempts] == [(1, i + 1) for i in range(1, STEPS + 1)], "R13 and each attempt's number and outputs")

faults = []
for event in events:
    if event["type"] in ("deed_prepared", "attempt_started", "child_started", "attempt_ended"):
        faults += [f"kill:before-event={event['seq']}", f"kill:after-event={event['seq']}"]
faults += [f"kill:step=s{i}:after={delay}" for i in (1, 4, 7, 10) for delay in ("1ms", "3ms", "6ms")]
failures = 0
with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
    for fault, future in [(fault, pool.submit(one_round, fault, index % 2 == 0)) for index, fault in enumerate(faults)]:
        try:
            print(f"ok: {fault}: {future.result()}")
        except AssertionError as problem:
            failures += 1
            print(f"FAILED: {fault}: {problem}")
check(not failures, f"R13 {len(faults) - failures} of {len(faults)} kills were resumed with every effect done once")
