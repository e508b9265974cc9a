#!/usr/bin/env python3
"""A folder, the objects of an S3 bucket and a program's output are backed up night after night: what has not changed is stored once, every night
comes back as it was, also by hand, and retention never takes what a kept night builds on."""

import json
import pathlib
import secrets
import subprocess
import tarfile

from support.lifeboat_testing import Site, check, throw_away_folder
from support.servers import Server


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def archived(path):
    with tarfile.open(path) as archive:
        return {member.name.removeprefix("./"): archive.extractfile(member).read() for member in archive.getmembers() if member.isfile()}


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def put(s3, folder, key, content):
    """By way of lifeboat's neighbour, so that the bucket is what a stranger filled."""
    (folder / "object").write_bytes(content)
    subprocess.run(["curl", "--fail", "--silent", "--show-error", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{s3['S3_KEY_ID']}:{s3['S3_KEY']}",
                    "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "--upload-file", folder / "object",
                    f"{s3['S3_ENDPOINT']}/{s3['S3_BUCKET']}/uploads/{key}"], check=True)


def main():
    with throw_away_folder() as folder, Server("radosgw.sh", folder / "s3") as s3:
        config = folder / "config"
        (config / "cache").mkdir(parents=True)
        (config / "app.conf").write_text("port = 80\n")
        (config / "large.bin").write_bytes(secrets.token_bytes(2_000_000))  # does not shrink
        (config / "cache" / "page").write_text("can be made again")
        (config / "draft.tmp").write_text("nobody wants this")
        put(s3, folder, "pictures/1.png", b"one" * 100_000)
        put(s3, folder, "pictures/2.png", b"two" * 100_000)
        (folder / "s3.key").write_text(s3["S3_KEY"])
        (folder / "s3.key").chmod(0o600)
        for name in ("nas", "usb"):
            (folder / name).mkdir()
        site = Site(folder, {
            "config": {"type": "files", "path": str(config)},
            "uploads": {"type": "s3", "endpoint": s3["S3_ENDPOINT"], "bucket": s3["S3_BUCKET"], "prefix": "uploads/", "access_key": s3["S3_KEY_ID"],
                        "secret_key": "${{ secrets.s3 }}"},
            "directory": {"type": "output", "command": ["sh", "-c", "echo dn: dc=shop; echo $EXTRA"], "environment": {"EXTRA": "o: shop"}},
            "nas": {"type": "local", "path": str(folder / "nas")},
            "usb": {"type": "local", "path": str(folder / "usb")},
        }, backups={"nightly": {"of": ["config", "uploads", "directory"], "to": ["nas", "usb"], "exclude": ["*.tmp", "cache/"], "compress": "zstd",
                                "incremental": {"full_every": "7d"}, "max_size": "50MiB", "retain": {"last": 1}}},
            secrets={"s3": {"file": str(folder / "s3.key")}})

        nights = []

        def night():
            made = site.backup("nightly")["outputs"]
            files = tree(config)
            nights.append((made["id"], {name: content for name, content in files.items() if not name.endswith(".tmp") and not name.startswith("cache/")}))
            return made

        night()
        (config / "app.conf").write_text("port = 8080\n")
        put(s3, folder, "pictures/3.png", b"three")
        night()
        (config / "app.conf").unlink()
        (config / "new.conf").write_text("new = yes\n")
        put(s3, folder, "pictures/1.png", b"uno")
        made = night()

        first, *later = (size_of(folder / "nas" / "nightly" / backup) for backup, _ in nights)
        check(all(each < first / 10 for each in later), "a night costs what has changed", f"{first} {later}")
        info = site("backup", "info", "nightly", "--json").json["manifest"]
        check(info["parent"] == nights[1][0], "the last builds on the one before", json.dumps(info))
        for backup, files in nights:
            fetched = site("backup", "fetch", "nightly", "--id", backup, "--to", folder / "fetched", "--json")
            check(fetched.code == 0, f"{backup} is fetched", str(fetched))
            check(archived(fetched.json["outputs"]["components"]["config"]) == files, f"the folder of {backup} is as it was")
        components = fetched.json["outputs"]["components"]
        check(archived(components["uploads"]) == {"pictures/1.png": b"uno", "pictures/2.png": b"two" * 100_000, "pictures/3.png": b"three"},
              "and so are the objects of the bucket")
        check(pathlib.Path(components["directory"]).read_text() == "dn: dc=shop\no: shop\n", "and what the program said")

        verified = site("backup", "verify", "nightly", "--level", "restored", "--json")
        check(verified.code == 0 and verified.json["outputs"]["level"] == "restored", "the chain is verified as one", str(verified))
        pruned = site("backup", "prune", "nightly", "--confirm", "--json")
        check(pruned.code == 0 and all((folder / "nas" / "nightly" / backup / "manifest.json").is_file() for backup, _ in nights),
              "retention keeps what the newest builds on", str(pruned))

        layer = next((folder / "nas" / "nightly" / nights[0][0] / "config").glob("*.tar"))
        bad = bytearray(layer.read_bytes())
        bad[len(bad) // 2] ^= 1
        layer.write_bytes(bad)
        broken = site("backup", "verify", "nightly", "--id", made["id"], "--store", "nas", "--level", "checksummed", "--json")
        check(broken.code != 0 and layer.name in broken.out + broken.err, "a flipped byte of a layer is found in the backup that needs it", str(broken))
        mended = site("backup", "fetch", "nightly", "--to", folder / "mended", "--json")
        check(mended.code == 0 and archived(mended.json["outputs"]["components"]["config"]) == nights[-1][1], "the other store's copy is taken", str(mended))
        check(not night().get("failed") and "parent" not in site("backup", "info", "nightly", "--json").json["manifest"],
              "the next night builds on nothing that is damaged")

        by_hand = subprocess.run(["sh", "-c", "sha256sum --quiet -c SHA256SUMS && zstd -dcf directory/directory.out"], capture_output=True, text=True,
                                 cwd=folder / "usb" / "nightly" / made["id"])
        check(by_hand.returncode == 0 and by_hand.stdout == "dn: dc=shop\no: shop\n", "all of it can be had by hand", by_hand.stderr)


main()
