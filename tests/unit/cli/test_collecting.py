"""Imports are spared the search for garbage, and a run that works for hours is not."""

from __future__ import annotations

import gc
import subprocess
import sys

from maestro.cli import collecting

_STARTS = """
import gc
from maestro.cli import collecting

found = []
gc.callbacks.append(lambda phase, info: found.append(phase))
collecting.spare()
import maestro.coordinator
import maestro.wiring.driving
assert not found, f"{len(found) // 2} searches while modules came"
collecting.as_usual()
print(gc.get_threshold(), gc.get_freeze_count() > 10_000)
"""


def test_nothing_is_searched_while_modules_come_and_as_much_as_ever_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", _STARTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{gc.get_threshold()} True\n"


def test_a_process_that_was_never_spared_is_left_as_it_is() -> None:
    frozen, threshold = gc.get_freeze_count(), gc.get_threshold()
    collecting.as_usual()
    assert (gc.get_freeze_count(), gc.get_threshold()) == (frozen, threshold)


_ENDS = """
import gc, sys
from maestro.cli.main import main

sys.argv = ["maestro", "--version"]
assert main() == 0
print(len(gc.get_objects()) < 1_000)
"""


def test_nothing_is_searched_when_the_process_ends() -> None:
    done = subprocess.run([sys.executable, "-c", _ENDS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True"
