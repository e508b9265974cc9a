#!/usr/bin/env python3
"""R1 R13 The runner is killed three times while pg_restore loads into the database beside: the orphans go on loading, are ended by the resume,
and the run ends recovered with the swap done exactly once."""

import os
import signal

from support.lifeboat_testing import check, is_alive, wait_until
from support.shop_bench import RUNBOOK, shop_bench

with shop_bench(400_000) as bench:
    truth = bench.fingerprint()
    bench.site.backup("nightly")
    bench.hit()
    earlier = set(bench.site.runs())
    orphans = set()
    arguments = ["run", RUNBOOK, "--yes"]
    for time in range(3):
        runner = bench.site.start(*arguments)
        # what the life before left may still be loading when this one begins: it is this one's own children that count
        held = []
        wait_until(lambda: runner.poll() is not None or held.extend(bench.hold_loaders(but=orphans)) or held, "rows are being loaded", 300)
        check(runner.poll() is None, f"life {time + 1}: rows are being loaded into the database beside")
        for pid in held:  # a stopped process would be hung up by the kernel when its parent dies
            os.kill(pid, signal.SIGCONT)
        os.kill(runner.pid, signal.SIGKILL)
        alive = {pid for pid in held if is_alive(pid)}
        runner.communicate()
        check(alive and not alive & orphans, f"life {time + 1}: killed, and pg_restore is still loading")
        orphans |= alive
        run = (set(bench.site.runs()) - earlier).pop()
        arguments = ["resume", run]
    ended = bench.site("resume", run, "--json", timeout=1800)
    check(ended.code == 0 and ended.json["verdict"] == "recovered", "the resumed run ends recovered", ended)
    check(not [pid for pid in orphans if is_alive(pid)], f"the orphans have been ended: {sorted(orphans)}")
    check(len(ended.json["orphans_ended"]) >= 3, f"the report names them: {ended.json['orphans_ended']}")
    steps = [step["id"] for step in bench.site.plan(run)["draft"]["steps"]]
    journal = bench.site.journal(run)
    swaps = [each for each in journal if each["type"] in ("attempt_ended", "settled") and each["step"] == steps.index("swap")]
    check(len(swaps) == 1 and swaps[0].get("outcome") == "done", "the swap was done exactly once", str(swaps))
    check(bench.fingerprint()["digest"] == truth["digest"], "the fingerprint equals the one before the disaster")
    check(len(bench.databases()) == 2, f"no half restored database is left: {sorted(bench.databases())}")
