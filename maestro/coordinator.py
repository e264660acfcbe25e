"""ParallelCoordinator: the one public object (C-2). Everything the command line does with runs goes through it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro.clock import Clock, SystemClock, as_z
from maestro.config.load import load_settings
from maestro.config.settings import Settings
from maestro.engine.environment import allowed_environment
from maestro.engine.loop import Engine
from maestro.engine.recorder import Recorder
from maestro.engine.refresh import read_refresh
from maestro.engine.session import session_to
from maestro.engine.signals import signals_to
from maestro.errors import BadInput, StateError
from maestro.model.group import GroupMetadata, TaskMetadata, TaskStatus
from maestro.model.plan import ProblemKind
from maestro.model.result import EXIT_CODES, nothing_to_do, result_object
from maestro.model.run import Run
from maestro.model.states import GroupPhase
from maestro.model.task import Task
from maestro.planning.estimate import kind_of
from maestro.planning.markers import detect_groups
from maestro.proc.capture import capture
from maestro.store.atomic import write_atomically
from maestro.store.claims import claim, live_runs
from maestro.store.journal import Journal
from maestro.store.layout import Layout
from maestro.telemetry.history import HistoryObserver
from maestro.telemetry.landings import LandingsObserver
from maestro.telemetry.metadata import MetadataObserver
from maestro.telemetry.metrics import Metrics
from maestro.telemetry.observer import FanOut, Observer
from maestro.telemetry.spending import SpendingObserver
from maestro.vcs.git import Git, open_repository, require_version
from maestro.wiring.backlog import Backlog, plan_backlog
from maestro.wiring.build import Built, Prepared, build, check_run_id, new_run_id, prepare, prepare_state
from maestro.wiring.choices import agent_env_names
from maestro.wiring.delegate import observers_of
from maestro.wiring.refreshing import refresh_argv
from maestro.wiring.takeover import take_over

__all__ = ["GroupMetadata", "GroupPhase", "ParallelCoordinator", "RunResult", "TaskMetadata", "TaskStatus"]


@dataclass(frozen=True)
class RunResult:
    """How a run ended: the object of C-1a, and the exit code that goes with it."""

    result: dict[str, Any]
    exit_code: int


class ParallelCoordinator:
    """Plans backlogs and runs them in one repository."""

    def __init__(
        self,
        repository: str | Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`repository`: any directory inside it, the current one by default. Nothing is looked up before it is
        needed: detecting groups works outside of a repository (P-2)."""
        self._directory = Path.cwd() if repository is None else Path(repository)
        self._environ = dict(os.environ if environ is None else environ)
        self._clock = clock or SystemClock()

    def detect_groups(self, tasks: Sequence[Task | Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Group id → the same objects, in order; unmarked ones under `_sequential` (P-2)."""
        return detect_groups(tasks)

    def open(self) -> Git:
        """The repository; BadInput where there is none, git is too old or it has no commit."""
        require_version()
        git = open_repository(self._directory, self._environ)
        if git.commit_of("HEAD") is None and not git.text("for-each-ref", "--count=1", "refs/heads/"):
            raise BadInput("the repository has no commits yet", hint="make a first commit: agents start from one")
        return git

    def settings(self, flags: Mapping[str, Any] | None = None) -> Settings:
        """Settings from files, variables and `flags`."""
        return load_settings(self.open().directory, None, self._environ, flags or {}, self._directory).settings

    def run(
        self,
        settings: Settings,
        *,
        run_id: str | None = None,
        observers: Sequence[Observer] = (),
        standard_input: str | None = None,
    ) -> RunResult:
        """Run a backlog to its end. MaestroError where it is refused; whatever else happens is in the result."""
        git = self.open()
        layout = Layout(git.directory)
        run_id = new_run_id(self._clock) if run_id is None else run_id
        check_run_id(layout, run_id)
        under_way = live_runs(layout.locks)
        backlog = plan_backlog(git, settings, standard_input=standard_input, environ=self._environ)
        if take_over(git, layout, backlog.tracker):
            backlog = plan_backlog(git, settings, standard_input=standard_input, environ=self._environ)
        if (done := self._refuse_or_done(run_id, backlog)) is not None:
            return done
        prepared = prepare(git, settings, backlog, run_id, self._environ)
        prepare_state(layout)
        held = claim(
            layout.locks,
            run_id=run_id,
            since=as_z(self._clock.now()),
            backlog=backlog.tracker.identity,
            tasks=backlog.plan.tasks,
            groups=backlog.plan.groups,
        )
        try:
            if under_way <= live_runs(layout.locks):
                return self._run_claimed(git, settings, backlog, prepared, run_id, observers)
        finally:
            held.release()
        # a run has ended since the backlog was read: what it landed must not be dispatched again
        return self.run(settings, run_id=run_id, observers=observers, standard_input=standard_input)

    def _refuse_or_done(self, run_id: str, backlog: Backlog) -> RunResult | None:
        """BadInput for an impossible plan; a result at once where everything was done before."""
        problems = backlog.plan.problems
        if not problems:
            return None
        if all(problem.kind is ProblemKind.EMPTY for problem in problems) and backlog.plan.done_before:
            branches = {backlog.landed[task].branch for task in backlog.plan.done_before if task in backlog.landed}
            branch = (branches.pop() or None) if len(branches) == 1 else None
            return RunResult(nothing_to_do(run_id, branch, backlog.base, backlog.done_before), 0)
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise BadInput(f"{problems[0].message}{more}", hint="`maestro plan` shows all that is wrong with the backlog")

    def _run_claimed(
        self,
        git: Git,
        settings: Settings,
        backlog: Backlog,
        prepared: Prepared,
        run_id: str,
        observers: Sequence[Observer],
    ) -> RunResult:
        layout, metrics = Layout(git.directory), Metrics()
        kinds = {task.id: kind_of(task) for task in backlog.plan.tasks.values()}
        landings = LandingsObserver(layout.landed, backlog.tracker.identity, run_id, kinds)
        spending = SpendingObserver(layout.spent, run_id)
        own = observers_of(settings, layout, run_id, backlog.plan.tasks)
        history = HistoryObserver(layout, kinds)
        fan_out = FanOut([metrics, MetadataObserver(layout), landings, spending, history, *own, *observers])
        journal = Journal(layout.journal(run_id))
        built = build(
            prepared,
            git=git,
            settings=settings,
            backlog=backlog,
            recorder=Recorder(journal, fan_out),
            metrics=metrics,
            run_id=run_id,
            clock=self._clock,
            environ=self._environ,
        )
        try:
            run = asyncio.run(_drive(Engine(built.context), built, journal, prepared.remarks))
        finally:
            fan_out.close()
        result = result_object(run, backlog.done_before)
        try:
            write_atomically(layout.summary(run_id), (json.dumps(result, indent=2) + "\n").encode())
        except StateError as error:  # the run is over, and its result is true all the same
            result["warnings"].append(error.message)
        return RunResult(result, EXIT_CODES[run.status])

    def execute_parallel_group(
        self,
        group_tasks: Sequence[Task | Mapping[str, Any]],
        group_id: str,
        *,
        flags: Mapping[str, Any] | None = None,
        observers: Sequence[Observer] = (),
    ) -> GroupMetadata:
        """Run the given tasks as one parallel group; what metadata.json says of it at the end.

        `flags` are settings as on the command line. Dependencies must be among the tasks given.
        """
        layout = Layout(self.open().directory)
        run_id = new_run_id(self._clock)
        prepare_state(layout)
        tasks_file = layout.run(run_id) / "tasks.json"
        tasks_file.parent.mkdir(parents=True)
        tasks = [_as_entry(task, group_id) for task in group_tasks]
        tasks_file.write_text(json.dumps({"tasks": tasks}, ensure_ascii=False), encoding="utf-8")
        settings = self.settings({**(flags or {}), "tasks_file": str(tasks_file), "group_id": [group_id]})
        self.run(settings, run_id=run_id, observers=observers)
        return self.group(group_id)

    def group(self, group_id: str) -> GroupMetadata:
        """metadata.json of a group; BadInput where no run knows the group."""
        path = Layout(self.open().directory).metadata(group_id)
        try:
            return GroupMetadata.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise BadInput(f"no run here knows a group {group_id!r}", hint="`maestro list` shows the groups") from error
        except (OSError, ValueError) as error:
            raise StateError(f"{path} cannot be read: {error}") from error

    def refresh_context_before_group(self) -> bool:
        """Run the refresh command (E-2) now; whether it completed. False where no command is configured."""
        settings = self.settings()
        argv = refresh_argv(settings)
        if argv is None:
            return False
        done = capture(
            argv,
            cwd=self.open().directory,
            env=allowed_environment(self._environ, (*settings.env_allow, *agent_env_names(settings))),
            stdin=None,
            timeout_seconds=settings.refresh_timeout,
        )
        code = None if done.timed_out else done.code
        return read_refresh(code, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")).completed

    def wait_for_group_completion(self, group_id: str, timeout: float | None = None) -> GroupMetadata | None:
        """Wait until a group has ended; its metadata, or None where the time (seconds) ran out.

        StateError when the run that worked on the group has died: nobody will end it.
        """
        locks = Layout(self.open().directory).locks
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        next_question = self._clock.monotonic()
        while not (group := self.group(group_id)).is_final:
            now = self._clock.monotonic()
            if deadline is not None and now >= deadline:
                return None
            if now >= next_question:
                next_question = now + _ALIVE_SECONDS
                if group.run_id not in live_runs(locks) and not self.group(group_id).is_final:
                    raise StateError(f"the run {group.run_id} that worked on group {group_id} has died")
            time.sleep(_LOOK_SECONDS)
        return group


_LOOK_SECONDS = 0.02
"""Between two looks at a small file: a waiter answers within 100 ms (E-5) and costs next to nothing."""

_SPARE_THREADS = 6
"""For the journal, the tracker, landing, the gate, the guard and a removal, beside one for each agent."""

_ALIVE_SECONDS = 0.5
"""How often the kernel is asked whether the run still lives."""


_OF_ITS_TRACKER = {"progress", "context", "landed", "done_by_hand"}
"""Fields of a task that mean nothing in a task file."""


def _as_entry(task: Task | Mapping[str, Any], group_id: str) -> dict[str, Any]:
    """A task as an entry of a task file, filed in the group."""
    if isinstance(task, Task):
        fields = task.model_dump(mode="json", exclude_defaults=True, exclude=_OF_ITS_TRACKER)
        return {**task.context, **fields, "status": task.progress.value, "group": group_id}
    return {**task, "group": group_id}


async def _drive(engine: Engine, built: Built, journal: Journal, remarks: Sequence[str]) -> Run:
    """The run inside its event loop, with signals told to it."""
    # as many threads as agents and a few more: else a journal write would wait behind workspaces being made
    threads = built.context.options.max_parallel + _SPARE_THREADS
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="maestro"))
    try:
        with signals_to(engine.tell), session_to(engine.tell, built.session):
            return await engine.run(built.start, remarks)
    finally:
        await journal.close()
