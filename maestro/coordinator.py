"""ParallelCoordinator: the one public object (C-2). Everything the command line does with runs goes through it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from maestro import __version__
from maestro.clock import Clock, SystemClock, as_z
from maestro.config.load import load_settings
from maestro.config.settings import Settings
from maestro.errors import BadInput, MaestroError, StateError
from maestro.model.group import GroupMetadata, TaskMetadata, TaskStatus
from maestro.model.plan import ProblemKind
from maestro.model.states import GroupPhase, RunStatus, TaskState
from maestro.model.task import Task
from maestro.planning.markers import detect_groups
from maestro.proc.family import start_time
from maestro.proc.request import MARKER
from maestro.proc.roles import COORDINATOR
from maestro.store.blueprint import Blueprint, read_blueprint, write_blueprint
from maestro.store.claims import claim, live_runs
from maestro.store.layout import Layout
from maestro.store.masking import write_privately
from maestro.vcs.git import Git, open_repository, require_version
from maestro.wiring.backlog import Backlog, plan_backlog
from maestro.wiring.deadruns import beside_dead_runs
from maestro.wiring.preparing import Prepared, check_run_id, looking, new_run_id, new_token, prepare, prepare_state
from maestro.wiring.redaction import redactor_for
from maestro.wiring.result import RunResult
from maestro.wiring.untold import take_over
from maestro.wiring.warming import end_warming, warm

if TYPE_CHECKING:
    from maestro.model.events import RunResumed
    from maestro.telemetry.observer import Observer
    from maestro.wiring.resuming import Past

__all__ = ["GroupMetadata", "GroupPhase", "ParallelCoordinator", "RunResult", "TaskMetadata", "TaskStatus"]


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
        self._opened: Git | None = None

    @classmethod
    def opened(cls, git: Git, *, environ: Mapping[str, str] | None = None) -> Self:
        """In a repository that was opened a moment ago: it is not looked for again."""
        coordinator = cls(git.directory, environ=environ)
        coordinator._opened = git
        return coordinator

    def detect_groups(self, tasks: Sequence[Task | Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Group id → the same objects, in order; unmarked ones under `_sequential` (P-2)."""
        return detect_groups(tasks)

    def open(self) -> Git:
        """The repository; BadInput where there is none, git is too old or it has no commit."""
        require_version()
        git = self._opened or open_repository(self._directory, self._environ)
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
        observers: Iterable[Observer] = (),
        standard_input: str | None = None,
    ) -> RunResult:
        """Run a backlog to its end. MaestroError where it is refused; whatever else happens is in the result.

        `observers` are not asked for before it is certain that the run begins.
        """
        run_id = new_run_id(self._clock) if run_id is None else run_id
        token = new_token()
        git, environ = self._marked(token, run_id, 0)
        layout = Layout(git.directory)
        check_run_id(layout, run_id)
        if standard_input is not None:  # it is kept for `resume`
            standard_input = redactor_for(settings, self._environ).mask_known(standard_input)
        under_way = live_runs(layout.locks)
        with looking(git) as looked:
            backlog = plan_backlog(git, settings, standard_input=standard_input, environ=environ)
        # before anything is given back that they still work on
        dead = beside_dead_runs(layout, backlog.tracker.identity, tuple(backlog.plan.tasks))
        if take_over(git, layout, backlog.tracker):
            backlog = plan_backlog(git, settings, standard_input=standard_input, environ=environ)
        if (done := self._refuse_or_done(run_id, backlog)) is not None:
            return done
        prepared = prepare(git, settings, backlog, run_id, self._environ, looked=looked)
        prepared = prepared._replace(remarks=(*dead, *prepared.remarks))
        prepare_state(layout)
        blueprint = Blueprint(
            run_id=run_id,
            token=token,
            settings=settings,
            plan=backlog.plan,
            base=backlog.base,
            base_branch=backlog.base_branch,
            root=prepared.root,
            tracker_kind=backlog.tracker.kind,
            tracker_identity=backlog.tracker.identity,
            standard_input=standard_input,
            done_before=backlog.done_before,
        )
        with self._claimed(layout, blueprint):
            if under_way <= live_runs(layout.locks):
                write_blueprint(layout.blueprint(run_id), blueprint)
                return self._begin(blueprint, git, settings, backlog, prepared, observers)
        # a run has ended since the backlog was read: what it landed must not be dispatched again
        return self.run(settings, run_id=run_id, observers=observers, standard_input=standard_input)

    def resume(
        self,
        current: Settings,
        *,
        run_id: str | None = None,
        flags: Mapping[str, Any] | None = None,
        retry_failed: bool = False,
        observers: Iterable[Observer] = (),
    ) -> RunResult:
        """Go on with a run that died or ended early (E-6): the one named, else the only one there is.

        `current` are the settings as they are now, of which `flags` names those that replace the run's own.
        MaestroError where it is refused.
        """
        from maestro.model.events import RunResumed  # a run that begins has no past
        from maestro.store.belonging import refuse_in_a_copy
        from maestro.wiring.resuming import backlog_of, choose_run, read_past, reopened, settings_to_go_on_with

        layout = Layout(self.open().directory)
        run_id = choose_run(layout, run_id)
        refuse_in_a_copy(layout, run_id)
        blueprint = read_blueprint(layout.blueprint(run_id))
        with self._claimed(layout, blueprint):
            past = read_past(layout, run_id)
            settings, changed = settings_to_go_on_with(blueprint, current, flags or {})
            again = reopened(past.run, retry_failed=retry_failed) if past.run is not None else ()
            if (done := self._nothing_left(layout, past, again)) is not None:
                return done
            beside_dead_runs(layout, blueprint.tracker_identity, _not_landed(past))
            git, environ = self._marked(blueprint.token, run_id, past.lives)
            backlog = backlog_of(git, settings, blueprint, environ)
            prepared = prepare(git, settings, backlog, run_id, self._environ, blueprint.root)
            prepare_state(layout)
            if changed:  # so that the next resume goes on with them too
                write_blueprint(layout.blueprint(run_id), blueprint.model_copy(update={"settings": settings}))
            resumed = RunResumed(
                at=self._clock.now(),
                maestro_version=__version__,
                reopened=again,
                changed=changed,
                torn_bytes=past.torn_bytes,
                pid=os.getpid(),
                pid_started=start_time(os.getpid()) or 0.0,
            )
            return self._drive(past, resumed, git, settings, backlog, prepared, observers)

    def _begin(
        self,
        blueprint: Blueprint,
        git: Git,
        settings: Settings,
        backlog: Backlog,
        prepared: Prepared,
        observers: Iterable[Observer],
    ) -> RunResult:
        """While its first workspaces are made, what drives it is loaded; none stays that nobody came to use."""
        try:
            warm(prepared, settings, backlog, blueprint.run_id)
            from maestro.wiring.resuming import Past

            past = Past(blueprint.run_id, blueprint, (), 0)
            return self._drive(past, None, git, settings, backlog, prepared, observers)
        finally:
            end_warming(prepared)

    def _drive(
        self,
        past: Past,
        resumed: RunResumed | None,
        git: Git,
        settings: Settings,
        backlog: Backlog,
        prepared: Prepared,
        observers: Iterable[Observer],
    ) -> RunResult:
        from maestro.wiring.driving import drive  # much of maestro, which no run needs that is refused

        return drive(
            past,
            resumed,
            git=git,
            settings=settings,
            backlog=backlog,
            prepared=prepared,
            observers=observers,
            clock=self._clock,
            environ=self._environ,
        )

    def _nothing_left(self, layout: Layout, past: Past, again: Sequence[str]) -> RunResult | None:
        """The result of a run that has come to its end, and of which nothing is tried again. One that is blocked may
        have all its tasks behind it and yet wait for a person: for a clean checkout to land on, say."""
        from maestro.model.result import EXIT_CODES
        from maestro.store.standing import finished

        run, result = past.run, finished(layout, past.run_id)
        if run is None or result is None or run.status not in (RunStatus.COMPLETED, RunStatus.FAILED) or again:
            return None
        if any(task.state is TaskState.PENDING for task in run.tasks.values()):
            return None
        return RunResult(result, EXIT_CODES[run.status])

    def _marked(self, token: str, run_id: str, life: int) -> tuple[Git, Mapping[str, str]]:
        """Git, and the environment of the tracker's program, with a marker: whoever goes on after this coordinator
        died knows what it had called, and waits for it. `life` counts the coordinators of the run that wrote of
        themselves; one may have died before it did."""
        marker = {MARKER: f"{token}/{run_id}/{COORDINATOR}/{life}-{os.getpid()}"}
        return self.open().with_variables(marker), {**self._environ, **marker}

    @contextmanager
    def _claimed(self, layout: Layout, blueprint: Blueprint) -> Iterator[None]:
        """Hold the run, its tasks and its groups."""
        try:
            held = claim(
                layout.locks,
                run_id=blueprint.run_id,
                since=as_z(self._clock.now()),
                backlog=blueprint.tracker_identity,
                tasks=blueprint.plan.tasks,
                groups=blueprint.plan.groups,
            )
        except MaestroError:
            with suppress(OSError):  # it was made to see whether it can be, and a run that is refused leaves nothing
                blueprint.root.rmdir()
            raise
        try:
            yield
        finally:
            held.release()

    def _refuse_or_done(self, run_id: str, backlog: Backlog) -> RunResult | None:
        """BadInput for an impossible plan; a result at once where everything was done before."""
        problems = backlog.plan.problems
        if not problems:
            return None
        if all(problem.kind is ProblemKind.EMPTY for problem in problems) and backlog.plan.done_before:
            from maestro.model.result import nothing_to_do

            branches = {backlog.landed[task].branch for task in backlog.plan.done_before if task in backlog.landed}
            branch = (branches.pop() or None) if len(branches) == 1 else None
            return RunResult(nothing_to_do(run_id, branch, backlog.base, backlog.done_before), 0)
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise BadInput(f"{problems[0].message}{more}", hint="`maestro plan` shows all that is wrong with the backlog")

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
        redactor = redactor_for(self.settings(flags), self._environ)
        write_privately(tasks_file, redactor.mask_known(json.dumps({"tasks": tasks}, ensure_ascii=False)))
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
        from maestro.engine.environment import allowed_environment
        from maestro.engine.refresh import read_refresh
        from maestro.proc.capture import capture
        from maestro.wiring.choices import agent_env_names
        from maestro.wiring.refreshing import refresh_argv

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

_ALIVE_SECONDS = 0.5
"""How often the kernel is asked whether the run still lives."""


def _not_landed(past: Past) -> tuple[str, ...]:
    """What resuming the run may come to work on."""
    if past.run is None:
        return tuple(past.blueprint.plan.tasks)
    return tuple(task.id for task in past.run.tasks.values() if task.state is not TaskState.LANDED)


_OF_ITS_TRACKER = {"progress", "context", "landed", "done_by_hand"}
"""Fields of a task that mean nothing in a task file."""


def _as_entry(task: Task | Mapping[str, Any], group_id: str) -> dict[str, Any]:
    """A task as an entry of a task file, filed in the group."""
    if isinstance(task, Task):
        fields = task.model_dump(mode="json", exclude_defaults=True, exclude=_OF_ITS_TRACKER)
        return {**task.context, **fields, "status": task.progress.value, "group": group_id}
    return {**task, "group": group_id}
