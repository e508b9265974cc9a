"""Timing of whole programs side by side in one run: wall time and peak memory of each, medians, and ratios pair by pair."""
import os
import statistics
import subprocess
import sys
import time

LIFEBOAT = os.environ.get("LIFEBOAT", "build/dev/lifeboat")
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}


def timed(argv, folder=None, expect=(0,)):
    """Seconds and peak MiB of one run; the program's output is thrown away."""
    start = time.perf_counter()
    child = subprocess.Popen(argv, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in expect:
        sys.exit(f"{argv} exited {child.returncode}: {errors.decode(errors='replace')[-2000:]}")
    return seconds, usage.ru_maxrss / 1024


def paired(first, second, rounds=5):
    """Medians of two measurements made in turn, and of their ratio."""
    a, b = [], []
    for _ in range(rounds):
        a.append(first())
        b.append(second())
    return statistics.median(a), statistics.median(b), statistics.median(x / y for x, y in zip(a, b))
