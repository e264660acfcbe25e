"""A repository and a way to run maestro in it, as a user would."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, maestro
from maestro.testing.repository import Repository

WRITES_ONE_FILE = 'echo "$MAESTRO_TASK_ID" > "out-$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm "work"'

Run = Callable[..., Said]


@pytest.fixture
def run(repo: Repository, tmp_path: Path) -> Run:
    """`run(tasks, agent="shell command", *flags)`: `maestro run --json` over a task file, without tests by default."""

    def go(
        tasks: list[dict[str, Any]] | str,
        *flags: str,
        agent: str = WRITES_ONE_FILE,
        tests: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Said:
        tasks_file = tmp_path / "tasks.json"
        tasks_file.write_text(tasks if isinstance(tasks, str) else json.dumps({"tasks": tasks}))
        gate = ["--no-tests"] if tests is None else ["--test-command", tests]
        return maestro(
            "run", "--tasks-file", str(tasks_file), "--agent-command", agent, "--json", *gate, *flags,
            cwd=cwd or repo.path, env=env,
        )  # fmt: skip

    return go
