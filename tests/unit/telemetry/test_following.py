"""Observers that show the run are told it, and need no fold of their own: what they show is the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maestro.model.events import Event, RunStarted
from maestro.model.folding import apply, begin
from maestro.model.run import Run
from maestro.store.layout import Layout
from maestro.telemetry.metadata import MetadataObserver
from maestro.telemetry.observer import FanOut
from maestro.testing.story import STORY


class Listener:
    """Not one of those."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def notify(self, event: Event) -> None:
        self.heard.append(event)

    def close(self) -> None:
        """Nothing is held."""


def files_after(place: Path, events: Sequence[Event], *, told: bool) -> dict[str, bytes]:
    observer, listener = MetadataObserver(Layout(place)), Listener()
    fan_out = FanOut([observer, listener])
    run: Run | None = None
    for event in events:
        if isinstance(event, RunStarted):
            run = begin(event)
        elif run is not None:
            run = apply(run, event)
        fan_out.notify(event, run if told else None)
    if told and events is not STORY:
        assert observer._run is run, "it keeps one of its own"
    fan_out.close()
    assert listener.heard == list(events)
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("metadata.json")}


def test_metadata_is_the_same(tmp_path: Path) -> None:
    for count in range(1, len(STORY) + 1):
        events = STORY[:count]
        folded = files_after(tmp_path / f"{count}-folded", events, told=False)
        assert folded == files_after(tmp_path / f"{count}-told", events, told=True)
        assert folded
