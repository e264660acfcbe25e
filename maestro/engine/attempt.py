"""One task, one agent, one workspace → an Outcome."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from maestro.agents.base import Claim, Invocation, Job, Reader, Verdict
from maestro.engine.context import Brief, RunContext
from maestro.engine.environment import allowed_environment
from maestro.engine.judge import judge
from maestro.engine.watch import Clocks, Exited, RanOut, StopAsked, Watch, tail_of
from maestro.errors import MaestroError
from maestro.executors.base import Running
from maestro.model.events import AttemptEnded, AttemptNoted, AttemptSpawned, AttemptStarting, AttemptStopping, Warned
from maestro.model.note import Note, notes_for
from maestro.model.outcome import Cancelled, Clock3, Failed, FailureKind, Outcome, Succeeded, TimedOut
from maestro.model.report import BadReport, Report
from maestro.proc.request import MARKER, ProcessRequest
from maestro.store.board import read_board
from maestro.trackers.base import ReadOnlyForAgents
from maestro.workspaces.base import WorkEvidence, Workspace, WorkspaceSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """An attempt that is over. `workspace` is None where none exists any more."""

    task: str
    outcome: Outcome
    workspace: Workspace | None
    base: str
    saved_ref: str | None
    account: str


class AttemptRun:
    """One attempt under way; `stop` may be called at any time."""

    def __init__(
        self, context: RunContext, brief: Brief, number: int, base: str, on_spawned: Callable[[], None]
    ) -> None:
        self._context = context
        self._brief = brief
        self._number = number
        self.base = base
        self._stop = asyncio.Event()
        self._stop_reason = ""
        self._notes: set[asyncio.Task[None]] = set()
        self._left_by_setup: Running | None = None
        self.task = brief.task.id
        self.name = context.names[self.task]
        self.attempt_id = context.marker(self.name, str(number))
        self.directory = context.layout.attempt(context.run_id, self.name, number)
        self.workspace: Workspace | None = None
        self.command_line = ""
        self.spawned = False  # the agent has been started
        self._on_spawned = on_spawned

    def stop(self, reason: str) -> None:
        """Ask for the end: the stop ladder, then Cancelled."""
        self._stop_reason = reason
        self._stop.set()

    def has_reported(self) -> bool:
        """Whether the agent has said how it went; it is about to end by itself then."""
        return self.spawned and self.workspace is not None and self._report_file(self.workspace).exists()

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
        spec = WorkspaceSpec(
            run_id=context.run_id,
            task_id=self.task,
            task_name=self.name,
            attempt=self._number,
            base=self.base,
            branch=f"maestro/{context.run_id}/{self.name}",
        )
        await context.recorder.record(self._starting(spec))
        outcome = await self._outcome(spec)
        saved = await self._put_away(outcome)
        if self._notes:
            await asyncio.gather(*self._notes)
        ended = AttemptEnded(
            at=context.clock.now(),
            task=self.task,
            attempt=self._number,
            attempt_id=self.attempt_id,
            outcome=outcome,
            seconds=round(context.clock.monotonic() - started, 3),
        )
        try:
            await context.recorder.record(ended)
        except MaestroError:  # the run is at its end: nobody will land this any more
            if self.workspace is not None:
                await put_away(context, self.workspace, self.task)
            raise
        account = self._brief.chosen.agent.account
        return Ended(self.task, outcome, self.workspace, self.base, saved, account)

    def _starting(self, spec: WorkspaceSpec) -> AttemptStarting:
        chosen = self._brief.chosen
        return AttemptStarting(
            at=self._context.clock.now(),
            task=self.task,
            attempt=self._number,
            attempt_id=self.attempt_id,
            agent=chosen.agent.name,
            base=spec.base,
            workspace=str(self._context.workspace_root / f"task-{self.name}"),
            branch=spec.branch,
            skills=chosen.skills,
            subagent=chosen.subagent,
        )

    async def _outcome(self, spec: WorkspaceSpec) -> Outcome:
        try:
            self.workspace = await asyncio.to_thread(self._context.workspaces.create, spec)
            self.directory.mkdir(parents=True, exist_ok=True)
            if (failed := await self._set_up(self.workspace)) is not None:
                return failed
            return await self._work(self.workspace)
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

    async def _set_up(self, workspace: Workspace) -> Outcome | None:
        """The user's setup commands, one after the other (W-4)."""
        limit = self._context.options.setup_timeout_seconds
        for number, command in enumerate(self._context.options.setup_commands):
            if self._stop.is_set():
                return Cancelled(reason=self._stop_reason)
            log = self.directory / "setup.log"
            request = self._request(
                Invocation(argv=("sh", "-c", command)), workspace, log, log, self.directory / f"setup-{number}.exit"
            )
            running = self._left_by_setup = await self._context.executor.start(request)
            ended = await Watch(
                running, None, log, Clocks(None, limit, None), self._context.clock.monotonic, lambda _: None
            ).until_end(self._stop)
            if isinstance(ended, StopAsked):
                await running.stop(self._stop_reason)
                return Cancelled(reason=self._stop_reason)
            if isinstance(ended, RanOut):
                await running.stop("setup ran over its limit")
                reason = f"setup command {command!r} did not end within {limit:g} s"
                return Failed(failure=FailureKind.SETUP, reason=reason, output_tail=tail_of(log))
            if ended.exit.code != 0:
                reason = f"setup command {command!r} ended with exit code {ended.exit.code}"
                return Failed(failure=FailureKind.SETUP, reason=reason, output_tail=tail_of(log))
        return None

    async def _work(self, workspace: Workspace) -> Outcome:
        if self._stop.is_set():
            return Cancelled(reason=self._stop_reason)
        context = self._context
        invocation = await asyncio.to_thread(self._prepare, workspace)
        stdout, stderr = self.directory / "stdout", self.directory / "stderr"
        request = self._request(invocation, workspace, stdout, stderr, self.directory / "exit")
        self.command_line = " ".join(invocation.argv)
        running = await context.executor.start(request)
        try:
            return await self._accompany(running, workspace)
        except BaseException:
            await running.stop("maestro itself failed")  # nobody would watch it any more
            raise

    async def _accompany(self, running: Running, workspace: Workspace) -> Outcome:
        """From the agent's start to the outcome."""
        context, agent, options = self._context, self._brief.chosen.agent, self._context.options
        stdout, stderr = self.directory / "stdout", self.directory / "stderr"
        reader = agent.reader()
        await context.recorder.record(
            AttemptSpawned(
                at=context.clock.now(),
                task=self.task,
                attempt_id=self.attempt_id,
                pid=running.pid,
                pid_started=running.pid_started,
            )
        )
        self.spawned = True
        self._on_spawned()
        clocks = Clocks(options.silent_timeout_seconds, options.task_timeout_seconds, options.exit_timeout_seconds)
        watched = reader if agent.streams else None
        watch = Watch(running, watched, stdout, clocks, context.clock.monotonic, self._note)
        ended = await watch.until_end(self._stop)
        await self._end_processes(running, ended)
        watch.read_rest()
        return await self._conclude(workspace, reader, ended, tail_of(stderr) or tail_of(stdout))

    def _prepare(self, workspace: Workspace) -> Invocation:
        """Write the prompt beside the workspace, where a sandboxed agent may read it, and a copy beside the logs."""
        prompt = self._context.compose(replace(self._brief, notes=self._notes_of_others()))
        state = workspace.home / ".agent-state"
        state.mkdir(exist_ok=True)
        self._report_file(workspace).unlink(missing_ok=True)
        prompt_file = state / "prompt.md"
        for file in (prompt_file, self.directory / "prompt.md"):
            file.write_text(prompt, encoding="utf-8")
        job = Job(
            task_id=self.task,
            prompt=prompt,
            prompt_file=prompt_file,
            workspace=workspace.repo,
            state_dir=state,
            client_config=workspace.home / "client-config.json",
            subagent=self._brief.chosen.subagent,
            run_id=self._context.run_id,
            name=self.name,
            attempt=self._number,
            attempt_id=self.attempt_id,
            title=self._brief.task.title,
            wanted_subagent=self._brief.task.subagent_type,
            why=self._brief.chosen.why,
            report_file=self._report_file(workspace),
        )
        return self._brief.chosen.agent.invocation(job)

    def _notes_of_others(self) -> tuple[Note, ...]:
        """What the board of the run has for this task; a board that cannot be read is no reason not to work."""
        try:
            return notes_for(self.task, read_board(self._context.layout.board(self._context.run_id)))
        except MaestroError as error:
            log.warning("task %s starts without notes: %s", self.task, error.message)
            return ()

    @staticmethod
    def _report_file(workspace: Workspace) -> Path:
        return workspace.home / ".agent-state" / "report.json"

    def _request(
        self, invocation: Invocation, workspace: Workspace, stdout: Path, stderr: Path, exit_file: Path
    ) -> ProcessRequest:
        context = self._context
        exit_file.unlink(missing_ok=True)
        names = (*context.env_allow, *self._brief.chosen.agent.env_names())
        return ProcessRequest(
            argv=invocation.argv,
            cwd=workspace.repo,
            env={
                **self._tracker_env(),  # weakest: who names these variables in env_allow wants otherwise
                **allowed_environment(context.environ, names),
                **workspace.env,
                **invocation.env,
                **self._variables(workspace),
            },
            stdin_file=invocation.stdin_file,
            stdout_file=stdout,
            stderr_file=stderr,
            exit_file=exit_file,
        )

    def _tracker_env(self) -> Mapping[str, str]:
        tracker = self._context.tracker
        return tracker.agent_env() if isinstance(tracker, ReadOnlyForAgents) else {}

    def _variables(self, workspace: Workspace) -> Mapping[str, str]:
        """The variables every agent gets (A-2)."""
        return {
            "MAESTRO_REPOSITORY": str(self._context.git.directory),
            "MAESTRO_RUN_ID": self._context.run_id,
            "MAESTRO_TASK_ID": self.task,
            MARKER: self.attempt_id,
            "MAESTRO_WORKSPACE_DIR": str(workspace.repo),
            "MAESTRO_PROMPT_FILE": str(workspace.home / ".agent-state" / "prompt.md"),
            "MAESTRO_REPORT_FILE": str(self._report_file(workspace)),
        }

    def _note(self, note: str) -> None:
        """Record something the output said, without holding the watch up."""
        event = AttemptNoted(at=self._context.clock.now(), task=self.task, attempt_id=self.attempt_id, note=note[:500])
        recording = asyncio.ensure_future(self._context.recorder.record(event))
        self._notes.add(recording)
        recording.add_done_callback(self._noted)

    def _noted(self, recording: asyncio.Task[None]) -> None:
        """A note that could not be written stays, for the end of the attempt to raise its error."""
        if not recording.cancelled() and recording.exception() is None:
            self._notes.discard(recording)

    async def _end_processes(self, running: Running, ended: Exited | RanOut | StopAsked) -> None:
        """No process of the attempt is left after this."""
        context = self._context
        match ended:
            case Exited():
                if (left := await running.sweep()) > 0:
                    message = f"{left} process(es) that the agent left behind were stopped"
                    await context.recorder.record(Warned(at=context.clock.now(), message=message, task=self.task))
            case RanOut(clock=clock, limit_seconds=limit):
                await self._stop_ladder(running, f"{clock.value} for {limit:g} s")
            case StopAsked():
                await self._stop_ladder(running, self._stop_reason)

    async def _stop_ladder(self, running: Running, reason: str) -> None:
        context = self._context
        with suppress(MaestroError):  # a journal that cannot be written must not keep processes alive
            await context.recorder.record(
                AttemptStopping(at=context.clock.now(), task=self.task, attempt_id=self.attempt_id, reason=reason)
            )
        await running.stop(reason)

    async def _conclude(
        self, workspace: Workspace, reader: Reader, ended: Exited | RanOut | StopAsked, output_tail: str
    ) -> Outcome:
        if isinstance(ended, StopAsked):
            return Cancelled(reason=self._stop_reason, usage=reader.verdict(None, "").usage)
        if isinstance(ended, RanOut) and ended.clock is not Clock3.NO_EXIT:
            usage = reader.verdict(None, output_tail).usage
            return TimedOut(clock=ended.clock, limit_seconds=ended.limit_seconds, output_tail=output_tail, usage=usage)
        # an agent that said its end and then hung is judged by what it said and left, as if it had exited
        code = ended.exit.code if isinstance(ended, Exited) else 0
        verdict = reader.verdict(code, output_tail)
        report, evidence = await asyncio.to_thread(self._look, workspace, verdict)
        return judge(verdict, report, evidence, exit_code=code, output_tail=output_tail)

    def _look(self, workspace: Workspace, verdict: Verdict) -> tuple[Report | BadReport | None, WorkEvidence]:
        """Read the report, keep a copy beside the logs, and collect the work."""
        report_file = self._report_file(workspace)
        report = self._context.read_report(report_file)
        if report is not None:
            with suppress(OSError):
                shutil.copyfile(report_file, self.directory / "report.json")
        if verdict.claim is Claim.LIMIT or (verdict.claim is Claim.FAILED and report is None):
            return report, WorkEvidence(tip=None, new_commits=0, changed_paths=(), committed_by_maestro=False)
        task = self._brief.task
        message = f"{task.title or task.id}\n\nUncommitted work of task {task.id}, committed by maestro."
        return report, self._context.workspaces.collect(workspace, message)

    async def _put_away(self, outcome: Outcome) -> str | None:
        """Save and remove the workspace of an attempt that does not go on to landing; the ref it is saved under."""
        if self.workspace is None or (isinstance(outcome, Succeeded) and not outcome.no_change):
            return None
        return await put_away(self._context, self.workspace, self.task)


async def put_away(context: RunContext, workspace: Workspace, task: str) -> str | None:
    """Save what is not landed, then remove; what cannot be saved is not removed, and said (W-6)."""

    def save_and_remove() -> str | None:
        saved = context.workspaces.save(workspace, context.run_id, context.names[task])
        if not context.options.keep_workspaces:
            context.workspaces.remove(workspace)
        return saved

    try:
        return await asyncio.to_thread(save_and_remove)
    except (MaestroError, OSError) as error:
        message = f"the workspace {workspace.home} is kept, since it could not be put away: {error}"
        await context.recorder.record(Warned(at=context.clock.now(), message=message, task=task))
        return None
