"""A folder with an SQLite shop, its configuration, a backup of both, and the shipped runbook `quickstart`: cheap to copy, so that each kill
gets a world of its own. The site carries a drill's mark, so that faults are honoured."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import stat
import tempfile

from support.lifeboat_testing import check, run_program

SITE = """lifeboat: site/v1
state: state
resources:
  db:     {type: sqlite, path: data/shop.db}
  config: {type: files, path: data/config}
  vault:  {type: local, path: backups}
backups:
  backup: {of: [db, config], to: [vault]}
drill: {id: quickstart-bench, nonces: {db: none, config: none, vault: none}}
"""


class QuickstartBench:
    """Everything in it is relative to `folder`."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *words, **more):
        return run_program(words, self.folder, **more)

    def make(self, one_by_one=True):
        check_quietly(self("init", "."), 0)
        (self.folder / "lifeboat.yaml").write_text(SITE)
        (self.folder / "nonce").write_text("none\n")
        if one_by_one:  # steps side by side end in any order
            runbook = self.folder / "runbooks" / "quickstart.yaml"
            runbook.write_text(runbook.read_text().replace("\nsteps:", "\nmax_parallel: 1\nsteps:", 1))
        check_quietly(self("backup", "create", "backup"), 0)
        return self

    def hit(self):
        """The disaster: pages of the database are overwritten, the configuration is ruined."""
        with open(self.folder / "data/shop.db", "r+b") as database:
            database.seek(2 * 4096)
            database.write(bytes(6 * 4096))
        (self.folder / "data/config/features.json").unlink()
        (self.folder / "data/config/shop.conf").write_text("workers = none\n")

    @contextlib.contextmanager
    def copy(self):
        with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as path:
            shutil.copytree(self.folder, path, dirs_exist_ok=True, symlinks=True)
            yield QuickstartBench(pathlib.Path(path))

    def runs(self):
        folder = self.folder / "state" / "runs"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def journal_file(self, run=None):
        return self.folder / "state" / "runs" / (run or self.runs()[-1]) / "journal.jsonl"

    def journal(self, run=None):
        return [json.loads(line) for line in self.journal_file(run).read_bytes().split(b"\n")[:-1]]

    def steps(self, run=None):
        plan = json.loads((self.journal_file(run).parent / "plan.json").read_text())
        return [step["id"] for step in plan["draft"]["steps"]]

    def seen_by_readers(self):
        """What a reader of the live database and configuration sees: None where nothing can be opened."""
        rows = hashlib.sha256()
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.folder}/data/shop.db?mode=ro", uri=True)) as database:
                rows.update(database.execute("pragma integrity_check").fetchone()[0].encode())
                for table in ("customers", "orders"):
                    for row in database.execute(f"select * from {table} order by id"):
                        rows.update(repr(row).encode())
            found = rows.hexdigest()
        except sqlite3.DatabaseError:
            found = None
        config = self.folder / "data/config"
        return {"database": found, "config": {path.name: path.read_text() for path in sorted(config.iterdir())} if config.is_dir() else None}

    def data(self):
        return tree(self.folder / "data")


def check_quietly(ended, code):
    if ended.code != code:
        check(False, f"exit {code}", ended)


def tree(root):
    """Every file below `root` with its mode, owner and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(root))] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid, content)
    return found
