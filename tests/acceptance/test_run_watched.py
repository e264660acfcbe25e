"""Agents that use too much memory or seem dead: what a user sees of it while the run goes on and afterwards."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maestro.testing.commandline import Said, maestro
from maestro.testing.repository import Repository

EATS = "import time; b = bytearray(300 << 20); [b.__setitem__(i, 1) for i in range(0, len(b), 4096)]; time.sleep(60)"
SOON = {"MAESTRO_SUSPECT_AFTER": "1", "MAESTRO_STOP_INTERRUPT_SECONDS": "1"}


def test_an_attempt_that_eats_the_machine_has_failed(
    run: Callable[..., Said], repo: Repository, unharmed: None
) -> None:
    said = run(
        [{"id": "a"}, {"id": "b"}], "--run-id", "r", "--attempts", "1",
        agent=f"""case $MAESTRO_TASK_ID in a) {sys.executable} -S -E -c '{EATS}' ;; esac
        echo x > x-$MAESTRO_TASK_ID; git add -A; git commit -qm work""",
        env={**SOON, "MAESTRO_ATTEMPT_MEMORY_MB": "100"},
    )  # fmt: skip
    assert said.code == 1, said.err
    assert said.statuses() == {"a": "failed", "b": "landed"}
    reason = said.json["tasks"]["a"]["reason"]
    assert reason.startswith("memory: ")
    assert reason.endswith(" MiB used, the limit is 100 MiB")
    assert f"stopping its agent: {reason}" in said.err
    assert said.json["metrics"]["peak_memory_bytes"] > 100 << 20
    journal = (repo.path / ".flow/maestro/runs/r/journal.jsonl").read_text().splitlines()
    (ended,) = [
        event for event in map(json.loads, journal) if event.get("type") == "attempt_ended" and event["task"] == "a"
    ]
    assert ended["outcome"]["failure"] == "memory"
    assert ended["peak_memory_bytes"] > 100 << 20


def status(repo: Repository) -> dict[str, Any]:
    shown: dict[str, Any] = maestro("status", "--run-id", "r", "--json", cwd=repo.path).json
    return shown


def test_status_says_who_seems_dead_and_nothing_is_done_to_it(
    start: Callable[..., Any], repo: Repository, tmp_path: Path
) -> None:
    agent = f"mkfifo {tmp_path}/go 2>/dev/null; read _ < {tmp_path}/go; echo x > x; git add -A; git commit -qm work"
    started = start([{"id": "a"}], "--run-id", "r", agent=agent, env=SOON)
    started.until(repo.path / ".flow/maestro/runs/r/journal.jsonl")
    deadline = time.monotonic() + 60
    while "suspected" not in (shown := status(repo))["tasks"].get("a", {}):
        assert time.monotonic() < deadline, shown
    assert shown["tasks"]["a"]["suspected"].startswith(
        "no output and no processor time for 1 s; its newest process is `"
    )
    assert shown["tasks"]["a"]["state"] == "running"
    assert "suspected: no output" in maestro("status", "--run-id", "r", cwd=repo.path).out
    (tmp_path / "go").write_text("go\n")
    said = started.end()
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed"}
    assert "task a: suspected: no output" in said.err
    assert "suspected" not in said.json["tasks"]["a"]
