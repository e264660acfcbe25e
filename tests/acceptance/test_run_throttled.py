"""A machine that bears no more is said to, live and afterwards, and one attempt goes on all the same (E-4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maestro.testing.commandline import maestro
from maestro.testing.repository import Repository

NEVER_ENOUGH = {"MAESTRO_MIN_FREE_MEMORY_MB": "100000000"}


def test_a_run_without_memory_goes_on_one_by_one_and_status_says_why(
    start: Callable[..., Any], repo: Repository, tmp_path: Path
) -> None:
    agent = (
        f"touch {tmp_path}/begun-$MAESTRO_TASK_ID; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; "
        'echo x > "$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm work'
    )
    started = start([{"id": "a"}, {"id": "b"}], "--run-id", "r", "--max-parallel", "2", agent=agent, env=NEVER_ENOUGH)
    started.until(tmp_path / "begun-a")
    deadline = time.monotonic() + 60
    while (shown := maestro("status", "--run-id", "r", "--json", cwd=repo.path).json)["throttled"] is None:
        assert time.monotonic() < deadline, shown
    assert "MiB of memory are free, the floor is 100000000 MiB" in shown["throttled"]
    assert "No more is started for now: only" in maestro("status", "--run-id", "r", cwd=repo.path).out
    assert not (tmp_path / "begun-b").exists()
    (tmp_path / "go").touch()
    said = started.end()
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed", "b": "landed"}
    assert said.json["metrics"]["throttled_seconds"] > 0
    assert said.err.count("no more is started for now: only") == 1
    assert "more is started again" in said.err
    assert "throttled" not in maestro("status", "--run-id", "r", "--json", cwd=repo.path).json
