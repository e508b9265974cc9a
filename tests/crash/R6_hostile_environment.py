#!/usr/bin/env python3
"""R6 Whatever stands in lifeboat's own environment, a step sees its declared variables and the run's, and nothing else; a restore with psql and
pg_restore goes to the declared server although PGHOST, PGDATABASE, PGOPTIONS and their like point elsewhere. Every program that is
started is seen by strace. The plan shows where the steps will really go."""

import re
import shutil
import subprocess

from support.lifeboat_testing import LIFEBOAT, Postgres, Site, check, environment, skip, throw_away_folder

if shutil.which("strace") is None:
    skip("strace is not installed")

HOSTILE = {
    "PGHOST": "production.example.com", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGDATABASE": "production", "PGUSER": "nobody", "PGPASSWORD": "wrong", "PGSERVICE": "production",
    "PGSERVICEFILE": "/nonexistent/service", "PGPASSFILE": "/nonexistent/pass", "PGOPTIONS": "-c default_transaction_read_only=on", "PGSSLMODE": "verify-full", "PGAPPNAME": "liar",
    "PGCONNECT_TIMEOUT": "1", "PSQLRC": "/nonexistent/rc", "DATABASE_URL": "postgres://production.example.com/production", "AWS_ACCESS_KEY_ID": "AKIAHOSTILE", "AWS_SECRET_ACCESS_KEY": "hostile",
    "AWS_PROFILE": "production", "TMOUT": "1", "BASH_ENV": "/nonexistent/rc", "ENV": "/nonexistent/rc", "IFS": "x", "http_proxy": "http://192.0.2.1:1", "ALL_PROXY": "http://192.0.2.1:1",
    "LD_LIBRARY_PATH": "/nonexistent", "PYTHONSTARTUP": "/nonexistent", "HOSTILE_CANARY": "canary",
}
OURS = {"PATH", "HOME", "LANG", "TZ", "TMPDIR"}
OF_THE_RUN = {"LIFEBOAT_RUN", "LIFEBOAT_STEP", "LIFEBOAT_DRILL", "LIFEBOAT_IDEMPOTENCY_KEY", "LIFEBOAT_OUTPUTS"}
RUNBOOK = """lifeboat: runbook/v1
name: clean
requires: {db: postgres}
inputs: {dump: {type: path}}
steps:
  - {id: look, run: [/usr/bin/env], env: {DECLARED: "yes", PGHOST: declared.example.com}, effect: read}
  - {id: restore, uses: postgres.restore, with: {from: "${{ inputs.dump }}", beside: db}}
  - id: check
    uses: sql.check
    with: {database: "${{ steps.restore.outputs.database }}", checks: [{name: rows, query: "select count(*) from orders", expect: "value == 3"}]}
"""


def started(trace):
    """(program, variables) of every program that was started, lifeboat itself but for the first."""
    for line in trace.splitlines()[1:]:
        call = re.search(r'execve\("([^"]*)", \[(.*?)\], \[(.*)\]\) = 0', line)
        if call:
            yield call[1], {re.split("=", each, maxsplit=1)[0] for each in re.findall(r'"((?:[^"\\]|\\.)*)"', call[3])}


with throw_away_folder() as folder, Postgres(folder, "test-of-lifeboat") as server:
    server.sql("postgres", "create database shop")
    server.sql("shop", "create table orders as select generate_series(1, 3) as id")
    site = Site(folder, {"shop": server.resource("shop")}, bindings={"clean": {"db": "shop"}})
    (folder / "clean.yaml").write_text(RUNBOOK)
    for form in ("plain", "custom"):
        dump = folder / f"shop.{form}"
        subprocess.run(["pg_dump", "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, "-F", form, "-f", dump, "shop"], env=environment(folder), check=True, timeout=120)
        words = ("clean.yaml", "--set", f"dump={dump}")
        plan = site("plan", *words, **HOSTILE)
        check(plan.code == 0 and f":{server.port}/shop, found: postgres system" in plan.out and "production" not in plan.out, f"R6 {form}: the plan shows the declared server", plan)
        trace = folder / "trace"
        done = subprocess.run(["strace", "-f", "-v", "-qq", "-s", "20000", "-e", "trace=execve", "-o", trace, LIFEBOAT, "run", *words, "--yes", "--json", "--site", site.file],
                              cwd=folder, env=environment(folder, **HOSTILE), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        check(done.returncode == 0, f"R6 {form}: the restore reaches the declared server and the run recovers", done.stdout + done.stderr)
        programs = list(started(trace.read_text(errors="replace")))
        names = {program.rsplit("/", 1)[1] for program, _ in programs}
        wanted = {"psql"} if form == "plain" else {"pg_restore"}
        check("env" in names and wanted <= names, f"R6 {form}: programs were started: {sorted(names)}")
        for program, variables in programs:
            leaked = (variables & set(HOSTILE)) - ({"PGHOST"} if program.endswith("/env") else set())
            # what lifeboat itself declares for the client programs is not of our environment: its values are looked at below
            check("HOSTILE_CANARY" not in variables and not {name for name in leaked if not name.startswith("PG")}, f"R6 {form}: '{program}' sees nothing of ours: {sorted(variables)}", leaked)
        text = trace.read_text(errors="replace").split("\n", 1)[1]
        bad = [value for name, value in HOSTILE.items() if len(value) > 3 and f"{name}={value}" in text]
        check(not bad, f"R6 {form}: no value of ours reaches any of them", bad)
        run = site.runs()[-1]
        log = site("logs", run, "look").out
        seen = {name: value for name, value in re.findall(r"^(?:\S+\s+)??([A-Za-z_]+)=(.*)$", log, re.MULTILINE)}
        check(set(seen) == OURS | OF_THE_RUN | {"DECLARED", "PGHOST"} and seen["PGHOST"] == "declared.example.com", f"R6 {form}: a step sees what it declared, the run's, and no more", log)
