"""A hundred tasks through one coordinator: it does not grow with them. `benchmarks/soak.py` does it with a thousand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


def test_a_hundred_tasks_leave_a_coordinator_as_it_was(tmp_path: Path) -> None:
    command = [sys.executable, str(SOAK), "--tasks", "100", "--files", "50", "--location", str(tmp_path), "--json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["failures"] == []
    assert figures["landed"] == 100
    assert figures["peak_rss_mib"] < 120
