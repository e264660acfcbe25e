"""Signals at random moments, from the first to the last: terminal, refs and checkout are right afterwards (E-7)."""

from __future__ import annotations

import os
import random
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository
from tests.acceptance.terminal_lab import AtTerminal

SEED = os.environ.get("MAESTRO_TEST_SEED")  # a test sees no variables of ours

MOMENTS = 4
"""Of each way, so 28 in all."""

FIRST, LAST = 0.1, 3.5
"""From when the interpreter has read its own modules to about what an undisturbed run takes: some come too late."""


def backlog(prefix: str) -> list[dict[str, Any]]:
    """Two that can start at once, then chains."""
    names = [f"{prefix}{number}" for number in range(6)]
    return [
        {"id": name, "dependencies": names[max(number - 2, 0) : max(number - 1, 0)]}
        for number, name in enumerate(names)
    ]


WAYS = (
    ("^C",),
    ("^C", "^C"),
    ("SIGINT", "SIGINT", "SIGINT"),
    ("SIGTERM",),
    ("SIGHUP",),
    ("SIGTERM", "SIGTERM"),
    ("^C", "SIGTERM"),
)


@pytest.mark.timeout(170)
@pytest.mark.parametrize("way", WAYS, ids="-then-".join)
def test_a_signal_at_any_time(repo: Repository, tmp_path: Path, way: tuple[str, ...]) -> None:
    seed = SEED or secrets.token_hex(4)
    dice = random.Random(seed)
    for number in range(MOMENTS):
        moment = dice.uniform(FIRST, LAST)
        print(f"seed {seed}: {' '.join(way)} after {moment:.3f} s")
        run = AtTerminal(repo, tmp_path / f"{number}", f"run-{number}", backlog(f"t{number}-"))
        try:
            time.sleep(moment)
            for each in way:
                run.send(each)
                time.sleep(dice.uniform(0, 0.4))
            code = run.wait()
            print(f"exit code {code}")
            run.check_terminal()
            run.check_result(code)
            run.check_repository()
        finally:
            run.close()


@pytest.mark.timeout(170)
def test_a_terminal_that_is_closed_at_any_time(repo: Repository, tmp_path: Path) -> None:
    seed = SEED or secrets.token_hex(4)
    dice = random.Random(seed)
    for number in range(MOMENTS):
        moment = dice.uniform(FIRST, LAST)
        print(f"seed {seed}: closed after {moment:.3f} s")
        run = AtTerminal(repo, tmp_path / f"{number}", f"run-{number}", backlog(f"t{number}-"))
        try:
            time.sleep(moment)
        finally:
            run.close()
        code = run.wait()
        print(f"exit code {code}")
        run.check_result(code)
        run.check_repository()
