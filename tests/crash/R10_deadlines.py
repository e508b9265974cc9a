#!/usr/bin/env python3
"""R10 Deadlines hold whatever the other side does: a group that ignores TERM and leaves grandchildren, 200 MB on stdout, a server that is stopped
(SIGSTOP) behind an open port, a PostgreSQL server that is stopped in the middle of a session, and a peer that drops every packet (a black hole).
Each attempt ends as timed out, nothing of it survives, and a child's stdin is empty."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

from support.lifeboat_testing import Postgres, Site, check, environment, is_alive, step_in, throw_away_folder, wait_until

MARK = "1000.0625"
SHELL = f"""lifeboat: runbook/v1
name: shell
inputs: {{folder: {{type: path}}}}
steps:
  - id: stubborn
    run: [/bin/sh, -c, "trap '' TERM; sleep {MARK} & sleep {MARK}; sleep {MARK}"]
    effect: read
    timeout: 1s
    on_failure: continue
  - id: chatty
    run: [/bin/sh, -c, "head -c 200000000 /dev/zero | tr '\\\\0' 'x' | fold -w 1000"]
    effect: read
    timeout: 5m
  - id: reader
    run: [/bin/sh, -c, "wc -c > stdin"]
    folder: "${{{{ inputs.folder }}}}"
    effect: read
    proves: data
    timeout: 5m
"""


def processes_of(word):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if word.encode() in (entry / "cmdline").read_bytes().split(b"\0") and is_alive(entry.name):
                    found.append(int(entry.name))
    return found


@contextlib.contextmanager
def black_hole():
    """A port of loopback that drops every SYN: nobody accepts, and the queue of connections is full."""
    with contextlib.ExitStack() as sockets:
        deaf = sockets.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        for _ in range(64):
            knock = sockets.enter_context(socket.socket())
            knock.settimeout(0.3)
            try:
                knock.connect(("127.0.0.1", port))
            except TimeoutError:
                break
        else:
            check(False, "the queue of connections fills up")
        yield port


@contextlib.contextmanager
def stopped_server():
    """A web server behind an open port that was stopped before it answered anybody."""
    server = subprocess.Popen([sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(server.stdout.readline().split(" port ")[1].split()[0])
        server.send_signal(signal.SIGSTOP)
        yield port
    finally:
        server.kill()
        server.wait()


def check_left(report, step, codes=("timed_out",)):
    found = step_in(report, step)
    check(found["error"] is not None and found["error"]["code"] in codes, f"R10 '{step}' was left at its deadline: {found['error'] and found['error']['message']}", found)


with throw_away_folder() as folder:
    site = Site(folder, {})
    (folder / "shell.yaml").write_text(SHELL)
    ended = site("run", "shell.yaml", "--yes", "--json", "--set", f"folder={folder}", timeout=300)
    check(ended.code == 0, "R10 the run goes on behind a group that ignores TERM", ended)
    check_left(ended.json, "stubborn")
    check(not processes_of(MARK), "R10 and neither it nor its grandchildren survive")
    check(step_in(ended.json, "chatty")["state"] == "done", "R10 200 MB on stdout are read without a deadlock")
    size = sum(path.stat().st_size for path in (folder / "state").rglob("*") if path.is_file())
    check(size < 20_000_000, f"R10 and are not kept: {size} bytes of state")
    check((folder / "stdin").read_text().strip() == "0", "R10 a child's stdin is empty")

with throw_away_folder() as folder, black_hole() as hole, stopped_server() as frozen:
    site = Site(folder, {"far": {"type": "postgres", "host": "127.0.0.1", "port": hole, "database": "shop", "user": "u"}}, bindings={"peers": {"db": "far"}})
    (folder / "peers.yaml").write_text(f"""lifeboat: runbook/v1
name: peers
requires: {{db: postgres}}
steps:
  - {{id: begin, run: [/bin/true], effect: change, undo: {{run: [/bin/true]}}}}
  - {{id: http_hole, uses: http.check, with: {{url: "http://127.0.0.1:{hole}/", within: 1s}}, timeout: 20s, on_failure: continue}}
  - {{id: http_frozen, uses: http.check, with: {{url: "http://127.0.0.1:{frozen}/", within: 1s}}, timeout: 20s, on_failure: continue}}
  - {{id: tcp_hole, uses: tcp.check, with: {{host: 127.0.0.1, port: {hole}, within: 1s}}, timeout: 20s, on_failure: continue}}
  - {{id: postgres_hole, uses: postgres.assess, with: {{database: db}}, timeout: 1s, on_failure: continue}}
""")
    ended = site("run", "peers.yaml", "--yes", "--json", timeout=300)
    check(ended.code == 3, "R10 the run ends although no peer ever answers", ended)
    for step in ("http_hole", "http_frozen", "tcp_hole", "postgres_hole"):
        check_left(ended.json, step, ("timed_out", "not_healthy", "unreachable"))

with throw_away_folder() as folder, Postgres(folder, "test-of-lifeboat") as server:
    site = Site(folder, {"shop": server.resource("postgres")}, bindings={"frozen": {"db": "shop"}})
    (folder / "frozen.yaml").write_text("""lifeboat: runbook/v1
name: frozen
requires: {db: postgres}
inputs: {folder: {type: path}}
steps:
  - {id: gate, run: [/bin/sh, -c, "touch began; until test -e open; do sleep 0.02; done"], folder: "${{ inputs.folder }}", effect: change, undo: {run: [/bin/true]}}
  - {id: look, uses: sql.check, with: {database: db, checks: [{name: one, query: "select 1", expect: "value == 1"}]}, timeout: 1s, on_failure: continue}
""")
    runner = site.start("run", "frozen.yaml", "--yes", "--json", "--set", f"folder={folder}")
    wait_until(lambda: runner.poll() is not None or (folder / "began").exists(), "the first step has begun")
    frozen = [server.process.pid] + [int(pid) for pid in subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=True, env=environment(folder)).stdout.split()]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    (folder / "open").touch()
    try:
        out, err = runner.communicate(timeout=300)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        runner.kill()
    check(runner.returncode == 3, "R10 the run ends although the PostgreSQL server is stopped", err.decode())
    check_left(json.loads(out), "look", ("timed_out", "unreachable"))
