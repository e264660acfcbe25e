"""The landing desk: owns the landing queue, the gate bench, and the workspaces of what is submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from maestro.engine.bench import GateBench
from maestro.engine.branches import integration_branch, integration_branches
from maestro.engine.checkpoints import make_checkpoint
from maestro.engine.context import RunContext
from maestro.engine.putaway import put_away
from maestro.engine.returning import Returning
from maestro.errors import GitError, MaestroError
from maestro.integration.branches import create_branch
from maestro.integration.checkpoint import name_of_level
from maestro.integration.queue import LandingQueue
from maestro.integration.verdicts import LandingVerdict, Submission
from maestro.model.gate import GateResult, GateSkipped
from maestro.model.run import Run
from maestro.workspaces.base import Workspace


class LandingDesk:
    """What the loop sees of landing."""

    def __init__(
        self,
        context: RunContext,
        deliver: Callable[[LandingVerdict], Awaitable[None]],
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`deliver` is told what became of each submission; `wanted`: whether a task will still want a workspace."""
        self._context = context
        self._deliver = deliver
        self._wanted = wanted
        self._bench = GateBench(context, context.options.gate) if context.options.gate else None
        self._queue: LandingQueue | None = None
        self._running: asyncio.Task[None] | None = None
        self._workspaces: dict[str, Workspace] = {}
        self._removals: set[asyncio.Task[None]] = set()
        self._leaving = 0  # workspaces that are being removed
        self.returning = Returning(
            context.options.max_parallel, lambda: len(self._workspaces) + self._leaving, self._one_is_coming_back
        )
        self.level: int | None = None
        self.waiting: set[str] = set()

    @property
    def tip(self) -> str:
        """Tip of the integration branch; the base before anything landed."""
        return self._queue.tip if self._queue is not None else self._context.base

    async def open(self, level: int | None) -> None:
        """Make the integration branch (of the level) at the tip so far and start landing on it."""
        tip = self.tip
        await self.close_queue()
        branch = integration_branch(self._context.run_id, level)
        await make_checkpoint(self._context, name_of_level(level or 0), branch=branch, commit=tip)
        await asyncio.to_thread(create_branch, self._context.git, branch, tip)
        self._start(level, branch, tip)

    async def take_up(self, run: Run, *, levels: bool) -> None:
        """Go on landing where an earlier coordinator broke off; a branch that is gone is found to be so by the first
        landing."""
        level, tip = (await asyncio.to_thread(self._last_level) if levels else None), run.tip
        branch = integration_branch(self._context.run_id, level)
        is_there = await asyncio.to_thread(self._context.git.commit_of, f"refs/heads/{branch}") is not None
        if not is_there and all(task.commit is None for task in run.tasks.values()):
            await make_checkpoint(self._context, name_of_level(level or 0), branch=branch, commit=tip)
            await asyncio.to_thread(create_branch, self._context.git, branch, tip)
        self._start(level, branch, tip)

    def _last_level(self) -> int:
        """The last one that has a branch; the first where none has."""
        names = integration_branches(self._context.run_id, self._context.plan)
        there = [n for n, name in enumerate(names) if self._context.git.commit_of(f"refs/heads/{name}") is not None]
        return max(there, default=0)

    def _start(self, level: int | None, branch: str, tip: str) -> None:
        options = self._context.options
        self.level = level
        self._queue = LandingQueue(
            git=self._context.git,
            branch=branch,
            tip=tip,
            strategy=options.strategy,
            gate=options.gate,
            judge=self._judge,
            record=self._context.recorder.record,
            clock=self._context.clock,
            deliver=self._deliver,
            max_batch=options.max_batch,
        )
        self._running = asyncio.create_task(self._queue.run(), name=f"landing on {branch}")

    async def _judge(self, commit: str, tasks: tuple[str, ...]) -> GateResult:
        return await self._bench.judge(commit, tasks) if self._bench is not None else GateSkipped()

    @property
    def background(self) -> asyncio.Task[None] | None:
        """The queue's own task, to be watched."""
        return self._running

    async def submit(self, submission: Submission, workspace: Workspace | None) -> None:
        """Take work over; the workspace stays until it is known what becomes of it. None: it is gone already."""
        assert self._queue is not None
        if workspace is not None:
            self._workspaces[submission.task] = workspace
        self.waiting.add(submission.task)
        await self._queue.submit(submission)

    def landed(self, task: str) -> None:
        """The task is on the branch: its workspace goes, in the background."""
        self.waiting.discard(task)
        workspace = self._workspaces.pop(task, None)
        if workspace is None or self._context.options.keep_workspaces:
            return
        self._leaving += 1
        removal = asyncio.create_task(self._remove(workspace), name=f"remove workspace of {task}")
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    async def _remove(self, workspace: Workspace) -> None:
        try:
            await asyncio.to_thread(self._context.workspaces.remove, workspace, for_good=not self._wanted())
        except (MaestroError, OSError):
            return  # what is landed is safe; `maestro clean` finds the folder by its marker file
        finally:
            self._leaving -= 1
            await self.returning.changed()

    def _one_is_coming_back(self) -> bool:
        """Whether a workspace will be there to be used again in a moment: no test stands before it."""
        options = self._context.options
        if options.keep_workspaces or self._context.workspaces.kind == "none":
            return False
        return self._leaving > 0 or (options.gate is None and bool(self._workspaces))

    async def not_landed(self, task: str) -> str | None:
        """Save and remove the workspace of work that came back; the ref it is saved under."""
        self.waiting.discard(task)
        workspace = self._workspaces.pop(task, None)
        saved = await put_away(self._context, workspace, task) if workspace is not None else None
        await self.returning.changed()
        return saved

    async def stop(self, reason: str) -> None:
        """End the gate under way; what waits comes back as not landed."""
        if self._bench is not None:
            await self._bench.stop(reason)

    async def abandon(self) -> None:
        """The run cannot go on and the queue is dead: save what was to land, and clear up."""
        for task in list(self._workspaces):
            with suppress(MaestroError):  # it cannot even be said that one is kept
                await self.not_landed(task)
        if self._bench is not None:
            await self._bench.close()
        await self.workspaces_gone()

    async def close_queue(self) -> None:
        """Finish what is queued; nothing lands any more."""
        if self._queue is not None and self._running is not None:
            await self._queue.close()
            await self._running

    async def workspaces_gone(self) -> None:
        """Until the workspaces of what has landed so far are removed; none is kept to be used again any more."""
        if self._removals:
            await asyncio.gather(*self._removals)
        for workspaces in {self._context.workspaces, self._context.gate_workspaces}:
            with suppress(MaestroError, OSError):  # what waited is empty; `maestro clean` knows the folders
                await asyncio.to_thread(workspaces.close)

    async def clear_away(self) -> None:
        """Workspaces and the bench."""
        await self.workspaces_gone()
        if self._bench is not None:
            await self._bench.close()

    async def drop_branches(self, landed: list[str]) -> None:
        """Remove the branches of landed tasks: their commits are reachable from the integration branch, or saved."""
        if not landed or self._context.options.keep_workspaces:
            return
        prefix = f"refs/heads/maestro/{self._context.run_id}"
        lines = "".join(f"delete {prefix}/{self._context.names[task]}\n" for task in landed)
        try:
            await asyncio.to_thread(self._context.git.run, "update-ref", "--stdin", stdin=lines.encode())
        except GitError:
            return  # a branch somebody has checked out stays; `maestro clean` names it
