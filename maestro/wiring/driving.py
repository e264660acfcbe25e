"""Drives a run that is claimed and prepared: journal, observers, engine, and the result at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from maestro.clock import Clock
from maestro.config.settings import Settings
from maestro.engine.loop import Engine
from maestro.engine.recorder import Recorder
from maestro.engine.session import session_to
from maestro.engine.signals import signals_to
from maestro.errors import StateError
from maestro.model.events import Event, RunResumed
from maestro.model.redaction import Redactor
from maestro.model.result import EXIT_CODES, result_object
from maestro.model.run import Run
from maestro.planning.estimate import kind_of
from maestro.proc.arenas import use_one_arena
from maestro.proc.request import MARKER
from maestro.store.atomic import write_atomically
from maestro.store.board import mask_board
from maestro.store.journal import Journal
from maestro.store.layout import Layout
from maestro.store.masking import MASKED_WHEN_WRITTEN, mask_folder
from maestro.telemetry.history import HistoryObserver
from maestro.telemetry.landings import LandingsObserver
from maestro.telemetry.logs import no_secret_in_logs
from maestro.telemetry.metadata import MetadataObserver
from maestro.telemetry.metrics import Metrics
from maestro.telemetry.observer import FanOut, Observer
from maestro.telemetry.spending import SpendingObserver
from maestro.vcs.git import Git
from maestro.wiring.backlog import Backlog
from maestro.wiring.build import Built, build
from maestro.wiring.delegate import observers_of
from maestro.wiring.preparing import Prepared
from maestro.wiring.result import RunResult
from maestro.wiring.resuming import Past

_SPARE_THREADS = 6
"""For the journal, the tracker, landing, the gate, the guard and a removal, beside one for each agent."""


def drive(
    past: Past,
    resumed: RunResumed | None,
    *,
    git: Git,
    settings: Settings,
    backlog: Backlog,
    prepared: Prepared,
    observers: Iterable[Observer],
    clock: Clock,
    environ: Mapping[str, str],
) -> RunResult:
    """Carry a run to its end, from its beginning or from where its `past` broke off. The caller holds its claim."""
    layout, metrics, run_id = Layout(git.directory), Metrics(), past.run_id
    fan_out = FanOut([metrics, *_own_observers(layout, settings, backlog, run_id), *observers])
    journal = Journal(layout.journal(run_id))
    recorder = Recorder(journal, fan_out)
    built = build(
        prepared,
        git=git,
        settings=settings,
        backlog=backlog,
        recorder=recorder,
        metrics=metrics,
        run_id=run_id,
        token=past.blueprint.token,
        clock=clock,
        environ=environ,
    )
    if past.events:
        recorder.take_up(past.events)
        with suppress(FileNotFoundError):  # it tells of an end that is none any more
            layout.summary(run_id).unlink()
    try:
        with no_secret_in_logs(prepared.redactor), git.kept_processes():
            run = asyncio.run(_in_loop(built, journal, prepared.remarks, past.events, resumed))
    finally:
        with suppress(OSError):
            built.context.workspace_root.rmdir()  # only where nothing was kept in it
        fan_out.close()
    result = result_object(run, past.blueprint.done_before)
    result["warnings"] += _mask_the_rest(layout, run_id, prepared.redactor, is_resumed=bool(past.events))
    try:
        write_atomically(layout.summary(run_id), (json.dumps(result, indent=2) + "\n").encode())
    except StateError as error:  # the run is over, and its result is true all the same
        result["warnings"].append(error.message)
    return RunResult(result, EXIT_CODES[run.status])


def _mask_the_rest(layout: Layout, run_id: str, redactor: Redactor, *, is_resumed: bool) -> list[str]:
    """The board, and whatever an earlier coordinator that died has not come to; what could not be masked."""
    try:
        mask_board(layout.board(run_id), redactor)
        if is_resumed:
            mask_folder(layout.run(run_id), redactor, MASKED_WHEN_WRITTEN)
    except StateError as error:
        return [error.message]
    return []


def _own_observers(layout: Layout, settings: Settings, backlog: Backlog, run_id: str) -> list[Observer]:
    kinds = {task.id: kind_of(task) for task in backlog.plan.tasks.values()}
    return [
        MetadataObserver(layout),
        LandingsObserver(layout.landed, backlog.tracker.identity, run_id, kinds),
        SpendingObserver(layout.spent, run_id),
        HistoryObserver(layout, kinds),
        *observers_of(settings, layout, run_id, backlog.plan.tasks),
    ]


async def _in_loop(
    built: Built, journal: Journal, remarks: Sequence[str], past: Sequence[Event], resumed: RunResumed | None
) -> Run:
    """The run inside its event loop, with signals told to it."""
    # as many threads as agents and a few more: else a journal write would wait behind workspaces being made
    context = built.context
    threads = context.options.max_parallel + _SPARE_THREADS
    use_one_arena()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="maestro"))
    engine = Engine(context)
    try:
        with signals_to(engine.tell), session_to(engine.tell, built.session):
            if resumed is None:
                return await engine.run(built.start, remarks)
            from maestro.model.recovery import leftover  # nothing of this before a run is resumed
            from maestro.wiring.clearing import clear_unbegun, clear_up

            if not past:
                await clear_unbegun(context, context.git.environ[MARKER])
                return await engine.run(built.start, remarks)
            await clear_up(context, leftover(past), context.git.environ[MARKER])
            return await engine.resume(resumed, past, remarks)
    finally:
        await journal.close()
