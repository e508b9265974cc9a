#!/usr/bin/env python3
"""The newest backup lies in Glacier, an older one at hand: the list shows it, the plan warns and predicts the hours, a run asks for it once, is
killed while it waits, and is resumed to the right bytes; who refuses to wait gets the older one.

The S3 server is a real one; the cold storage in front of it is a stand-in of ours (tests/servers/cold_storage.py).
"""

import json
import os
import pathlib
import signal
import tarfile
import time

from support.lifeboat_testing import Site, check, step_in, throw_away_folder, wait_until
from support.servers import Server


def runbook(folder, name, **arguments):
    (folder / "runbooks").mkdir(exist_ok=True)
    step = {"id": "fetch", "phase": "fetch", "uses": "backup.fetch", "with": {"backup": "config", **arguments}, "timeout": "1d"}
    (folder / "runbooks" / f"{name}.yaml").write_text(f"lifeboat: runbook/v1\nname: {name}\nsummary: Fetch the configuration\n"
                                                      "objectives: {rto: 1h}\nrequires: {config: backup}\nsteps: " + json.dumps([step]) + "\n")


def content(path):
    with tarfile.open(path) as archive:
        return archive.extractfile(next(name for name in archive.getnames() if name.endswith("shop.conf"))).read()


def main():
    with throw_away_folder() as folder, Server("radosgw.sh", folder / "s3", COLD="1") as s3:
        (folder / "s3.key").write_text(s3["S3_KEY"])
        (folder / "s3.key").chmod(0o600)
        config = folder / "etc"
        config.mkdir()
        (folder / "nas").mkdir()
        site = Site(folder, {
            "config": {"type": "files", "path": str(config)},
            "nas": {"type": "local", "path": str(folder / "nas")},
            "glacier": {"type": "s3", "endpoint": s3["S3_ENDPOINT"], "bucket": s3["S3_BUCKET"], "access_key": s3["S3_KEY_ID"], "secret_key": "${{ secrets.s3 }}",
                        "storage_class": "GLACIER", "thaw_speed": "bulk", "thaw_days": 3},
        }, backups={"config": {"of": ["config"], "to": ["glacier", "nas"]}}, secrets={"s3": {"file": str(folder / "s3.key")}})
        runbook(folder, "recover")
        runbook(folder, "hurry", archived="refuse")
        restores = folder / "s3" / "restores"

        (config / "shop.conf").write_bytes(b"older\n")
        older = site("backup", "create", "config", "--store", "nas", "--json").json["outputs"]["id"]
        second = int(time.time())
        wait_until(lambda: int(time.time()) > second, "another second, which names another backup")
        (config / "shop.conf").write_bytes(b"newer\n")
        newer = site("backup", "create", "config", "--store", "glacier", "--json").json["outputs"]["id"]

        listed = site("backup", "list", "config", "--json")
        shown = [(each["id"], each["store"], each["cold_storage"]) for each in listed.json["backups"]]
        check(shown == [(newer, "glacier", {"state": "archived", "objects": 1, "takes": "12h"}), (older, "nas", None)], "the list says what is archived", str(listed))
        text = site("backup", "list", "config")
        check("listed, archived" in text.out, "for people too", str(text))
        check("glacier     listed, archived" in site("backup", "info", "config").out, "and so does a backup in full")

        verified = site("backup", "verify", "config", "--level", "checksummed", "--json")
        check(verified.code == 1 and "lies in cold storage" in verified.out + verified.err and "verified as 'complete' only" in verified.out + verified.err,
              "it is verified as far as that goes", str(verified))
        after = site("backup", "list", "config", "--json").json["backups"][0]["verified"]
        check(after["level"] == "complete" and not after["damaged"], "and not called damaged", str(after))

        plan = site("plan", "recover", "--json")
        predicted = plan.json["predicted_rto_p50"]
        check(predicted == "12h", "the plan predicts the hours", str(plan))
        findings = [finding["message"] for finding in plan.json["findings"] if finding["kind"] == "warning"]
        check(any(f"it lies in cold storage: fetching it takes about 12h; the next one at hand is '{older}' in 'nas', " in finding for finding in findings),
              "and says which one is at hand", str(findings))
        check("predicted 12h, the objective is 1h" in findings, "and that the objective will be missed", str(findings))
        check(not restores.exists(), "nothing has been asked for so far")

        refused = site("run", "hurry", "--yes")
        check(refused.code == 3, "whoever refuses to wait", str(refused))
        outputs = step_in(site.report(site.runs()[-1]), "fetch")["outputs"]
        check(outputs["id"] == older and content(outputs["path"]) == b"older\n", "gets the older one at hand", str(outputs))
        check([(each["id"], "cold storage" in each["why"]) for each in plan_refusals(site)] == [(newer, True)], "and is told about the newer one")
        check(not restores.exists(), "for which nobody has asked")

        log = lambda run: "".join(path.read_text() for path in (folder / "state" / "runs" / run).rglob("*.log"))
        before = set(site.runs())
        running = site.start("run", "recover", "--yes")
        wait_until(restores.exists, "the archived object is asked for", 60)
        [run] = set(site.runs()) - before
        wait_until(lambda: "asked store 'glacier' for 1 archived object" in log(run), "and it is said", 60)
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        check("being thawed" in site("backup", "list", "config").out, "meanwhile the list says that it is being thawed")

        resuming = site.start("resume", run)
        wait_until(lambda: "were asked for before" in log(run), "the resumed run waits on", 60)
        (folder / "s3" / "thaw").touch()
        out, err = resuming.communicate(timeout=120)
        check(resuming.returncode == 3, "and ends when the object is there", err.decode())
        outputs = step_in(site.report(run), "fetch")["outputs"]
        check(outputs["id"] == newer and outputs["store"] == "glacier" and content(outputs["path"]) == b"newer\n", "with the newest data", str(outputs))
        asked = restores.read_text().splitlines()
        check(len(asked) == 1 and asked[0].startswith(f"/vault/config/{newer}/config/") and asked[0].endswith(" 3 Bulk"), "asked for once, as the site says", str(asked))

        fetched = site("backup", "fetch", "config", "--to", folder / "fetched", "--json")
        check(fetched.code == 0 and fetched.json["outputs"]["id"] == newer, "what was thawed is fetched at once", str(fetched))
        (folder / "s3" / "thaw").unlink()
        at_hand = site("backup", "fetch", "config", "--at-hand", "--to", folder / "at-hand", "--json")
        check(at_hand.code == 0 and at_hand.json["outputs"]["id"] == older, "by hand, too, only what is at hand can be asked for", str(at_hand))


def plan_refusals(site):
    candidates = site("plan", "hurry", "--json").json["surveys"][0]["candidates"]
    return [{"id": each["id"], "why": each["refused"]} for each in candidates if each["refused"]]


main()
