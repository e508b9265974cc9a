#!/usr/bin/env python3
"""R12 `plan` writes nothing outside its state directory and its `-o` file, also when nothing has ever run and when the database is a crashed one.

Traced with strace: every file opened for writing, made, renamed, removed or changed in its attributes is looked at.
"""
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile

LIFEBOAT = os.path.abspath(os.environ.get("LIFEBOAT", "build/dev/lifeboat"))
CALLS = "openat,open,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,truncate,chmod,fchmodat,chown,lchown,fchownat,utimensat,setxattr,lsetxattr,mknodat,mknod"
HARMLESS = ("/dev/null", "/dev/tty", "/proc/self/")


def writes(trace):
    """(call, path) of everything in the trace that could change a file."""
    for line in trace.splitlines():
        call = re.match(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)", line)
        if not call or int(call.group(3)) < 0:
            continue
        name, arguments = call.group(1), call.group(2)
        if name in ("open", "openat") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", arguments):
            continue
        for path in re.findall(r'"((?:[^"\\]|\\.)*)"', arguments):
            folder = re.match(r"(?:\d+|AT_FDCWD)<([^>]*)>", arguments)
            yield name, os.path.normpath(os.path.join(folder.group(1) if folder else "/", path))


def main():
    root = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-plan-"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "XDG_STATE_HOME": str(root / "xdg")}
    (root / "home").mkdir()

    def lifeboat(*words):
        done = subprocess.run([LIFEBOAT, *words], cwd=root / "site", env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)

    subprocess.run([LIFEBOAT, "init", str(root / "site")], env=environment, check=True, capture_output=True)
    lifeboat("backup", "create", "shop")
    # a crashed database: its write-ahead log is left, and an ordinary open would fold it in
    database = root / "site/data/shop.db"
    open_one = sqlite3.connect(database, isolation_level=None)
    open_one.execute("pragma journal_mode=wal")
    open_one.execute("create table left_over(x)")
    left = {suffix: pathlib.Path(str(database) + suffix).read_bytes() for suffix in ("", "-wal")}
    open_one.close()
    for suffix, content in left.items():
        pathlib.Path(str(database) + suffix).write_bytes(content)

    approved = root / "approved.json"
    problems = []
    for words in (["plan", "quickstart"], ["plan", "quickstart", "-o", str(approved)]):
        trace = root / "trace.txt"
        done = subprocess.run(["strace", "-f", "-y", "-s", "4096", "-o", str(trace), "-e", "trace=" + CALLS, LIFEBOAT, *words],
                              cwd=root / "site", env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
        seen = list(writes(trace.read_text()))
        for call, path in seen:
            allowed = path.startswith((str(root / "site/state"), str(root / "xdg"))) or path.startswith(HARMLESS)
            allowed = allowed or ("-o" in words and path.startswith(str(approved)))
            if not allowed:
                problems.append(f"{' '.join(words)}: {call} {path}")
        if "-o" in words and not any(path.startswith(str(approved)) for _, path in seen):
            problems.append("the trace does not even show the plan file being written: it cannot be trusted")
    for suffix, content in left.items():
        if pathlib.Path(str(database) + suffix).read_bytes() != content:
            problems.append(f"the database's '{suffix or 'main'}' file has changed")
    print("\n".join(problems) or "R12 plan wrote nothing outside its state directory and its -o file")
    sys.exit(1 if problems else 0)


main()
