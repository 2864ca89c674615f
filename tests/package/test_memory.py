"""The tests of `memory_limits.py`, in a process of their own: one that memory has failed once may
not be relied on afterwards.
"""

import os
import subprocess
import sys
from pathlib import Path


def test_where_memory_does_not_suffice():
    tests = Path(__file__).with_name("memory_limits.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, tests], capture_output=True, text=True, timeout=600, env=environment
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout or " skipped" in run.stdout
