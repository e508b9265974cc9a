#!/usr/bin/env python3
"""R39 A drill that is green turns red when its backup is broken (cut, flipped, stale, missing, of another version), when an expectation is
false and when nothing ran; one whose sandbox is not apart from what is live is refused before anything is touched. Exit code, JSON and
JUnit say the same."""

import json
import os
import signal
import sqlite3
import xml.etree.ElementTree as xml

from support.lifeboat_testing import SOURCE, check, is_alive, postgres_programs, run_program, throw_away_folder

RUNBOOK = SOURCE / "runbooks" / "quickstart.yaml"
FIXTURES = SOURCE / "drills" / "fixtures"

# What the disaster does to the only backup in the vault: argv 1 is the vault, 2 the mutation. Those that change what the backup says of
# itself write its checksums anew: nothing but that content is wrong then.
BREAKER = '''
import datetime, hashlib, json, pathlib, shutil, sys
backup = next(path.parent for path in pathlib.Path(sys.argv[1]).rglob("manifest.json"))
mutation = sys.argv[2]
manifest = json.loads((backup / "manifest.json").read_text())
first = manifest["components"][0]
objects = [backup / each["key"] for each in first["objects"]]
largest = max(objects, key=lambda path: path.stat().st_size)

def rewrite():
    for component in manifest["components"]:
        for each in component["objects"]:
            content = (backup / each["key"]).read_bytes()
            each.update(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    (backup / "manifest.json").write_text(json.dumps(manifest))
    keys = [each["key"] for component in manifest["components"] for each in component["objects"]] + ["manifest.json"]
    (backup / "SHA256SUMS").write_text("".join(f"{hashlib.sha256((backup / key).read_bytes()).hexdigest()}  {key}\\n" for key in keys))

if mutation == "cut":
    with open(largest, "r+b") as file:
        file.truncate(largest.stat().st_size // 2)
elif mutation == "flip":
    with open(largest, "r+b") as file:
        file.seek(largest.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
elif mutation == "flip, with new checksums":
    content = bytearray(largest.read_bytes())
    content[4096:4096 + 64] = bytes(255 - byte for byte in content[4096:4096 + 64])
    largest.write_bytes(content)
    rewrite()
elif mutation == "two days old":
    then = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    manifest["consistent_at"] = manifest["started_at"] = then
    for component in manifest["components"]:
        component["consistent_at"] = then
    rewrite()
elif mutation == "no object":
    largest.unlink()
elif mutation == "no manifest":
    (backup / "manifest.json").unlink()
elif mutation == "no backup":
    shutil.rmtree(backup)
elif mutation == "no store":
    shutil.rmtree(sys.argv[1])
elif mutation == "manifest of a later version":
    manifest["lifeboat"] = "manifest/v99"
    rewrite()
elif mutation == "database of a later version":
    content = bytearray(largest.read_bytes())
    content[18:20] = bytes([9, 9])
    largest.write_bytes(content)
    rewrite()
elif mutation == "dump of a later version":
    content = bytearray(largest.read_bytes())
    if content[:6] != b"PGDMP\1":
        sys.exit("this is no dump in custom format: " + repr(content[:8]))
    content[6] = 99
    largest.write_bytes(content)
    rewrite()
elif mutation != "nothing":
    sys.exit("unknown mutation " + mutation)
'''

# The drill of the quickstart, with a place for everything that is changed below.
DRILL = {
    "runbook": str(RUNBOOK),
    "sandbox": {"db": {"type": "sqlite", "load": "fixtures/quickstart.sql"}, "config": {"type": "files", "load": "fixtures/quickstart-config"},
                "vault": {"type": "local"}},
    "backups": {"backup": {"of": ["db", "config"], "to": ["vault"]}},
    "inputs": {"least_orders": 2000},
    "setup": [{"id": "base", "uses": "backup.create", "with": {"backup": "backup"}}, {"id": "truth", "uses": "sql.fingerprint", "with": {"database": "db"}}],
    "disaster": [{"id": "overwrite", "uses": "fault.corrupt_file", "with": {"of": "db", "offset": 8192, "bytes": "garbage", "times": 3000}},
                 {"id": "spoil", "run": ["python3", "{breaker}", "${{ resources.vault.path }}", "nothing"], "effect": "change", "drill": "safe"}],
    "observe": [{"id": "now", "uses": "sql.fingerprint", "with": {"database": "db"}, "on_failure": "continue"}],
    "expect": [{"that": "run.verdict == 'recovered'"}, {"that": "run.rpo <= objectives.rpo"},
               {"that": "observe.now.outputs.digest == setup.truth.outputs.digest"}],
}


def with_mutation(drill, mutation):
    drill = json.loads(json.dumps(drill))
    drill["disaster"][-1]["run"][-1] = mutation
    return drill


