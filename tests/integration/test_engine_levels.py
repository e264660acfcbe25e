"""One branch for each level; the next level stands on what the last one landed (P-3, M-2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import BadInput
from maestro.model.plan import ScheduleKind
from maestro.model.task import Task
from maestro.testing.repository import Repository
from tests.integration.engine_runs import WRITES, EngineRun, states

FAILS = f'case "$MAESTRO_TASK_ID" in bad*) exit 1;; esac; {WRITES}'


def levels(repo: Repository) -> list[str]:
    return repo.git("for-each-ref", "--format=%(refname:short)", "refs/heads/integration").splitlines()


def test_every_level_has_a_branch_and_holds_those_before_it(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id="a"), Task(id="b"), Task(id="c", dependencies=("a",)), Task(id="d", dependencies=("c",))]
    ended = EngineRun(repo, tasks, tmp_path / "ws", schedule=ScheduleKind.LEVELS).go()
    assert ended.status == "completed"
    assert ended.branch == "integration/level-2-r"
    assert levels(repo) == ["integration/level-0-r", "integration/level-1-r", "integration/level-2-r"]
    assert repo.files("integration/level-1-r") == ["README.md", "out-a.txt", "out-b.txt", "out-c.txt"]
    assert repo.files("integration/level-2-r") == ["README.md", *(f"out-{name}.txt" for name in "abcd")]


def test_a_failed_level_blocks_the_next(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id="a"), Task(id="bad"), Task(id="c", dependencies=("a",))]
    run = EngineRun(repo, tasks, tmp_path / "ws", agent=FAILS, attempts=1, schedule=ScheduleKind.LEVELS)
    ended = run.go()
    assert states(ended) == {"a": "landed", "bad": "failed", "c": "blocked"}
    assert ended.branch == "integration/level-0-r"


@pytest.mark.parametrize("first", ["a", "bad-1"])
def test_with_keep_going_only_what_depends_on_the_failed_is_blocked(
    repo: Repository, tmp_path: Path, first: str
) -> None:
    tasks = [Task(id=first), Task(id="bad"), Task(id="c", dependencies=(first,)), Task(id="d", dependencies=("bad",))]
    run = EngineRun(
        repo, tasks, tmp_path / "ws", agent=FAILS, attempts=1, schedule=ScheduleKind.LEVELS, keep_going=True
    )
    ended = run.go()
    others = ("landed", "landed") if first == "a" else ("failed", "blocked")
    assert states(ended) == {first: others[0], "bad": "failed", "c": others[1], "d": "blocked"}
    assert ended.status == "failed"


@pytest.mark.parametrize("level", [0, 1])
def test_a_branch_in_the_way_is_refused_before_anything_is_written(
    repo: Repository, tmp_path: Path, level: int
) -> None:
    repo.git("branch", f"integration/level-{level}-r")
    tasks = [Task(id="a"), Task(id="c", dependencies=("a",))]
    with pytest.raises(BadInput, match="exists already"):
        EngineRun(repo, tasks, tmp_path / "ws", schedule=ScheduleKind.LEVELS)
    assert not (repo.path / ".flow").exists()


def test_a_task_without_changes_says_why_it_has_no_commit(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id="a"), Task(id="b")]
    same = 'echo same > same.txt && git add -A && git commit -qm "work"'
    ended = EngineRun(repo, tasks, tmp_path / "ws", agent=same, max_parallel=2).go()
    assert states(ended) == {"a": "landed", "b": "landed"}
    reasons = {task.reason for task in ended.tasks.values() if task.commit is None}
    assert reasons == {"its changes were on the integration branch already"}
