#!/usr/bin/env python3
"""The engine's speed beside what it cannot be faster than, and beside another tool. Prints the table of docs/benchmarks.md.

    LIFEBOAT=build/dev/lifeboat python3 tests/bench/engine.py
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from _measure import ENVIRONMENT, LIFEBOAT, paired, timed

LIFEBOAT = os.path.abspath(LIFEBOAT)


def runbook(name, steps):
    return f"lifeboat: runbook/v1\nname: {name}\nsummary: measured\nsteps:\n" + "".join(steps)


def notes(count):
    return [f"  - {{id: s{i}, uses: log.note, with: {{text: hello}}}}\n" for i in range(count)]


def spawns(count):
    return [f"  - {{id: s{i}, run: ['true'], effect: read}}\n" for i in range(count)]


class Folder:
    """A throw-away folder with an empty site."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-bench-", dir=os.environ.get("BENCH_DIR")))
        (self.path / "runbooks").mkdir()
        (self.path / "lifeboat.yaml").write_text("lifeboat: site/v1\nstate: state\n")

    def write(self, name, text):
        path = self.path / "runbooks" / f"{name}.yaml"
        path.write_text(text)
        return str(path)

    def lifeboat(self, *words, expect=(0,)):
        return timed([LIFEBOAT, *words], folder=self.path, expect=expect)


def synced_appends(folder, count, size):
    path = folder.path / "appends"
    import time

    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
    record = b"x" * (size - 1) + b"\n"
    start = time.perf_counter()
    for _ in range(count):
        os.write(fd, record)
        os.fdatasync(fd)
    seconds = time.perf_counter() - start
    os.close(fd)
    return seconds


def bare_spawns(count):
    import time

    start = time.perf_counter()
    for _ in range(count):
        pid = os.posix_spawn("/bin/true", ["true"], ENVIRONMENT)
        os.waitpid(pid, 0)
    return time.perf_counter() - start


def main():
    folder = Folder()
    folders = [folder]
    rows = []
    steps = 1000

    def first_run(name, text):
        """In a folder of its own: a plan looks at the runs before it, and those are not what is measured here."""
        folders.append(Folder())
        return folders[-1].lifeboat("run", folders[-1].write(name, text), "--yes", expect=(0, 3))[0]

    run_notes = lambda: first_run("notes", runbook("notes", notes(steps)))
    a, b, ratio = paired(run_notes, lambda: synced_appends(folder, 3 * steps, 400))
    rows.append((f"run of {steps:,} `log.note` steps / {3 * steps:,} bare synced appends of 400 bytes", a, b, ratio, "≤ 1.5"))

    run_spawns = lambda: first_run("spawns", runbook("spawns", spawns(steps)))
    a, b, ratio = paired(run_spawns, lambda: 1.5 * synced_appends(folder, 3 * steps, 400) + 1.5 * bare_spawns(steps), rounds=3)
    rows.append((f"run of {steps:,} `run: [true]` steps / 1.5 × appends + 1.5 × {steps:,} bare spawns", a, b, ratio, "≤ 1"))

    if shutil.which("ansible-playbook"):
        play = folder.path / "play.yaml"
        tasks = 20
        play.write_text("- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n" + "    - command: 'true'\n" * tasks)
        empty = folder.path / "empty.yaml"
        empty.write_text("- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks: []\n")
        whole = lambda: timed(["ansible-playbook", "-i", "localhost,", str(play)])[0] - timed(["ansible-playbook", "-i", "localhost,", str(empty)])[0]
        a, b, ratio = paired(lambda: whole() / tasks, lambda: run_spawns() / steps, rounds=3)
        rows.append(("a step of `ansible-playbook`, `command: true` / a step of `run: [true]`", a, b, ratio, "≥ 100"))

    a, b, ratio = paired(lambda: sum(timed([LIFEBOAT, "version"])[0] for _ in range(20)), lambda: sum(timed(["curl", "--version"])[0] for _ in range(20)))
    rows.append(("20 × `lifeboat version` / 20 × `curl --version`", a, b, ratio, "≤ 1.5"))

    print("| what | seconds | beside | ratio | wanted |\n|---|---|---|---|---|")
    for what, a, b, ratio, wanted in rows:
        print(f"| {what} | {a:.4f} | {b:.4f} | **{ratio:.2f}** | {wanted} |")

    print("\n| size | validate s | MiB | plan s | MiB |\n|---|---|---|---|---|")
    for count in (1250, 2500, 5000, 10000):
        book = folder.write(f"big{count}", runbook(f"big{count}", notes(count)))
        v, vm = folder.lifeboat("validate", book)
        p, pm = folder.lifeboat("plan", book)
        print(f"| {count:,} steps | {v:.3f} | {vm:.0f} | {p:.3f} | {pm:.0f} |")

    print("\n| journal | resume s | MiB |\n|---|---|---|")
    for count in (6250, 12500, 25000):
        last = "  - {id: last, run: ['false'], effect: read, on_failure: pause}\n"
        book = folder.write(f"long{count}", runbook(f"long{count}", notes(count) + [last]))
        folder.lifeboat("run", book, "--yes", expect=(6,))
        run = max((folder.path / "state" / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
        events = sum(1 for _ in open(run / "journal.jsonl"))
        s, mib = folder.lifeboat("resume", run.name, expect=(6,))
        print(f"| {events:,} events | {s:.3f} | {mib:.0f} |")
        subprocess.run([LIFEBOAT, "abandon", run.name], cwd=folder.path, env=ENVIRONMENT, capture_output=True)
    for each in folders:
        shutil.rmtree(each.path)


main()
