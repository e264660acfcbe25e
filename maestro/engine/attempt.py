"""One task, one agent, one workspace → an Outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from maestro.agents.base import Heard, Invocation
from maestro.engine.company import Company, StopWish
from maestro.engine.context import Brief, RunContext
from maestro.engine.goingon import GoingOn, going_on
from maestro.engine.hiding import hide_secrets_in
from maestro.engine.preparing import Outfit, report_file
from maestro.engine.providing import give_back, provide
from maestro.engine.putaway import put_away
from maestro.engine.testruns import read_test_runs
from maestro.engine.watch import Clocks, RanOut, StopAsked, Watch, tail_of
from maestro.errors import MaestroError
from maestro.executors.base import Running
from maestro.model.events import AttemptEnded, AttemptSpawned, AttemptStarting, AttemptStopping, AttemptTested
from maestro.model.masking import masked
from maestro.model.outcome import Cancelled, Failed, FailureKind, Lost, Outcome, Succeeded, TimedOut, Usage
from maestro.workspaces.base import Workspace, WorkspaceSpec

log = logging.getLogger(__name__)

_NOBODY_WATCHED = "the coordinator died"


class Ended(NamedTuple):
    """An attempt that is over. `workspace` is None where none exists any more."""

    task: str
    outcome: Outcome
    workspace: Workspace | None
    base: str
    saved_ref: str | None
    account: str


class Begun(NamedTuple):
    """An attempt that an earlier coordinator began, and whose end is not in the journal."""

    home: Path  # of its workspace
    since: datetime
    process: tuple[int, float] | None  # pid and kernel start time of its wrapper; None where it was not recorded
    stopping: AttemptStopping | None  # that one was about to stop it


class AttemptRun:
    """One attempt under way; `stop` may be called at any time."""

    def __init__(
        self,
        context: RunContext,
        brief: Brief,
        number: int,
        base: str,
        begun: Begun | None,
        on_spawned: Callable[[], None],
        *,
        room: Callable[[], Awaitable[None]],
        going_on: GoingOn | None = None,
        on_heard: Callable[[Heard], None] | None = None,
    ) -> None:
        """`begun`: it is not started but adopted, with the number it has. `going_on`: in the workspace of the one
        before; the session is in the brief. `room`: awaited before a workspace is made."""
        self._context = context
        self._brief = brief
        self._number = number
        self.base = base
        self._begun = begun
        self._stop = StopWish()
        self._left_by_setup: Running | None = None
        self.task = brief.task.id
        self.name = context.names[self.task]
        self.attempt_id = context.marker(self.name, str(number))
        self.directory = context.layout.attempt(context.run_id, self.name, number)
        self._outfit = Outfit(context, brief, number, self.attempt_id, self.directory)
        self._company = Company(self._outfit, self._stop, on_heard)
        self._going_on = going_on
        self.workspace: Workspace | None = None
        self._is_nobodys = False  # nothing in the workspace is an agent's
        self.command_line = ""
        self.spawned = False  # the agent has been started
        self._on_spawned = on_spawned
        self._room = room

    def stop(self, reason: str) -> None:
        """Ask for the end: the stop ladder, then Cancelled."""
        self._stop.ask(reason)

    def is_at_work(self) -> bool:
        """Whether its agent works, or will: what it has committed so far is not the end of it."""
        return not self._company.is_over

    def has_reported(self) -> bool:
        """Whether the agent has said how it went; it is about to end by itself then."""
        return self.spawned and self.workspace is not None and report_file(self.workspace).exists()

    def withdraw(self) -> bool:
        """Keep it from whoever would take it up; False where somebody works on it, or needs not to be asked."""
        try:
            return self._context.withdraw is not None and self._context.withdraw(self.name, self._number)
        except MaestroError as error:
            log.warning("task %s cannot be taken back: %s", self.task, error.message)
            return False

    async def run(self) -> Ended:
        """Carry the attempt out. Only errors of the journal come out of here; all others become its outcome."""
        context = self._context
        started = context.clock.monotonic()
        already = 0.0
        if self._begun is None:
            spec = self._spec()
            await context.recorder.record(self._starting(spec))
            outcome = await self._guarded(self._make_and_work(spec))
        else:
            already = max((context.clock.now() - self._begun.since).total_seconds(), 0.0)
            outcome = await self._guarded(self._adopt(self._begun))
        outcome = masked(outcome, context.redactor.mask)
        ended = AttemptEnded(
            at=context.clock.now(),
            task=self.task,
            attempt=self._number,
            attempt_id=self.attempt_id,
            outcome=outcome,
            seconds=round(already + context.clock.monotonic() - started, 3),
            peak_memory_bytes=self._company.wellbeing.peak_memory_bytes,
        )
        try:
            await self._company.all_noted()
            await context.recorder.record(*await self._tested(), ended)
        except MaestroError:  # the run is at its end: nobody will land this any more
            if self.workspace is not None:
                with suppress(MaestroError):  # it cannot even be said that it is kept
                    await put_away(context, self.workspace, self.task)
            raise
        saved = await self._put_away(outcome)
        account = self._brief.chosen.agent.account
        return Ended(self.task, outcome, self.workspace, self.base, saved, account)

    async def _tested(self) -> list[AttemptTested]:
        """What its agent found when it ran the tests under their lock."""
        if not (self.directory / "tests").is_dir():
            return []
        now, named = self._context.clock.now(), {"task": self.task, "attempt_id": self.attempt_id}
        return await asyncio.to_thread(read_test_runs, self.directory, at=now, **named)

    def _spec(self) -> WorkspaceSpec:
        return WorkspaceSpec(
            run_id=self._context.run_id,
            task_id=self.task,
            task_name=self.name,
            attempt=self._number,
            base=self.base,
            branch=f"maestro/{self._context.run_id}/{self.name}",
        )

    def _starting(self, spec: WorkspaceSpec) -> AttemptStarting:
        chosen = self._brief.chosen
        return AttemptStarting(
            at=self._context.clock.now(),
            task=self.task,
            attempt=self._number,
            attempt_id=self.attempt_id,
            agent=chosen.agent.name,
            base=spec.base,
            workspace=str(self._context.home_of(self.name)),
            branch=spec.branch,
            skills=chosen.skills,
            subagent=chosen.subagent,
        )

    async def _guarded(self, work: Awaitable[Outcome]) -> Outcome:
        """Whatever goes wrong is the attempt's outcome. After it nothing of it is left but what it wrote, masked."""
        try:
            return await work
        except MaestroError as error:
            return Failed(failure=FailureKind.WORKSPACE, reason=error.message)
        except OSError as error:
            return Failed(failure=FailureKind.WORKSPACE, reason=f"{error.filename or 'the system'}: {error.strerror}")
        except Exception as error:  # a bug met by one task is no reason to lose the work of the others
            log.exception("attempt %s failed", self.attempt_id)
            return Failed(failure=FailureKind.AGENT_ERROR, reason=f"internal error: {type(error).__name__}: {error}")
        finally:
            if self._left_by_setup is not None:
                await self._left_by_setup.sweep()
            await hide_secrets_in(self._context, self.directory, self.task, before=self._give_back)

    async def _make_and_work(self, spec: WorkspaceSpec) -> Outcome:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._going_on is not None:
            home = self._context.home_of(self.name)
            self.workspace = await asyncio.to_thread(self._context.workspaces.adopt, home)
            if self.workspace is not None:
                await asyncio.to_thread(self._provide, self.workspace)
                return await self._work(self.workspace)
            self._outfit = self._outfit._replace(brief=self._brief._replace(session=None))
        await self._room()
        workspace, invocation = await asyncio.to_thread(self._furnish, spec)
        if (failed := await self._set_up(workspace)) is not None:
            return failed
        return await self._work(workspace, invocation)

    def _furnish(self, spec: WorkspaceSpec) -> tuple[Workspace, Invocation | None]:
        """The workspace and what is beside it; the agent's command line too, unless something stands before it. Blocks:
        all in one turn of a thread, since each turn costs as much as the least of them."""
        self.workspace = workspace = self._context.workspaces.create(spec)
        self._provide(workspace)
        if self._context.options.setup_commands or self._stop.event.is_set():
            return workspace, None
        return workspace, self._outfit.prepare(workspace)

    def _provide(self, workspace: Workspace) -> None:
        """Whatever is configured beside the workspace, from here to the end of the attempt. Blocks."""
        if self._context.provisions:
            provided = provide(self._context.provisions, self._outfit.need(workspace))
            self._outfit = self._outfit._replace(provided=provided)

    def _give_back(self) -> None:
        if self._context.provisions and self.workspace is not None:
            give_back(self._context.provisions, self._outfit.need(self.workspace))

    async def _set_up(self, workspace: Workspace) -> Outcome | None:
        """The user's setup commands, one after the other (W-4)."""
        limit = self._context.options.setup_timeout_seconds
        for number, command in enumerate(self._context.options.setup_commands):
            if self._stop.event.is_set():
                return Cancelled(reason=self._stop.reason)
            log = self.directory / "setup.log"
            request = self._outfit.request(
                Invocation(argv=("sh", "-c", command)), workspace, log, log, self.directory / f"setup-{number}.exit"
            )
            running = self._left_by_setup = await self._context.executor.start(request)
            wellbeing = self._company.wellbeing
            watch = Watch(running, None, log, Clocks(None, limit, None), self._context.clock.monotonic, lambda _: None)
            with wellbeing.watched_setup(running):
                ended = await watch.until_end(self._stop.event)
            if isinstance(ended, StopAsked):
                await self._company.stop(running, self._stop.reason, wellbeing.failure)
                return wellbeing.end(Usage(), self._tail_of(log)) or Cancelled(reason=self._stop.reason)
            if isinstance(ended, RanOut):
                reason = f"setup command {command!r} did not end within {limit:g} s"
                await self._company.stop(running, reason, FailureKind.SETUP)
                return Failed(failure=FailureKind.SETUP, reason=reason, output_tail=self._tail_of(log))
            if ended.exit.code != 0:
                reason = f"setup command {command!r} ended with exit code {ended.exit.code}"
                return Failed(failure=FailureKind.SETUP, reason=reason, output_tail=self._tail_of(log))
        return None

    def _tail_of(self, log: Path) -> str:
        return tail_of(log, redactor=self._context.redactor)

    async def _work(self, workspace: Workspace, invocation: Invocation | None = None) -> Outcome:
        """`invocation`: it is prepared already."""
        if self._stop.event.is_set():
            return Cancelled(reason=self._stop.reason)
        if invocation is None:
            invocation = await asyncio.to_thread(self._outfit.prepare, workspace)
        stdout, stderr = self.directory / "stdout", self.directory / "stderr"
        request = self._outfit.request(invocation, workspace, stdout, stderr, self._exit_file)
        self.command_line = " ".join(invocation.argv)
        running = await self._context.executor.start(request)
        try:
            await self._say_spawned(running)
            return await self._company.accompany(running, workspace)
        except BaseException:
            await running.stop("maestro itself failed")  # nobody would watch it any more
            raise

    async def _adopt(self, begun: Begun) -> Outcome:
        """Go on with what an earlier coordinator began: what still runs is kept company, what has ended is judged."""
        context = self._context
        self.workspace = await asyncio.to_thread(context.workspaces.adopt, begun.home)
        running = context.executor.adopt(begun.process, marker=self.attempt_id, exit_file=self._exit_file)
        if running is None and not (self.directory / "stdout").exists():
            self._is_nobodys = True  # no agent has ever been in there
        if running is None or self.workspace is None:
            await context.executor.end_all(self.attempt_id)  # a setup command, or an agent without its files
            if begun.stopping is not None and begun.process is None:
                return _stopped_before(begun.stopping, Cancelled(reason=begun.stopping.reason))
            missing = "before its agent was started" if running is None else "and its workspace is gone"
            return Lost(reason=f"{_NOBODY_WATCHED} {missing}", unwatched=True, before_agent=self._is_nobodys)
        try:
            await asyncio.to_thread(self._provide, self.workspace)
        except BaseException:
            await running.stop("what it was provided with cannot be had again")  # nobody would watch it any more
            raise
        if begun.process is None:
            await self._say_spawned(running)
        self.spawned = True
        stopping = begun.stopping
        outcome = await self._company.accompany(running, self.workspace, since=begun.since, stopping=stopping)
        if stopping is not None and isinstance(outcome, Cancelled) and self._stop.reason == stopping.reason:
            return _stopped_before(stopping, outcome)
        return outcome.evolve(unwatched=True) if isinstance(outcome, Lost) else outcome

    async def _say_spawned(self, running: Running) -> None:
        event = AttemptSpawned(
            at=self._context.clock.now(),
            task=self.task,
            attempt_id=self.attempt_id,
            pid=running.pid,
            pid_started=running.pid_started,
        )
        await self._context.recorder.record(event)
        self.spawned = True
        self._on_spawned()

    @property
    def _exit_file(self) -> Path:
        return self.directory / "exit"

    async def _put_away(self, outcome: Outcome) -> str | None:
        """Save and remove the workspace of an attempt that does not go on to landing; the ref it is saved under."""
        if self.workspace is None or (isinstance(outcome, Succeeded) and not outcome.no_change):
            return None
        task, agent = self._context.recorder.run.tasks[self.task], self._brief.chosen.agent
        if going_on(task, self._number + 1, agent, self._context.workspaces) is not None:
            return None  # the next attempt works in it
        saved = await put_away(self._context, self.workspace, self.task)
        return None if self._is_nobodys else saved  # half a checkout is no work to speak of


def _stopped_before(stopping: AttemptStopping, outcome: Cancelled) -> Outcome:
    """What an attempt comes to that an earlier coordinator was about to stop: a clock counts, and what the attempt did
    itself; a wish of that coordinator's has ended with it."""
    if stopping.failure is not None:
        retryable = stopping.failure is not FailureKind.BUDGET
        return Failed(failure=stopping.failure, reason=stopping.reason, usage=outcome.usage, retryable=retryable)
    if stopping.clock is not None and stopping.limit_seconds is not None:
        return TimedOut(clock=stopping.clock, limit_seconds=stopping.limit_seconds, usage=outcome.usage)
    return Lost(reason=f"{_NOBODY_WATCHED} while it stopped the attempt", usage=outcome.usage, unwatched=True)