def with_changes(**changes):
    return {**json.loads(json.dumps(DRILL)), **changes}


class Result:
    """What a drill told on its three channels, which are compared with each other here."""

    def __init__(self, bench, ended, junit):
        check(ended.code in (0, 1, 9) and junit.exists(), f"the drill tells its result ({ended.code})", ended)
        self.ended, self.json = ended, ended.json
        self.verdict = self.json["verdict"]
        self.bad = {case["name"]: case["message"] for case in self.json["cases"] if case["outcome"] in ("failed", "error")}
        suite = xml.parse(junit).getroot().find("testsuite")
        cases = suite.findall("testcase")
        bad = {case.get("name"): case.find("failure") if case.find("failure") is not None else case.find("error") for case in cases
               if case.find("failure") is not None or case.find("error") is not None}
        counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors")}
        properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
        same = ([case.get("name") for case in cases] == [case["name"] for case in self.json["cases"]] and set(bad) == set(self.bad)
                and all(bad[name].get("message") == self.bad[name] for name in bad)
                and counts == {"tests": len(cases), "failures": sum(each.tag == "failure" for each in bad.values()), "errors": sum(each.tag == "error" for each in bad.values())}
                and properties["verdict"] == self.verdict and self.json["exit_code"] == ended.code)
        check(same, "  JSON, JUnit and exit code say the same", f"{ended}\n{junit.read_text()}")
        check(not list(bench.temporary.iterdir()), "  nothing is left", list(bench.temporary.iterdir()))


