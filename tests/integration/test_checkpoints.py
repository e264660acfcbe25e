"""Checkpoints as a run makes them (E-9): before what comes after them, kept by refs, and gone with the run's folder."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from maestro.engine.checkpoints import make_checkpoint
from maestro.integration.checkpoint import CHECKPOINTS, checkpoint_ref
from maestro.model.events import AttemptStarting, Checkpoint, GroupMoved
from maestro.model.plan import ScheduleKind
from maestro.model.task import Task
from maestro.testing.repository import Repository
from maestro.wiring.retention import remove_run
from tests.integration.engine_runs import EngineRun


def checkpoints(run: EngineRun) -> list[Checkpoint]:
    return [event for event in run.seen.events if isinstance(event, Checkpoint)]


def kept(repo: Repository) -> dict[str, str]:
    listed = repo.git("for-each-ref", "--format=%(refname) %(objectname)", CHECKPOINTS).splitlines()
    return dict(line.split() for line in listed)


def test_one_before_each_group_and_its_first_attempt(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id="a", group="X"), Task(id="b", group="X"), Task(id="c", group="é/Y")]
    run = EngineRun(repo, tasks, tmp_path / "ws")
    ended = run.go()
    made = checkpoints(run)
    assert [one.name for one in made] == ["start", "group-X", "group-é/Y"]
    assert [one.commit for one in made[:2]] == [repo.head, repo.head]
    landed = {ended.tasks[task].ended_at: ended.tasks[task].commit for task in "ab"}
    assert made[2].commit == landed[max(landed)]  # type: ignore[type-var]
    assert kept(repo) == {checkpoint_ref("r", one.name): one.commit for one in made}
    events = run.seen.events
    first = next(n for n, event in enumerate(events) if isinstance(event, AttemptStarting) and event.task == "c")
    begun = next(n for n, event in enumerate(events) if isinstance(event, GroupMoved) and event.group == "é/Y")
    assert events.index(made[2]) < begun < first


def test_one_before_each_level(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id="a"), Task(id="b", dependencies=("a",)), Task(id="c", dependencies=("b",))]
    run = EngineRun(repo, tasks, tmp_path / "ws", schedule=ScheduleKind.LEVELS)
    ended = run.go()
    assert [(one.name, one.branch, one.commit) for one in checkpoints(run)] == [
        ("start", "integration/level-0-r", repo.head),
        ("level-1", "integration/level-1-r", ended.tasks["a"].commit),
        ("level-2", "integration/level-2-r", ended.tasks["b"].commit),
    ]


def test_the_same_place_is_said_once_and_its_ref_is_made_again(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id="a")], tmp_path / "ws")

    async def drive() -> None:
        await run.recorder.record(run.built.start)
        for _ in range(2):
            await make_checkpoint(run.context, "start", branch="integration/r", commit=repo.head)
            repo.git("update-ref", "-d", checkpoint_ref("r", "start"))
        await make_checkpoint(run.context, "start", branch="integration/r", commit=repo.head)
        await run.journal.close()

    asyncio.run(drive())
    assert [one.name for one in checkpoints(run)] == ["start"]
    assert kept(repo) == {checkpoint_ref("r", "start"): repo.head}


def test_they_go_with_the_folder_of_the_run(repo: Repository, tmp_path: Path) -> None:
    EngineRun(repo, [Task(id="a", group="X")], tmp_path / "ws").go()
    other = EngineRun(repo, [Task(id="a", group="X")], tmp_path / "ws", run_id="r2")
    other.go()
    assert len(kept(repo)) == 4
    assert remove_run(other.context.git, other.context.layout, "r", datetime.now(UTC))
    assert set(kept(repo)) == {checkpoint_ref("r2", "start"), checkpoint_ref("r2", "group-X")}
