"""What the tests of the real program share: throw-away folders and servers, sites, runs, bounded waits.

LIFEBOAT names the program. A test is a Python program of its own: it prints what it checks and exits 0, 1, or 77 when something that
it needs is not here.
"""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
LIFEBOAT = os.environ.get("LIFEBOAT") or str(SOURCE / "build" / "dev" / "lifeboat")
LIMIT = 600


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


if not os.access(LIFEBOAT, os.X_OK):
    skip(f"LIFEBOAT does not name the program ('{LIFEBOAT}')")
LIFEBOAT = os.path.realpath(LIFEBOAT)


def check(holds, what, details=""):
    """One line for each thing that is checked; the first one that is not so ends the test."""
    if holds:
        print(f"ok: {what}", flush=True)
        return
    print(f"FAILED: {what}" + (f"\n{details}" if details else ""), flush=True)
    sys.exit(1)


def wait_until(condition, what, seconds=60.0):
    """The first true value of `condition`, asked again and again; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            check(False, f"{what} (waited for {seconds:g} s)")
        time.sleep(0.01)


@contextlib.contextmanager
def throw_away_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-test-"))
    os.chmod(folder, 0o711)  # servers that run as another user have to pass
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(folder, **more):
    clean = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    clean.update({name: str(value) for name, value in more.items()})
    return clean


def is_alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


class Ended:
    """How a program ended. `json` is what it printed, where it printed JSON."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"exit {self.code}\nstdout: {self.out[-4000:]}\nstderr: {self.err[-4000:]}"


def run_program(arguments, folder, fault=None, timeout=LIMIT, cwd=None, **more):
    if fault:
        more["LIFEBOAT_FAULT"] = fault
    process = subprocess.Popen([LIFEBOAT, *map(str, arguments)], cwd=cwd or folder, env=environment(folder, **more), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        check(False, f"'lifeboat {' '.join(map(str, arguments))}' ends within {timeout} s", err.decode("utf-8", "replace"))
    return Ended(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


class Site:
    """A site file of its own in `folder`, and its runs. With `nonces` it carries a drill's mark, so that faults are honoured."""

    def __init__(self, folder, resources, backups=None, bindings=None, secrets=None, nonces=None):
        self.folder = folder
        self.file = folder / "lifeboat.yaml"
        document = {"lifeboat": "site/v1", "state": str(folder / "state"), "resources": resources}
        for key, value in (("backups", backups), ("bindings", bindings), ("secrets", secrets)):
            if value:
                document[key] = value
        if nonces is not None:
            document["drill"] = {"id": "test", "nonces": nonces}
        self.file.write_text("".join(f"{key}: {value if key == 'lifeboat' else json.dumps(value)}\n" for key, value in document.items()))

    def __call__(self, *arguments, **more):
        return run_program([*arguments, "--site", self.file], self.folder, **more)

    def start(self, *arguments, fault=None, **options):
        """In the background; the caller waits for it."""
        more = {"LIFEBOAT_FAULT": fault} if fault else {}
        return subprocess.Popen([LIFEBOAT, *map(str, arguments), "--site", str(self.file)], cwd=self.folder, env=environment(self.folder, **more),
                                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True, **options})

    def runs(self):
        folder = self.folder / "state" / "runs"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def journal(self, run):
        try:
            lines = (self.folder / "state" / "runs" / run / "journal.jsonl").read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines[:-1]]  # what is behind the last newline was never promised

    def plan(self, run):
        return json.loads((self.folder / "state" / "runs" / run / "plan.json").read_text())

    def report(self, run):
        ended = self("report", run, "--json")
        check(ended.code == 0, f"the report of {run} can be read", ended)
        return ended.json

    def backup(self, name):
        ended = self("backup", "create", name, "--json")
        check(ended.code == 0, f"a backup of '{name}' is made", ended)
        return ended.json


def step_in(report, step):
    return next(each for each in report["steps"] if each["id"] == step)


def postgres_programs():
    """Where initdb, pg_ctl and postgres of the newest version are, or None."""
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    return versions[-1].parent if versions else None


class Postgres:
    """A cluster on loopback that shows `nonce` as its cluster_name; trusted users, no durability."""

    def __init__(self, folder, nonce, settings=()):
        programs = postgres_programs()
        if programs is None or shutil.which("psql") is None:
            skip("PostgreSQL is not installed")
        self.nonce, self.port, self.user = nonce, free_port(), "postgres"
        self.root = folder / "cluster"
        self.root.mkdir(mode=0o700)
        self.prefix = []
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.root, account.pw_uid, account.pw_gid)
            self.prefix = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        data = self.root / "data"
        subprocess.run([*self.prefix, programs / "initdb", "-D", data, "-U", self.user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"],
                       cwd=self.root, env=environment(self.root), check=True, stdout=subprocess.DEVNULL, timeout=120)
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": self.root, "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
                   "max_connections": "80", "max_wal_size": "4GB", "cluster_name": nonce, "port": self.port, **dict(settings)}
        arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        self.log = open(folder / "postgres.log", "ab")
        self.process = subprocess.Popen([*self.prefix, programs / "postgres", "-D", data, *arguments], cwd=self.root, env=environment(self.root),
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        wait_until(lambda: (data / "postmaster.pid").exists() and "ready" in (data / "postmaster.pid").read_text(), "the server is ready")

    def resource(self, database, **more):
        return {"type": "postgres", "host": "127.0.0.1", "port": self.port, "database": database, "user": self.user, **more}

    def psql(self, database, *arguments, check_it=True, **options):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", database, *map(str, arguments)],
                              env=environment(self.root), capture_output=True, text=True, timeout=LIMIT, **options)
        if check_it:
            check_quietly(done.returncode == 0, f"psql {arguments}: {done.stderr}")
        return done

    def sql(self, database, statement):
        """The output of one statement, a row a line, '|' between the columns."""
        return self.psql(database, "-c", statement).stdout.strip()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def check_quietly(holds, what):
    if not holds:
        check(False, what)


def run_drill(drill, *options, timeout=3600):
    """`lifeboat drill` with its JSON; the sandbox is made in a folder of its own, and nothing may be left there."""
    with throw_away_folder() as folder:
        ended = run_program(["drill", drill, "--json", *options], folder, timeout=timeout, TMPDIR=folder)
        left = sorted(path.name for path in folder.glob("lifeboat-drill-*"))
        return ended, left


def check_drill(drill, *options, timeout=3600):
    """Every case of the drill has passed; prints them."""
    ended, left = run_drill(drill, *options, timeout=timeout)
    try:
        result = ended.json
    except ValueError:
        check(False, f"the drill {drill} tells its result", ended)
    failed = [case for case in result["cases"] if case["outcome"] in ("failed", "error")]
    for case in result["cases"]:
        print(f"  {case['outcome']}: {case['name']} ({case['seconds']:.1f} s)")
    details = "\n".join(f"{case['name']}:\n  {case['message']}\n  {case['output']}" for case in failed)
    check(not failed, f"all {len(result['cases'])} cases of {drill} pass", details)
    check(ended.code == 0 and result["verdict"] == "as_expected", f"{drill} is as expected", ended)
    check(not left, f"nothing of the sandbox is left: {left}")
    return result
