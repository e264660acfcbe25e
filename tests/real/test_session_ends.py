"""A delegate run and the real claude: it outlives the tool call that started it, and ends with the session (C-3)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from maestro.proc.family import identify
from maestro.store.layout import Layout
from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.processes import Gate, until
from maestro.testing.repository import Repository
from tests.real.played_session import PlayedSession
from tests.real.session_lab import Session, statuses

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(120)]

RUN = "delegated"
MAY = ("--allowedTools", "Bash")


@pytest.fixture
def session(tmp_path: Path, repo: Repository, real: dict[str, Path]) -> Iterator[Session]:
    with ModelServer() as server:
        yield Session(repo, tmp_path, real["claude"], server.url, PlayedSession())


def start(session: Session) -> str:
    tasks = session.tasks(a="plain", b="plain")
    return f"maestro delegate start --tasks-file {tasks} --no-tests --run-id {RUN} --json > {session.folder}/said.json"


def ended(session: Session) -> int:
    """Wait for the end of the run and of its process; the exit code of the run."""
    code = maestro("wait", "--run-id", RUN, "--timeout", "60", cwd=session.repo.path).code
    told = json.loads((Layout(session.repo.path).delegate(RUN) / "session.json").read_text())
    until(lambda: identify(told["coordinator"]) is None)
    return code


def script(steps: Sequence[dict[str, Any]]) -> str:
    return f"Go.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"


def test_the_run_outlives_the_tool_call_and_ends_with_the_session(session: Session) -> None:
    """One task is done in a later call; the session says good-bye while the other one is given out."""
    workspace = session.folder / "ws" / RUN / "task-a" / session.repo.path.name
    work = f"cd {workspace} && echo a > a.txt && git add -A && git commit -qm a"
    report = f"cd '{session.repo.path}' && maestro report --task a --status done --summary it"
    done = f"until maestro status --run-id {RUN} | grep '^a *landed'; do sleep 0.1; done"
    steps = [{"bash": start(session)}, {"bash": work}, {"bash": f"{report} && {done}"}, {"say": "bye"}]
    events = session.claude(script(steps), *MAY)
    assert events[-1]["result"] == "bye"
    assert not [one for one in events if 'is_error": true' in json.dumps(one.get("message", ""))], events
    assert ended(session) == 130
    stands = maestro("status", "--run-id", RUN, "--json", cwd=session.repo.path).json
    assert statuses(stands) == {"a": "landed", "b": "cancelled"}
    assert stands["reason"] == stands["tasks"]["b"]["reason"] == "the session that worked on it has ended"


def test_a_session_that_is_killed_leaves_no_run_behind(session: Session) -> None:
    gate = Gate(session.folder / "gate")
    steps = [{"bash": start(session)}, {"bash": f"touch {session.folder}/here; read x < {gate.path}"}]
    claude = subprocess.Popen(
        ["claude", "-p", script(steps), *MAY],
        cwd=session.repo.path, env=session.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until((session.folder / "here").exists, seconds=60)
        assert len(json.loads((session.folder / "said.json").read_text())["launch"]) == 2
    finally:
        claude.kill()
        claude.wait()
        gate.let_through()  # the shell of its last tool call outlives it
    assert ended(session) == 130
    gate.close()
