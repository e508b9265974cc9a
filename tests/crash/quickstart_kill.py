#!/usr/bin/env python3
"""R1 R13 Kills the real program (SIGKILL) at every journal append of the quickstart's recovery, before and after the record, resumes, and
compares what is left with what an undisturbed run leaves. LIFEBOAT names the program. LIFEBOAT_DEEP=1 also kills inside each step.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

PROGRAM = os.path.realpath(os.environ["LIFEBOAT"])
LIMIT = 120
SITE = """lifeboat: site/v1
state: state
resources:
  db:     {type: sqlite, path: data/shop.db}
  config: {type: files, path: data/config}
  vault:  {type: local, path: backups}
backups:
  backup: {of: [db, config], to: [vault]}
drill: {id: quickstart-kill, nonces: {db: none, config: none, vault: none}}
"""


def lifeboat(folder, *words, fault=""):
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(folder), "TERM": "dumb", "LANG": "C.UTF-8"}
    if fault:
        environment["LIFEBOAT_FAULT"] = fault
    return subprocess.run([PROGRAM, *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)


def expect(done, code, what):
    if done.returncode != code:
        raise AssertionError(f"{what}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    return done


def make_site(folder):
    """A site with a drill's mark, with a backup, and then the disaster."""
    expect(lifeboat(folder, "init", "."), 0, "init")
    (folder / "lifeboat.yaml").write_text(SITE)
    (folder / "nonce").write_text("none\n")
    expect(lifeboat(folder, "backup", "create", "backup"), 0, "backup create")
    with open(folder / "data/shop.db", "r+b") as database:
        database.seek(2 * 4096)
        database.write(bytes(6 * 4096))
    (folder / "data/config/features.json").unlink()
    (folder / "data/config/shop.conf").write_text("workers = none\n")


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


def journal(folder):
    files = list(folder.glob("state/runs/*/journal.jsonl"))
    if len(files) != 1:
        raise AssertionError(f"{len(files)} runs instead of one")
    return [json.loads(line) for line in files[0].read_text().splitlines()]


def done_once(events):
    """Steps that ended `done` more than once, or deeds that were undone and yet ended well."""
    ended = [event["step"] for event in events if event["type"] == "step_ended"]
    return sorted({step for step in ended if ended.count(step) > 1})


def one_round(template, fault, wanted):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-kill-"))
    try:
        shutil.copytree(template, folder, dirs_exist_ok=True, symlinks=True)
        killed = lifeboat(folder, "run", "quickstart", "--yes", fault=fault)
        if killed.returncode == 0 and fault.startswith("kill:step="):
            return f"ok: {fault}: over before the kill"
        expect(killed, -9, f"run with {fault}")
        expect(lifeboat(folder, "resume"), 0, f"resume after {fault}")
        seen = content(folder)
        if seen != wanted:
            raise AssertionError(f"{fault}: the end differs\n  wanted {wanted}\n  seen   {seen}")
        if twice := done_once(journal(folder)):
            raise AssertionError(f"{fault}: steps {twice} ended twice")
        return f"ok: {fault}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    template = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-kill-template-"))
    undisturbed = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-kill-undisturbed-"))
    failures = 0
    try:
        make_site(template)
        shutil.copytree(template, undisturbed, dirs_exist_ok=True)
        expect(lifeboat(undisturbed, "run", "quickstart", "--yes"), 0, "the undisturbed run")
        wanted = content(undisturbed)
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
                except (AssertionError, sqlite3.Error, subprocess.TimeoutExpired, OSError) as problem:
                    failures += 1
                    print(f"FAILED: {fault}: {problem}")
        print(f"{len(faults) - failures} of {len(faults)} kills ended recovered")
    finally:
        shutil.rmtree(template, ignore_errors=True)
        shutil.rmtree(undisturbed, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
