"""A sample of the faults, and the machine itself: it must see what is broken on purpose."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="trials are forks")
def test_a_sample_of_faults_ends_well():
    script = Path(__file__).with_name("run.py")
    run = subprocess.run(
        [sys.executable, script, "--sample", "150"], capture_output=True, text=True, timeout=600
    )
    assert run.stdout, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert not found["controls"], "the machine does not see what is broken on purpose"
    counts = found["counts"]
    bad = {name: n for name, n in counts.items() if n and name != "survived"}
    assert counts["survived"] >= 120 and not bad, run.stdout
