"""A headless agent that never speaks, never ends or never exits is stopped by the clock it ran out (A-4)."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from pathlib import Path

from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository

RESULT = {
    "type": "result", "subtype": "success", "is_error": False, "num_turns": 3, "result": "done", "session_id": "s1",
    "duration_api_ms": 5, "total_cost_usd": 0.01, "usage": {"input_tokens": 1, "output_tokens": 1},
    "terminal_reason": "completed", "permission_denials": [],
}  # fmt: skip


def run_as_claude(repo: Repository, tmp_path: Path, body: str, **settings: str) -> Said:
    """Run one task by a program that stands in for claude: its events are those of the real one."""
    stand_in = tmp_path / "claude"
    stand_in.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && {{ echo '2.1.197 (Claude Code)'; exit; }}\n{body}\n")
    stand_in.chmod(0o755)
    tasks = tmp_path / "tasks.json"
    tasks.write_text('[{"id": "a"}]')
    config = tmp_path / "config.toml"
    config.write_text(f'[agents.claude]\nexecutable = "{stand_in}"\n')
    return maestro(
        "--config", str(config), "run", "--tasks-file", str(tasks), "--agent", "claude", "--no-tests", "--attempts",
        "1", "--json", cwd=repo.path, env={f"MAESTRO_{name.upper()}": value for name, value in settings.items()},
    )  # fmt: skip


def test_an_agent_without_any_event_is_stopped(repo: Repository, tmp_path: Path) -> None:
    started = time.monotonic()
    said = run_as_claude(repo, tmp_path, "sleep 300 & wait", silent_timeout="2")
    assert said.code == 1, said.err
    assert "no output for 2 s" in said.json["tasks"]["a"]["reason"]
    assert time.monotonic() - started < 60


def test_an_agent_that_speaks_and_never_ends_is_stopped(repo: Repository, tmp_path: Path) -> None:
    body = 'while :; do echo \'{"type":"system","subtype":"status"}\'; sleep 0.3; done'
    said = run_as_claude(repo, tmp_path, body, silent_timeout="5", task_timeout="8")
    assert said.code == 1, said.err
    assert "no end within 8 s" in said.json["tasks"]["a"]["reason"]


def test_an_agent_that_said_its_end_and_hangs_is_judged_by_its_work(repo: Repository, tmp_path: Path) -> None:
    body = f"echo x > a.txt; git add -A; git commit -qm work\necho '{json.dumps(RESULT)}'\nsleep 300 & wait"
    said = run_as_claude(repo, tmp_path, body, exit_timeout="1")
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed"}
    assert said.json["metrics"]["cost_usd"] == 0.01


def test_silence_in_the_queue_of_a_lock_and_under_it_has_a_reason(repo: Repository, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    other = subprocess.Popen(
        command_line("lock", "tests", "--", "sh", "-c", f"while [ ! -e {gone} ]; do sleep 0.1; done"),
        cwd=repo.path,
        stdin=subprocess.DEVNULL,
    )
    ours = shlex.join(command_line("lock", "tests", "--", "sleep", "10"))
    body = (
        f"( sleep 10; touch {gone} ) & {ours} || exit 9\n"
        f"echo x > a.txt; git add -A; git commit -qm work\necho '{json.dumps(RESULT)}'"
    )
    try:
        said = run_as_claude(repo, tmp_path, body, silent_timeout="8")
    finally:
        gone.touch()
        other.wait(30)
    assert said.statuses() == {"a": "landed"}, said.err
