#!/usr/bin/env python3
"""R13 What a step is about to do is on the disk before it does anything: strace sees the journal's intent written and synced before the first
system call that changes something in the target's folder."""

import json
import re
import shutil
import sqlite3
import subprocess

from support.lifeboat_testing import LIFEBOAT, SOURCE, Site, check, environment, skip, throw_away_folder

if shutil.which("strace") is None:
    skip("strace is not installed")

CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<arguments>.*)")
CHANGES = {"rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "truncate", "ftruncate"}


def changes_something(name, arguments):
    if name in CHANGES:
        return True
    if name in ("open", "openat", "creat"):
        return "O_CREAT" in arguments or "O_WRONLY" in arguments or "O_RDWR" in arguments or "O_TRUNC" in arguments
    return False


with throw_away_folder() as folder:
    shop, config = folder / "shop", folder / "etc"
    for path in (shop, config / "config"):
        path.mkdir(parents=True)
    database = sqlite3.connect(shop / "shop.db")
    database.executescript((SOURCE / "drills" / "fixtures" / "quickstart.sql").read_text())
    database.close()
    (config / "config" / "shop.conf").write_text("workers = 4\n")
    site = Site(folder, {"shop": {"type": "sqlite", "path": str(shop / "shop.db")}, "config": {"type": "files", "path": str(config / "config")},
                         "vault": {"type": "local", "path": str(folder / "vault")}},
                backups={"all": {"of": ["shop", "config"], "to": ["vault"]}}, bindings={"quickstart": {"db": "shop", "config": "config", "backup": "all"}})
    site.backup("all")
    with open(shop / "shop.db", "r+b") as file:
        file.seek(8192)
        file.write(b"garbage" * 2000)
    (config / "config" / "shop.conf").write_text("")

    trace = folder / "trace"
    done = subprocess.run(
        ["strace", "-f", "-y", "-qq", "-s", "4096", "-o", str(trace), "-e", "trace=" + ",".join(sorted(CHANGES | {"open", "openat", "creat", "write", "writev", "pwrite64", "fdatasync", "fsync"})),
         LIFEBOAT, "run", str(SOURCE / "runbooks" / "quickstart.yaml"), "--yes", "--json", "--site", str(site.file)],
        cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    check(done.returncode == 0, "the run ends recovered under strace", done.stdout + done.stderr)
    run = site.runs()[-1]
    steps = [step["id"] for step in site.plan(run)["draft"]["steps"]]
    calls = [(match["name"], match["arguments"]) for match in map(CALL.match, trace.read_text(errors="replace").splitlines()) if match]

    for step, target in (("restore_database", shop), ("restore_config", config)):
        prepared = next(each for each in site.journal(run) if each["type"] == "deed_prepared" and each["step"] == steps.index(step))
        mark = f'\\"seq\\":{prepared["seq"]},'
        written = next((i for i, (name, arguments) in enumerate(calls) if name in ("write", "writev", "pwrite64") and "journal.jsonl" in arguments and mark in arguments), None)
        check(written is not None, f"the intent of '{step}' is written to the journal (record {prepared['seq']}: {json.dumps(prepared['intent'])[:60]} …)")
        synced = next((i for i in range(written + 1, len(calls)) if calls[i][0] in ("fdatasync", "fsync") and "journal.jsonl" in calls[i][1]), None)
        check(synced is not None, f"and synced, {synced - written} call(s) later")
        effects = [i for i, (name, arguments) in enumerate(calls) if str(target) + "/" in arguments and changes_something(name, arguments)]
        check(effects, f"'{step}' changes its target's folder, {len(effects)} time(s)")
        check(synced < effects[0], f"the first change of '{step}' comes after the sync", f"{calls[effects[0]]}")
