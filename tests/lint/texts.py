#!/usr/bin/env python3
"""No left-over markers, no machine's paths, no trailing white space, no tabs in sources; scripts are executable; every action and error has a test."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parents[2]
files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
marker = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
problems = []
for name in filter(None, files):
    path = root / name
    if not path.is_file() or path.suffix not in {".cpp", ".h", ".py", ".sh", ".md", ".yaml", ".txt", ".cmake", ".json"} or name.startswith("tests/cases/") or "golden" in name:
        continue
    text = path.read_text(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}"
        if marker.search(line):
            problems.append(f"{where}: a left-over marker")
        if re.search(r"[ \t]+$", line) and path.suffix != ".md":
            problems.append(f"{where}: trailing white space")
        if "\t" in line and path.suffix in {".cpp", ".h", ".py", ".cmake"}:
            problems.append(f"{where}: a tab")
        if re.search(r"(?<![\w/.])/(root|work)/(?!\.)\w", line):
            problems.append(f"{where}: a path of one machine")
    if text and not text.endswith("\n"):
        problems.append(f"{name}: no newline at the end")
    if path.suffix == ".sh" and not path.stat().st_mode & 0o100:
        problems.append(f"{name}: a script that is not executable")
for problem in problems:
    print(problem)
print(f"{len(problems)} problems in {len(files)} files")
sys.exit(1 if problems else 0)
