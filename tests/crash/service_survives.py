#!/usr/bin/env python3
"""A service that a run started survives the run, its death and its resume. A child that was being started when the runner was killed does
not survive: it has not even begun."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

from support.lifeboat_testing import LIFEBOAT, Site, check, environment, is_alive, skip, throw_away_folder, wait_until

RUNBOOK = """lifeboat: runbook/v1
name: serve
requires: {app: service}
inputs: {folder: {type: text}}
steps:
  - {id: begin, uses: service.start, with: {service: app}, reopens: false}
  - id: wait
    run: [/bin/sh, -c, "touch began; while ! test -e open; do sleep 0.05; done"]
    folder: "${{ inputs.folder }}"
    effect: read
    drill: safe
"""
CHILD = """lifeboat: runbook/v1
name: child
inputs: {folder: {type: text}}
steps:
  - id: act
    run: [/bin/sh, -c, "touch ran; exec sleep 1000.25"]
    folder: "${{ inputs.folder }}"
    effect: read
    drill: safe
    timeout: 2s
"""


def processes_of(*words):
    """Process ids whose arguments hold all these words."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                arguments = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
                if all(word in arguments for word in words) and is_alive(entry.name):
                    found.append(int(entry.name))
    return found


def bench(folder):
    (folder / "nonce").write_text("n\n")
    site = Site(folder, {"app": {"type": "command", "start": ["sleep", "1000.125"], "pid_file": str(folder / "app.pid"), "log": str(folder / "app.log")}},
                bindings={"serve": {"app": "app"}}, nonces={"app": "n"})
    (folder / "serve.yaml").write_text(RUNBOOK)
    (folder / "child.yaml").write_text(CHILD)
    return site


def pid_in(file):
    return int(file.read_text().split()[0])


def end(pid):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


with throw_away_folder() as folder:
    site = bench(folder)
    runner = site.start("run", "serve.yaml", "--yes", "--set", f"folder={folder}")
    try:
        wait_until(lambda: runner.poll() is not None or (folder / "began").exists(), "the second step has begun")
        check(runner.poll() is None, "the service was started and the run goes on")
        service = pid_in(folder / "app.pid")
        check(is_alive(service), "the service runs")
        os.kill(runner.pid, signal.SIGKILL)
        runner.communicate()
        check(is_alive(service), "the service survives the death of its run")
        (folder / "open").touch()
        resumed = site("resume", "--json")
        check(resumed.json["ended"] and resumed.code in (0, 3), "the run is resumed and ends", resumed)
        check(is_alive(service) and pid_in(folder / "app.pid") == service, "the service survives the resume and the end of the run")
        check("1000.125" not in str(resumed.json["orphans_ended"]), "and is no orphan")
    finally:
        if (folder / "app.pid").exists():
            end(pid_in(folder / "app.pid"))

with throw_away_folder() as folder:
    site = bench(folder)
    site("run", "child.yaml", "--yes", "--json", "--set", f"folder={folder}")
    check((folder / "ran").exists(), "undisturbed the child runs, until its timeout")
    seq = next(each["seq"] for each in site.journal(site.runs()[-1]) if each["type"] == "child_started")
    (folder / "ran").unlink()
    killed = site("run", "child.yaml", "--yes", "--set", f"folder={folder}", fault=f"kill:before-event={seq}")
    check(killed.code == -signal.SIGKILL, "the runner is killed before the child's group is in the journal", killed)
    wait_until(lambda: not processes_of("1000.25"), "the child that was being started is gone", 30)
    check(not (folder / "ran").exists(), "it has never run")

if shutil.which("strace") is None:
    skip("strace is not installed (everything else passed)")
with throw_away_folder() as folder:
    site = bench(folder)
    pid_file = folder / "app.pid"
    # the name of the pid file is made durable by a sync of its folder: then the gate is still closed. The folder of the runs, whose name is made
    # durable in the same way, is there before.
    (folder / "state").mkdir()
    trace = folder / "trace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", str(trace), "-P", str(folder), "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=1",
         LIFEBOAT, "run", "serve.yaml", "--yes", "--set", f"folder={folder}", "--site", str(site.file)],
        cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: trace.exists() and "killed by SIGKILL" in trace.read_text(), "the runner is killed while it writes the service's pid file")
    finally:
        tracer.kill()  # it would wait for a child that waits for its dead parent
        tracer.wait()
    check(pid_file.exists(), "the runner was killed when the service's pid file was written")
    wait_until(lambda: not is_alive(pid_in(pid_file)), "the service that was being started is gone", 30)
    check(not processes_of("1000.125"), "a service that was being started does not survive")
