"""E-5: wait returns within 100 ms of the end, with the exit code that tells how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.model.events import RunEnded
from maestro.model.group import GroupMetadata
from maestro.model.states import GroupStatus, RunStatus
from maestro.store.atomic import write_atomically
from maestro.store.layout import Layout
from maestro.telemetry.metadata import MetadataObserver
from maestro.testing.story import STORY, at


@pytest.fixture
def under_way(layout: Layout, write_run: Callable[..., Path]) -> GroupMetadata:
    """Group X of run r1, at work."""
    write_run("r1", STORY[:5])
    observer = MetadataObserver(layout)
    for event in STORY[:5]:
        observer.notify(event)
    observer.close()
    return GroupMetadata.model_validate_json(layout.metadata("X").read_text())


def end_group(layout: Layout, group: GroupMetadata, status: GroupStatus) -> None:
    write_atomically(layout.metadata("X"), group.evolve(status=status, errors=("why",)).to_json().encode())


@pytest.mark.parametrize(
    ("status", "code"), [(GroupStatus.COMPLETED, 0), (GroupStatus.FAILED, 1), (GroupStatus.BLOCKED, 3)]
)
def test_a_group_that_has_ended(
    cli: Any, layout: Layout, under_way: GroupMetadata, status: GroupStatus, code: int
) -> None:
    end_group(layout, under_way, status)
    said = cli("wait", "--group-id", "X")
    assert (said.out, said.err, said.code) == (f"group X: {status}: why\n", "", code)
    said = cli("wait", "--group-id", "X", "--json")
    assert said.json() == {"group_id": "X", "status": status, "reason": "why", "timed_out": False}


def test_the_end_is_told_within_100_ms(
    cli: Any, layout: Layout, under_way: GroupMetadata, alive: Callable[[str], None]
) -> None:
    """After the file that says so is there: how long a busy disk takes to keep it is not counted, and the median of
    some is not that of a moment in which the machine had no time."""
    alive("r1")
    late = []
    for number in range(5):
        end_group(layout, under_way, GroupStatus.IN_PROGRESS)
        timer = threading.Timer(0.1 + 0.037 * number, end_group, (layout, under_way, GroupStatus.COMPLETED))
        timer.start()
        said = cli("wait", "--group-id", "X", "--timeout", "30")
        late.append(time.time() - layout.metadata("X").stat().st_ctime)
        timer.join()
        assert said.code == 0
    assert sorted(late)[2] < 0.1


@pytest.mark.usefixtures("under_way")
def test_the_time_runs_out(cli: Any, alive: Callable[[str], None]) -> None:
    alive("r1")
    said = cli("wait", "--group-id", "X", "--timeout", "0.05")
    assert (said.out, said.code) == ("group X: in_progress, not ended within 0.05 s\n", 124)
    said = cli("wait", "--run-id", "r1", "--timeout", "0", "--json")
    assert said.json() == {"run_id": "r1", "status": "running", "reason": "", "timed_out": True}
    assert said.code == 124


@pytest.mark.usefixtures("under_way")
def test_nobody_waits_for_a_dead_run(cli: Any) -> None:
    said = cli("wait", "--group-id", "X")
    assert (said.out, said.code) == ("group X: failed: run r1: its coordinator died before the end\n", 1)
    said = cli("wait", "--run-id", "r1")
    assert (said.out, said.code) == ("run r1: failed: its coordinator died before the end\n", 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (RunStatus.COMPLETED, 0),
        (RunStatus.FAILED, 1),
        (RunStatus.BLOCKED, 3),
        (RunStatus.INTERRUPTED, 130),
    ],
)
def test_a_run_that_has_ended(cli: Any, write_run: Callable[..., Path], status: RunStatus, code: int) -> None:
    write_run("with-summary", STORY[:1], {"run_id": "with-summary", "status": status, "tasks": {}})
    assert cli("wait", "--run-id", "with-summary").code == code
    write_run("journal-only", [STORY[0], RunEnded(at=at(1), status=status)])
    assert cli("wait", "--run-id", "journal-only").code == code


def test_a_run_that_ends_while_waited_for(
    cli: Any, layout: Layout, write_run: Callable[..., Path], alive: Callable[[str], None]
) -> None:
    write_run("r1", STORY[:5])
    alive("r1")
    body = b'{"run_id": "r1", "status": "completed", "tasks": {}}'
    timer = threading.Timer(0.1, write_atomically, (layout.summary("r1"), body))
    timer.start()
    said = cli("wait", "--run-id", "r1")
    timer.join()
    assert (said.out, said.code) == ("run r1: completed\n", 0)


def test_a_timeout_that_is_no_number_is_refused(cli: Any, under_way: GroupMetadata) -> None:
    said = cli("wait", "--group-id", "X", "--timeout", "nan")
    assert said.code == 2
    assert "--timeout must be a number" in said.err
