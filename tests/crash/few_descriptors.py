#!/usr/bin/env python3
"""R38 a run of many steps keeps few files open: 1,500 steps, each with a log of its own, under a limit of 320 descriptors."""

import resource

from support.lifeboat_testing import Site, check, throw_away_folder

STEPS, LIMIT = 1500, 320

with throw_away_folder() as folder:
    steps = "".join(f"  - {{id: s{i}, needs: [{f's{i - 100}' if i >= 100 else ''}], uses: log.note, with: {{text: 'note {i}'}}}}\n" for i in range(STEPS))
    (folder / "many.yaml").write_text(f"lifeboat: runbook/v1\nname: many\nsteps:\n{steps}")
    site = Site(folder, {})
    process = site.start("run", folder / "many.yaml", "--yes", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)))
    out, err = process.communicate(timeout=300)
    check(process.returncode == 3, "the run ends, unverified", err.decode()[-2000:])
    logs = folder / "state" / "runs" / site.runs()[0] / "logs"
    said = {path.stem: path.read_text() for path in logs.iterdir()}
    check(len(said) == STEPS and all(f"note {i}" in said[f"s{i}"] for i in range(STEPS)), "every step has said its line in its own log")
