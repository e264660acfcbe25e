"""The four phases of a marker group (E-1), each recorded; and the refresh before it (E-2)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from maestro.engine.checkpoints import make_checkpoint
from maestro.engine.context import RunContext
from maestro.engine.environment import allowed_environment
from maestro.engine.hiding import hide_secrets_in
from maestro.engine.refresh import Refreshed, read_refresh, shortened
from maestro.engine.watch import tail_of
from maestro.errors import MaestroError
from maestro.integration.checkpoint import name_of_group
from maestro.model.events import GroupMoved, ModelUsed, Warned
from maestro.model.masking import masked
from maestro.model.outcome import Usage
from maestro.model.states import FINAL, GroupPhase, GroupStatus, TaskState
from maestro.proc.request import MARKER, ProcessRequest
from maestro.proc.roles import REFRESH


def _read(folder: Path, code: int | None) -> Refreshed:
    return read_refresh(code, tail_of(folder / "stdout", 1 << 20), tail_of(folder / "stderr"))


class GroupPhases:
    """Moves groups through their phases as their tasks move."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._group_of = {task: group for group, members in context.plan.groups.items() for task in members}
        self._summaries: dict[str, str] = {}
        self._ready: set[str] = set()
        self._preparing: set[str] = set()
        self._refreshing = asyncio.Lock()
        self._answer: Refreshed | None = None  # what serves all groups of the run, where one answer does

    def group_of(self, task: str) -> str | None:
        """The marker group of a task."""
        return self._group_of.get(task)

    def summary(self, task: str) -> str:
        """The group's refreshed context, empty without one."""
        return self._summaries.get(self._group_of.get(task, ""), "")

    def is_ready(self, task: str) -> bool:
        """Whether the pre-execution phase of the task's group is over."""
        group = self._group_of.get(task)
        return group is None or group in self._ready

    def is_preparing(self, task: str) -> bool:
        """Whether that phase is under way."""
        group = self._group_of.get(task)
        return group is not None and group in self._preparing

    def begin(self, task: str) -> None:
        """Say that the pre-execution phase of the task's group is about to be carried out."""
        self._preparing.add(self._group_of[task])

    def restore(self) -> None:
        """Go on where an earlier coordinator broke off: groups at work need no second refresh."""
        for group in self._context.recorder.run.groups.values():
            if group.phase is GroupPhase.PRE_EXECUTION:
                continue
            self._ready.add(group.id)
            answer = self._answer_of(group.id) if group.refreshed else None
            if answer is not None and answer.completed:
                self._answer = None if self._context.options.refresh_every_group else answer
                self._summaries[group.id] = shortened(answer.text, self._context.options.refresh_max_chars)
            elif group.refreshed and self._answer is not None:
                self._summaries[group.id] = shortened(self._answer.text, self._context.options.refresh_max_chars)

    async def prepare(self, task: str) -> None:
        """Carry out the pre-execution phase of the task's group."""
        group = self._group_of[task]
        try:
            await self._prepare(group)
        finally:
            self._preparing.discard(group)

    async def _prepare(self, group: str) -> None:
        run = self._context.recorder.run
        begun = self._moved(group, GroupPhase.PRE_EXECUTION, GroupStatus.IN_PROGRESS)
        name = name_of_group(group)
        await make_checkpoint(self._context, name, branch=run.branch, commit=run.tip, group=group, beside=(begun,))
        refreshed = await self._refreshed(group)
        if refreshed is not None and not refreshed.completed:
            message = f"the context of group {group} was not refreshed: {refreshed.reason}"
            await self._context.recorder.record(Warned(at=self._context.clock.now(), message=message))
        self._summaries[group] = shortened(refreshed.text, self._context.options.refresh_max_chars) if refreshed else ""
        self._ready.add(group)
        done = refreshed is not None and refreshed.completed
        await self._move(group, GroupPhase.CONCURRENT_EXECUTION, GroupStatus.IN_PROGRESS, refreshed=done)

    async def _refreshed(self, group: str) -> Refreshed | None:
        """The answer for a group. One for the whole run is asked for once, also by groups that start together; where
        that failed, the next group asks again."""
        if self._context.options.refresh_every_group:
            return await self._hidden(group)
        async with self._refreshing:
            if self._answer is None:
                refreshed = await self._hidden(group)
                if refreshed is None or not refreshed.completed:
                    return refreshed
                self._answer = refreshed
            return self._answer

    async def _hidden(self, group: str) -> Refreshed | None:
        """The same without secrets: it goes into prompts."""
        refreshed = await self._refresh(group)
        if refreshed is None:
            return None
        if refreshed.usage != Usage():
            asked = f"the context of group {group}"
            marker = self._marker(group)
            used = ModelUsed(at=self._context.clock.now(), asked_for=asked, marker=marker, usage=refreshed.usage)
            await self._context.recorder.record(used)
        if self._context.keys is not None:
            self._context.keys.ended(self._marker(group), None)
        await hide_secrets_in(self._context, self._folder(group))
        return masked(refreshed, self._context.redactor.mask)

    async def _refresh(self, group: str) -> Refreshed | None:
        """Run the refresh command in the repository; None where the user chose no model and no command."""
        context, argv = self._context, self._context.options.refresh_argv
        if argv is None:
            return None
        folder = self._folder(group)
        marker = self._marker(group)
        limit = context.options.refresh_timeout_seconds
        try:
            folder.mkdir(parents=True, exist_ok=True)
            environment = allowed_environment(context.environ, self._refresh_names())
            if context.keys is not None:
                environment |= context.keys.environment(marker)
            running = await context.executor.start(
                ProcessRequest(
                    argv=argv,
                    cwd=context.git.directory,
                    env={**environment, "MAESTRO_RUN_ID": context.run_id, MARKER: marker},
                    stdout_file=folder / "stdout",
                    stderr_file=folder / "stderr",
                    exit_file=folder / "exit",
                )
            )
        except (MaestroError, OSError) as error:
            return Refreshed(completed=False, reason=str(error))
        try:
            ended = await asyncio.wait_for(running.wait(), limit)
            await running.sweep()
        except TimeoutError:
            await running.stop("the refresh ran over its limit")
            return Refreshed(completed=False, reason=f"its command did not end within {limit:g} s")
        except asyncio.CancelledError:
            await running.stop("the run was stopped")
            raise
        return _read(folder, ended.code)

    def _marker(self, group: str) -> str:
        return self._context.marker(REFRESH, self._folder(group).name)

    def _folder(self, group: str) -> Path:
        return self._context.layout.run(self._context.run_id) / "refresh" / self._context.layout.group(group).name

    def _answer_of(self, group: str) -> Refreshed | None:
        """What the refresh of a group had answered; None where another group's served it too."""
        folder = self._folder(group)
        return _read(folder, 0) if (folder / "stdout").exists() else None

    def _refresh_names(self) -> tuple[str, ...]:
        chosen = self._context.choose(next(iter(self._context.plan.tasks.values())))
        return (*self._context.env_allow, *chosen.agent.env_names())

    async def task_moved(self, task: str) -> str | None:
        """Look at the task's group after one of its tasks moved; the group's id when it has just ended."""
        group = self._group_of.get(task)
        if group is None:
            return None
        run = self._context.recorder.run
        now = run.groups[group]
        if now.status not in (GroupStatus.PENDING, GroupStatus.IN_PROGRESS):
            return None
        states = [run.tasks[member].state for member in now.tasks]
        at_work = any(state in (TaskState.PENDING, TaskState.RUNNING) for state in states)
        if not at_work and now.phase is GroupPhase.CONCURRENT_EXECUTION:
            await self._move(group, GroupPhase.COORDINATION, GroupStatus.IN_PROGRESS)
        if all(state in FINAL for state in states):
            await self._end(group, states)
            return group
        return None

    async def _end(self, group: str, states: list[TaskState]) -> None:
        """A failed or blocked member never lets the group be called completed (E-3)."""
        run = self._context.recorder.run
        errors = tuple(f"{member}: {run.tasks[member].reason}" for member in run.groups[group].tasks
                       if run.tasks[member].state is not TaskState.LANDED)  # fmt: skip
        if TaskState.FAILED in states:
            status = GroupStatus.FAILED
        elif any(state is not TaskState.LANDED for state in states):
            status = GroupStatus.BLOCKED
        else:
            status = GroupStatus.COMPLETED
        await self._move(group, GroupPhase.POST_EXECUTION, GroupStatus.IN_PROGRESS)
        await self._move(group, GroupPhase.POST_EXECUTION, status, errors=errors)

    async def _move(
        self,
        group: str,
        phase: GroupPhase,
        status: GroupStatus,
        *,
        refreshed: bool | None = None,
        errors: tuple[str, ...] = (),
    ) -> None:
        moved = self._moved(group, phase, status, refreshed=refreshed, errors=errors)
        await self._context.recorder.record(moved)

    def _moved(self, group: str, phase: GroupPhase, status: GroupStatus, **more: Any) -> GroupMoved:
        return GroupMoved(at=self._context.clock.now(), group=group, phase=phase, status=status, **more)
