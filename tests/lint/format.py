#!/usr/bin/env python3
"""Every C++ file is as clang-format leaves it."""
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parents[2]
files = sorted(str(path) for folder in ("src", "tests") for path in (root / folder).rglob("*") if path.suffix in {".cpp", ".h"})
found = subprocess.run(["clang-format-14", "--dry-run", "--Werror", *files], capture_output=True, text=True)
print(found.stderr[-4000:])
print(f"{len(files)} files looked at")
sys.exit(1 if found.returncode or not files else 0)
