#!/usr/bin/env python3
"""cold_storage.py PORT UPSTREAM DIR: a stand-in of ours, no product, for the cold storage of Amazon S3. It passes every request on to a real
S3 server at UPSTREAM, which checks its signature and keeps the objects with their storage class, and adds what that server does not know: an
object of the class GLACIER or DEEP_ARCHIVE is not given out until it was restored, and says so in its headers.

A restore ends when the file DIR/thaw exists. DIR/restores gets a line for each restore that was accepted: "<path> <days> <tier>".
"""

import http.client
import http.server
import pathlib
import re
import sys
import threading

PORT, UPSTREAM, FOLDER = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
COLD = ("GLACIER", "DEEP_ARCHIVE")
HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}
asked = set()
lock = threading.Lock()


def is_thawed(path):
    return path in asked and (FOLDER / "thaw").exists()


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def upstream(self, method, body=b""):
        line = http.client.HTTPConnection("127.0.0.1", UPSTREAM, timeout=60)
        line.putrequest(method, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP:
                line.putheader(name, value)
        line.endheaders(body)
        response = line.getresponse()
        content = response.read()
        line.close()
        return response, content

    def reply(self, status, headers, content, length=None):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP and name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)) if length is None else length)
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, status, word):
        self.reply(status, [("Content-Type", "application/xml")], f"<Error><Code>{word}</Code></Error>".encode())

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if self.command == "POST" and query.startswith("restore"):
            return self.restore(path, body)
        response, content = self.upstream(self.command, body)
        headers = response.getheaders()
        cold = response.getheader("x-amz-storage-class") in COLD
        if cold and self.command in ("GET", "HEAD") and response.status in (200, 206):
            if self.command == "GET" and not is_thawed(path):
                return self.refuse(403, "InvalidObjectState")
            if path in asked:
                ended = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2090 00:00:00 GMT"'
                headers.append(("x-amz-restore", ended if is_thawed(path) else 'ongoing-request="true"'))
        self.reply(response.status, headers, content, response.getheader("Content-Length") if self.command == "HEAD" else None)

    def restore(self, path, body):
        # the real server knows whether the request may be made; what it answers then is that it cannot do it
        response, content = self.upstream("POST", body)
        if response.status in (401, 403):
            return self.reply(response.status, response.getheaders(), content)
        with lock:
            if path in asked:
                return self.refuse(409, "RestoreAlreadyInProgress") if not is_thawed(path) else self.reply(200, [], b"")
            asked.add(path)
            days = re.search(rb"<Days>(\d+)</Days>", body).group(1).decode()
            tier = re.search(rb"<Tier>(\w+)</Tier>", body).group(1).decode()
            with open(FOLDER / "restores", "a") as file:
                file.write(f"{path} {days} {tier}\n")
        self.reply(202, [], b"")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Front).serve_forever()
