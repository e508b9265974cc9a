#!/usr/bin/env python3
"""R14 two machines, each with its own state directory, and one PostgreSQL server: the server's own lock keeps the second run out while the first
one runs, whatever the database is called in its site and whatever the caller's PG variables say; it falls with its process, also a killed one."""

import os
import signal

from support.lifeboat_testing import Postgres, Site, check, throw_away_folder, wait_until

GATED = """lifeboat: runbook/v1
name: gated
requires: {db: postgres}
inputs: {gate: {type: path, doc: A file that must exist}}
steps:
  - {id: fence, uses: postgres.fence, with: {database: db}}
  - {id: wait, run: [/bin/sh, -c, 'until test -e "$0"; do sleep 0.05; done', "${{ inputs.gate }}"], effect: read, timeout: 2m}
  - {id: unfence, uses: postgres.unfence, with: {database: db}}
"""


def locks(server):
    return server.sql("postgres", "select a.application_name from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory' and l.granted")


with throw_away_folder() as folder, Postgres(folder, "test-of-lifeboat") as server:
    server.sql("postgres", "create database shop")
    server.sql("postgres", "create database other")
    (folder / "gated.yaml").write_text(GATED)

    def machine(name, host, database="shop"):
        (folder / name).mkdir()
        return Site(folder / name, {"db": server.resource(database, host=host)})

    here, there, apart = machine("here", "127.0.0.1"), machine("there", "localhost"), machine("apart", "127.0.0.1", "other")

    def run_gated(site, gate, **more):
        return site("run", folder / "gated.yaml", "--yes", "--set", f"gate={gate}", **more)

    plan = here("plan", folder / "gated.yaml", "--set", f"gate={folder / 'open'}")
    check("on this host only, 'db' on its server too" in plan.out, "the plan says how far its locks reach", plan)

    first = here.start("run", folder / "gated.yaml", "--yes", "--set", f"gate={folder / 'open'}")
    wait_until(lambda: any(each["type"] == "attempt_started" and each["step"] == 1 for run in here.runs() for each in here.journal(run)), "the first run waits inside its second step")
    holder = here.runs()[0]
    check(locks(server) == f"lifeboat-lock {holder}"[:63], "the server knows who holds it")
    refused = run_gated(there, folder / "gated.yaml", PGSERVICE="nowhere", PGOPTIONS="-c search_path=nowhere", PGREQUIREPEER="nobody", PGSSLMODE="verify-full")
    check(refused.code == 10 and "locked by 'lifeboat-lock " in refused.err and holder[:30] in refused.err, "the second machine is refused, and told who has it", refused)
    check(there.runs() == [], "and keeps nothing of the refused run")
    other = run_gated(apart, folder / "gated.yaml")
    check(other.code == 3, "another database of the same server is free", other)

    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    wait_until(lambda: locks(server) == "", "the lock falls with the killed process")
    (folder / "open").touch()
    resumed = here("resume", holder)
    check(resumed.code == 3, "the first machine resumes its run", resumed)
    free = run_gated(there, folder / "open")
    check(free.code == 3, "and when that has ended, the second one has its turn", free)
    check(locks(server) == "", "nothing is held in the end")
