"""The real claude under the engine's eyes: waiting for a model that never answers, and at work in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.model.events import AttemptNoted, AttemptSuspected
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.testing.commandline import Said, maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.test_run_with_claude import environment, script

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]

SPIN = "python3 -c 'import time; t = time.time()\nwhile time.time() < t + 14: pass'"


def run_claude(repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path, prompt: str) -> Said:
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps([{"id": "a", "description": prompt}]))
    return maestro(
        "run", "--tasks-file", str(tasks), "--agent", "claude", "--no-tests", "--json", "--run-id", "r",
        "--attempts", "1", cwd=repo.path, timeout_seconds=150,
        env=environment(server, real)
        | {"MAESTRO_SUSPECT_AFTER": "6", "MAESTRO_SILENT_TIMEOUT": "20", "MAESTRO_STOP_INTERRUPT_SECONDS": "1"},
    )  # fmt: skip


def test_one_that_waits_for_a_model_that_never_answers_is_suspected_long_before_its_clock(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    said = run_claude(repo, server, real, tmp_path, script({"hang": True, "times": 0}))
    assert said.code == 1, said.err
    assert "no output for 20 s" in said.json["tasks"]["a"]["reason"]
    events = read_journal(Layout(repo.path).journal("r")).events
    reasons = [event.reason for event in events if isinstance(event, AttemptSuspected)]
    assert reasons, said.err
    assert "processor time for 6 s" in str(reasons[0])
    assert "a network connection is open" in str(reasons[0])
    assert said.json["metrics"]["peak_memory_bytes"] > 30 << 20


def test_one_whose_tool_works_in_silence_is_well(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    steps = script({"bash": SPIN}, {"bash": "echo x > a.txt && git add -A && git commit -qm work"}, {"say": "done"})
    said = run_claude(repo, server, real, tmp_path, steps)
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed"}
    events = read_journal(Layout(repo.path).journal("r")).events
    assert [event for event in events if isinstance(event, AttemptSuspected)] == []
    notes = [event.note for event in events if isinstance(event, AttemptNoted)]
    assert "no output for 6 s, but its processes are at work" in notes
