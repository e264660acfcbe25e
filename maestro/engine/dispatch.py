"""Which ready task may start now: slots, limits per agent and group, account holds (E-4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from maestro.engine.caution import Caution
from maestro.engine.context import Chosen, RunContext
from maestro.engine.holds import Holds
from maestro.engine.options import Options
from maestro.engine.phases import GroupPhases
from maestro.engine.reserving import Reservations
from maestro.planning.schedule import Dispatcher


class Dispatch:
    """Chooses starts; starts nothing itself."""

    def __init__(
        self,
        context: RunContext,
        dispatcher: Dispatcher,
        phases: GroupPhases,
        holds: Holds,
        caution: Caution | None = None,
        reservations: Reservations | None = None,
    ) -> None:
        self._context = context
        self._caution = caution
        self._reservations = reservations
        self._dispatcher = dispatcher
        self._phases = phases
        self._holds = holds
        self._chosen: dict[str, Chosen] = {}
        self.running: dict[str, Chosen] = {}  # tasks with an attempt under way

    def chosen(self, task: str) -> Chosen:
        """Who does the task; decided once."""
        if task not in self._chosen:
            self._chosen[task] = self._context.choose(self._context.plan.tasks[task])
        return self._chosen[task]

    def next_start(self) -> str | None:
        """The task to start now, None where nothing can start. Ask again after each start: it may exclude others."""
        options = self._context.options
        if len(self.running) >= options.max_parallel:
            return None
        if self._caution is not None and self._caution.holds_back(len(self.running)):
            return None
        agents = Counter(chosen.agent.name for chosen in self.running.values())
        groups = Counter(self._phases.group_of(task) for task in self.running)
        for task in self._candidates():
            chosen, group = self.chosen(task), self._phases.group_of(task)
            if not self._holds.may_start(chosen.agent.account):
                continue
            if not self._phases.is_preparing(task) and _has_room(options, agents, groups, chosen, group):
                return task
        return None

    def _candidates(self) -> Iterator[str]:
        """Ready tasks that wait for no resource; first those that hold one already."""
        if self._reservations is None:
            yield from self._ready()
            return
        yield from [task for task in self._reservations.idle if self._dispatcher.may_start(task)]
        for task in self._ready():
            if not self._reservations.hold_back(task):
                yield task

    def _ready(self) -> Iterator[str]:
        """Ready tasks in order; asked for in growing portions, since mostly the first one may start."""
        seen, limit = 0, 1
        while len(tasks := self._dispatcher.ready(limit)) > seen:
            yield from tasks[seen:]
            seen, limit = len(tasks), limit * 8


def _has_room(
    options: Options, agents: Counter[str], groups: Counter[str | None], chosen: Chosen, group: str | None
) -> bool:
    limit = options.agent_limits.get(chosen.agent.name)
    if limit is not None and agents[chosen.agent.name] >= limit:
        return False
    return group is None or options.group_parallel is None or groups[group] < options.group_parallel
