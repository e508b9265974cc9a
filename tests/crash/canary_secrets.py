#!/usr/bin/env python3
"""R11 canary secrets appear in no output, journal, report, argument or environment of a child other than the one meant, also when steps fail with
the secret in their words, at debug level, and over a kill and a resume. Every execve of the run is traced with strace.

And: a password that is also a table's name neither leaks nor breaks a resume.
"""

import http.server
import os
import re
import signal
import subprocess
import threading

from support.lifeboat_testing import Postgres, Site, check, environment, run_program, throw_away_folder, wait_until

LONG = {"pg": "canary-pg-7f3a91c2e5d8b604", "hook": "canary-hook-51d0e77ab29c4f13", "token": "canary-token-e8b1c03d5a7f2964"}
RUNBOOK = """lifeboat: runbook/v1
name: canaries
requires: {db: postgres, backup: backup, oncall: notifier}
steps:
  - {id: assess, uses: postgres.assess, with: {database: db}}
  - {id: fence, uses: postgres.fence, with: {database: db}}
  - id: spills
    needs: [assess]
    run: [sh, -c, 'echo "the token is $TOKEN"; echo "refused: $TOKEN" >&2; exit 3']
    env: {TOKEN: "${{ secrets.token }}"}
    effect: read
    on_failure: continue
  - id: exports
    needs: [spills]
    run: [sh, -c, 'echo "{\\"found\\": \\"$TOKEN\\"}" > "$LIFEBOAT_OUTPUTS"']
    env: {TOKEN: "${{ secrets.token }}"}
    effect: read
    outputs: {found: text}
    on_failure: continue
  - {id: fetch, needs: [fence], uses: backup.fetch, with: {backup: backup}}
  - {id: restore, needs: [fetch], uses: postgres.restore, with: {from: "${{ steps.fetch.outputs.path }}", beside: db}}
  - id: check
    needs: [restore]
    uses: sql.check
    with:
      database: "${{ steps.restore.outputs.database }}"
      checks: [{name: rows, query: "select count(*) from orders", expect: "value == 100"}]
  - {id: mark, needs: [restore], uses: sql.fingerprint, with: {database: "${{ steps.restore.outputs.database }}"}}
  - {id: swap, needs: [check, mark], uses: postgres.swap, with: {live: db, staged: "${{ steps.restore.outputs.database }}"}}
  - {id: unfence, needs: [swap], uses: postgres.unfence, with: {database: db}}
always:
  - {id: tell, uses: notify.send, with: {to: oncall, text: "${{ run.name }}: ${{ run.verdict }}"}}
"""


class Sink(http.server.BaseHTTPRequestHandler):
    paths = []

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        Sink.paths.append(self.path)
        self.send_response(500)  # so that the failure is spoken about as well
        self.end_headers()

    def log_message(self, *_):
        pass


