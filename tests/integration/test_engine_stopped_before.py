"""An agent that was to be stopped while its command line was made is never started: it would cost money (E-7)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from maestro.engine.context import Brief
from maestro.engine.messages import Interrupted
from maestro.model.events import AttemptSpawned
from maestro.model.task import Task
from maestro.testing.repository import Repository
from tests.integration.engine_runs import EngineRun


def test_it_is_not_started(repo: Repository, tmp_path: Path) -> None:
    started = tmp_path / "started"
    run = EngineRun(repo, [Task(id="a")], tmp_path / "root", agent=f"touch {started}; sleep 60")
    compose = run.context.compose
    loops: list[asyncio.AbstractEventLoop] = []
    run.seen.react = lambda _: loops.append(asyncio.get_running_loop()) if not loops else None

    def interrupted_meanwhile(brief: Brief) -> str:
        engine = run.engine
        assert engine is not None
        loops[0].call_soon_threadsafe(engine.tell, Interrupted(2, "enough"))
        (attempt,) = engine._starts.attempts.values()
        deadline = time.monotonic() + 60
        while not attempt._stop.event.is_set():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return compose(brief)

    run.replace(compose=interrupted_meanwhile)
    ended = run.go()

    assert ended.status.value == "interrupted"
    assert not [event for event in run.seen.events if isinstance(event, AttemptSpawned)]
    assert not started.exists()
