#!/usr/bin/env python3
"""R4 A plan that was approved for one target is not carried out on another: a PostgreSQL server with another system identifier behind the same port,
and another folder behind the same name, are refused (11) before the first write. The statements that the server saw only look, and strace
shows no file of the target opened for writing, made, renamed or removed."""

import json
import os
import re
import shutil
import subprocess

from support.lifeboat_testing import LIFEBOAT, Postgres, Site, check, environment, skip, throw_away_folder

if shutil.which("strace") is None:
    skip("strace is not installed")

CALLS = "open,openat,creat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,mkdirat,rmdir,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,fchownat,utimensat,setxattr,fsetxattr"
DATABASE = """lifeboat: runbook/v1
name: guarded
requires: {db: postgres, backup: backup}
steps:
  - {id: fence, uses: postgres.fence, with: {database: db}}
  - {id: fetch, uses: backup.fetch, with: {backup: backup}}
  - {id: restore, uses: postgres.restore, with: {from: "${{ steps.fetch.outputs.path }}", beside: db}}
  - {id: swap, uses: postgres.swap, with: {live: db, staged: "${{ steps.restore.outputs.database }}"}}
"""
FILES = """lifeboat: runbook/v1
name: files
requires: {config: files}
inputs: {good: {type: path}}
steps:
  - {id: restore, uses: files.restore, with: {from: "${{ inputs.good }}", to: config}}
"""
ALLOWED = re.compile(r"\s*(select|show|begin( transaction)?( isolation level [a-z ]+)?(,? read only)?|start transaction|commit|rollback|set|discard|deallocate|with)\b", re.IGNORECASE)
WRITES = re.compile(r"\b(insert|update|delete|create|drop|alter|truncate|grant|revoke|copy|pg_terminate_backend|lo_import|setval)\b", re.IGNORECASE)


def traced(site, folder, *words):
    """The program under strace: how it ended, and every changing call as (name, arguments)."""
    trace = folder / "trace"
    done = subprocess.run(["strace", "-f", "-y", "-qq", "-s", "4096", "-o", trace, "-e", "trace=" + CALLS, LIFEBOAT, *map(str, words), "--site", site.file],
                          cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
    calls = []
    for line in trace.read_text(errors="replace").splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        if match and (not match[1].startswith("open") or re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", match[2])):
            calls.append((match[1], match[2]))
    return done, calls


def statements(folder, since):
    log = (folder / "postgres.log").read_text(errors="replace")[since:]
    return [match[1] for match in re.finditer(r"(?:statement|execute [^:]*): (.*)", log)]


with throw_away_folder() as folder:
    for time in ("first", "second"):
        (folder / time).mkdir()
        os.chmod(folder / time, 0o711)
    with Postgres(folder / "first", "test-of-lifeboat") as server:
        server.sql("postgres", "create database shop")
        server.sql("shop", "create table orders as select 1 as id")
        site = Site(folder, {"shop": server.resource("shop"), "vault": {"type": "local", "path": str(folder / "vault")}},
                    backups={"nightly": {"of": ["shop"], "to": ["vault"]}}, bindings={"guarded": {"db": "shop", "backup": "nightly"}})
        (folder / "guarded.yaml").write_text(DATABASE)
        site.backup("nightly")
        ended = site("plan", "guarded.yaml", "-o", folder / "approved.json")
        check(ended.code == 0, "a plan is approved for this server", ended)
        approved = json.loads((folder / "approved.json").read_text())
        check("postgres system" in json.dumps(approved["targets"]), "R4 it holds the server's own identity", approved["targets"])
        port = server.port
        check("database shop" in json.dumps(approved["targets"]), "R4 and the database's name")
    with Postgres(folder / "second", "test-of-lifeboat", settings=(("log_statement", "all"), ("port", port))) as other:
        other.port = port
        other.sql("postgres", "create database shop")
        other.sql("shop", "create table precious as select 1 as id")
        since = (folder / "second" / "postgres.log").stat().st_size
        done, calls = traced(site, folder, "run", folder / "approved.json", "--yes")
        check(done.returncode == 11 and "shop" in done.stderr, "R4 behind the same port stands another system: refused", done.stdout + done.stderr)
        seen = statements(folder / "second", since)
        bad = [each for each in seen if WRITES.search(each) or not ALLOWED.match(each)]
        check(seen and not bad, f"R4 the server has seen {len(seen)} statements, and all of them only look", bad)
        allowed = (str(folder / "state"), "/dev/", "/proc/")
        strange = [(name, arguments[:200]) for name, arguments in calls if not any(place in arguments for place in allowed)]
        check(not strange, "R4 no file was written outside the state directory", strange)
        check(not site.runs(), "R4 no run was made")
        check(other.sql("shop", "select count(*) from precious") == "1" and other.sql("postgres", "select datallowconn from pg_database where datname = 'shop'") == "t", "R4 the other server is as it was")

with throw_away_folder() as folder:
    for name in ("real", "other", "good"):
        (folder / name).mkdir()
        (folder / name / "app.conf").write_text(name)
    (folder / "live").symlink_to(folder / "real")
    site = Site(folder, {"config": {"type": "files", "path": str(folder / "live")}})
    (folder / "files.yaml").write_text(FILES)
    ended = site("plan", "files.yaml", "--set", f"good={folder / 'good'}", "-o", folder / "approved.json")
    check(ended.code == 0, "a plan is approved for this folder", ended)
    (folder / "live").unlink()
    (folder / "live").symlink_to(folder / "other")
    done, calls = traced(site, folder, "run", folder / "approved.json", "--yes")
    check(done.returncode == 11 and "config" in done.stderr, "R4 behind the same name stands another folder: refused", done.stdout + done.stderr)
    touched = [(name, arguments[:200]) for name, arguments in calls if any(f"{folder / place}" in arguments for place in ("real", "other", "live", "good"))]
    check(not touched, "R4 strace shows no write into either", touched)
    check([(folder / name / "app.conf").read_text() for name in ("real", "other")] == ["real", "other"], "R4 both folders are as they were")
    # the approved target is there again: the same plan runs
    (folder / "live").unlink()
    (folder / "live").symlink_to(folder / "real")
    ended = site("run", folder / "approved.json", "--yes", "--json")
    check(ended.code == 3 and (folder / "real" / "app.conf").read_text() == "good" and (folder / "other" / "app.conf").read_text() == "other", "R4 on the approved one it is carried out", ended)
