"""A PostgreSQL shop with a service in front of it, its backup, and the shipped runbook `database-corruption` bound to them."""

import contextlib
import os
import pathlib
import signal
import sys

from support.lifeboat_testing import SOURCE, Postgres, Site, check, free_port, step_in, throw_away_folder

RUNBOOK = SOURCE / "runbooks" / "database-corruption.yaml"
FINGERPRINT = """lifeboat: runbook/v1
name: fingerprint
requires: {db: postgres}
steps: [{id: now, uses: sql.fingerprint, with: {database: db}}]
"""


class ShopBench:
    def __init__(self, folder, server, orders):
        self.folder, self.server = folder, server
        port = free_port()
        app = folder / "app"
        app.mkdir()
        self.pid_file = app / "app.pid"
        self.site = Site(
            folder,
            {"shop": server.resource("shop"), "vault": {"type": "local", "path": str(folder / "vault")},
             "app": {"type": "command", "start": [sys.executable, str(SOURCE / "drills" / "fixtures" / "app.py"), str(port), "127.0.0.1", str(server.port)],
                     "pid_file": str(self.pid_file), "log": str(app / "app.log"), "health_url": f"http://127.0.0.1:{port}/health"},
             "oncall": {"type": "outbox", "path": str(folder / "messages.jsonl")}},
            backups={"nightly": {"of": ["shop"], "to": ["vault"]}},
            bindings={"database-corruption": {"db": "shop", "app": "app", "backup": "nightly", "oncall": "oncall"}, "fingerprint": {"db": "shop"}})
        server.sql("postgres", "create database shop")
        server.psql("shop", "-f", SOURCE / "drills" / "fixtures" / "shop.sql")
        if orders > 10000:
            server.sql("shop", "insert into orders (customer_id, status, cents, placed_at, note)"
                               " select 1 + i % 500, 'paid', i % 100000, timestamptz '2026-01-08 00:00:00Z' + i * interval '1 second',"
                               f" 'order number ' || i from generate_series(10001, {orders}) i")
        (folder / "fingerprint.yaml").write_text(FINGERPRINT)

    def fingerprint(self):
        ended = self.site("run", self.folder / "fingerprint.yaml", "--yes", "--json")
        check(ended.code == 3, "the database can be fingerprinted", ended)  # nothing is proven by that: unverified
        return step_in(ended.json, "now")["outputs"]

    def databases(self):
        """Per database: owner, whether it lets people in, its limit, ACL and settings."""
        rows = self.server.sql("postgres", "select d.datname, r.rolname, d.datallowconn, d.datconnlimit, coalesce((select string_agg(a::text, ' ' order by a::text) from unnest(d.datacl) a), ''),"
                                           " coalesce((select string_agg(case when s.setrole = 0 then '' else s.setrole::regrole::text end || s.setconfig::text, ' ' order by s.setrole::regrole::text)"
                                           " from pg_db_role_setting s where s.setdatabase = d.oid), '')"
                                           " from pg_database d join pg_roles r on r.oid = d.datdba where not d.datistemplate and d.datname <> 'postgres' order by 1")
        return {row.split("|")[0]: row.split("|")[1:] for row in rows.splitlines()}

    def hit(self):
        """The disaster: a table is emptied, an index does not count any more."""
        self.server.sql("shop", "truncate orders cascade")
        self.server.sql("shop", "update pg_index set indisvalid = false where indexrelid = 'orders_by_customer'::regclass")

    def restoring(self):
        """Process ids of pg_restore under way on this server."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"pg_restore") and any(str(self.server.port).encode() in word for word in words):
                    found.append(int(entry.name))
        return found

    def loading(self):
        """Whether rows of orders are being copied into a database beside at this moment."""
        return self.server.sql("postgres", "select count(*) from pg_stat_activity where query ilike 'copy %orders%' and datname <> 'shop' and state = 'active'") != "0"

    def hold_loaders(self, but=frozenset()):
        """Stops pg_restore in the middle of the rows of orders: its process ids, or nothing when there is none `but` the known ones. SIGCONT lets them go on."""
        held = [pid for pid in self.restoring() if pid not in but]
        for pid in held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        if held and self.loading():
            return held
        for pid in held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return []


@contextlib.contextmanager
def shop_bench(orders):
    with throw_away_folder() as folder, Postgres(folder, "test-of-lifeboat") as server:
        bench = ShopBench(folder, server, orders)
        try:
            yield bench
        finally:
            with contextlib.suppress(OSError, ValueError, IndexError):
                os.killpg(int(bench.pid_file.read_text().split()[0]), signal.SIGKILL)
