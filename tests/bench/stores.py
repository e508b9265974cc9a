#!/usr/bin/env python3
"""Fetching a backup from each kind of store beside the usual clients: one object of 1 GiB on loopback, 256 MiB with 40 ms of round trip, what encryption
costs, and the memory that it takes. Only ratios within one run mean anything. Ours is the whole of `lifeboat backup fetch`: it chooses, hashes, syncs
and checks against the manifest; the others only write.

    LIFEBOAT=build/release/lifeboat PYTHONPATH=tests python3 tests/bench/stores.py [--rounds 3] [--size 1024] [--delayed-size 256] [--delay-ms 40]
"""
import argparse
import os
import pathlib
import pwd
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.dirname(__file__))
from _measure import LIFEBOAT, timed  # noqa: E402
from support.lifeboat_testing import Site  # noqa: E402
from support.servers import Server, Sshd, free_ports  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
USER = pwd.getpwuid(os.geteuid()).pw_name


def random_file(path, mebibytes):
    with open(path, "wb") as out:
        for _ in range(mebibytes):
            out.write(os.urandom(1 << 20))


class Delay:
    """A proxy before a port of 127.0.0.1."""

    def __init__(self, port, milliseconds):
        self.port = free_ports(1)
        self.process = subprocess.Popen([sys.executable, HERE / "_delay_proxy.py", str(self.port), str(port), str(milliseconds / 2000)],
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def __enter__(self):
        return self.port

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, folder, s3, dav, sshd, wish):
        self.folder, self.s3, self.dav, self.sshd, self.wish = folder, s3, dav, sshd, wish
        self.out = folder / "out"
        for name, value in (("s3.key", s3["S3_KEY"]), ("dav.password", dav["DAV_PASSWORD"]), ("key", secrets.token_hex(32))):
            (folder / name).write_text(value)
            (folder / name).chmod(0o600)

    def site(self, delayed=None):
        """`delayed`: the ports of the proxies, by store."""
        delayed = delayed or {}
        s3, dav = self.s3, self.dav
        port = urllib.parse.urlsplit(s3["S3_ENDPOINT"]).port
        resources = {"source": {"type": "files", "path": str(self.folder / "source")},
                     "local": {"type": "local", "path": str(self.folder / "vault")},
                     "s3": {"type": "s3", "endpoint": f"http://127.0.0.1:{delayed.get('s3', port)}", "bucket": s3["S3_BUCKET"],
                            "access_key": s3["S3_KEY_ID"], "secret_key": "${{ secrets.s3 }}"},
                     "dav": {"type": "webdav", "url": dav["DAV_URL"] + "/basic/", "user": dav["DAV_USER"], "password": "${{ secrets.dav }}",
                             "ca_file": dav["DAV_CA"]}}
        known = self.folder / f"known_hosts_{delayed.get('sftp', self.sshd.port)}"
        known.write_text(self.sshd.known_hosts.read_text().replace(f":{self.sshd.port} ", f":{delayed.get('sftp', self.sshd.port)} "))
        (self.folder / "nas").mkdir(exist_ok=True)
        for name, transport in (("sftp", "program"), ("libssh2", "library")):
            resources[name] = self.sshd.resource(self.folder / "nas", transport=transport, connections=8 if delayed else 4)
            resources[name].update(port=delayed.get("sftp", self.sshd.port), known_hosts=str(known))
        stores = ["local", "s3", "dav", "sftp"]
        sets = {"plain": {"of": ["source"], "to": stores}, "sealed": {"of": ["source"], "to": ["local"], "encrypt": {"key": "${{ secrets.key }}"}},
                "again": {"of": ["source"], "to": ["local"]}, "over_libssh2": {"of": ["source"], "to": ["libssh2"]}}
        return Site(self.folder, resources, backups=sets, secrets={name: {"file": str(self.folder / file)} for name, file in
                                                                   (("s3", "s3.key"), ("dav", "dav.password"), ("key", "key"))})

    def clear(self):
        shutil.rmtree(self.out, ignore_errors=True)
        if self.out.exists():
            self.out.unlink()

    def ours(self, store, backup_set="plain"):
        return [LIFEBOAT, "backup", "fetch", backup_set, "--store", store, "--level", "checksummed", "--to", str(self.out), "--site", str(self.folder / "lifeboat.yaml")]

    def rclone(self, kind, path, streams=4, **options):
        config = self.folder / "rclone.conf"
        config.write_text("[it]\n" + f"type = {kind}\n" + "".join(f"{key} = {value}\n" for key, value in options.items()))
        return ["rclone", "--config", str(config), f"--multi-thread-streams={streams}", "--multi-thread-cutoff=64M",
                *(["--ca-cert", self.dav["DAV_CA"]] if kind == "webdav" else []), "copyto", f"it:{path}", str(self.out)]

    def rclone_s3(self, key, port=None, streams=4):
        endpoint = f"http://127.0.0.1:{port}" if port else self.s3["S3_ENDPOINT"]
        return self.rclone("s3", f"{self.s3['S3_BUCKET']}/{key}", streams, provider="Ceph", endpoint=endpoint, access_key_id=self.s3["S3_KEY_ID"],
                           secret_access_key=self.s3["S3_KEY"])

    def aws(self, key):
        return ["env", f"AWS_ACCESS_KEY_ID={self.s3['S3_KEY_ID']}", f"AWS_SECRET_ACCESS_KEY={self.s3['S3_KEY']}", "AWS_DEFAULT_REGION=us-east-1",
                "aws", "--endpoint-url", self.s3["S3_ENDPOINT"], "s3", "cp", "--only-show-errors", f"s3://{self.s3['S3_BUCKET']}/{key}", str(self.out)]

    def ssh_options(self, port):
        return ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={self.folder}/known_hosts_{port}", "-i", f"{self.sshd.folder}/user_ed25519"]

    def sftp(self, path, port):
        batch = self.folder / "batch"
        batch.write_text(f"get {path} {self.out}\n")
        return ["sftp", "-q", *self.ssh_options(port), "-P", str(port), "-b", str(batch), f"{USER}@127.0.0.1"]

    def curl(self, path, port):
        key = self.sshd.folder / "user_ed25519"
        return ["curl", "-sS", "-k", "--key", str(key), "--pubkey", f"{key}.pub", "-u", f"{USER}:", "-o", str(self.out), f"sftp://127.0.0.1:{port}/{path}"]

    def lftp(self, path, port, parts=1):
        program = "ssh -a -x " + " ".join(self.ssh_options(port))
        get = f"pget -n {parts} -c" if parts > 1 else "get"
        return ["lftp", "-c", f'set sftp:connect-program "{program}"; set cmd:fail-exit yes; set xfer:clobber yes; '
                f"open -u {USER}, sftp://127.0.0.1:{port}; {get} {path} -o {self.out}"]

    def rclone_sftp(self, path, port, streams=4):
        return self.rclone("sftp", path, streams, host="127.0.0.1", port=port, user=USER, key_file=f"{self.sshd.folder}/user_ed25519")

    def measure(self, title, contestants):
        """The first is what the others are held against."""
        times = {name: [] for name, _ in contestants}
        peaks = {name: 0 for name, _ in contestants}
        for _ in range(self.wish.rounds):
            for name, argv in contestants:
                self.clear()
                seconds, peak = timed(argv)
                times[name].append(seconds)
                peaks[name] = max(peaks[name], peak)
        first = times[contestants[0][0]]
        print(f"\n{title}\n\n| who | seconds | peak MiB | times ours |\n|---|---|---|---|")
        for name, _ in contestants:
            ratio = statistics.median(theirs / ours for theirs, ours in zip(times[name], first))
            print(f"| {name} | {statistics.median(times[name]):.2f} | {peaks[name]:.0f} | {ratio:.2f} |", flush=True)

    def on_loopback(self):
        site = self.site()
        made = site.backup("plain")["outputs"]
        over_libssh2 = site.backup("over_libssh2")["outputs"]["id"]
        key = f"plain/{made['id']}/source/source.tar"
        path = self.folder / "nas" / key
        size = f"{self.wish.size} MiB on loopback"
        self.measure(f"Local, {size}", [("lifeboat", self.ours("local")),
                                       ("cp, then openssl dgst", ["sh", "-c", f"cp {self.folder}/vault/{key} {self.out} && openssl dgst -sha256 {self.out}"])])
        self.measure(f"S3, {size}", [("lifeboat", self.ours("s3")), ("rclone", self.rclone_s3(key)), ("aws s3 cp", self.aws(key))])
        password = subprocess.run(["rclone", "obscure", "-"], input=self.dav["DAV_PASSWORD"], capture_output=True, text=True, check=True).stdout.strip()
        self.measure(f"WebDAV over TLS, {size}", [
            ("lifeboat", self.ours("dav")),
            ("rclone", self.rclone("webdav", key, url=self.dav["DAV_URL"] + "/basic/", vendor="other", user=self.dav["DAV_USER"], **{"pass": password})),
            ("curl", ["curl", "-sS", "--cacert", self.dav["DAV_CA"], "-u", f"{self.dav['DAV_USER']}:{self.dav['DAV_PASSWORD']}", "-o", str(self.out),
                      f"{self.dav['DAV_URL']}/basic/{key}"])])
        port = self.sshd.port
        self.measure(f"SFTP, {size}", [("lifeboat, OpenSSH's client", self.ours("sftp")), ("OpenSSH sftp", self.sftp(path, port)),
                                      ("curl sftp://", self.curl(path, port)), ("lftp", self.lftp(path, port)), ("rclone", self.rclone_sftp(path, port))])
        path = self.folder / "nas" / "over_libssh2" / over_libssh2 / "source" / "source.tar"
        self.measure(f"SFTP by the library, {size}", [("lifeboat, libssh2", self.ours("libssh2", "over_libssh2")), ("curl sftp://", self.curl(path, port)),
                                                     ("OpenSSH sftp", self.sftp(path, port))])

    def with_delay(self):
        s3_port = urllib.parse.urlsplit(self.s3["S3_ENDPOINT"]).port
        key = f"plain/{self.site().backup('plain')['outputs']['id']}/source/source.tar"
        with Delay(s3_port, self.wish.delay_ms) as s3, Delay(self.sshd.port, self.wish.delay_ms) as sftp:
            self.site({"s3": s3, "sftp": sftp})
            size = f"{self.wish.delayed_size} MiB with {self.wish.delay_ms} ms of round trip"
            self.measure(f"S3, {size}", [("lifeboat", self.ours("s3")), ("rclone, 8 streams", self.rclone_s3(key, s3, 8)), ("rclone", self.rclone_s3(key, s3))])
            path = self.folder / "nas" / key
            self.measure(f"SFTP, {size}", [("lifeboat, 8 connections", self.ours("sftp")), ("OpenSSH sftp", self.sftp(path, sftp)),
                                          ("lftp", self.lftp(path, sftp)), ("lftp pget -n 8", self.lftp(path, sftp, 8)),
                                          ("rclone, 8 streams", self.rclone_sftp(path, sftp, 8))])

    def encryption(self):
        """Processor time of making a backup in a directory, in the open and encrypted."""
        self.site()

        def spent(backup_set):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            _, peak = timed([LIFEBOAT, "backup", "create", backup_set, "--site", str(self.folder / "lifeboat.yaml")])
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            shutil.rmtree(self.folder / "vault" / backup_set)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak

        plain, sealed = zip(*((spent("again"), spent("sealed")) for _ in range(self.wish.rounds)))
        more = statistics.median(b[0] / a[0] for a, b in zip(plain, sealed))
        print(f"\nA backup of {self.wish.size} MiB into a directory\n\n| who | CPU seconds | peak MiB |\n|---|---|---|")
        for name, all_of in (("in the open", plain), ("encrypted", sealed)):
            print(f"| {name} | {statistics.median(each[0] for each in all_of):.2f} | {max(each[1] for each in all_of):.0f} |")
        print(f"\nencrypted takes {more:.2f} times the CPU time")

    def listing(self, count=100_000):
        """Of what another tool wrote, which states neither numbers nor digests: every object is looked at, and none is opened."""
        folder = self.folder / "many"
        (folder / "storage" / "20260201").mkdir(parents=True)
        for number in range(count):
            (folder / "storage" / "20260201" / f"picture-{number:06}.png").touch()
        Site(self.folder, {"many": {"type": "local", "path": str(folder)}},
             backups={"many": {"to": ["many"], "foreign": {"pattern": "storage/<time>/<**>", "time": "%Y%m%d", "kind": "files"}}})
        seconds, peak = timed([LIFEBOAT, "backup", "list", "many", "--json", "--site", str(self.folder / "lifeboat.yaml")])
        print(f"\nListing {count:,} objects of another tool's backup: {seconds:.2f} s, {peak:.0f} MiB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024, help="MiB on loopback")
    parser.add_argument("--delayed-size", type=int, default=256, help="MiB through the delay")
    parser.add_argument("--delay-ms", type=int, default=40, help="round trip")
    parser.add_argument("--only", choices=sorted(PARTS), action="append")
    wish = parser.parse_args()
    for name in wish.only or PARTS:
        part(name, wish)


def part(name, wish):
    """With servers of its own: the small S3 server has room for one of these sizes."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        folder = pathlib.Path(folder)
        os.chmod(folder, 0o755)
        (folder / "source").mkdir()
        random_file(folder / "source" / "file", wish.delayed_size if name == "delay" else wish.size)
        with Server("radosgw.sh", folder / "s3") as s3, Server("apache_dav.sh", folder / "dav_server") as dav, Sshd(folder / "sshd") as sshd:
            PARTS[name](Bench(folder, s3, dav, sshd, wish))


PARTS = {"loopback": Bench.on_loopback, "delay": Bench.with_delay, "encryption": Bench.encryption, "listing": Bench.listing}


main()
