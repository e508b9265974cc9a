#!/usr/bin/env python3
"""What a recovered run replaced is kept under the run's name until `commit`, which removes exactly that: whole listings of the databases
are compared. A second commit has nothing to do; a run that has not ended, or was rolled back, has nothing to give. Report and status say
what is so before and after."""

from support.lifeboat_testing import check
from support.shop_bench import RUNBOOK, shop_bench


def listing(bench):
    """Every database of the server with its OID and all that can be set for it."""
    return {row.split("|")[0]: row for row in bench.server.sql("postgres", "select datname, oid, datdba, datallowconn, datconnlimit, datacl, datcollversion from pg_database order by 1").splitlines()}


def recover(bench, name, *options, code=0):
    """The disaster and the recovery; the run and the name of the database that it kept."""
    bench.hit()
    before = listing(bench)
    earlier = set(bench.site.runs())
    ended = bench.site("run", RUNBOOK, "--yes", "--json", *options)
    run = (set(bench.site.runs()) - earlier).pop()
    check(ended.code == code and ended.json["verdict"] == "recovered", f"{name}: recovered", ended)
    after = listing(bench)
    new = sorted(set(after) - set(before))
    check(len(new) == 1 and not set(before) - set(after), f"  one database more: {new}", f"{before}\n{after}")
    check(after[new[0]].split("|")[1] == before["shop"].split("|")[1] != after["shop"].split("|")[1], "  it is the damaged one, by its OID", f"{before}\n{after}")
    check(run.rsplit("-", 1)[1] in new[0], f"  its name is of the run {run}")
    return run, new[0]


def report(bench, run):
    text = bench.site("report", run)
    check(text.code == 0, "  the report can be read", text)
    return bench.site.report(run), text.out


with shop_bench(10_000) as bench:
    server = bench.server
    truth = bench.fingerprint()
    bench.site.backup("nightly")
    server.sql("postgres", "create database other")
    first, first_kept = recover(bench, "first")
    # names that begin or end like the kept one are somebody else's
    server.sql("postgres", f'create database "{first_kept}_too"')
    server.sql("postgres", f'create database "{first_kept[:-1]}"')
    second, second_kept = recover(bench, "second")
    check(first_kept != second_kept, "each run has a name of its own")

    told, text = report(bench, first)
    check([each["what"] for each in told["kept"]] == [f"database:shop/{first_kept}"] and told["committed"] == [], "before: the report names what is kept", told["kept"])
    check(f"`database:shop/{first_kept}`" in text and "lifeboat commit" in text, "  also to people", text)

    before = listing(bench)
    asked = bench.site("commit", first)
    check(asked.code == 2 and "--yes" in asked.err and first_kept in asked.out, "without a terminal and without --yes it is refused, and says what would go", asked)
    asked = bench.site("commit", first, "--json")
    check(asked.code == 2 and listing(bench) == before, "  nothing was removed", asked)

    ended = bench.site("commit", first, "--yes", "--json")
    check(ended.code == 0 and ended.json == {"run": first, "removed": [f"database:shop/{first_kept}"]}, "commit removes what the first run kept", ended)
    wanted = {name: row for name, row in before.items() if name != first_kept}
    check(listing(bench) == wanted, "  and nothing else", f"{wanted}\n{listing(bench)}")
    told, text = report(bench, first)
    check(told["committed"] == [f"database:shop/{first_kept}"] and told["verdict"] == "recovered", "after: the report says what was removed", told)
    check("until `lifeboat commit" not in text and "until 'lifeboat commit" not in text, "  and no more that it is kept", text)
    status = bench.site("status", first)
    check(status.code == 0 and "recovered" in status.out and "until" not in status.out, "  so does the status", status)
    journal = bench.site.journal(first)
    check(journal[-1]["type"] == "committed" and journal[-1]["removed"] == [f"database:shop/{first_kept}"], "  the journal's last record says who and what", journal[-1])

    again = bench.site("commit", first, "--yes")
    check(again.code == 0 and f"run {first} was committed before" in again.err and again.out == "", "a second commit says that there is nothing to do", again)
    again = bench.site("commit", first, "--yes", "--json")
    check(again.code == 0 and again.json == {"run": first, "removed": []} and listing(bench) == wanted, "  and does nothing", again)
    check(bench.site.journal(first) == journal, "  the journal has nothing more")

    bench.hit()
    damaged = bench.databases()
    (bench.folder / "failing.yaml").write_text(RUNBOOK.read_text().replace('expect: "value > 0"', 'expect: "value < 0"'))
    ended = bench.site("run", bench.folder / "failing.yaml", "--yes", "--json")
    check(ended.code == 4 and ended.json["kept"] == [] and bench.databases() == damaged, "a third run is rolled back and keeps nothing", ended)
    before = listing(bench)
    ended = bench.site("commit", ended.json["run"], "--yes", "--json")
    check(ended.code in (0, 2) and listing(bench) == before, "  a commit of it removes nothing", ended)
    ended = bench.site("commit", "--yes", "--json")
    check(ended.code == 0 and ended.json == {"run": second, "removed": [f"database:shop/{second_kept}"]}, "a commit without a name is that of the last recovered run", ended)
    wanted = {name: row for name, row in before.items() if name != second_kept}
    check(listing(bench) == wanted, "  and removes exactly what that one kept", f"{wanted}\n{listing(bench)}")

    # the check of the health fails behind the line: the run is paused
    text = RUNBOOK.read_text().replace('url: "${{ resources.app.health_url }}", status: 200, within: 2m', 'url: "${{ resources.app.health_url }}", status: 404, within: 1s')
    (bench.folder / "pausing.yaml").write_text(text)
    earlier = set(bench.site.runs())
    paused = bench.site("run", bench.folder / "pausing.yaml", "--yes", "--json")
    run = (set(bench.site.runs()) - earlier).pop()
    check(paused.code == 6 and paused.json["verdict"] == "paused", "a fourth run is paused behind the line", paused)
    before, journal = listing(bench), bench.site.journal(run)
    for options in ((), ("--yes",), ("--yes", "--json")):
        refused = bench.site("commit", run, *options)
        check(refused.code == 2 and "has not ended" in refused.err + refused.out, f"  a commit of it is refused {' '.join(options)}", refused)
    check(listing(bench) == before and bench.site.journal(run) == journal, "  nothing was removed, nothing was written")
    abandoned = bench.site("abandon", run, "--json")
    check(abandoned.code == 1 and abandoned.json["verdict"] == "aborted", "abandoned, it has ended", abandoned)
    kept = [each["what"] for each in abandoned.json["kept"]]
    check(len(kept) == 1, f"  its report names what is kept: {kept}")
    ended = bench.site("commit", run, "--yes", "--json")
    check(ended.code == 0 and ended.json["removed"] == kept, "  and can be committed by its name", ended)
    gone = kept[0].rsplit("/", 1)[1]
    check(listing(bench) == {name: row for name, row in before.items() if name != gone}, "  which removes exactly that", f"{before}\n{listing(bench)}")
    check(bench.fingerprint()["digest"] == truth["digest"], "the live database is whole")
