#!/usr/bin/env python3
"""The include graph of src/ is the one that docs/ARCHITECTURE.md states; headers outside src/base/json.h include no third-party header."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
allowed = {}
for line in (root / "docs/ARCHITECTURE.md").read_text().splitlines():
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if line.startswith("|") and len(cells) == 3 and (root / "src" / cells[0]).is_dir():
        allowed[cells[0]] = set(cells[2].split()) | {cells[0]}
rooms = {path.name for path in (root / "src").iterdir() if path.is_dir()}
problems = []
if rooms != set(allowed):
    problems.append(f"docs/ARCHITECTURE.md names the rooms {sorted(allowed)}, src/ has {sorted(rooms)}")

standard = re.compile(r"^[a-z_0-9]+$|^(sys|arpa|netinet|linux)/|^(unistd|fcntl|poll|signal|dirent|errno|pwd|grp|termios|spawn|netdb|time|stdlib|string|locale)\.h$")
for path in sorted((root / "src").rglob("*.[ch]*")):
    room = path.relative_to(root / "src").parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.relative_to(root)}:{number}"
        ours = re.match(r'#include "([^"]+)"', line)
        theirs = re.match(r"#include <([^>]+)>", line)
        if ours and room in allowed:
            other = ours.group(1).split("/")[0]
            if other in rooms and other not in allowed[room]:
                problems.append(f"{where}: room '{room}' may not include '{ours.group(1)}'")
            if not (root / "src" / ours.group(1)).exists():
                problems.append(f"{where}: '{ours.group(1)}' is not found from src/")
        if theirs and path.suffix == ".h" and path.name not in ("json.h", "precompiled.h") and not standard.match(theirs.group(1)):
            problems.append(f"{where}: a header includes the third-party header <{theirs.group(1)}>")

for problem in problems:
    print(problem)
print(f"{len(problems)} problems in {len(allowed)} rooms")
sys.exit(1 if problems or not allowed else 0)
