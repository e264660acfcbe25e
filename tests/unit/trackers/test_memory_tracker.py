"""The shipped tracker in memory fails when it is told to, and only then."""

from __future__ import annotations

import pytest

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress, Task
from maestro.testing.memory_tracker import MemoryTracker
from maestro.trackers.base import Note

NOTE = Note(run_id="r")


def test_failures_on_demand() -> None:
    tracker = MemoryTracker([Task(id="a")])
    tracker.fail("load", BadInput("unreadable"))
    tracker.fail("claim", times=2)
    with pytest.raises(BadInput, match="unreadable"):
        tracker.load()
    for _ in range(2):
        with pytest.raises(TrackerError, match="claim fails on demand"):
            tracker.claim("a", NOTE)
    assert tracker.load() == [Task(id="a")]
    tracker.claim("a", NOTE)
    tracker.write("a", Progress.DONE, NOTE)
    assert tracker.writes == [("a", Progress.IN_PROGRESS, NOTE), ("a", Progress.DONE, NOTE)]
    assert tracker.load()[0].progress is Progress.DONE
    assert tracker.own_files() == ()
