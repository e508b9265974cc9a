#!/usr/bin/env python3
"""R12 `plan` only asks: a recording web server sees nothing but GET, HEAD and LIST while it plans, a PostgreSQL server's log nothing but statements that
look, in sessions that cannot write, and no program or script of the runbook is started. It works when nothing has ever run, says what it
does not know yet, and its list of steps is the one that is carried out."""

import http.server
import json
import re
import threading

from support.lifeboat_testing import Postgres, Site, check, step_in, throw_away_folder

WRITES = re.compile(r"\b(insert|update|delete|create|drop|alter|truncate|grant|revoke|pg_terminate_backend|lo_import|setval|vacuum|analyze|reindex)\b|\bcopy\b.*\bfrom\b", re.IGNORECASE)


class Recorder(http.server.BaseHTTPRequestHandler):
    seen = []

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        Recorder.seen.append(self.command)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *_):
        pass


web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
threading.Thread(target=web.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{web.server_address[1]}"
RUNBOOK = f"""lifeboat: runbook/v1
name: everything
requires: {{db: postgres, backup: backup, oncall: notifier, app: service}}
inputs: {{folder: {{type: path}}}}
steps:
  - {{id: before, uses: http.check, with: {{url: "{URL}/health"}}}}
  - {{id: assess, uses: postgres.assess, with: {{database: db}}}}
  - {{id: look, uses: sql.check, with: {{database: db, checks: [{{name: one, query: "select 1", expect: "value == 1"}}]}}}}
  - {{id: mark, run: [/usr/bin/touch, program], folder: "${{{{ inputs.folder }}}}", effect: read}}
  - {{id: choose, lua: choose.lua, effect: read, outputs: {{found: integer}}}}
  - {{id: stop_app, uses: service.stop, with: {{service: app}}}}
  - {{id: fence, uses: postgres.fence, with: {{database: db}}}}
  - {{id: fetch, uses: backup.fetch, with: {{backup: backup}}}}
  - {{id: restore, uses: postgres.restore, with: {{from: "${{{{ steps.fetch.outputs.path }}}}", beside: db}}}}
  - id: check
    uses: sql.check
    with: {{database: "${{{{ steps.restore.outputs.database }}}}", checks: [{{name: orders, query: "select count(*) from orders", expect: "value == 3"}}]}}
  - {{id: swap, uses: postgres.swap, with: {{live: db, staged: "${{{{ steps.restore.outputs.database }}}}"}}}}
  - {{id: unfence, uses: postgres.unfence, with: {{database: db}}}}
  - {{id: after, uses: http.check, with: {{url: "{URL}/health"}}}}
always:
  - {{id: tell, uses: notify.send, with: {{to: oncall, text: "${{{{ run.verdict }}}}"}}}}
"""

with throw_away_folder() as folder, Postgres(folder, "test-of-lifeboat", settings=(("log_statement", "all"), ("log_line_prefix", "%a "))) as server:
    server.sql("postgres", "create database shop")
    server.sql("shop", "create table orders as select generate_series(1, 3) as id")
    site = Site(folder,
                {"shop": server.resource("shop"), "vault": {"type": "local", "path": str(folder / "vault")}, "oncall": {"type": "webhook", "url": f"{URL}/hook"},
                 "app": {"type": "command", "start": ["sleep", "1000.375"], "pid_file": str(folder / "app.pid"), "log": str(folder / "app.log")}},
                backups={"nightly": {"of": ["shop"], "to": ["vault"]}}, bindings={"everything": {"db": "shop", "backup": "nightly", "oncall": "oncall", "app": "app"}})
    (folder / "scripts").mkdir()
    (folder / "scripts" / "choose.lua").write_text("log('started')\noutputs.found = 1\n")
    (folder / "everything.yaml").write_text(RUNBOOK)
    words = ("everything.yaml", "--set", f"folder={folder}")

    def planned(*more):
        since = (folder / "postgres.log").stat().st_size
        Recorder.seen.clear()
        ended = site("plan", *words, "--json", *more)
        log = (folder / "postgres.log").read_text(errors="replace")[since:]
        seen = [match[1] for match in re.finditer(r"(?:statement|execute [^:]*): (.*)", log)]
        return ended, seen

    ended, seen = planned()
    check(ended.code == 9, "R12 a first plan works although nothing exists yet: the missing backup is a finding that blocks, no failure", ended)
    check([step["id"] for step in ended.json["draft"]["steps"]][7] == "fetch" and any(each["kind"] == "blocker" for each in ended.json["findings"]), "R12 and it still shows every step", ended)
    bad = [each for each in seen if WRITES.search(each)]
    check(seen and not bad, f"R12 of {len(seen)} statements none changes anything", bad)

    site.backup("nightly")
    ended, seen = planned("-o", str(folder / "plan.json"))
    check(ended.code == 0, "R12 with a backup it can be approved", ended)
    bad = [each for each in seen if WRITES.search(each)]
    check(seen and not bad, f"R12 of {len(seen)} statements none changes anything", bad)
    check(set(Recorder.seen) <= {"GET", "HEAD", "LIST"}, f"R12 the web server was only asked: {Recorder.seen}")
    check(not (folder / "program").exists() and not site.runs(), "R12 no program was started, no run was made")
    text = site("plan", *words)
    check("known only when it runs" in text.out and "unknown" in text.out, "R12 what is not known yet is shown as such", text)

    plan = json.loads((folder / "plan.json").read_text())
    listed = [step["id"] for step in plan["draft"]["steps"]]
    done = site("run", folder / "plan.json", "--yes", "--json")
    check(done.code == 0, "R12 the plan is carried out", done)
    journal = site.journal(site.runs()[-1])
    carried_out = [event["step"] for event in journal if event["type"] == "attempt_started"]
    names = listed + [step["id"] for step in plan["draft"]["always"]]
    check([names[index] for index in carried_out] == [*listed, "tell"], "R12 the steps that are carried out are those of the plan, in its order", carried_out)
    check((folder / "program").exists() and "POST" in Recorder.seen, "R12 now the program was started and people were told: the recorder would have seen it")
    check(step_in(done.json, "tell")["state"] == "done", "R12 the notifier was reached by the run only")
