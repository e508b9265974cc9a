#!/usr/bin/env python3
"""R21 Without a terminal a line comes every few seconds for each step under way, also for a child that is silent: how long it has run, and from when
on there was no sign of it. A child that says nothing for its `heartbeat` is ended as stalled; one that talks is not, however long it takes."""

import re
import threading

from support.lifeboat_testing import Site, check, step_in, throw_away_folder, wait_until

RUNBOOK = """lifeboat: runbook/v1
name: quiet
inputs: {folder: {type: path}}
steps:
  - {id: silent, run: [/bin/sh, -c, "touch began-silent; until test -e open-silent; do sleep 0.05; done"], folder: "${{ inputs.folder }}", effect: read, timeout: 10m}
  - {id: stalls, run: [/bin/sh, -c, "echo once; exec sleep 600"], effect: read, heartbeat: 2s, timeout: 10m, on_failure: continue}
  - {id: talks, run: [/bin/sh, -c, "for i in 1 2 3 4 5 6; do echo $i; sleep 1; done"], effect: read, heartbeat: 4s, timeout: 10m, proves: data}
"""

with throw_away_folder() as folder:
    site = Site(folder, {})
    (folder / "quiet.yaml").write_text(RUNBOOK)
    runner = site.start("run", "quiet.yaml", "--yes", "--set", f"folder={folder}")
    said = []
    reader = threading.Thread(target=lambda: said.extend(iter(lambda: runner.stderr.readline().decode(), "")))
    drain = threading.Thread(target=runner.stdout.read)
    reader.start()
    drain.start()
    try:
        of_silent = lambda: [line for line in list(said) if line.startswith("  … silent ")]
        wait_until(lambda: runner.poll() is not None or len(of_silent()) >= 3, "three lines have come", 120)
        lines = of_silent()
        check(len(lines) >= 3, "R21 lines keep coming for a step whose child is silent", said)
        seconds = [int(re.search(r"silent  (\d+)s", line)[1]) for line in lines]
        check(seconds == sorted(set(seconds)), f"R21 each says how long the step has run: {seconds}", lines)
        check(re.search(r"no progress for \d+s", lines[2]), f"R21 and since when there was no sign of it: {lines[2].strip()}", lines)
        check(not any(re.search(r"\bleft\b|\x1b", line) for line in lines), "R21 nothing is promised that nobody knows, and no line is decorated", lines)
        (folder / "open-silent").touch()
        code = runner.wait(timeout=300)
    finally:
        runner.kill()
        (folder / "open-silent").touch()
        reader.join()
        drain.join()
    check(code == 0, f"R21 the run ends well ({code})", "".join(said))
    report = site.report(site.runs()[-1])
    stalled = step_in(report, "stalls")
    check(stalled["error"]["code"] == "stalled" and stalled["attempts"][0]["outcome"] == "stalled", f"R21 a child that says nothing is ended: {stalled['error']['message']}", stalled)
    check(any("stalls" in line and "no progress" in line for line in said), "R21 and the reader is told", "".join(said))
    check(step_in(report, "talks")["state"] == "done", "R21 a child that talks is left alone")
