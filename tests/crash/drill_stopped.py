#!/usr/bin/env python3
"""A drill that is stopped in the middle leaves nothing: its servers, its service and its sandbox go. One that is killed leaves them, and
`drill --cleanup`, or the next drill, removes exactly those. A kept sandbox stays until --cleanup. What cannot be removed is exit 8, until
it can."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess

from support.lifeboat_testing import LIFEBOAT, SOURCE, Ended, check, environment, is_alive, postgres_programs, run_program, skip, throw_away_folder, wait_until

if postgres_programs() is None:
    skip("PostgreSQL is not installed")

RUNBOOK = """lifeboat: runbook/v1
name: gated
requires: {db: postgres, app: service}
inputs: {gate: {type: text}}
steps:
  - id: look
    uses: sql.check
    with: {database: db, checks: [{name: answers, query: "select 1", expect: "value == 1"}]}
  - id: wait
    run: [/bin/sh, -c, "touch began; while ! test -e open; do sleep 0.05; done"]
    folder: "${{ inputs.gate }}"
    effect: read
    drill: safe
"""
SANDBOX = {"db": {"type": "postgres"}, "app": {"type": "command", "start": ["python3", str(SOURCE / "drills" / "fixtures" / "app.py"), "{port}", "127.0.0.1", "${{ resources.db.port }}"]}}


def processes_in(folder):
    """Process ids that work in `folder` or name it: servers, services, runs."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            if (str(folder) in words or f"{os.readlink(entry / 'cwd')}/".startswith(f"{folder}/")) and is_alive(entry.name):
                found.append(int(entry.name))
    return sorted(found)


