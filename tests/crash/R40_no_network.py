#!/usr/bin/env python3
"""R40 Without a network: in a network namespace of its own, with loopback only and no DNS, everything that a recovery needs is there. Notifiers
that cannot be reached, hang or fail are shown as warnings and stop nothing; the report is on the disk before anybody is told.
`check` names a host that has no address and a port where nobody listens."""

import datetime
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

from support.lifeboat_testing import LIFEBOAT, Site, check, environment, free_port, skip, step_in, throw_away_folder
from support.quickstart_bench import QuickstartBench

INSIDE = "LIFEBOAT_TEST_WITHOUT_NETWORK"
if os.environ.get(INSIDE) != "1":
    words = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--", sys.executable, __file__]
    if shutil.which("unshare") is None or shutil.which("ip") is None or subprocess.run([*words[:-2], "true"], check=False, capture_output=True).returncode != 0:
        skip("network namespaces cannot be made here")
    sys.exit(subprocess.run(words, env={**os.environ, INSIDE: "1"}, check=False).returncode)

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
links = [link["ifname"] for link in json.loads(subprocess.run(["ip", "-json", "link"], check=True, capture_output=True).stdout) if "UP" in link["flags"]]
check(links == ["lo"], f"only loopback is up: {links}")

ALWAYS = """
always:
  - {id: tell_hanging, uses: notify.send, with: {to: hanging, text: "${{ run.verdict }}", within: 1s}}
  - {id: tell_broken, uses: notify.send, with: {to: broken, text: "${{ run.verdict }}"}}
  - {id: tell_nowhere, uses: notify.send, with: {to: nowhere, text: "${{ run.verdict }}"}}
"""
NOTIFIERS = ("hanging", "broken", "nowhere")


class Sink(http.server.BaseHTTPRequestHandler):
    """Answers 500 below /broken, and below /hanging nothing at all until the test is over."""

    over = threading.Event()
    told = {}
    reports = None  # a function: the names of the reports on the disk at this moment

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        if body["step"] == "notify":  # the site's own notice: sent when the run has ended
            Sink.told[self.path] = Sink.reports()
        if self.path == "/hanging":
            Sink.over.wait()
            return
        self.send_response(500)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_address[1]}"

with throw_away_folder() as folder:
    bench = QuickstartBench(folder).make()
    site = (folder / "lifeboat.yaml").read_text().replace("  vault:", f"""  hanging: {{type: webhook, url: "{base}/hanging"}}
  broken: {{type: webhook, url: "{base}/broken"}}
  nowhere: {{type: webhook, url: "http://hooks.example.com/x"}}
  vault:""", 1)
    site = "\n".join(line for line in site.splitlines() if not line.startswith("drill:")) + "\nnotify: {on: [done], to: [hanging, broken, nowhere]}\n"
    (folder / "lifeboat.yaml").write_text(site)
    runbook = folder / "runbooks" / "quickstart.yaml"
    text = runbook.read_text()
    requires = next(line for line in text.splitlines() if line.startswith("requires:"))
    runbook.write_text(text.replace(requires, requires.replace("}", ", hanging: notifier, broken: notifier, nowhere: notifier}"), 1) + ALWAYS)
    wanted = bench.seen_by_readers()
    bench.hit()
    Sink.reports = lambda: sorted(path.name for path in folder.glob("state/runs/*/report.*"))
    ended = bench("run", "quickstart", "--yes", "--json")
    check(ended.code == 0 and ended.json["verdict"] == "recovered", "R40 the run recovers without a network", ended)
    check(bench.seen_by_readers() == wanted, "R40 the data is back")
    check("could not be told" in ended.err and all(f"'{name}' could not be told" in ended.err for name in NOTIFIERS), "R40 each notifier that could not be told is shown", ended.err)
    report = ended.json
    for name in NOTIFIERS:
        step = step_in(report, f"tell_{name}")
        check(step["state"] == "tolerated", f"R40 '{name}': telling it failed and changed nothing: {step['error']['code']}")
        check(any(f"tell_{name}" in warning for warning in report["warnings"]), f"R40 '{name}': a warning of the report names it", report["warnings"])
    check(step_in(report, "tell_hanging")["error"]["code"] == "timed_out", "R40 the one that hangs was left at its deadline")
    # telling people comes behind the last proof and does not count
    moment = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    proven = moment(step_in(report, "healthy")["ended"]) - moment(report["incident"]["start"])
    check(abs(report["reached"]["rto"] - proven.total_seconds()) < 1e-3, f"R40 the recovery time is what it is without them: {report['reached']['rto']} s", report)
    check(all(found and "report.json" in found and "report.md" in found for found in Sink.told.values()) and set(Sink.told) == {"/hanging", "/broken"},
          f"R40 the report was on the disk before anybody was told: {Sink.told}")

with throw_away_folder() as folder:
    closed = free_port()
    site = Site(folder, {"far": {"type": "postgres", "host": "db.example.com", "database": "shop", "user": "u"},
                         "deaf": {"type": "postgres", "host": "127.0.0.1", "port": closed, "database": "shop", "user": "u"}})
    (folder / "runbooks").mkdir()
    (folder / "runbooks" / "look.yaml").write_text(
        "lifeboat: runbook/v1\nname: look\nrequires: {far: postgres, deaf: postgres}\nsteps:\n"
        "  - {id: one, uses: postgres.assess, with: {database: far}}\n  - {id: two, uses: postgres.assess, with: {database: deaf}}\n"
        "  - {id: three, uses: sql.fingerprint, with: {database: far}}\n")
    ended = site("check")
    found = ended.out.split("\n")
    check(ended.code == 9, "R40 check refuses a site whose resources cannot be reached", ended)
    for place, step in (("db.example.com:5432", "look: one"), (f"127.0.0.1:{closed}", "look: two")):
        here = [i for i, line in enumerate(found) if place in line and "cannot connect" in line]
        check(any(found[i].startswith("blocker  resource") for i in here), f"R40 check names the resource at '{place}', which cannot be reached", ended)
        check(any(step in found[i + 1] for i in here), "R40 and the step that needs it", ended)
Sink.over.set()
