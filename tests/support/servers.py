"""Servers of tests/servers/ for the tests of the real program: started in a folder, on loopback, ended with their whole process group."""

import os
import pathlib
import random
import signal
import socket
import subprocess

from support.lifeboat_testing import SOURCE, check, skip, wait_until


def free_ports(count):
    """The first of so many ports that are free at this moment."""
    for _ in range(1000):
        first = random.randrange(20000, 60000)
        taken = []
        try:
            for port in range(first, first + count):
                probe = socket.socket()
                taken.append(probe)
                probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for probe in taken:
                probe.close()
    check(False, "there are free ports")


class Server:
    """`values` are the NAME=value lines that the script prints. `ports`: the first of its ports, to be where another one was. The test is
    skipped where its packages are missing."""

    def __init__(self, script, folder, ports=None, **variables):
        path = SOURCE / "tests" / "servers" / script
        missing = subprocess.run([path, "--missing"], capture_output=True, text=True).stdout.strip()
        if missing:
            skip(f"{script} needs {missing}")
        self.ports = ports or free_ports(20)
        self.process = subprocess.Popen([path, str(folder), str(self.ports)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **variables}, start_new_session=True)
        self.values = {}
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
            name, _, value = line.rstrip("\n").partition("=")
            self.values[name] = value
        check(False, f"{script} starts", (pathlib.Path(folder) / "out.txt").read_text()[-2000:])

    def __getitem__(self, name):
        return self.values[name]

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Sshd:
    """An SSH server that lets the calling user in with one key."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if not os.access("/usr/sbin/sshd", os.X_OK):
            skip("openssh-server is not installed")
        self.port = free_ports(1)
        self.process = subprocess.Popen([SOURCE / "tests" / "servers" / "sshd.sh", str(folder), str(self.port)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(str(folder) + ".log", "wb"), start_new_session=True)
        wait_until(self.speaks, "the SSH server answers")
        kind, key = (self.folder / "host_ed25519.pub").read_text().split()[:2]
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def speaks(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                return line.recv(4) == b"SSH-"
        except OSError:
            return False

    def resource(self, path, **more):
        import pwd

        return {"type": "sftp", "host": "127.0.0.1", "port": self.port, "user": pwd.getpwuid(os.getuid()).pw_name, "path": str(path),
                "key": str(self.folder / "user_ed25519"), "known_hosts": str(self.known_hosts), **more}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
