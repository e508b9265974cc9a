#!/usr/bin/env python3
"""A database, an SQLite file, a Redis server and a folder go encrypted to three stores, one of which dies half-way: the other two hold the
backup whole, it can be listed, shown, restored to try it, asked and fetched from them, the third one is completed when it is back, and a byte
that flips anywhere is found and named.
"""

import json
import pathlib
import secrets
import shutil
import sqlite3
import subprocess
import tarfile
import time

from support.lifeboat_testing import Postgres, Site, check, throw_away_folder, wait_until
from support.servers import Server, Sshd


def make_sources(folder, server, redis):
    server.sql("postgres", "create database shop")
    server.sql("shop", "create table orders(id int primary key, name text); insert into orders select i, md5(i::text) from generate_series(1, 20000) i")
    with sqlite3.connect(folder / "stock.db") as stock:
        stock.execute("create table parts(id integer primary key, name text)")
        stock.executemany("insert into parts(name) values (?)", ((f"part {i}",) for i in range(500)))
    config = folder / "config"
    (config / "empty").mkdir(parents=True)
    (config / "shop.conf").write_text("workers = 4\n")
    (config / "secret.conf").write_bytes(secrets.token_bytes(3_000_000))  # does not shrink
    for i in range(300):
        subprocess.run(["redis-cli", "-p", redis["REDIS_PORT"], "set", f"cart:{i}", f"value {i}"], check=True, stdout=subprocess.DEVNULL)


