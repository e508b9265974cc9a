#!/usr/bin/env python3
"""The drill of a damaged PostgreSQL database with its sweeps: killed at the records of its journal, each step failed in turn. A sample
by default, everything with LIFEBOAT_DEEP=1."""

import os

from support.lifeboat_testing import SOURCE, check_drill, postgres_programs, skip

if postgres_programs() is None:
    skip("PostgreSQL is not installed")
options = ["--full"] if os.environ.get("LIFEBOAT_DEEP") == "1" else []
check_drill(SOURCE / "drills" / "database-corruption.yaml", *options, timeout=4 * 3600)
