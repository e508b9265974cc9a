#!/usr/bin/env python3
"""R1 A PostgreSQL database of a million rows whose table was truncated and whose index was damaged is recovered while clients hammer it with
connections: content, owner, ACL and settings are as before, and the damaged database is kept under its run's name."""

import subprocess
import threading

from support.lifeboat_testing import check, environment, step_in
from support.shop_bench import RUNBOOK, shop_bench

ORDERS = 1_000_000


class Hammer:
    """Connects again and again, several at a time, whatever the answer is."""

    def __init__(self, bench, clients=4):
        self.bench, self.over = bench, threading.Event()
        self.let_in = self.turned_away = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.connect) for _ in range(clients)]

    def connect(self):
        while not self.over.is_set():
            done = subprocess.run(["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(self.bench.server.port), "-U", "postgres", "-d", "shop", "-c", "select count(*) from customers"],
                                  env=environment(self.bench.folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600, check=False)
            with self.lock:
                self.let_in += done.returncode == 0
                self.turned_away += done.returncode != 0

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def damage_index(bench):
    """Overwrites pages of an index on disk, as a bad controller would."""
    bench.server.sql("shop", "checkpoint")
    path = bench.server.root / "data" / bench.server.sql("shop", "select pg_relation_filepath('customers_name_key')")
    with open(path, "r+b") as file:
        file.seek(8192 + 64)
        file.write(b"\xa5" * 4096)


with shop_bench(ORDERS) as bench:
    truth = bench.fingerprint()
    check(truth["rows"] >= 1_000_000, f"the database holds {truth['rows']} rows")
    before = bench.databases()["shop"]
    bench.site.backup("nightly")
    bench.hit()
    damage_index(bench)
    check(bench.fingerprint()["digest"] != truth["digest"], "the database is damaged")
    with Hammer(bench) as hammer:
        ended = bench.site("run", RUNBOOK, "--yes", "--json", timeout=1800)
    check(ended.code == 0 and ended.json["verdict"] == "recovered", "the run ends recovered", ended)
    check(hammer.turned_away > 0 and hammer.let_in > 0, f"clients hammered it: {hammer.let_in} were let in, {hammer.turned_away} turned away")
    now = bench.fingerprint()
    check(now["digest"] == truth["digest"], "the fingerprint equals the one before the disaster", f"{truth}\n{now}")
    check(now["ownership"] == truth["ownership"], "owners and privileges inside the database are as before")
    after = bench.databases()
    check(after["shop"] == before, "owner, connections, limit, ACL and settings of the database are right", f"{before}\n{after['shop']}")
    kept = [name for name in after if name != "shop"]
    check(len(kept) == 1, f"exactly one other database is there: {kept}")
    token = ended.json["run"].rsplit("-", 1)[1]
    check(token in kept[0], f"the damaged database is kept under its run's name: {kept[0]}")
    check(after[kept[0]][1] == "f", "and nobody is let into it")
    check(step_in(ended.json, "assess")["outputs"] is not None, "the damage was looked at before anything was done")