def flipped_bytes_are_named(site, vault):
    """`vault` is the folder of the backup in the SFTP store."""
    for path in sorted(path for path in vault.rglob("*") if path.is_file() and "notes" not in path.parts):
        name = str(path.relative_to(vault))
        good = path.read_bytes()
        for place in {0, len(good) // 2, len(good) - 1}:
            bad = bytearray(good)
            bad[place] ^= 1
            path.write_bytes(bad)
            seen = site("backup", "verify", "all", "--level", "checksummed", "--store", "nas", "--json")
            said = seen.out + seen.err
            # a manifest that is another is no manifest of this backup any more: whatever is said names it
            named = name in said or (name == "manifest.json" and "manifest" in said) or (name == "SHA256SUMS" and "manifest" in said)
            if seen.code == 0 or not named:
                check(False, f"a flipped byte {place} of {name} is found and named", str(seen))
        path.write_bytes(good)
        print(f"ok: any flipped byte of {name} is found and named", flush=True)


def main():
    with throw_away_folder() as folder, Postgres(folder, "three-stores") as server, Server("redis.sh", folder / "redis") as redis, \
            Sshd(folder / "sshd") as sshd, Server("apache_dav.sh", folder / "dav") as dav, Server("radosgw.sh", folder / "s3") as s3:
        make_sources(folder, server, redis)
        (folder / "key").write_text(secrets.token_hex(32))
        (folder / "dav.password").write_text(dav["DAV_PASSWORD"])
        (folder / "s3.key").write_text(s3["S3_KEY"])
        for name in ("key", "dav.password", "s3.key"):
            (folder / name).chmod(0o600)
        (folder / "nas").mkdir()
        site = Site(folder, {
            "shop": server.resource("shop"),
            "stock": {"type": "sqlite", "path": str(folder / "stock.db")},
            "cache": {"type": "redis", "host": "127.0.0.1", "port": int(redis["REDIS_PORT"])},
            "config": {"type": "files", "path": str(folder / "config")},
            "nas": sshd.resource(folder / "nas"),
            "dav": {"type": "webdav", "url": dav["DAV_URL"] + "/digest/backups/", "user": dav["DAV_USER"], "password": "${{ secrets.dav }}", "auth": "digest",
                    "ca_file": dav["DAV_CA"]},
            "offsite": {"type": "s3", "endpoint": s3["S3_ENDPOINT"], "bucket": s3["S3_BUCKET"], "prefix": "shop/", "access_key": s3["S3_KEY_ID"],
                        "secret_key": "${{ secrets.s3 }}", "limit": "512KiB/s"},
        }, backups={"all": {"of": ["shop", "stock", "cache", "config"], "to": ["nas", "dav", "offsite"], "format": "custom",
                            "encrypt": {"key": "${{ secrets.key }}"}, "max_age": "1d",
                            "checks": [{"on": "shop", "name": "orders", "query": "select count(*) from orders", "expect": "value == 20000"},
                                       {"on": "stock", "name": "parts", "query": "select count(*) from parts", "expect": "value == 500"}]}},
            secrets={"key": {"file": str(folder / "key")}, "dav": {"file": str(folder / "dav.password")}, "s3": {"file": str(folder / "s3.key")}})

        creating = site.start("backup", "create", "all", "--json")
        wait_until(lambda: list((pathlib.Path(dav["DAV_DATA"]) / "backups").glob("all/*/manifest.json")), "the second store has its copy", 120)
        time.sleep(0.5)  # into the third one, which takes seconds
        s3.stop()
        out, err = creating.communicate(timeout=300)
        check(creating.returncode == 1, "a backup that one store did not take says so", err.decode())
        made = json.loads(out)["outputs"]
        check(made["stores"] == ["nas", "dav"] and [each["store"] for each in made["failed"]] == ["offsite"], "the two others hold it", out.decode())

        listed = site("backup", "list", "all", "--json")
        check(listed.code == 1 and [each["store"] for each in listed.json["unread"]] == ["offsite"], "the list says which store cannot be read", str(listed))
        check(sorted(each["store"] for each in listed.json["backups"]) == ["dav", "nas"] and all(each["encrypted"] for each in listed.json["backups"]),
              "and shows the encrypted copies of the others", str(listed))
        info = site("backup", "info", "all", "--json").json
        check([component["name"] for component in info["manifest"]["components"]] == ["shop", "stock", "cache", "config"], "one backup holds all four")

        living = ("--store", "nas", "--store", "dav")
        queried = site("backup", "verify", "all", "--level", "queried", *living, "--json")
        check(queried.code == 0 and queried.json["outputs"]["level"] == "queried", "it was restored into throw-away servers and asked", str(queried))
        levels = {each["store"]: each["verified"]["level"] for each in site("backup", "list", "all", *living, "--json").json["backups"]}
        check(levels == {"nas": "queried", "dav": "queried"}, "which every machine sees in the notes", str(levels))

        down = site("backup", "complete", "all", "--json")
        check(down.code == 1 and "offsite" in down.out, "what is still down cannot be completed", str(down))
        with Server("radosgw.sh", folder / "s3-again", ports=s3.ports):
            nas = folder / "nas" / "all" / made["id"]
            good = (nas / "shop" / "shop.dump").read_bytes()
            (nas / "shop" / "shop.dump").write_bytes(bytes(reversed(good)))
            (folder / "key").rename(folder / "key.away")
            completed = site("backup", "complete", "all", "--json")
            (folder / "key.away").rename(folder / "key")
            (nas / "shop" / "shop.dump").write_bytes(good)
            check(completed.code == 0 and completed.json["outputs"]["completed"] == [{"id": made["id"], "store": "offsite"}],
                  "the store that died gets its copy when it is back, without the key", str(completed))
            verified = site("backup", "verify", "all", "--level", "readable", "--store", "offsite", "--json")
            check(verified.code == 0 and verified.json["outputs"]["level"] == "readable", "which is whole, though one source was damaged", str(verified))
            again = site("backup", "complete", "all", "--json")
            check(again.code == 0 and again.json["outputs"]["completed"] == [], "then nothing is missing", str(again))

        vault = folder / "nas" / "all" / made["id"]
        flipped_bytes_are_named(site, vault)
        check(not any(b"workers = 4" in path.read_bytes() for path in vault.rglob("*") if path.is_file()), "nothing lies in the open")

        shutil.rmtree(vault / "shop")  # the first copy is damaged now: objects are mixed from both
        fetched = site("backup", "fetch", "all", "--to", folder / "fetched", *living, "--json")
        check(fetched.code == 0, "it is fetched from whichever store has what", str(fetched))
        components = fetched.json["outputs"]["components"]
        with sqlite3.connect(components["stock"]) as stock:
            check(stock.execute("select count(*) from parts").fetchone() == (500,), "the SQLite database is there")
        with tarfile.open(components["config"]) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
            check({"shop.conf", "secret.conf", "empty"} <= names, "so is the folder", str(names))
        server.sql("postgres", "create database again")
        subprocess.run([shutil.which("pg_restore"), "--exit-on-error", f"--dbname=postgresql://postgres@127.0.0.1:{server.port}/again", components["shop"]],
                       check=True)
        check(server.sql("again", "select count(*) from orders").strip() == "20000", "and the dump restores by hand")


main()
