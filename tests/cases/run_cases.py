#!/usr/bin/env python3
"""Golden runs of the real program.

Each folder beside this file that holds a `cmd` is a case: a shell snippet, run with prelude.sh in a throw-away folder. Its whole stdout,
stderr and exit code are compared with the files `stdout`, `stderr` and `exit`, after times, ids and paths have been made the same
everywhere. LIFEBOAT names the program. LIFEBOAT_ACCEPT=1 writes what was seen as expected, and then fails on purpose: an acceptance is no
test. Arguments select cases by name.
"""

import concurrent.futures
import difflib
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
LIMIT = 120

RULES = [
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-([A-Za-z0-9_.-]+?)-[0-9a-f]{4,}\b"), r"<\1-id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d-?:?\d\d-?:?\d\d(\.\d+)?Z(-[0-9a-f]{4,})?"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\dZ?\b"), "<time>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<sha256>"),
    (re.compile(r"\b[0-9a-f]{12,63}\b"), "<hex>"),
    (re.compile(r"\bmachine (?:<hex>|<host>)"), "machine <id>"),  # a minimal system has no machine-id
    (re.compile(r"\bprocess(?: group)? \d+\b"), "process <pid>"),
    (re.compile(r"\b(?:\d+d )?(?:\d+h )?(?:\d+m )?\d+(?:\.\d+)?(?:µs|us|ms|s)\b"), "<duration>"),
    (re.compile(r"\b\d+ ms\b"), "<duration>"),
    (re.compile(r'("(?:[a-z_]*seconds|pid|start_ticks|free_bytes)": )-?\d+(?:\.\d+)?(?:e-?\d+)?'), r"\1<number>"),
    (re.compile(r"\d+(?:\.\d+)? [KMGT]iB free"), "<size> free"),
    (re.compile(r"(?<=\S)[ \t]{2,}(?=\S)"), "  "),
    (re.compile(r"[ \t]+\|"), " |"),
    (re.compile(r"-{3,}"), "---"),
    (re.compile(r"scratch/([a-z-]+)-\d+"), r"scratch/\1-<pid>"),
]


def same_everywhere(text, folder):
    for path in {str(folder), os.path.realpath(folder)}:
        text = text.replace(path, "<dir>")
    text = text.replace(str(SOURCE), "<source>").replace(socket.gethostname(), "<host>")
    for pattern, instead in RULES:
        text = pattern.sub(instead, text)
    return text


def clean_environment(folder):
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(folder / "home"),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "LIFEBOAT": os.environ["LIFEBOAT"],
        "SOURCE": str(SOURCE),
        "CASES": str(HERE),
    }


def run(case):
    # a name that no report has to escape
    folder = pathlib.Path(tempfile.gettempdir()) / f"lifeboat-case-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    try:
        (folder / "home").mkdir()
        work = folder / "work"
        if (case / "files").is_dir():
            shutil.copytree(case / "files", work)
        else:
            work.mkdir()
        script = f". {HERE}/prelude.sh\n" + (case / "cmd").read_text()
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=work, env=clean_environment(folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += b"\n(took too long and was killed)\n"
        seen = {
            "stdout": same_everywhere(out.decode("utf-8", "replace"), work),
            "stderr": same_everywhere(err.decode("utf-8", "replace"), work),
            "exit": f"{process.returncode}\n",
        }
        return case, seen
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def expected(case, stream):
    file = case / stream
    if file.exists():
        return file.read_text()
    return "0\n" if stream == "exit" else ""


def accept(case, seen):
    changed = False
    for stream, text in seen.items():
        if text == expected(case, stream):
            continue
        changed = True
        if text == ("0\n" if stream == "exit" else ""):
            (case / stream).unlink(missing_ok=True)
        else:
            (case / stream).write_text(text)
    return changed


def main():
    if not os.access(os.environ.get("LIFEBOAT", ""), os.X_OK):
        print("LIFEBOAT does not name the program")
        return 1
    os.environ["LIFEBOAT"] = os.path.realpath(os.environ["LIFEBOAT"])
    cases = sorted(path.parent for path in HERE.glob("*/cmd"))
    if len(sys.argv) > 1:
        cases = [case for case in cases if case.name in sys.argv[1:]]
    if not cases:
        print("there is no such case")
        return 1
    accepting = os.environ.get("LIFEBOAT_ACCEPT") == "1"
    failed = accepted = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for case, seen in pool.map(run, cases):
            if accepting:
                changed = accept(case, seen)
                accepted += changed
                print(("accepted " if changed else "same     ") + case.name)
                continue
            wrong = [stream for stream in seen if seen[stream] != expected(case, stream)]
            print(("FAILED   " if wrong else "ok       ") + case.name)
            for stream in wrong:
                failed += stream == wrong[0]
                difference = difflib.unified_diff(
                    expected(case, stream).splitlines(True), seen[stream].splitlines(True), f"expected {stream}", f"seen {stream}")
                sys.stdout.writelines("         " + line.rstrip("\n") + "\n" for line in difference)
    if accepting:
        print(f"{accepted} of {len(cases)} cases accepted: run again without LIFEBOAT_ACCEPT")
        return 1
    print(f"{len(cases) - failed} of {len(cases)} cases as expected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
