#!/usr/bin/env python3
"""R14 In the middle of a restore: the terminal is closed, and the run goes on and ends; Ctrl-C, and the run is paused and resumed. A second run
on the same target is refused with the holder's name, while the first one runs and while it is paused."""

import os
import pty

from support.lifeboat_testing import check, wait_until
from support.shop_bench import RUNBOOK, shop_bench


def start_on_terminal(site, *arguments):
    """The program with a terminal of its own that it is controlled by; returns the process and our end of the terminal."""
    ours, theirs = pty.openpty()

    def take_terminal():
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = site.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=False, preexec_fn=take_terminal)
    os.close(theirs)
    os.set_blocking(ours, False)
    return process, ours


def drain(terminal):
    try:
        while os.read(terminal, 65536):
            pass
    except (BlockingIOError, OSError):
        pass


def wait_for_load(bench, process, terminal):
    def loading():
        drain(terminal)
        return process.poll() is not None or bench.loading()

    wait_until(loading, "rows are being loaded", 300)
    check(process.poll() is None, "the restore is under way")


def check_refused(bench, run, when):
    second = bench.site("run", RUNBOOK, "--yes", "--json")
    check(second.code == 10, f"a second run on the same target is refused {when}", second)
    check(run in second.out + second.err, "the refusal names the run that holds it", second)


with shop_bench(400_000) as bench:
    truth = bench.fingerprint()
    bench.site.backup("nightly")

    bench.hit()
    earlier = set(bench.site.runs())
    process, terminal = start_on_terminal(bench.site, "run", RUNBOOK, "--yes")
    wait_for_load(bench, process, terminal)
    run = (set(bench.site.runs()) - earlier).pop()
    os.close(terminal)
    check_refused(bench, run, "while the first one runs without its terminal")
    check(process.wait(timeout=600) == 0, "without its terminal the run goes on and ends recovered")
    report = bench.site.report(run)
    check(report["verdict"] == "recovered" and len(report["lives"]) == 1, "in one life")
    check(bench.fingerprint()["digest"] == truth["digest"], "the data is as before the disaster")

    bench.hit()
    earlier = set(bench.site.runs())
    process, terminal = start_on_terminal(bench.site, "run", RUNBOOK, "--yes")
    wait_for_load(bench, process, terminal)
    run = (set(bench.site.runs()) - earlier).pop()
    os.write(terminal, b"\x03")

    def ended():
        drain(terminal)
        return process.poll() is not None

    wait_until(ended, "Ctrl-C ends the program", 120)
    os.close(terminal)
    check(process.returncode == 130, f"Ctrl-C ends the program with 130 ({process.returncode})")
    check(bench.site.journal(run)[-1]["type"] == "paused", "the journal closes with the pause")
    check(not bench.restoring(), "nothing of the interrupted step goes on")
    check_refused(bench, run, "while the first one is paused")
    resumed = bench.site("resume", "--json")
    check(resumed.code == 0 and resumed.json["run"] == run and resumed.json["verdict"] == "recovered", "it is resumed and ends recovered", resumed)
    check(bench.fingerprint()["digest"] == truth["digest"], "the data is as before the disaster")