class Bench:
    """A folder for drills, with the fixtures beside them, a live site of its own, and a place for the sandboxes."""

    def __init__(self, folder):
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir()
        (folder / "breaker.py").write_text(BREAKER)
        (folder / "fixtures").symlink_to(FIXTURES)

    def drill(self, drill, *options, **more):
        file = self.folder / "case.yaml"
        drill = json.loads(json.dumps(drill).replace("{breaker}", str(self.folder / "breaker.py")))
        file.write_text("lifeboat: drill/v1\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in drill.items()))
        junit = self.folder / "result.xml"
        junit.unlink(missing_ok=True)
        more.setdefault("TMPDIR", self.temporary)
        ended = run_program(["drill", file, "--json", "--junit", junit, *options], self.folder, timeout=300, **more)
        return Result(self, ended, junit)

    def write_runbook(self, name, text):
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def green(self, drill, what):
        result = self.drill(drill)
        check(result.ended.code == 0 and result.verdict == "as_expected" and not result.bad, f"green: {what}", result.ended)
        return result

    def red(self, drill, what, *words):
        """Exit 1; what failed speaks of `words`."""
        result = self.drill(drill)
        check(result.ended.code == 1 and result.verdict == "not_as_expected" and result.bad, f"red: {what}", result.ended)
        told = "\n".join([*result.bad, *result.bad.values(), json.dumps(result.json["report"])])
        check(all(word in told for word in words), f"  and it says {', '.join(words)}" if words else "  and it says why", told)
        return result


def broken_backups(bench):
    bench.green(DRILL, "the drill, with nothing broken")
    recovered = "run.verdict == 'recovered'"
    for mutation, words in (("cut", [recovered, "no_candidate", "size"]), ("flip", [recovered, "no_candidate"]), ("flip, with new checksums", [recovered]),
                            ("no object", [recovered, "no_candidate"]), ("no manifest", ["no backup of set 'backup'"]), ("no backup", ["no backup of set 'backup'"]),
                            ("no store", ["'backup'"]), ("manifest of a later version", ["v99"]), ("database of a later version", [recovered])):
        result = bench.red(with_mutation(DRILL, mutation), f"the backup is broken: {mutation}", *words)
        verdict = (result.json["report"] or {"verdict": "none"})["verdict"]
        check(verdict in ("rolled_back", "failed", "none"), f"  the run has not recovered: {verdict}", result.ended)
    result = bench.red(with_mutation(DRILL, "two days old"), "the backup is older than the objective", "run.rpo <= objectives.rpo", "run.verdict == 'recovered'")
    check(result.json["report"]["verdict"] == "recovered_late", "  it was restored, late", result.ended)
    limited = RUNBOOK.read_text().replace('before: "${{ inputs.before }}"}', 'before: "${{ inputs.before }}", max_age: 1d}')
    check("max_age: 1d" in limited, "a runbook with a limit to the age of a backup is written")
    limited = with_changes(runbook=bench.write_runbook("limited.yaml", limited))
    bench.green(limited, "a young backup is within the runbook's limit")
    bench.red(with_mutation(limited, "two days old"), "the backup is older than the runbook's limit", "its data is 2d old, the limit is 1d")
    late = with_changes()
    late["setup"].insert(1, {"id": "more", "uses": "fault.sql", "with": {"database": "db", "statements": ["insert into orders select 2001, 1, 5, datetime('2026-01-09')"]}})
    result = bench.red(late, "the backup lacks the newest row", "observe.now.outputs.digest == setup.truth.outputs.digest")
    check(list(result.bad) == ["observe.now.outputs.digest == setup.truth.outputs.digest"], "  and nothing else is wrong with it", result.ended)


def broken_dump(bench):
    """The same for a dump of PostgreSQL, as another version would have made it."""
    runbook = bench.write_runbook("beside.yaml", """lifeboat: runbook/v1
name: beside
requires: {db: postgres, backup: backup}
objectives: {rto: 30m, rpo: 24h}
steps:
  - {id: fetch, uses: backup.fetch, with: {backup: backup}}
  - {id: restore, uses: postgres.restore, with: {from: "${{ steps.fetch.outputs.path }}", beside: db}}
  - id: look
    uses: sql.check
    with: {database: "${{ steps.restore.outputs.database }}", checks: [{name: rows, query: "select count(*) from orders", expect: "value > 0"}]}
""")
    drill = with_changes(runbook=runbook, inputs={}, setup=[DRILL["setup"][0]], disaster=[DRILL["disaster"][-1]], observe=[], expect=[{"that": "run.verdict == 'recovered'"}],
                         sandbox={"db": {"type": "postgres", "database": "shop", "load": "fixtures/shop.sql"}, "vault": {"type": "local"}},
                         backups={"backup": {"of": ["db"], "to": ["vault"]}})
    bench.green(drill, "a dump of PostgreSQL is restored")
    result = bench.red(with_mutation(drill, "dump of a later version"), "the dump is of a later version", "run.verdict == 'recovered'", "no_candidate", "1.99")
    check(result.json["report"]["verdict"] in ("rolled_back", "failed"), "  and the run has not recovered", result.ended)


def nothing_ran(bench):
    always = [{"that": "1 == 1"}]
    skipped = bench.write_runbook("skipped.yaml", """lifeboat: runbook/v1
name: skipped
requires: {db: sqlite}
inputs: {wanted: {type: boolean, default: false}}
steps:
  - {id: look, uses: sql.check, if: "inputs.wanted", with: {database: db, checks: [{name: rows, query: "select count(*) from orders", expect: "value > 0"}]}}
""")
    small = with_changes(runbook=skipped, inputs={"wanted": True}, sandbox={"db": DRILL["sandbox"]["db"]}, backups={}, setup=[], disaster=[], observe=[], expect=always)
    bench.green(small, "the step runs")
    bench.red({**small, "inputs": {"wanted": False}}, "every step was skipped, and what is expected does not ask for them")
    refused = bench.write_runbook("refused.yaml", """lifeboat: runbook/v1
name: refused
requires: {db: sqlite}
inputs: {table: {type: text}}
steps:
  - {id: look, uses: sql.check, with: {database: db, checks: [{name: rows, query: "select count(*) from ${{ inputs.table }}", expect: "value > 0"}]}}
""")
    bench.red({**small, "runbook": refused, "inputs": {}}, "the run refuses to begin, an input is missing")
    bench.red({**small, "runbook": refused, "inputs": {"table": "nowhere"}, "expect": [{"that": "run.verdict == 'recovered'"}]}, "the only check fails")
    bench.red({**small, "expect": [{"that": "run.verdict == 'rolled_back'"}]}, "an expectation is false", 'run.verdict is "recovered"')
    bench.red({**small, "expect": [{"that": "run.rto"}]}, "an expectation is neither true nor false")
    bench.red({**small, "disaster": [{"id": "hit", "uses": "fault.sql", "with": {"database": "db", "statements": ["drop table nowhere"]}}]}, "the disaster did not happen")


def scratch_is_live(bench):
    live = bench.folder / "live"
    (live / "shop").mkdir(parents=True)
    (live / "sandboxes").mkdir()
    (live / "config").mkdir()
    (live / "config" / "shop.conf").write_text("live\n")
    with sqlite3.connect(live / "shop" / "shop.db") as database:
        database.execute("create table orders (id)")
    site = live / "lifeboat.yaml"
    store = {"type": "local", "path": str(live / "sandboxes")}
    app = {"type": "command", "start": ["sleep", "1000"], "pid_file": str(live / "app.pid"), "log": str(live / "app.log")}
    resources = {"app": app, "shop": {"type": "sqlite", "path": str(live / "shop" / "shop.db")}, "config": {"type": "files", "path": str(live / "config")}, "nas": store,
                 "main": {"type": "postgres", "host": "db1.example.com", "port": 5432, "database": "shop", "user": "u"}}
    site.write_text(f"lifeboat: site/v1\nstate: {json.dumps(str(live / 'state'))}\nresources: {json.dumps(resources)}\n")

    def content():
        return {str(path.relative_to(live)): path.read_bytes() if path.is_file() else None for path in sorted(live.rglob("*"))}

    before = content()

    def refused(drill, what, *words, **more):
        result = bench.drill(drill, "--site", site, **more)
        check(result.ended.code == 9 and result.verdict == "not_isolated" and result.json["doubts"], f"refused: {what}", result.ended)
        told = " ".join(result.json["doubts"])
        check(all(word in told for word in words), f"  and it says {', '.join(words)}", told)
        done = [case["name"] for case in result.json["cases"] if case["outcome"] == "passed" and case["name"] not in ("the sandbox is made", "everything is removed")]
        check(not done, "  nothing was run", result.ended)
        check(content() == before, "  what is live is as it was", f"{sorted(before)}\n{sorted(content())}")

    def sandbox(**changes):
        return with_changes(sandbox={**DRILL["sandbox"], **changes})

    check(bench.drill(DRILL, "--site", site).ended.code == 0, "with a real site beside it the drill is green")
    check(content() == before, "  and what is live is as it was")
    refused(DRILL, "the sandbox would be made inside of a live store", "nas", TMPDIR=live / "sandboxes")
    (live / "sandboxes" / "below").mkdir()
    before = content()
    refused(DRILL, "the sandbox would be made below a folder of a live store", "nas", TMPDIR=live / "sandboxes" / "below")
    link = bench.folder / "link"
    link.symlink_to(live / "sandboxes")
    refused(DRILL, "the sandbox would be made behind a link into a live store", "nas", TMPDIR=link)
    refused(sandbox(db={"type": "sqlite", "path": str(live / "shop" / "shop.db")}), "the database is the live one", str(live / "shop"))
    refused(sandbox(db={"type": "sqlite", "path": str(live / "shop" / "new.db")}), "the database would be made beside the live one", str(live / "shop"))
    refused(sandbox(config={"type": "files", "path": str(live / "config"), "load": "fixtures/quickstart-config"}), "the files are the live ones", str(live / "config"))
    refused(sandbox(config={"type": "files", "path": str(live), "load": "fixtures/quickstart-config"}), "the files hold the live ones", str(live))
    refused(sandbox(config={"type": "files", "path": "../../../../live/config/new"}), "the files are below the live ones, written relative", str(live / "config"))
    refused(sandbox(vault={"type": "local", "path": str(live / "sandboxes")}), "the store is the live one", "vault")
    serve = bench.write_runbook("serve.yaml", """lifeboat: runbook/v1
name: serve
requires: {app: service}
steps: [{id: begin, uses: service.start, with: {service: app}}]
""")
    started = run_program(["run", serve, "--yes", "--bind", "app=app", "--site", site], bench.folder)
    pid = int((live / "app.pid").read_text().split()[0])
    try:
        check(started.code == 3 and is_alive(pid), "a live service runs", started)
        before = content()
        refused(with_changes(runbook=serve, inputs={}, sandbox={"app": {"type": "command", "start": ["sleep", "1000"], "pid_file": str(live / "app.pid")}}, backups={}, setup=[],
                             disaster=[], observe=[], expect=[{"that": "run.rto > 0"}]), "the service is the live one", str(live / "app.pid"))
        check(is_alive(pid), "  the live service still runs")
    finally:
        os.killpg(pid, signal.SIGKILL)
    linked = bench.folder / "linked"
    linked.mkdir()
    (linked / "current").symlink_to(live / "config")
    refused(sandbox(config={"type": "files", "load": str(linked)}), "what is copied into the sandbox links to what is live", "leads out of the sandbox", str(live / "config"))
    unsafe = bench.write_runbook("unsafe.yaml", RUNBOOK.read_text() + """
  - {id: own, run: [/bin/true], effect: read}
""")
    refused(with_changes(runbook=unsafe), "a step runs code of its own and does not say that it is safe", "own", "drill: safe")
    calls = bench.write_runbook("calls.yaml", RUNBOOK.read_text() + """
  - {id: ask, uses: http.check, with: {url: "http://db1.example.com/health", within: 1s}}
""")
    refused(with_changes(runbook=calls), "a step asks a host that is not this machine", "db1.example.com")


def main():
    with throw_away_folder() as folder:
        bench = Bench(folder)
        broken_backups(bench)
        nothing_ran(bench)
        scratch_is_live(bench)
        if postgres_programs() is None:
            print("skipped: the dump of a later version, PostgreSQL is not installed")
        else:
            broken_dump(bench)


main()
