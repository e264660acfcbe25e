"""Every event goes one way: checked against the run so far, written to the journal, then told to the observers."""

from __future__ import annotations

from collections.abc import Sequence

from maestro.model.events import Event, RunStarted
from maestro.model.folding import apply, begin, fold
from maestro.model.masking import masked
from maestro.model.redaction import Redactor
from maestro.model.run import Run
from maestro.store.journal import Journal
from maestro.telemetry.observer import FanOut


class Recorder:
    """Holds the run as it stands."""

    def __init__(self, journal: Journal, observers: FanOut) -> None:
        self._journal = journal
        self._observers = observers
        self._redactor = Redactor()
        self._run: Run | None = None

    def take_up(self, past: Sequence[Event]) -> None:
        """Go on with a run of which the journal holds these events already."""
        self._run = fold(past)
        self._observers.restore(past)

    @property
    def run(self) -> Run:
        """The run so far; there is none before the first event."""
        if self._run is None:
            raise RuntimeError("nothing has been recorded yet")
        return self._run

    def hide(self, redactor: Redactor) -> None:
        """From now on nothing that it knows or recognises gets into the run, the journal or an observer."""
        self._redactor = redactor

    async def record(self, *given: Event) -> None:
        """Record events in order; returns when they are durable and the observers know.

        IllegalMove is raised before anything is written; StateError when the disk refuses.
        """
        events = [masked(event, self._redactor.mask) for event in given]
        run = self._run
        runs = []
        for event in events:
            if run is None:
                if not isinstance(event, RunStarted):
                    raise RuntimeError(f"the first event of a run is run_started, not {event}")
                run = begin(event)
            else:
                run = apply(run, event)
            runs.append(run)
        self._run = run

        def tell() -> None:
            for event, after in zip(events, runs, strict=True):
                self._observers.notify(event, after)

        await self._journal.record(*events, durable=tell)
