"""Without a gateway: a key that meets a limit rests, and the account only when none is left (A-6, A-5)."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from maestro.testing.commandline import Said, maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE

KEYS = {"KEY_A": "sk-ant-api03-aaaaaaaaaaaa", "KEY_B": "sk-ant-api03-bbbbbbbbbbbb"}

CLAUDE = """\
import json, os, pathlib, subprocess, sys, time
folder, key = pathlib.Path(sys.argv[1]), os.environ.get("ANTHROPIC_API_KEY", "")
if "--version" in sys.argv:
    sys.exit(print("2.1.197 (Claude Code)"))
print(json.dumps({"type": "system", "subtype": "init", "session_id": "s", "model": "m"}))
with open(folder / "used", "a") as file:
    file.write(key + "\\n")
result = {"type": "result", "subtype": "success", "num_turns": 1, "session_id": "s", "total_cost_usd": 0.0}
seconds = json.loads((folder / "limited").read_text()).get(key)
if seconds is not None:
    since = folder / f"first-use-of-{key}"
    since.touch() if not since.exists() else None
    until = int(since.stat().st_mtime) + seconds
    if time.time() < until:
        until -= json.loads((folder / "wrong").read_text())
        said = {"is_error": True, "api_error_status": 429, "result": f"Claude AI usage limit reached|{until}"}
        sys.exit(print(json.dumps({**result, **said})) or 1)
subprocess.run(@WORK@, shell=True, check=True)
print(json.dumps({**result, "is_error": False, "result": "done"}))
"""
"""What claude prints at a limit, which begins for a key with its first use here, and what at a good end."""


def run(
    repo: Repository, folder: Path, limited: dict[str, int], count: int, *, wrong: int = 0, hold_seconds: int = 60
) -> tuple[Said, list[dict[str, Any]]]:
    """`wrong`: seconds by which the end of a limit is named too early."""
    (folder / "wrong").write_text(str(wrong))
    program = folder / "claude"
    script = folder / "claude.py"
    script.write_text(CLAUDE.replace("@WORK@", repr(WRITES_ONE_FILE)))
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "{folder}" "$@"\n')
    program.chmod(0o755)
    (folder / "limited").write_text(json.dumps({KEYS[name]: seconds for name, seconds in limited.items()}))
    tasks = folder / "tasks.json"
    tasks.write_text(json.dumps([{"id": f"t{number}"} for number in range(count)]))
    env = {
        "MAESTRO_AGENTS": json.dumps({"claude": {"executable": str(program)}}),
        "MAESTRO_KEYS": json.dumps({"anthropic": {"from_env": list(KEYS)}}),
        "MAESTRO_HOLD_SECONDS": str(hold_seconds),
        **KEYS,
    }
    said = maestro(
        "run", "--tasks-file", str(tasks), "--agent", "claude", "--no-tests", "--max-parallel", "2", "--json",
        cwd=repo.path, env=env,
    )  # fmt: skip
    (journal,) = (repo.path / ".flow" / "maestro" / "runs").glob("*/journal.jsonl")
    return said, [json.loads(line) for line in journal.read_text().splitlines()]


def used(folder: Path) -> list[str]:
    return (folder / "used").read_text().splitlines()


def test_one_limited_key_holds_nothing_up(repo: Repository, tmp_path: Path) -> None:
    said, events = run(repo, tmp_path, {"KEY_A": 3600}, 6)
    assert said.code == 0, said.err
    assert used(tmp_path).count(KEYS["KEY_A"]) == 1
    assert used(tmp_path).count(KEYS["KEY_B"]) == 6
    assert [event for event in events if event.get("type") == "account_held"] == []
    (again,) = (event for event in events if event.get("type") == "task_requeued")
    assert again["reason"].startswith("another key takes over: ")
    assert all(key not in json.dumps(events) for key in KEYS.values())


def test_with_the_last_key_the_account_rests_until_the_first_comes_back(repo: Repository, tmp_path: Path) -> None:
    said, events = run(repo, tmp_path, {"KEY_A": 3600, "KEY_B": 8}, 3)
    assert said.code == 0, said.err
    (held,) = (event for event in events if event.get("type") == "account_held")
    assert used(tmp_path).count(KEYS["KEY_A"]) == 1
    assert used(tmp_path).count(KEYS["KEY_B"]) >= 4
    landed = min(datetime.fromisoformat(event["at"]) for event in events if event.get("type") == "landed")
    assert landed > datetime.fromisoformat(held["until"])
    assert landed < datetime.fromisoformat(held["until"]) + timedelta(minutes=1)


def test_keys_rest_also_where_the_end_that_is_named_is_over_already(repo: Repository, tmp_path: Path) -> None:
    """Else attempts, which do not count, would follow each other for as long as the limit lasts."""
    said, events = run(repo, tmp_path, {"KEY_A": 8, "KEY_B": 8}, 1, wrong=3600, hold_seconds=4)
    assert said.code == 0, said.err
    assert [event for event in events if event.get("type") == "account_held"]
    assert len(used(tmp_path)) <= 7
