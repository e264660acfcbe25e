"""Engine runs in this process: real git and real children, a tracker in memory, and what the run told its observers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maestro.clock import SystemClock
from maestro.config.settings import Settings
from maestro.engine.context import RunContext
from maestro.engine.loop import Engine
from maestro.engine.recorder import Recorder
from maestro.model.events import Event, GroupMoved
from maestro.model.plan import PlanOptions, ScheduleKind
from maestro.model.run import Run
from maestro.model.task import Task
from maestro.planning.plan import make_plan
from maestro.store.journal import Journal
from maestro.store.layout import Layout
from maestro.telemetry.metrics import Metrics
from maestro.telemetry.observer import FanOut
from maestro.testing.memory_tracker import MemoryTracker
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.wiring.backlog import Backlog
from maestro.wiring.build import Built, build
from maestro.wiring.preparing import new_token, prepare, prepare_state

WRITES = 'echo "$MAESTRO_TASK_ID" > "out-$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm work'
NO_CHANGE = """printf '{"status": "no_change", "summary": "it was right"}' > "$MAESTRO_REPORT_FILE" """

_WHATEVER_THE_MACHINE = {"min_free_disk_mb": 0, "min_free_memory_mb": 0, "min_free_files": 0, "max_load": 0}
"""What else it does while the tests run is no business of theirs."""


@dataclass
class Seen:
    """An Observer that keeps everything, and calls back."""

    events: list[Event] = field(default_factory=list)
    react: Callable[[Event], object] = bool

    def notify(self, event: Event) -> None:
        self.events.append(event)
        self.react(event)

    def close(self) -> None: ...

    def phases(self, group: str) -> list[str]:
        """The phases of a group as recorded, each once for each stretch."""
        names: list[str] = []
        for event in self.events:
            if isinstance(event, GroupMoved) and event.group == group and names[-1:] != [event.phase.value]:
                names.append(event.phase.value)
        return names


class EngineRun:
    """One run, put together as wiring does it."""

    def __init__(
        self,
        repo: Repository,
        tasks: Sequence[Task],
        root: Path,
        *,
        agent: str = WRITES,
        schedule: ScheduleKind = ScheduleKind.AUTO,
        run_id: str = "r",
        tracker: MemoryTracker | None = None,
        **settings: Any,
    ) -> None:
        self.tracker = MemoryTracker(tasks) if tracker is None else tracker
        self.seen = Seen()
        environ = dict(os.environ)
        git = open_repository(repo.path, environ)
        chosen = Settings(
            agent="command",
            agent_command=agent,
            workspace_root=root,
            **{"no_tests": "test_command" not in settings, **_WHATEVER_THE_MACHINE, "max_parallel": 4, **settings},
        )
        keep_going = chosen.keep_going
        plan = make_plan(self.tracker.load(), PlanOptions(schedule=schedule, keep_going=keep_going))
        assert not plan.problems, plan.problems
        base = repo.head
        backlog = Backlog(self.tracker, "in memory", plan, base, "main", {})
        prepared = prepare(git, chosen, backlog, run_id, environ)
        layout = Layout(git.directory)
        prepare_state(layout)
        self.journal = Journal(layout.journal(run_id))
        metrics = Metrics()
        self.recorder = Recorder(self.journal, FanOut([metrics, self.seen]))
        self.built: Built = build(
            prepared, git=git, settings=chosen, backlog=backlog, recorder=self.recorder, metrics=metrics,
            run_id=run_id, token=new_token(), clock=SystemClock(), environ=environ,
        )  # fmt: skip
        self.engine: Engine | None = None

    @property
    def context(self) -> RunContext:
        return self.built.context

    def replace(self, **changes: Any) -> None:
        """Put other collaborators in."""
        self.built = self.built._replace(context=self.built.context._replace(**changes))

    def go(self, limit_seconds: float = 90) -> Run:
        """Run to the end."""

        async def drive() -> Run:
            self.engine = Engine(self.built.context)
            try:
                return await asyncio.wait_for(self.engine.run(self.built.start), limit_seconds)
            finally:
                await self.journal.close()

        return asyncio.run(drive())


def states(run: Run) -> dict[str, str]:
    """Task → where it stands."""
    return {task.id: task.state.value for task in run.tasks.values()}
