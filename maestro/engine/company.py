"""Keeps an agent company from its start, or from its adoption, to the outcome: clocks, stop ladder, evidence."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from maestro.agents.base import Claim, Heard, Reader, Verdict
from maestro.engine.judge import judge
from maestro.engine.listening import Listening
from maestro.engine.metering import metered
from maestro.engine.preparing import Outfit, report_file
from maestro.engine.watch import Clocks, Exited, RanOut, StopAsked, Watch, tail_of
from maestro.engine.wellbeing import Wellbeing
from maestro.errors import MaestroError
from maestro.executors.base import Running
from maestro.model.events import AttemptNoted, AttemptStopping, Event, Warned
from maestro.model.masking import masked
from maestro.model.outcome import Cancelled, Clock3, Failed, FailureKind, LimitHit, Outcome, TimedOut, describe
from maestro.model.report import BadReport, Report
from maestro.workspaces.base import WorkEvidence, Workspace

_LATE_SECONDS = 1.0


class StopWish:
    """Whether the run wants an attempt stopped, and why."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Ask for the end; the last reason counts."""
        self.reason = reason
        self.event.set()


class Company:
    """One agent under way."""

    def __init__(self, outfit: Outfit, stop: StopWish, on_heard: Callable[[Heard], None] | None = None) -> None:
        self._outfit = outfit
        self._on_heard = on_heard
        self._context = outfit.context
        self._stop = stop
        self._stdout = outfit.directory / "stdout"
        self._stderr = outfit.directory / "stderr"
        self._notes: set[asyncio.Task[None]] = set()
        self._overspent: str | None = None  # which budget of the attempt it has used up
        self._stopping: AttemptStopping | None = None  # by an earlier coordinator
        self.is_over = False  # the agent has ended, and is judged
        self.wellbeing = Wellbeing(outfit, ask_to_stop=stop.ask, note=self._note, record=self._record_soon)

    async def accompany(
        self,
        running: Running,
        workspace: Workspace,
        *,
        since: datetime | None = None,
        stopping: AttemptStopping | None = None,
    ) -> Outcome:
        """To the end of the agent and what it comes to; no process of it is left then.

        `since`: when it was started by an earlier coordinator. `stopping`: that one was about to stop it. What
        ended on its ladder was stopped by it, unless the agent itself says that all is well.
        """
        self._stopping = stopping
        agent = self._outfit.brief.chosen.agent
        reader: Reader = metered(agent.reader(), self._context.options.budgets, self._overspend)
        if self._on_heard is not None:
            reader = Listening(reader, self._on_heard)
        watch = Watch(
            running,
            reader if agent.streams else None,
            self._stdout,
            self._clocks(),
            self._context.clock.monotonic,
            self._note,
            self._is_under_a_lock,
        )
        if since is not None:
            watch.take_up((self._context.clock.now() - since).total_seconds())
        if stopping is not None:
            self._stop.ask(stopping.reason)
        with self.wellbeing.watched(running):
            ended = await watch.until_end(self._stop.event)
        if stopping is not None and isinstance(ended, Exited) and ended.exit.code != 0:
            ended = StopAsked()
        await self._end_processes(running, ended)
        self.is_over = True
        if self.wellbeing.seemed_dead:
            ended = await _late_exit(running) or ended
        watch.read_rest()
        tail = self._tail_of(self._stderr) or self._tail_of(self._stdout)
        return await self._conclude(workspace, reader, ended, tail)

    async def all_noted(self) -> None:
        """Until what the output said is in the journal; raises where that could not be written."""
        if self._notes:
            await asyncio.gather(*self._notes)

    def _overspend(self, reason: str) -> None:
        self._overspent = reason
        self._stop.ask(reason)

    def _tail_of(self, file: Path) -> str:
        return tail_of(file, redactor=self._context.redactor)

    def _clocks(self) -> Clocks:
        options = self._context.options
        return Clocks(options.silent_timeout_seconds, options.task_timeout_seconds, options.exit_timeout_seconds)

    def _is_under_a_lock(self) -> bool:
        """Whether the agent waits for a named resource, or for what it does under one: that has limits of its own."""
        locks = self._context.locks
        return locks is not None and locks.is_used_by(self._outfit.task, self._context.run_id)

    def _note(self, note: str) -> None:
        """Record something the output said, without holding the watch up."""
        outfit, note = self._outfit, self._context.redactor.mask(note)[:500]
        event = AttemptNoted(at=self._context.clock.now(), task=outfit.task, attempt_id=outfit.attempt_id, note=note)
        self._record_soon(event)

    def _record_soon(self, event: Event) -> None:
        recording = asyncio.ensure_future(self._context.recorder.record(event))
        self._notes.add(recording)
        recording.add_done_callback(self._noted)

    def _noted(self, recording: asyncio.Task[None]) -> None:
        """A note that could not be written stays, for the end of the attempt to raise its error."""
        if not recording.cancelled() and recording.exception() is None:
            self._notes.discard(recording)

    async def _end_processes(self, running: Running, ended: Exited | RanOut | StopAsked) -> None:
        """No process of the attempt is left after this."""
        match ended:
            case Exited():
                if (left := await running.sweep()) > 0:
                    message = f"{left} process(es) that the agent left behind were stopped"
                    warned = Warned(at=self._context.clock.now(), message=message, task=self._outfit.task)
                    await self._context.recorder.record(warned)
            case RanOut(clock=clock, limit_seconds=limit):
                await self._stop_ladder(running, f"{clock.value} for {limit:g} s", ended)
            case StopAsked():
                await self._stop_ladder(running, self._stop.reason)

    async def _stop_ladder(self, running: Running, reason: str, ran_out: RanOut | None = None) -> None:
        failure = FailureKind.BUDGET if self._overspent else self.wellbeing.failure
        await self.stop(running, reason, failure, ran_out)

    async def stop(
        self, running: Running, reason: str, failure: FailureKind | None, ran_out: RanOut | None = None
    ) -> None:
        """Say why, and go down the stop ladder. `failure`: what the attempt comes to, where it is its own doing."""
        now, before = self._context.clock.now(), self._stopping
        if before is not None and before.reason == reason:
            event = before.evolve(at=now)
        else:
            event = AttemptStopping(
                at=now,
                task=self._outfit.task,
                attempt_id=self._outfit.attempt_id,
                reason=reason,
                clock=ran_out.clock if ran_out else None,
                limit_seconds=ran_out.limit_seconds if ran_out else None,
                failure=failure,
            )
        with suppress(MaestroError):  # a journal that cannot be written must not keep processes alive
            await self._context.recorder.record(event)
        await running.stop(reason)

    async def _conclude(
        self, workspace: Workspace, reader: Reader, ended: Exited | RanOut | StopAsked, output_tail: str
    ) -> Outcome:
        if isinstance(ended, StopAsked) and self._overspent is not None:
            return Failed(
                failure=FailureKind.BUDGET,
                reason=self._overspent,
                output_tail=output_tail,
                retryable=False,
                usage=reader.verdict(None, "").usage,
            )
        if isinstance(ended, StopAsked):
            if (unwell := self.wellbeing.end(reader.verdict(None, "").usage, output_tail)) is not None:
                return unwell
            return Cancelled(reason=self._stop.reason, usage=reader.verdict(None, "").usage)
        if isinstance(ended, RanOut) and ended.clock is not Clock3.NO_EXIT:
            usage = reader.verdict(None, output_tail).usage
            out = TimedOut(clock=ended.clock, limit_seconds=ended.limit_seconds, output_tail=output_tail, usage=usage)
            if reader.heard is Heard.LIMIT:  # some sleep without a word for as long as the provider says
                return LimitHit(reason=f"{describe(out)}, while it was trying again at a limit", usage=usage)
            return out
        # an agent that said its end and then hung is judged by what it said and left, as if it had exited
        code = ended.exit.code if isinstance(ended, Exited) else 0
        verdict = reader.verdict(code, output_tail)
        if verdict.no_session and self._outfit.brief.session is not None:
            return Failed(failure=FailureKind.SESSION, reason=verdict.reason, usage=verdict.usage)
        report, evidence = await asyncio.to_thread(self._look, workspace, verdict)
        # before anything of it is cut: no half of a secret is left
        verdict = masked(verdict, self._context.redactor.mask)
        report = None if report is None else masked(report, self._context.redactor.mask)
        return judge(verdict, report, evidence, exit_code=code, output_tail=output_tail)

    def _look(self, workspace: Workspace, verdict: Verdict) -> tuple[Report | BadReport | None, WorkEvidence]:
        """Read the report, keep a copy beside the logs, and collect the work."""
        written = report_file(workspace)
        report = self._context.read_report(written)
        if report is not None:
            with suppress(OSError):
                shutil.copyfile(written, self._outfit.directory / "report.json")  # masked with all that is there
        if verdict.claim is Claim.LIMIT or (verdict.claim in (Claim.FAILED, Claim.BUDGET) and report is None):
            return report, WorkEvidence(tip=None, new_commits=0, changed_paths=(), committed_by_maestro=False)
        task = self._outfit.brief.task
        message = f"{task.title or task.id}\n\nUncommitted work of task {task.id}, committed by maestro."
        return report, self._context.workspaces.collect(workspace, message)


async def _late_exit(running: Running) -> Exited | None:
    """The exit code that the shell around the command wrote down after all: woken, it could go on."""
    with suppress(TimeoutError):
        ended = await asyncio.wait_for(running.wait(), _LATE_SECONDS)
        if ended.code is not None:
            return Exited(ended)
    return None
