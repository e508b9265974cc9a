#!/usr/bin/env python3
"""`backup complete` is killed at every stage of a copy: what it leaves is no backup, and the next one finishes it, byte for byte. A rollback takes
away the copy that its run made and nothing else.
"""

import json
import os
import pathlib
import secrets
import signal

from support.lifeboat_testing import Site, check, throw_away_folder, wait_until


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and "notes" not in path.parts}


def site_with(folder, limit):
    vault = {"type": "local", "path": str(folder / "vault"), **({"limit": limit} if limit else {})}
    return Site(folder, {
        "config": {"type": "files", "path": str(folder / "config")},
        "more": {"type": "files", "path": str(folder / "config")},
        "nas": {"type": "local", "path": str(folder / "nas")},
        "vault": vault,
    }, backups={"all": {"of": ["config", "more"], "to": ["nas", "vault"]}}, bindings={"copy": {"backup": "all"}})


RUNBOOK = """lifeboat: runbook/v1
name: copy
summary: Copy a backup to the store that missed it
severity: minor
requires: {backup: backup}
steps:
  - {id: complete, uses: backup.complete, with: {backup: backup}}
  - {id: refuse, run: ["false"], effect: read}
"""


def main():
    with throw_away_folder() as folder:
        (folder / "config").mkdir()
        (folder / "config" / "data").write_bytes(secrets.token_bytes(1_000_000))
        for name in ("nas", "vault"):
            (folder / name).mkdir()
        site = site_with(folder, None)
        made = site("backup", "create", "all", "--store", "nas", "--json").json["outputs"]
        place = folder / "vault" / "all" / made["id"]
        good = files(folder / "nas")

        stages = {"the claim": lambda: list(place.glob("notes/*-started.json")), "the middle of an object": lambda: list(place.glob("more/.lifeboat-writing-*")),
                  "the first object": lambda: (place / "config" / "config.tar").exists()}
        for stage, reached in stages.items():
            slow = site_with(folder, "400KiB/s")
            process = slow.start("backup", "complete", "all")
            wait_until(reached, f"{stage} is there", 60)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            check(not (place / "manifest.json").exists(), f"killed at {stage}, it has left no backup")
            site = site_with(folder, None)
            listed = site("backup", "list", "all", "--json").json["backups"]
            check([each["store"] for each in listed] == ["nas"], "  and none is listed", str(listed))
            again = site("backup", "complete", "all", "--json")
            check(again.code == 0 and again.json["outputs"]["completed"] == [{"id": made["id"], "store": "vault"}], "  the next one finishes it", str(again))
            seen = files(folder / "vault")
            check({name: text for name, text in seen.items() if "lifeboat-writing" not in name} == good, "  byte for byte")
            verified = site("backup", "verify", "all", "--level", "readable", "--json")
            check(verified.code == 0, "  and it is whole", str(verified))
            for path in sorted(place.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            place.rmdir()

        (folder / "copy.yaml").write_text(RUNBOOK)
        rolled_back = site("run", "copy.yaml", "--yes", "--json")
        check(rolled_back.code == 4, "a run that copies and fails afterwards is rolled back", str(rolled_back))
        check(files(folder / "vault") == {} and files(folder / "nas") == good, "its copy is gone, the backup stays")


main()