class Drill:
    """A drill under way that waits in the middle of its runbook for `open`."""

    def __init__(self, bench, name, *options):
        self.bench, self.gate = bench, bench.folder / f"gate-{name}"
        self.gate.mkdir()
        file = bench.folder / f"{name}.yaml"
        document = {"runbook": str(bench.runbook), "sandbox": SANDBOX, "inputs": {"gate": str(self.gate)}, "setup": [{"id": "serve", "uses": "service.start", "with": {"service": "app"}}],
                    "expect": [{"that": "run.verdict == 'recovered'"}]}
        file.write_text("lifeboat: drill/v1\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in document.items()))
        before = bench.sandboxes()
        self.process = subprocess.Popen([LIFEBOAT, "drill", str(file), *options], cwd=bench.folder, env=environment(bench.folder, TMPDIR=bench.parent), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        bench.started.append(self.process)
        wait_until(lambda: self.process.poll() is not None or bench.sandboxes() - before, f"the sandbox of '{name}' is being made")
        self.sandbox = (bench.sandboxes() - before or {None}).pop()

    def wait_for_middle(self):
        wait_until(lambda: self.process.poll() is not None or (self.gate / "began").exists(), "the drill is in the middle of its runbook")
        if self.process.poll() is not None:
            check(False, "the drill waits in the middle of its runbook", self.end())
        running = processes_in(self.sandbox)
        check(self.server() in running and self.service() in running, f"  a server, a service and a run are at work: {len(running)} processes")

    def server(self):
        return json.loads((self.sandbox / "resources" / "db" / "scratch.json").read_text())["pid"]

    def service(self):
        return int((self.sandbox / "resources" / "app" / "app.pid").read_text().split()[0])

    def open(self):
        (self.gate / "open").touch()

    def end(self):
        try:
            out, err = self.process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            check(False, "the drill ends within 120 s")
        return Ended(self.process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()


class Bench:
    def __init__(self, folder):
        self.folder, self.parent, self.runbook, self.started = folder, folder / "tmp", folder / "gated.yaml", []
        self.parent.mkdir(mode=0o711)
        self.runbook.write_text(RUNBOOK)

    def sandboxes(self):
        return set(self.parent.glob("lifeboat-drill-*"))

    def cleanup(self, *options):
        return run_program(["drill", "--cleanup", *options], self.folder, timeout=120, TMPDIR=self.parent)

    def check_gone(self, sandbox, what):
        left = processes_in(sandbox)
        check(not left and not sandbox.exists(), what, f"processes {left}, {list(sandbox.rglob('*'))[:20]}")


def interrupted(bench):
    for word, number in (("SIGINT", signal.SIGINT), ("SIGTERM", signal.SIGTERM)):
        drill = Drill(bench, word.lower(), "--json")
        drill.wait_for_middle()
        os.kill(drill.process.pid, number)
        ended = drill.end()
        check(ended.code == 128 + number, f"{word} ends the drill with {128 + number}", ended)
        check(ended.json["interrupted"] and ended.json["verdict"] == "not_as_expected" and not ended.json["left"], "  it says that it was interrupted", ended)
        bench.check_gone(drill.sandbox, "  its servers, its service, its run and its sandbox are gone")
    drill = Drill(bench, "early", "--json")
    wait_until(lambda: processes_in(drill.sandbox / "resources" / "db"), "its server is being made")
    os.kill(drill.process.pid, signal.SIGINT)
    ended = drill.end()
    check(ended.code == 130 and ended.json["interrupted"], "Ctrl-C while a server is made ends the drill with 130", ended)
    bench.check_gone(drill.sandbox, "  and nothing of it is left")
    check(not bench.sandboxes(), "nothing else is left", bench.sandboxes())


def killed(bench):
    first, second = Drill(bench, "killed"), Drill(bench, "running", "--json")
    first.wait_for_middle()
    second.wait_for_middle()
    first.kill()
    check(is_alive(first.server()) and is_alive(first.service()) and first.sandbox.exists(), "a killed drill leaves its server, its service and its sandbox")
    ended = bench.cleanup("--json")
    check(ended.code == 0 and ended.json == {"removed": [str(first.sandbox)], "left": []}, "--cleanup removes exactly it", ended)
    bench.check_gone(first.sandbox, "  nothing of it is left")
    check(is_alive(second.server()) and is_alive(second.service()) and second.process.poll() is None, "  the drill that is still running goes on, with its server and its service")
    again = bench.cleanup()
    check(again.code == 0 and again.out == "there is nothing to remove\n", "  there is nothing more to remove", again)
    second.open()
    ended = second.end()
    check(ended.code == 0 and ended.json["verdict"] == "as_expected", "  and it ends as expected", ended)
    bench.check_gone(second.sandbox, "  and removes its own")

    third = Drill(bench, "killed-too")
    third.wait_for_middle()
    third.kill()
    early = Drill(bench, "killed-early")
    bench.check_gone(third.sandbox, "the next drill removes what a killed one left")
    wait_until(lambda: processes_in(early.sandbox / "resources" / "db"), "a server is being made")
    early.kill()
    ended = bench.cleanup("--json")
    check(ended.code == 0 and ended.json == {"removed": [str(early.sandbox)], "left": []}, "a drill that was killed while it made its server is removed as well", ended)
    bench.check_gone(early.sandbox, "  nothing of it is left")


def kept(bench):
    drill = Drill(bench, "kept", "--keep")
    drill.wait_for_middle()
    drill.open()
    ended = drill.end()
    check(ended.code == 0 and is_alive(drill.server()) and is_alive(drill.service()), "--keep leaves the sandbox with its server and its service", ended)
    site = drill.sandbox / "lifeboat.yaml"
    check(f"the sandbox stays in {drill.sandbox}" in ended.out and f"`lifeboat history --site {site}`" in ended.out and "`lifeboat drill --cleanup`" in ended.out,
          "  it says where it is, how to look at it, and what removes it", ended)
    looked = run_program(["history", "--site", site, "--json"], bench.folder)
    check(looked.code == 0 and "gated" in looked.out, "  it can be looked at", looked)
    other = Drill(bench, "beside-kept", "--json")
    other.wait_for_middle()
    other.open()
    check(other.end().code == 0 and is_alive(drill.server()), "  the next drill lets it be")
    ended = bench.cleanup()
    check(ended.code == 0 and ended.out == f"removed {drill.sandbox}\n", "  --cleanup removes it", ended)
    bench.check_gone(drill.sandbox, "  nothing of it is left")


@contextlib.contextmanager
def mount(place):
    """A file system of its own; False when none can be mounted."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True, check=False).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", place], check=True)


@contextlib.contextmanager
def immutable(place):
    """A file that not even root removes; False when none can be made."""
    place.mkdir()
    (place / "fast").touch()
    done = shutil.which("chattr") and subprocess.run(["chattr", "+i", place / "fast"], capture_output=True, check=False).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run(["chattr", "-i", place / "fast"], check=True)


def cleanup_incomplete(bench, hold):
    what = hold.__name__
    drill = Drill(bench, what, "--json")
    drill.wait_for_middle()
    with hold(drill.sandbox / "resources" / "held") as held:
        drill.open()
        ended = drill.end()
        if not held:
            print(f"skipped: exit 8 because of what is {what}, that cannot be made here")
            return
        check(ended.code == 8 and ended.json["verdict"] == "cleanup_incomplete" and ended.json["exit_code"] == 8, f"a sandbox that cannot be removed ({what}) is exit 8", ended)
        check(len(ended.json["left"]) == 1 and str(drill.sandbox) in ended.json["left"][0], "  and it is named", ended)
        check([case["name"] for case in ended.json["cases"] if case["outcome"] != "passed"] == ["everything is removed"], "  nothing else was wrong", ended)
        check(not processes_in(drill.sandbox), "  no process is left")
        ended = bench.cleanup("--json")
        check(ended.code == 8 and not ended.json["removed"] and str(drill.sandbox) in "".join(ended.json["left"]), "  --cleanup cannot either: exit 8", ended)
        ended = bench.cleanup()
        check(ended.code == 8 and ended.out.startswith("left: ") and str(drill.sandbox) in ended.out, "  and it says so to people", ended)
    ended = bench.cleanup("--json")
    check(ended.code == 0 and ended.json == {"removed": [str(drill.sandbox)], "left": []}, "  once it can be removed --cleanup removes it", ended)
    bench.check_gone(drill.sandbox, "  nothing of it is left")


with throw_away_folder() as folder:
    bench = Bench(folder)
    try:
        interrupted(bench)
        killed(bench)
        kept(bench)
        cleanup_incomplete(bench, mount)
        cleanup_incomplete(bench, immutable)
    finally:
        for process in bench.started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        bench.cleanup()
        for pid in processes_in(folder):  # a test that failed must not leave servers
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
