#!/usr/bin/env python3
"""Fetching over SFTP beside OpenSSH's sftp, curl and lftp: 1 GiB on loopback, and 256 MiB with 40 ms of round trip. Only ratios within one run
mean anything. Ours hashes (SHA-256) and writes; the others only write. Needs build/dev/tests/bench_sftp_fetch (ninja bench_sftp_fetch).

    python3 tests/bench/sftp.py [--rounds 3] [--size 1024] [--delayed-size 256] [--delay-ms 40]
"""
import argparse
import hashlib
import os
import pathlib
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
from _measure import timed  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS = os.environ.get("BENCH_SFTP_FETCH", str(ROOT / "build/dev/tests/bench_sftp_fetch"))
USER = pwd.getpwuid(os.geteuid()).pw_name


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("the server does not listen")


def random_file(path, mebibytes):
    digest = hashlib.sha256()
    with open(path, "wb") as out:
        for _ in range(mebibytes):
            block = os.urandom(1 << 20)
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


class Clients:
    def __init__(self, keys, port, folder):
        self.keys, self.port, self.folder = keys, port, folder
        self.known = keys / f"known_{port}"
        host_key = (keys / "host_ed25519.pub").read_text().split()
        self.known.write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
        self.key = keys / "user_ed25519"
        self.out = folder / "out"
        self.options = ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={self.known}", "-i", str(self.key)]

    def ours(self, transport, connections):
        return [OURS, "127.0.0.1", str(self.port), USER, str(self.key), str(self.known), transport, str(connections), str(self.folder),
                "object", str(self.out)]

    def sftp(self, cipher=None):
        batch = self.keys / "batch"
        batch.write_text(f"get {self.folder}/object {self.out}\n")
        return ["sftp", "-q", *self.options, *(["-c", cipher] if cipher else []), "-P", str(self.port), "-b", str(batch), f"{USER}@127.0.0.1"]

    def curl(self):
        return ["curl", "-sS", "-k", "--key", str(self.key), "--pubkey", f"{self.key}.pub", "-u", f"{USER}:", "-o", str(self.out),
                f"sftp://127.0.0.1:{self.port}/{self.folder}/object"]

    def lftp(self, parts=1):
        program = "ssh -a -x " + " ".join(self.options)
        get = f"pget -n {parts} -c" if parts > 1 else "get"
        return ["lftp", "-c", f'set sftp:connect-program "{program}"; set cmd:fail-exit yes; set xfer:clobber yes; '
                f"open -u {USER}, sftp://127.0.0.1:{self.port}; {get} {self.folder}/object -o {self.out}"]


def measure(title, clients, contestants, digest, rounds):
    print(f"\n{title}")
    times = {name: [] for name, _ in contestants}
    for _ in range(rounds):
        for name, argv in contestants:
            clients.out.unlink(missing_ok=True)
            seconds, _ = timed(argv)
            times[name].append(seconds)
            hashed = hashlib.sha256()
            with open(clients.out, "rb") as got:
                while block := got.read(1 << 20):
                    hashed.update(block)
            if hashed.hexdigest() != digest:
                sys.exit(f"{name} fetched something else")
    # the first of ours is what the others are held against
    first = times[contestants[0][0]]
    for name, _ in contestants:
        ratio = statistics.median(theirs / ours for theirs, ours in zip(times[name], first))
        print(f"  {name:34} {statistics.median(times[name]):7.2f} s  {ratio:5.2f} times ours")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024, help="MiB on loopback")
    parser.add_argument("--delayed-size", type=int, default=256, help="MiB through the delay")
    parser.add_argument("--delay-ms", type=int, default=40, help="round trip")
    wish = parser.parse_args()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory() as keys, tempfile.TemporaryDirectory(dir=memory) as folder:
        keys, folder = pathlib.Path(keys), pathlib.Path(folder)
        port, delayed = free_port(), free_port()
        with open(keys / "log", "w") as log:
            server = subprocess.Popen(["/bin/sh", str(ROOT / "tests/servers/sshd.sh"), str(keys), str(port)], stdout=log, stderr=log)
        proxy = None
        try:
            wait_for(port)
            digest = random_file(folder / "object", wish.size)
            clients = Clients(keys, port, folder)
            contestants = [("lifeboat, OpenSSH's client", clients.ours("program", 1)),
                           ("lifeboat, two connections", clients.ours("program", 2)),
                           ("lifeboat, libssh2", clients.ours("library", 1)),
                           ("OpenSSH sftp", clients.sftp()),
                           ("OpenSSH sftp, aes128-gcm", clients.sftp("aes128-gcm@openssh.com")),
                           ("curl sftp://", clients.curl())]
            if shutil.which("lftp"):
                contestants.append(("lftp", clients.lftp()))
            measure(f"{wish.size} MiB on loopback", clients, contestants, digest, wish.rounds)

            proxy = subprocess.Popen([sys.executable, str(ROOT / "tests/bench/_delay_proxy.py"), str(delayed), str(port),
                                      str(wish.delay_ms / 2000)], stdout=subprocess.PIPE)
            proxy.stdout.readline()
            digest = random_file(folder / "object", wish.delayed_size)
            clients = Clients(keys, delayed, folder)
            contestants = [("lifeboat, 8 connections", clients.ours("program", 8)),
                           ("lifeboat, 4 connections", clients.ours("program", 4)),
                           ("lifeboat, 1 connection", clients.ours("program", 1)),
                           ("lifeboat, libssh2, 8 connections", clients.ours("library", 8)),
                           ("lifeboat, libssh2, 1 connection", clients.ours("library", 1)),
                           ("OpenSSH sftp", clients.sftp()),
                           ("curl sftp://", clients.curl())]
            if shutil.which("lftp"):
                contestants += [("lftp", clients.lftp()), ("lftp pget -n 8", clients.lftp(8))]
            measure(f"{wish.delayed_size} MiB with {wish.delay_ms} ms of round trip", clients, contestants, digest, wish.rounds)
        finally:
            for process in (proxy, server):
                if process:
                    process.kill()
                    process.wait()


main()
