#!/usr/bin/env python3
"""A recovery whose health check fails behind the line of no return pauses, and clients write meanwhile. Going on loses none of what they
wrote. Going back is refused, with the time since when writes were possible, until the loss is accepted."""

import datetime
import http.server
import re
import threading

from support.lifeboat_testing import check, is_alive, step_in
from support.shop_bench import RUNBOOK, shop_bench

SERVE = """lifeboat: runbook/v1
name: serve
requires: {app: service}
steps: [{id: begin, uses: service.start, with: {service: app}}]
"""


class Health:
    """What the runbook asks in the end; `well` is what it answers."""

    def __init__(self):
        self.well = True
        outer = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if outer.well else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/health"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Round:
    """The disaster, the recovery until it pauses behind the line, and what clients wrote since."""

    def __init__(self, bench, health, name):
        self.bench, self.name = bench, name
        bench.hit()
        self.damaged = bench.fingerprint()["digest"]
        self.databases = bench.databases()
        self.oid = self.live_oid()
        earlier = set(bench.site.runs())
        health.well = False
        ended = bench.site("run", bench.folder / "recover.yaml", "--yes", "--json")
        self.run = (set(bench.site.runs()) - earlier).pop()
        check(ended.code == 6 and ended.json["verdict"] == "paused" and not ended.json["ended"], f"{name}: the health check fails behind the line, the run pauses", ended)
        check(step_in(ended.json, "unfence")["end"] == "done" and step_in(ended.json, "healthy")["attempts"][-1]["error"]["code"] == "not_healthy", "  the door is open, the check has failed", ended)
        check(ended.json["pauses"][-1]["choices"] == ["resume", "rollback --accept-loss", "abandon"], "  the answers are to go on, to go back with a loss, or to leave it", ended.json["pauses"])
        self.crossed = ended.json["line_crossed_at"]
        began = step_in(ended.json, "unfence")["attempts"][0]["started"]
        check(self.crossed <= began, "  the line is where the door began to open", f"{self.crossed} {began}")
        check(self.live_oid() != self.oid, "  the restored database is the live one")
        self.written = [f"{name} {i}" for i in range(50)]
        for note in self.written[:25]:
            self.write(note)
        bench.server.sql("shop", "begin; " + " ".join(f"insert into orders (customer_id, status, cents, placed_at, note) values (1, 'paid', 1, now(), '{note}');" for note in self.written[25:]) + " commit")
        self.first_write = bench.server.sql("shop", f"select min(placed_at at time zone 'UTC') from orders where note like '{name} %'")
        check(self.found() == self.written, f"  clients write {len(self.written)} orders")

    def live_oid(self):
        return self.bench.server.sql("postgres", "select oid from pg_database where datname = 'shop'")

    def write(self, note):
        self.bench.server.sql("shop", f"insert into orders (customer_id, status, cents, placed_at, note) values (1, 'paid', 1, now(), '{note}')")

    def found(self):
        return self.bench.server.sql("shop", f"select note from orders where note like '{self.name} %' order by id").splitlines()

    def check_time(self, text):
        crossed, wrote = datetime.datetime.fromisoformat(text.rstrip("Z")), datetime.datetime.fromisoformat(self.first_write)
        check(text == self.crossed and crossed <= wrote, "  the time since when is that of the line, before the first of them", f"{text} {self.crossed} {self.first_write}")


def go_on(bench, health, truth, name, *answer):
    """Ends the run by a resume, with an answer or without; commits it."""
    paused = Round(bench, health, name)
    still = bench.site("resume", *answer, "--json")
    check(still.code == 6 and still.json["run"] == paused.run, "  resumed while the check still fails it pauses again", still)
    paused.write(f"{name} later")
    paused.written.append(f"{name} later")
    health.well = True
    ended = bench.site("resume", *answer, "--json")
    check(ended.code == 0 and ended.json["run"] == paused.run and ended.json["verdict"] == "recovered", f"  {' '.join(['resume', *answer])}: it ends recovered", ended)
    steps = [event["step"] for event in bench.site.journal(paused.run) if event["type"] == "step_ended"]
    check(len(steps) == len(set(steps)), "  no step ended twice", steps)
    check(paused.found() == paused.written, "  no write is lost: every order that was written is there, and no other")
    bench.server.sql("shop", f"delete from orders where note like '{name} %'")
    tables = bench.fingerprint()["tables"]
    check(tables == truth["tables"], "  all the rest is what the backup held", f"{tables}\n{truth['tables']}")
    committed = bench.site("commit", paused.run, "--yes")
    check(committed.code == 0, "  and is committed", committed)


