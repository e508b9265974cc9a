#!/usr/bin/env python3
"""The quickstart's drill with its sweeps: killed at the records of its journal, each step failed in turn. LIFEBOAT_DEEP=1 kills at both
sides of every record."""

import os

from support.lifeboat_testing import SOURCE, check_drill

options = ["--full"] if os.environ.get("LIFEBOAT_DEEP") == "1" else []
check_drill(SOURCE / "drills" / "quickstart.yaml", *options)
