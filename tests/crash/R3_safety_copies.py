#!/usr/bin/env python3
"""R3 What a restore overwrites is kept: after restoring one backup and then another, the original can still be brought back byte for byte, from
where the report says. Where there is no room for the copy, nothing is touched.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from support.lifeboat_testing import check, throw_away_folder, skip
from support.quickstart_bench import QuickstartBench, tree

INSIDE = "LIFEBOAT_TEST_WITH_MOUNTS"
BACK = """lifeboat: runbook/v1
name: back
requires: {db: sqlite, config: files}
inputs: {database: {type: path}, folder: {type: path}}
steps:
  - {id: database, uses: sqlite.restore, with: {from: "${{ inputs.database }}", to: db}}
  - {id: folder, uses: files.restore, with: {from: "${{ inputs.folder }}", to: config}}
"""


def kept(report):
    found = {each["step"]: each["what"].removeprefix("file:") for each in report["kept"]}
    return found["restore_database"], found["restore_config"]


with throw_away_folder() as folder:
    bench = QuickstartBench(folder).make()
    original = bench.data()
    before = bench.seen_by_readers()
    bench("backup", "create", "backup")
    first = bench("run", "quickstart", "--yes", "--json")
    check(first.code == 0, "one backup is restored", first)
    (folder / "data/config/shop.conf").write_text("changed after the first restore\n")
    second = bench("run", "quickstart", "--yes", "--json")
    check(second.code == 0 and bench.seen_by_readers() == before, "then another one over it", second)
    database, config = kept(first.json)
    check({str(pathlib.Path(database).relative_to(folder / "data")), str(pathlib.Path(config).relative_to(folder / "data"))} <= set(bench.data()), "R3 the first one's safety copies stand where its report says")
    live = {name: entry for name, entry in original.items() if name.startswith("config/")}
    check({f"config/{name}": entry for name, entry in tree(pathlib.Path(config)).items()} == live, "R3 the original folder is kept as it was")
    check(tree(pathlib.Path(database).parent)[pathlib.Path(database).name] == original["shop.db"], "R3 the original database is kept as it was")
    check((pathlib.Path(kept(second.json)[1]) / "shop.conf").read_text().startswith("changed after"), "R3 and what the second one overwrote is kept as well")
    (folder / "runbooks" / "back.yaml").write_text(BACK)
    back = bench("run", "back", "--yes", "--json", "--set", f"database={database}", "--set", f"folder={config}")
    check(back.code == 3, "R3 the original is restored from there", back)
    now = bench.data()
    check({name: now[name] for name in live} == live and bench.seen_by_readers() == before, "R3 and is what it was", now)

if os.geteuid() != 0 or shutil.which("unshare") is None or subprocess.run(["unshare", "--mount", "--", "true"], check=False, capture_output=True).returncode != 0:
    skip("a full file system takes root and a mount namespace (everything else passed)")
if os.environ.get(INSIDE) != "1":
    sys.exit(subprocess.run(["unshare", "--mount", "--", sys.executable, __file__], env={**os.environ, INSIDE: "1"}, check=False).returncode)
with throw_away_folder() as folder:
    bench = QuickstartBench(folder).make()
    bench.hit()
    aside = folder / "aside"
    shutil.copytree(folder / "data", aside)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder / "data"], check=True)
    try:
        shutil.copytree(aside, folder / "data", dirs_exist_ok=True)
        shutil.rmtree(aside)
        # what is left is less than the copy takes
        free = os.statvfs(folder / "data").f_bavail * os.statvfs(folder / "data").f_frsize
        (folder / "data" / "ballast").write_bytes(bytes(max(0, free - 40_000)))
        live = bench.data()
        ended = bench("run", "quickstart", "--yes", "--json")
        check(ended.code in (4, 9), f"R3 without room for a copy the run is refused or put back ({ended.code})", ended)
        check("disk_full" in ended.out or "free space" in ended.out, "R3 and says why", ended)
        check(bench.data() == live, "R3 the live data is untouched", bench.data())
    finally:
        subprocess.run(["umount", folder / "data"], check=True)