def go_back(bench, health):
    paused = Round(bench, health, "back")
    beside = bench.databases()
    refused = bench.site("rollback", "--json")
    check(refused.code == 2 and refused.json["error"]["code"] == "usage", "  a rollback is refused", refused)
    paused.check_time(refused.json["error"]["details"]["writes_possible_since"])
    check("--accept-loss" in refused.json["error"]["hint"], "  and says what would do it", refused)
    told = bench.site("rollback", paused.run)
    check(told.code == 2 and "since" in told.err and "new data may have come in" in told.err and f"rollback {paused.run} --accept-loss" in told.err, "  and says so to people", told)
    since = re.search("since (.*?) new data", told.err)[1]
    status = bench.site("status")
    check(f"past the line of no return since {since}\n" in status.out, f"  the status says the same time: {since}", status)
    check(paused.found() == paused.written and bench.databases() == beside, "  nothing was touched by that")
    check(bench.site.journal(paused.run)[-1]["type"] == "paused", "  the journal has nothing more")
    ended = bench.site("rollback", paused.run, "--accept-loss", "--json")
    check(ended.code == 4 and ended.json["verdict"] == "rolled_back", "  with the loss accepted it is rolled back", ended)
    check(any(decision.get("accept_loss") for decision in ended.json["decisions"]), "  the report says that the loss was accepted", ended.json["decisions"])
    check(paused.live_oid() == paused.oid and bench.databases() == paused.databases, "  the databases are as before the run", f"{paused.databases}\n{bench.databases()}")
    check(bench.fingerprint()["digest"] == paused.damaged and not paused.found(), "  the data is as before the run, what was written since is gone")
    check(is_alive(int(bench.pid_file.read_text().split()[0])), "  the service runs, as before the run")
    committed = bench.site("commit", paused.run, "--yes", "--json")
    check(committed.code == 0 and committed.json["removed"] == [], "  there is nothing of it to commit", committed)
    check(paused.live_oid() == paused.oid and bench.databases() == paused.databases, "  a commit of it removes nothing")


def go_back_in_part(bench, health):
    """The swap cannot be undone: the name that the restored database had is taken."""
    paused = Round(bench, health, "in part")
    name = step_in(bench.site.report(paused.run), "restore")["outputs"]["database"]["database"]
    bench.server.sql("postgres", f'create database "{name}"')
    ended = bench.site("rollback", paused.run, "--accept-loss", "--json")
    check(ended.code == 5 and ended.json["verdict"] == "rollback_incomplete", "  the rollback is incomplete", ended)
    before = bench.databases()
    check(bench.server.sql("postgres", f"select datname <> 'shop' from pg_database where oid = {paused.oid}") == "t", "  the damaged database is still beside")
    refused = bench.site("commit", paused.run, "--yes")
    check(refused.code == 2 and "is incomplete" in refused.err, "  a commit of it is refused", refused)
    check(bench.databases() == before, "  nothing was removed")


with shop_bench(10_000) as bench:
    health = Health()
    text = RUNBOOK.read_text()
    shortened = text.replace('url: "${{ resources.app.health_url }}", status: 200, within: 2m', f'url: "{health.url}", status: 200, within: 1s, interval: 100ms')
    check(shortened != text, "the shipped runbook asks for the health")
    (bench.folder / "recover.yaml").write_text(shortened)
    (bench.folder / "serve.yaml").write_text(SERVE)
    check(bench.site("run", bench.folder / "serve.yaml", "--yes", "--bind", "app=app").code == 3, "the service runs")
    truth = bench.fingerprint()
    bench.site.backup("nightly")
    go_on(bench, health, truth, "resumed")
    go_on(bench, health, truth, "answered", "--answer", "healthy=retry")
    go_back(bench, health)
    go_back_in_part(bench, health)
