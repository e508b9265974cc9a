#!/usr/bin/env python3
"""R1 R13 Kills the real program (SIGKILL) at every journal append of the quickstart's recovery, before and after the record, resumes, and
compares what is left with what an undisturbed run leaves. LIFEBOAT names the program. LIFEBOAT_DEEP=1 also kills inside each step.
"""

import concurrent.futures
import hashlib
import os
import pathlib
import sqlite3
import sys

from support.lifeboat_testing import throw_away_folder
from support.quickstart_bench import QuickstartBench


def expect(done, code, what):
    if done.code != code:
        raise AssertionError(f"{what}: {done}")
    return done


def content(folder):
    """What a reader of the restored data sees, and what lies beside it (kept old state, by number only)."""
    database = sqlite3.connect(f"file:{folder}/data/shop.db?mode=ro", uri=True)
    rows = hashlib.sha256()
    for table in ("customers", "orders"):
        for row in database.execute(f"select * from {table} order by id"):
            rows.update(repr(row).encode())
    whole = database.execute("pragma integrity_check").fetchone()[0]
    database.close()
    config = {path.name: path.read_text() for path in sorted((folder / "data/config").iterdir())}
    return {"rows": rows.hexdigest(), "integrity": whole, "config": config, "entries": len(list((folder / "data").iterdir()))}


def journal(bench):
    if len(bench.runs()) != 1:
        raise AssertionError(f"{len(bench.runs())} runs instead of one")
    return bench.journal()


def done_once(events):
    """Steps that ended `done` more than once, or deeds that were undone and yet ended well."""
    ended = [event["step"] for event in events if event["type"] == "step_ended"]
    return sorted({step for step in ended if ended.count(step) > 1})


def one_round(template, fault, wanted):
    with template.copy() as bench:
        killed = bench("run", "quickstart", "--yes", fault=fault)
        if killed.code == 0 and fault.startswith("kill:step="):
            return f"ok: {fault}: over before the kill"
        expect(killed, -9, f"run with {fault}")
        expect(bench("resume"), 0, f"resume after {fault}")
        seen = content(bench.folder)
        if seen != wanted:
            raise AssertionError(f"{fault}: the end differs\n  wanted {wanted}\n  seen   {seen}")
        if twice := done_once(journal(bench)):
            raise AssertionError(f"{fault}: steps {twice} ended twice")
        return f"ok: {fault}"


def main():
    failures = 0
    with throw_away_folder() as folder:
        template = QuickstartBench(pathlib.Path(folder)).make(one_by_one=False)
        template.hit()
        with template.copy() as undisturbed:
            expect(undisturbed("run", "quickstart", "--yes"), 0, "the undisturbed run")
            wanted = content(undisturbed.folder)
            events = journal(undisturbed)
        if wanted["integrity"] != "ok" or len(events) < 10:
            raise AssertionError(f"the undisturbed run is odd: {wanted}, {len(events)} events")
        faults = [f"kill:{when}-event={event['seq']}" for event in events for when in ("before", "after")]
        faults.pop()  # after the last record the run has ended: there is nothing to resume
        if os.environ.get("LIFEBOAT_DEEP") == "1":
            steps = ("fetch", "restore_database", "restore_config")
            faults += [f"kill:step={step}:after={delay}" for step in steps for delay in ("0ms", "1ms", "3ms", "10ms", "30ms")]
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for fault, future in [(fault, pool.submit(one_round, template, fault, wanted)) for fault in faults]:
                try:
                    print(future.result())
                except (AssertionError, sqlite3.Error, OSError) as problem:
                    failures += 1
                    print(f"FAILED: {fault}: {problem}")
        print(f"{len(faults) - failures} of {len(faults)} kills ended recovered")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
