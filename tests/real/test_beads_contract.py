"""The contract of all trackers, over beads with the real `bd` of each era.

Left out is what is about files of maestro's own writing: their bytes, their damage, their place on a full disk.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.model.task import Progress
from tests.contract.test_trackers import (
    NOTE,
    Backlog,
    kill_after,
    test_claim_is_seen_by_another,
    test_done_and_reopened,
    test_kind_and_identity,
    test_load_keeps_the_given_order,
    test_only_own_files_change,
    test_unknown_task,
    test_write_without_load,
    test_writing_twice_changes_nothing_more,
    write_at_once,
)
from tests.real.beads_repository import make_beads

pytestmark = pytest.mark.timeout(180)

IDS = [f"demo-{number:03d}" for number in range(1, 17)]

__all__ = [
    "test_claim_is_seen_by_another",
    "test_done_and_reopened",
    "test_kind_and_identity",
    "test_load_keeps_the_given_order",
    "test_only_own_files_change",
    "test_unknown_task",
    "test_write_without_load",
    "test_writing_twice_changes_nothing_more",
]


@pytest.fixture
def backlog(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Backlog:
    """A database of 16 issues, imported by `bd` itself."""
    beads = make_beads(tmp_path / "project", tmp_path_factory)
    lines = tmp_path / "issues.jsonl"
    lines.write_text("\n".join(map(json.dumps, map(issue, range(1, 17)))) + "\n")
    beads("import", *(["-i"] if beads.is_sqlite else []), str(lines))
    return Backlog(beads.repo.path, "beads", None, ids=IDS)


def issue(number: int) -> dict[str, object]:
    at = f"2026-01-01T00:00:{number:02d}Z"
    title = f"Work {number}"
    return {
        "id": f"demo-{number:03d}", "title": title, "status": "open", "priority": 2, "issue_type": "task",
        "created_at": at, "updated_at": at,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "read"),
    [(Progress.DONE, Progress.DONE), (Progress.BLOCKED, Progress.BLOCKED), (Progress.OPEN, Progress.OPEN),
     (Progress.DEFERRED, Progress.DEFERRED), (Progress.CANCELLED, Progress.OPEN)],
)  # fmt: skip
def test_what_is_written_is_read_back(backlog: Backlog, written: Progress, read: Progress) -> None:
    """beads has no word for cancelled: what a run gave up is open for the next."""
    tracker = backlog.open()
    tracker.claim(IDS[-1], NOTE)
    tracker.write(IDS[-1], written, NOTE)
    assert backlog.progress() == {**dict.fromkeys(IDS, Progress.OPEN), IDS[-1]: read}


def test_parallel_writers_lose_nothing(backlog: Backlog) -> None:
    write_at_once(backlog, [IDS[number:6:3] for number in range(3)])
    assert backlog.progress() == {**dict.fromkeys(IDS, Progress.OPEN), **dict.fromkeys(IDS[:6], Progress.DONE)}


def test_killed_writer_leaves_all_that_it_confirmed(backlog: Backlog) -> None:
    kill_after(backlog, confirmations=2)
