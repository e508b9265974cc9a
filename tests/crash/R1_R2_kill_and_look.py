#!/usr/bin/env python3
"""R1 and R2 with the real program: it is killed (SIGKILL) at both sides of every record of its journal, and inside each act that moves something.

R1 Before an object's swap its live bytes are untouched; after it they are the backup's; a kill inside the swap leaves one of the two, or nothing that opens.
R2 The interrupted run is found by the next start, which goes no further (exit 10), shows it and offers what can be said; `rollback` gives
the old state back byte for byte, and then a new run is let in.
"""

import concurrent.futures
import os
import signal

from support.lifeboat_testing import check, throw_away_folder
from support.quickstart_bench import QuickstartBench

OBJECTS = {"restore_database": "database", "restore_config": "config"}


def stages(bench, journal):
    """How far each object's restore had come: 'before' it was begun, 'within', or 'after'."""
    steps = bench.steps()
    found = {}
    for step, name in OBJECTS.items():
        of_step = {event["type"] for event in journal if event.get("step") == steps.index(step)}
        found[name] = "after" if "attempt_ended" in of_step else "within" if "attempt_started" in of_step else "before"
    return found


def expect(what, holds, details):
    if not holds:
        raise AssertionError(f"{what}\n{details}")


def one_round(damaged, fault, old_bytes, old, new):
    with damaged.copy() as bench:
        killed = bench("run", "quickstart", "--yes", fault=fault)
        if killed.code == 0 and "step=" in fault:  # the time ran out after the step's end
            return "over before the kill"
        expect("the runner is killed", killed.code == -signal.SIGKILL, killed)
        [run] = bench.runs()
        if any(event["type"] == "run_ended" for event in bench.journal(run)):
            return "over before the kill"
        where = stages(bench, bench.journal(run))
        seen = bench.seen_by_readers()
        bytes_now = bench.data()
        for name, stage in where.items():
            if stage == "before":
                expect(f"R1 '{name}' is untouched before its restore", seen[name] == old[name], (seen, bytes_now))
                of_it = lambda tree, name=name: {path: entry for path, entry in tree.items() if path.startswith("shop.db" if name == "database" else "config")}
                expect(f"R1 '{name}' is the same bytes", of_it(old_bytes).items() <= of_it(bytes_now).items(), (old_bytes, bytes_now))
            elif stage == "after":
                expect(f"R1 '{name}' is the backup's after its restore", seen[name] == new[name], seen)
            else:
                expect(f"R1 '{name}' is old, new, or nothing that opens", seen[name] in (old[name], new[name], None), seen)

        if bench.journal(run):
            before = bench.data()
            again = bench("run", "quickstart", "--yes")
            expect("R2 the next start goes no further", again.code == 10 and run in again.err and "lifeboat resume" in again.err and "lifeboat rollback" in again.err, again)
            expect("R2 and has touched nothing", bench.data() == before and bench.runs() == [run], bench.data())
            status = bench("status")
            expect("R2 status shows it and what can be said", status.code == 0 and run in status.out and "lifeboat rollback" in status.out, status)
        back = bench("rollback")
        expect("R2 it is rolled back", back.code == 4, back)
        expect("R2 the old state is there again, byte for byte", bench.data() == old_bytes, (old_bytes, bench.data()))
        once_more = bench("run", "quickstart", "--yes")
        expect("R2 then a new run is let in", once_more.code == 0 and bench.seen_by_readers() == new, once_more)
        return ", ".join(f"{name} {stage}" for name, stage in where.items())


with throw_away_folder() as folder:
    template = QuickstartBench(folder).make()
    new = template.seen_by_readers()
    template.hit()
    old_bytes, old = template.data(), template.seen_by_readers()
    with template.copy() as undisturbed:
        ended = undisturbed("run", "quickstart", "--yes")
        check(ended.code == 0 and undisturbed.seen_by_readers() == new, "undisturbed, the run gives back what was backed up", ended)
        records = len(undisturbed.journal())
    # after the verdict the run has ended: there is nothing to go back from
    faults = [f"kill:{when}-event={seq}" for seq in range(1, records - 1) for when in ("before", "after")]
    faults += [f"kill:step={step}:after={delay}" for step in ("fetch", *OBJECTS) for delay in ("0ms", "1ms", "2ms", "4ms", "8ms", "16ms")]
    failures, stages_seen = 0, set()
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for fault, future in [(fault, pool.submit(one_round, template, fault, old_bytes, old, new)) for fault in faults]:
            try:
                found = future.result()
                stages_seen.update(found.split(", "))
                print(f"ok: {fault}: {found}")
            except AssertionError as problem:
                failures += 1
                print(f"FAILED: {fault}: {problem}")
    check(not failures, f"R1 R2 {len(faults) - failures} of {len(faults)} kills")
    check({f"{name} {stage}" for name in OBJECTS.values() for stage in ("before", "within", "after")} <= stages_seen, "they fell before, within and after each restore", stages_seen)