def contents(folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()


def leaks(canaries, folder, *texts):
    found = [f"{path.relative_to(folder)}: {name}" for path, content in contents(folder) for name, canary in canaries.items() if canary.encode() in content]
    return found + [f"output {index}: {name}" for index, text in enumerate(texts) for name, canary in canaries.items() if canary in text]


def exec_leaks(trace, canaries):
    """execve lines that carry a canary, but for the token in the environment of the two programs that were given it."""
    found = []
    for line in trace.splitlines():
        call = re.search(r"execve\((.*)", line)
        if not call:
            continue
        arguments, _, rest = call.group(1).partition("], [")
        for name, canary in canaries.items():
            meant = name == "token" and "sh" in arguments and f'"TOKEN={canary}"' in rest
            if canary in arguments or (canary in rest and not meant):
                found.append(f"{name}: {line[:300]}")
    return found


def make(folder, server, password, sink):
    site_folder = folder / "site"
    site_folder.mkdir()
    server.sql("postgres", f"alter role keeper password '{password}'")
    nonce = server.nonce
    secrets = {"pg": {"env": "CANARY_PG"}, "token": {"env": "CANARY_TOKEN"}, "hook": {"file": str(folder / "hook")}}
    (folder / "hook").write_text(f"http://127.0.0.1:{sink}/{LONG['hook']}\n")
    (folder / "hook").chmod(0o600)
    (site_folder / "nonce").write_text(nonce + "\n")
    site = Site(site_folder,
                {"shop": server.resource("shop", user="keeper", password="${{ secrets.pg }}"), "vault": {"type": "local", "path": str(site_folder / "vault")},
                 "oncall": {"type": "webhook", "url": "${{ secrets.hook }}"}},
                backups={"nightly": {"of": ["shop"], "to": ["vault"]}},
                bindings={"canaries": {"db": "shop", "backup": "nightly", "oncall": "oncall"}}, secrets=secrets)
    (site_folder / "canaries.yaml").write_text(RUNBOOK)
    return site


def traced(site, folder, name, words, given):
    trace = folder / f"{name}.trace"
    lifeboat = os.path.abspath(os.environ["LIFEBOAT"])
    done = subprocess.run(["strace", "-f", "-v", "-s", "20000", "-e", "trace=execve", "-o", trace, lifeboat, *map(str, words), "--site", site.file], cwd=site.folder,
                          env=environment(site.folder, **given), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
    return done, trace.read_text()


def scenario(folder, server, sink, password, name):
    given = {"CANARY_PG": password, "CANARY_TOKEN": LONG["token"]}
    canaries = {key: value for key, value in LONG.items() if key != "pg"} | ({"pg": password} if len(password) > 15 else {})
    (folder / name).mkdir()
    site = make(folder / name, server, password, sink)
    outputs = []

    def run(*words):
        ended = run_program([*words, "--site", site.file], site.folder, **given)
        outputs.extend([ended.out, ended.err])
        return ended

    made = run("backup", "create", "nightly")
    check(made.code == 0, f"{name}: a backup is made", made)
    run("plan", "canaries.yaml")
    run("check")
    done, trace = traced(site, folder / name, "run", ["run", "canaries.yaml", "--yes", "--log-level", "debug"], given)
    # the first lines of the trace are of lifeboat itself, whose environment is where the secrets come from
    calls = trace.split("\n", 1)[1] if "\n" in trace else ""
    outputs.extend([done.stdout, done.stderr])
    check(done.returncode == 0, f"{name}: the run recovers although a step spilled the token", done.stdout + done.stderr)
    check(calls.count("execve(") >= 4, f"{name}: the trace shows the children: {calls.count('execve(')}")
    found = exec_leaks(calls, canaries)
    check(not found, f"{name}: no argument or environment of a child holds a secret that is not meant for it", "\n".join(found))
    if len(password) <= 15:
        found = [line[:300] for line in calls.splitlines() if re.search(rf'"(PGPASSWORD=|[^"]*password=){password}', line)]
        check(not found, f"{name}: the password is passed neither as an argument nor in the environment", "\n".join(found))
    run_id = site.runs()[-1]
    for words in (["report", run_id], ["report", run_id, "--format", "json"], ["status", run_id], ["logs", run_id], ["history"]):
        run(*words)
    states = {step["id"]: step for step in run("report", run_id, "--format", "json").json["steps"]}
    check("secret_exposed" in str(states["exports"]), f"{name}: a secret in an output fails the step", states["exports"])
    cause = str(states["spills"]["error"])
    check("exit code 3" in cause and "refused: ***token***" in cause, f"{name}: the error keeps its cause, without the secret: {cause}", states["spills"])
    found = leaks(canaries, site.folder, *outputs)
    check(not found, f"{name}: no file of the site and no output holds a canary", "\n".join(found))
    left = [str(path) for path, _ in contents(site.folder / "state") if "pgpass" in path.name]
    check(not left, f"{name}: no password file is left", left)
    return site, given


with throw_away_folder() as folder, Postgres(folder, "canaries") as server:
    hba = server.root / "data" / "pg_hba.conf"
    server.sql("postgres", "create role keeper login superuser")
    server.sql("postgres", "create database shop owner keeper")
    server.sql("shop", "create table orders as select i as id, 'order ' || i as note from generate_series(1, 100) i")
    hba.write_text("host all keeper 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    server.sql("postgres", "select pg_reload_conf()")
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    port = sink.server_address[1]

    scenario(folder, server, port, LONG["pg"], "canaries")
    check(any(LONG["hook"] in path for path in Sink.paths), "the webhook itself was given its secret address")

    # a password that is the name of a table: killed in the middle and resumed
    site, given = scenario(folder, server, port, "orders", "password-is-a-table")
    for _ in range(20):
        earlier = set(site.runs())
        child = subprocess.Popen([os.path.abspath(os.environ["LIFEBOAT"]), "run", "canaries.yaml", "--yes", "--site", str(site.file)], cwd=site.folder,
                                 env=environment(site.folder, **given), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        types = lambda: {event["type"] for run in set(site.runs()) - earlier for event in site.journal(run)}
        wait_until(lambda: child.poll() is not None or "child_started" in types(), "a program of the run was started")
        child.send_signal(signal.SIGKILL)
        child.wait()
        if "run_ended" not in types():  # else it was faster than the kill
            break
    check("child_started" in types() and "run_ended" not in types(), "the run is killed in its middle")
    resumed = run_program(["resume", "--site", site.file], site.folder, **given)
    check(resumed.code == 0, "a password that is a table's name does not break a resume", resumed)
    sink.shutdown()
