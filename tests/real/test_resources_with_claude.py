"""The real claude CLI tests under the lock as its prompt says, beside others and the gate (I-7, M-6)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.test_run_with_claude import environment, script

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]


def test_what_the_prompt_says_of_tests_is_what_claude_can_run(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    check = f"sh -c 'echo + >> {told}; sleep 0.2; echo - >> {told}'"
    # by this Python: the one that stands beside claude may have no pytest
    tests = f"{sys.executable} -m pytest -q -p no:cacheprovider test_$MAESTRO_TASK_ID.py"
    # the model takes the command from the prompt that the CLI has read, as a real one would
    run_tests = "\n".join(
        (
            "lock=$(grep -o '`[^`]* lock tests -- COMMAND`' ../.agent-state/prompt.md | sed 's/`//g; s/ COMMAND$//')",
            'echo "def test_it(): pass" > "test_$MAESTRO_TASK_ID.py"',
            f'eval "$lock {check}" && eval "$lock {tests}"',
            'git add -A && git commit -qm "Test $MAESTRO_TASK_ID"',
        )
    )
    tasks = tmp_path / "tasks.json"
    steps = script({"bash": run_tests}, {"say": "done"})
    tasks.write_text(json.dumps([{"id": name, "title": name, "description": steps} for name in ("a", "b", "c")]))
    said = maestro(
        "run", "--tasks-file", str(tasks), "--agent", "claude", "--max-parallel", "3", "--json",
        "--test-command", f"{check}; echo '1 passed'",
        cwd=repo.path, env=environment(server, real), timeout_seconds=150,
    )  # fmt: skip
    assert set(said.statuses().values()) == {"landed"}, said.err
    for task in said.json["tasks"].values():
        assert (task["tests"]["runs"], task["tests"]["exit_code"], task["tests"]["passed"]) == (2, 0, 1), said.err
    lines = told.read_text().split()
    assert len(lines) >= 2 * 4
    assert lines == ["+", "-"] * (len(lines) // 2), "never two at once"
