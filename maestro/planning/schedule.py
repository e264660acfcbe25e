"""What may start now: the engine's only view of dependencies, stages and shared files while a run goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum

from maestro.model.plan import BlockedTask, Plan, ProblemKind
from maestro.planning.ready import ReadyQueue


class _State(Enum):
    WAITING = "waiting"
    ACTIVE = "active"
    LANDED = "landed"
    FAILED = "over without landing"
    BLOCKED = "blocked"


class Dispatcher:
    """Walks a plan. Mutable, without I/O; every method costs in proportion to what it changes or returns.

    A task is released when all it depends on has landed and, with stages, all before its stage is over: landed, or
    with `keep_going` ended in any way. It may start when it is released and no active task holds one of its files.
    Moves that make no sense (to start a task twice) raise ValueError: they are bugs of the caller.
    """

    def __init__(self, plan: Plan, *, keep_going: bool) -> None:
        if any(problem.kind is not ProblemKind.EMPTY for problem in plan.problems):
            raise ValueError("a plan with problems cannot be run")
        self._plan = plan
        self._keep_going = keep_going
        self._names = in_starting_order(plan)
        self._number = {task: number for number, task in enumerate(self._names)}
        self._state = dict.fromkeys(self._names, _State.WAITING)
        self._waiting = len(self._names)
        self._active: set[str] = set()
        self._missing = {task: len(plan.dependencies.get(task, ())) for task in self._names}
        self._dependants: dict[str, list[str]] = {}
        for task in plan.tasks:
            for dependency in plan.dependencies.get(task, ()):
                self._dependants.setdefault(dependency, []).append(task)
        self._queue = _queue_of(plan, self._names)
        self._stage = {task: index for index, stage in enumerate(plan.stages) for task in stage}
        self._unfinished = [len(stage) for stage in plan.stages]
        self._open_stage = 0
        self._blocked_from = len(plan.stages)  # stages from here on are blocked for one before them that did not land
        for blocked in plan.blocked:
            self._block(blocked.task)
        self._open_finished_stages()
        for task in self._names:
            self._release(task, self._stage.get(task, 0))

    def ready(self, limit: int | None = None) -> list[str]:
        """Tasks that may start now, at most `limit`, in the order of P-5.

        Two of them may share a file: ask again after each start.
        """
        return [self._names[number] for number in self._queue.first(limit)]

    def next_after_active(self, limit: int) -> list[str]:
        """Tasks that would be ready if all that is active landed now, at most `limit`, in the order of P-5.

        Shared files are not looked at.
        """
        needed: dict[str, int] = {}  # how many of the active a task waits for
        for task in self._active:
            for dependant in self._dependants.get(task, ()):
                needed[dependant] = needed.get(dependant, 0) + 1
        stages, last = self._plan.stages, self._open_stage
        if last + 1 < len(stages) and self._unfinished[last] == sum(task in self._active for task in stages[last]):
            last += 1
            needed = dict.fromkeys(stages[last], 0) | needed
        found = [task for task, count in needed.items() if self._missing[task] == count]
        found = [task for task in found if self._state[task] is _State.WAITING and self._stage.get(task, 0) <= last]
        return sorted(found, key=self._number.__getitem__)[:limit]

    def may_start(self, task: str) -> bool:
        """Whether `start` would be right now."""
        waits = self._state[task] is _State.WAITING and self._is_released(task)
        return waits and self._queue.holder_against(self._number[task]) is None

    def start(self, task: str) -> None:
        """The task is active now and holds its files."""
        self._expect(task, _State.WAITING)
        if not self._is_released(task):
            raise ValueError(f"task {task!r} starts before what it waits for is over")
        holder = self._queue.holder_against(self._number[task])
        if holder is not None:
            raise ValueError(f"task {task!r} starts while {self._names[holder]!r} holds a file of it")
        self._activate(task)

    def take_up(self, task: str) -> None:
        """The task was started by an earlier coordinator of the run: whether it might then is no question any more.

        What failed since, or was let go on in spite of it, may have closed the way behind it.
        """
        self._expect(task, _State.WAITING)
        self._activate(task)

    def _activate(self, task: str) -> None:
        self._queue.hold(self._number[task])
        self._state[task] = _State.ACTIVE
        self._active.add(task)
        self._waiting -= 1

    def landed(self, task: str) -> None:
        """The task is satisfied, which may release others."""
        self._leave(task, _State.LANDED)
        for dependant in self._dependants.get(task, ()):
            self._missing[dependant] -= 1
            self._release(dependant, self._stage.get(dependant, 0))
        self._end_in_stage(task)

    def back(self, task: str) -> None:
        """The active task waits again for another attempt, and lets go of its files."""
        self._leave(task, _State.WAITING)
        self._waiting += 1
        self._queue.add(self._number[task])

    def failed(self, task: str, how: str = "failed") -> list[BlockedTask]:
        """The task is over without landing; returns all that this blocks, each task once.

        `how` ends the sentence "depends on 'a', which …".
        """
        self._leave(task, _State.FAILED)
        blocked = [*self._block_dependants(task, how), *self._block_later_stages(task, how)]
        self._end_in_stage(task)
        return blocked

    def over(self, task: str) -> list[BlockedTask]:
        """A resumed run has the task as failed or blocked: what that blocks, each task once. What is blocked already,
        because of another, blocks nothing by itself, nor does what was said to be over."""
        return [] if self._state[task] in (_State.BLOCKED, _State.FAILED) else self.failed(task, "did not land")

    def initially_blocked(self) -> tuple[BlockedTask, ...]:
        """What the plan knew to be blocked before the start."""
        return self._plan.blocked

    def waiting(self) -> int:
        """How many tasks are neither active nor over."""
        return self._waiting

    def active(self) -> frozenset[str]:
        """Tasks that were started and are not over."""
        return frozenset(self._active)

    @property
    def is_over(self) -> bool:
        """Whether nothing waits and nothing is active."""
        return self._waiting == 0 and not self._active

    def _expect(self, task: str, *states: _State) -> None:
        if task not in self._state:
            raise ValueError(f"task {task!r} is not in the plan")
        if self._state[task] not in states:
            raise ValueError(f"task {task!r} is {self._state[task].value}")

    def _leave(self, task: str, state: _State) -> None:
        """A task that waits may also end: sent back after its attempt, and then given up."""
        self._expect(task, _State.ACTIVE, *([] if state is _State.WAITING else [_State.WAITING]))
        number = self._number[task]
        if task in self._active:
            self._active.remove(task)
            self._queue.let_go(number)
        else:
            self._waiting -= 1
            self._queue.drop(number)
        self._state[task] = state

    def _is_released(self, task: str) -> bool:
        return self._missing[task] == 0 and self._stage.get(task, 0) <= self._open_stage

    def _release(self, task: str, stage: int) -> None:
        if self._missing[task] == 0 and stage <= self._open_stage and self._state[task] is _State.WAITING:
            self._queue.add(self._number[task])

    def _block(self, task: str) -> bool:
        """False where the task does not wait."""
        if self._state[task] is not _State.WAITING:
            return False
        self._state[task] = _State.BLOCKED
        self._waiting -= 1
        self._queue.drop(self._number[task])
        if task in self._stage:
            self._unfinished[self._stage[task]] -= 1
        return True

    def _block_dependants(self, root: str, how: str) -> Iterator[BlockedTask]:
        reached = deque([root])
        while reached:
            needed = reached.popleft()
            why = f"which {how}" if needed == root else f"which is blocked because {root!r} {how}"
            for task in self._dependants.get(needed, ()):
                if self._block(task):
                    reached.append(task)
                    yield BlockedTask(task=task, reason=f"depends on {needed!r}, {why}")

    def _block_later_stages(self, root: str, how: str) -> Iterator[BlockedTask]:
        if self._keep_going or root not in self._stage:
            return
        first, end = self._stage[root] + 1, self._blocked_from
        self._blocked_from = min(first, end)
        for stage in self._plan.stages[first:end]:
            for task in stage:
                if self._block(task):
                    yield BlockedTask(task=task, reason=f"stands after {root!r}, which {how}")

    def _end_in_stage(self, task: str) -> None:
        if task in self._stage:
            self._unfinished[self._stage[task]] -= 1
            self._open_finished_stages()

    def _open_finished_stages(self) -> None:
        stages = self._plan.stages
        while self._open_stage < len(stages) and self._unfinished[self._open_stage] == 0:
            self._open_stage += 1
            if self._open_stage < len(stages):
                for task in stages[self._open_stage]:
                    self._release(task, self._open_stage)


def in_starting_order(plan: Plan) -> list[str]:
    """All tasks by longest remaining path, then priority, then given order (P-5)."""
    # Sorting is stable, so the given order needs no key of its own.
    return sorted(plan.tasks, key=lambda task: (-plan.rank.get(task, 0.0), plan.tasks[task].priority))


def _queue_of(plan: Plan, names: list[str]) -> ReadyQueue:
    """Only files that two tasks use need watching; none with --allow-overlap."""
    users: dict[str, int] = {}
    if not plan.allow_overlap:
        for files in plan.files.values():
            for file in files:
                users[file] = users.get(file, 0) + 1
    shared = [file for file, count in users.items() if count > 1]
    number = {file: index for index, file in enumerate(shared)}
    held = [tuple(number[file] for file in plan.files.get(task, ()) if file in number) for task in names]
    return ReadyQueue(held, len(shared))
