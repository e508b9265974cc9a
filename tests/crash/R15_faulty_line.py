#!/usr/bin/env python3
"""R15: between lifeboat and a real web server stands a proxy that cuts, stalls, slows, corrupts, ignores ranges, answers with errors, and replaces the
object in mid-transfer. A fetch gives exactly one version's bytes or an error that says what it was, in bounded time; and a fetch that was killed
goes on without fetching what it has.
"""

import hashlib
import http.client
import http.server
import os
import pathlib
import secrets
import signal
import threading
import time

from support.lifeboat_testing import Site, check, run_program, throw_away_folder, wait_until
from support.servers import Server

SIZE = 24 << 20
LIMIT = 90


class Line(http.server.ThreadingHTTPServer):
    """`fault(handler, response, body)` decides what becomes of an answer for the big object; `times` how often."""

    daemon_threads = True

    def __init__(self, origin):
        self.origin, self.fault, self.times, self.served, self.closing = origin, None, 0, 0, False
        self.guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take_fault(self):
        with self.guard:
            if self.fault is None or self.times == 0:
                return None
            self.times -= 1
            return self.fault

    def handle_error(self, *_):
        pass  # a client that goes away is what is tested


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        big = self.path.endswith("/blob.tar")
        fault = self.server.take_fault() if big and self.command == "GET" else None
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        if fault == "ignore ranges":
            headers = {name: value for name, value in headers.items() if name.lower() not in ("range", "if-range", "if-match")}
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Content-Length", "0")
            if fault in (429, 503):
                self.send_header("Retry-After", "1")
            self.end_headers()
            return
        line = http.client.HTTPConnection(self.server.origin, timeout=60)
        line.request(self.command, self.path, headers=headers)
        answer = line.getresponse()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:  # a page of the server's: in one piece
            page = answer.read()
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
            return
        self.end_headers()
        sent = 0
        while self.command != "HEAD" and (piece := answer.read(1 << 16)):
            if fault == "cut" and sent > 1 << 20:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            if fault == "stall" and sent > 1 << 20:
                deadline = time.monotonic() + 30
                while not self.server.closing and time.monotonic() < deadline:
                    time.sleep(0.05)
                self.close_connection = True
                return
            if fault == "slow":
                time.sleep(0.02)
            if fault == "corrupt" and sent == 0:
                piece = bytes([piece[0] ^ 1]) + piece[1:]
            if callable(fault) and sent > 1 << 20:
                fault()
                fault = None
            self.wfile.write(piece)
            sent += len(piece)
            if big:
                with self.server.guard:
                    self.server.served += len(piece)

    do_HEAD = do_GET


def main():
    with throw_away_folder() as folder, Server("nginx.sh", folder / "nginx") as nginx:
        line = Line(nginx["HTTP_URL"].removeprefix("http://"))
        (folder / "blob").mkdir()
        (folder / "blob" / "random").write_bytes(secrets.token_bytes(SIZE))
        data = pathlib.Path(nginx["HTTP_DATA"])

        def site_with(**more):
            return Site(folder, {"blob": {"type": "files", "path": str(folder / "blob")}, "disk": {"type": "local", "path": str(data)},
                                 "mirror": {"type": "http", "url": f"http://127.0.0.1:{line.server_port}/json/", "stall": "2s", **more}},
                        backups={"all": {"of": ["blob"], "to": ["disk", "mirror"]}})

        site = site_with()
        made = site("backup", "create", "all", "--store", "disk", "--json")
        check(made.code == 0, "a backup is made", str(made))
        stored = data / "all" / made.json["outputs"]["id"] / "blob" / "blob.tar"
        good = stored.read_bytes()
        digest = hashlib.sha256(good).hexdigest()

        def put_back():
            stored.write_bytes(good)
            os.utime(stored, (time.time() - 3600,) * 2)  # what is a second old has no version to be bound to

        put_back()

        (folder / "other").write_bytes(secrets.token_bytes(len(good)))

        def replace():
            os.replace(folder / "other", stored)

        once, always = 1, 1_000_000
        cases = [("nothing", None, 0, True), ("cut once", "cut", once, True), ("cut each time", "cut", always, True), ("stalled once", "stall", once, True),
                 ("slow", "slow", always, True), ("corrupted once", "corrupt", once, None), ("corrupted each time", "corrupt", always, False),
                 ("ranges ignored", "ignore ranges", always, None), ("replaced in mid-transfer", replace, once, False)]
        for status, heals in ((403, None), (404, None), (412, None), (416, None), (429, True), (500, True), (503, True)):
            cases += [(f"{status} once", status, once, heals), (f"{status} each time", status, always, False)]
        for number, (what, fault, times, wanted) in enumerate(cases):
            line.fault, line.times = fault, times
            to = folder / f"to{number}"
            begun = time.monotonic()
            ended = run_program(["backup", "fetch", "all", "--store", "mirror", "--to", to, "--json", "--site", site.file], folder, timeout=LIMIT)
            line.fault = None
            arrived = list(to.glob("*/blob/blob.tar"))
            right = len(arrived) == 1 and hashlib.sha256(arrived[0].read_bytes()).hexdigest() == digest
            if ended.code == 0:
                holds, how = right and wanted is not False, "the right bytes"
            else:
                holds, how = not arrived and "error" in ended.out + ended.err and ended.code != 70 and wanted is not True, "an error"
            check(holds, f"{what}: {how} after {time.monotonic() - begun:.1f} s", str(ended))
            put_back()

        line.closing = True
        slow = site_with(limit="4MiB/s")
        to = folder / "resumed"
        fetching = slow.start("backup", "fetch", "all", "--store", "mirror", "--to", to)
        part = wait_until(lambda: next((path for path in to.glob("*.part") if path.stat().st_size > 9 << 20), None), "nine MiB are there", 60)
        os.killpg(fetching.pid, signal.SIGKILL)
        fetching.communicate()
        kept = part.stat().st_size
        time.sleep(0.2)
        line.served = 0
        ended = site_with()("backup", "fetch", "all", "--store", "mirror", "--to", to)
        arrived = next(to.glob("*/blob/blob.tar"))
        check(ended.code == 0 and hashlib.sha256(arrived.read_bytes()).hexdigest() == digest, "a fetch that was killed goes on", str(ended))
        check(line.served <= len(good) - kept, f"and fetches {line.served} bytes of {len(good)}, having {kept}")


main()
