"""Whatever lands or fails, in whatever order: what a dispatcher may and may not do (P-3 … P-6)."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.model.plan import Plan, PlanOptions, ProblemKind, ScheduleKind
from maestro.model.task import Progress, Task
from maestro.planning.plan import make_plan
from maestro.planning.schedule import Dispatcher

FILES = ["x", "y", "z", "src/*", "src/a"]


@st.composite
def backlogs(draw: st.DrawFn) -> list[Task]:
    """Up to 14 tasks without cycles, in an order that has nothing to do with their dependencies."""
    count = draw(st.integers(1, 14))
    tasks = []
    for number in range(count):
        earlier = st.lists(st.integers(0, number - 1), max_size=3) if number else st.just([])
        tasks.append(
            Task(
                id=f"t{number}",
                dependencies=tuple(f"t{one}" for one in draw(earlier)),
                files=tuple(draw(st.lists(st.sampled_from(FILES), max_size=2))),
                group=draw(st.sampled_from([None, None, "g", "h"])),
                priority=draw(st.integers(0, 3)),
                estimate_minutes=draw(st.sampled_from([None, None, 1.0, 7.0])),
                progress=draw(st.sampled_from([*[Progress.OPEN] * 8, *Progress])),
            )
        )
    return draw(st.permutations(tasks))


options = st.builds(
    PlanOptions, schedule=st.sampled_from(ScheduleKind), keep_going=st.booleans(), allow_overlap=st.booleans()
)


class Walk:
    """Drains a dispatcher with random moves and checks each one against the rules, worked out the slow way."""

    def __init__(self, plan: Plan, *, keep_going: bool, chance: random.Random) -> None:
        self.plan = plan
        self.keep_going = keep_going
        self.chance = chance
        self.flow = Dispatcher(plan, keep_going=keep_going)
        self.landed: set[str] = set()
        self.failed: set[str] = set()
        self.blocked = {one.task for one in self.flow.initially_blocked()}
        self.active: list[str] = []

    def run(self) -> None:
        while not self.flow.is_over:
            ready = sorted(self.may_start(), key=self.place)
            if self.chance.random() < 0.7:  # to ask changes the queue, so what follows must hold without it too
                limit = self.chance.choice([None, 1, 2])
                assert self.flow.ready(limit) == ready[:limit]
            assert all(self.flow.may_start(task) for task in ready)
            assert self.flow.active() == set(self.active)
            assert ready or self.active, "nothing can start and nothing runs, but it is not over"
            self.move(ready)
        assert self.flow.waiting() == 0
        assert self.landed | self.failed | self.blocked == set(self.plan.tasks)
        assert len(self.landed) + len(self.failed) + len(self.blocked) == len(self.plan.tasks)

    def move(self, ready: list[str]) -> None:
        if ready and self.chance.random() < 0.1:
            self.fail(self.chance.choice(ready))
            return
        if ready and (not self.active or self.chance.random() < 0.5):
            task = self.chance.choice(ready)
            self.flow.start(task)
            self.active.append(task)
            return
        task = self.active.pop(self.chance.randrange(len(self.active)))
        fate = self.chance.random()
        if fate < 0.15:
            self.flow.back(task)
        elif fate < 0.35:
            self.fail(task)
        else:
            self.flow.landed(task)
            self.landed.add(task)

    def fail(self, task: str) -> None:
        self.failed.add(task)
        for one in self.flow.failed(task):
            assert one.task not in self.blocked | self.landed | self.failed, "blocked though it is over"
            assert repr(task) in one.reason
            self.blocked.add(one.task)

    def may_start(self) -> list[str]:
        over = self.landed | self.failed | self.blocked
        found = []
        for task in self.plan.tasks:
            if task in over or task in self.active:
                continue
            behind = [one for one in self.before(task) if one not in (over if self.keep_going else self.landed)]
            held = not self.plan.allow_overlap and any(self.share(task, other) for other in self.active)
            if not behind and not held and set(self.plan.dependencies[task]) <= self.landed:
                found.append(task)
        return found

    def before(self, task: str) -> list[str]:
        """All that stands in an earlier stage."""
        at = next((index for index, stage in enumerate(self.plan.stages) if task in stage), 0)
        return [one for stage in self.plan.stages[:at] for one in stage]

    def share(self, one: str, other: str) -> bool:
        return not set(self.plan.files.get(one, ())).isdisjoint(self.plan.files.get(other, ()))

    def place(self, task: str) -> tuple[float, int, int]:
        return -self.plan.rank[task], self.plan.tasks[task].priority, list(self.plan.tasks).index(task)


@settings(max_examples=300, deadline=None)
@given(backlogs(), options, st.integers(0, 2**20))
def test_every_task_lands_fails_or_is_blocked_and_none_starts_too_early(
    tasks: list[Task], chosen: PlanOptions, seed: int
) -> None:
    plan = make_plan(tasks, chosen)
    if plan.problems:
        assert {one.kind for one in plan.problems} <= {ProblemKind.STAGE_ORDER, ProblemKind.EMPTY}
        return
    Walk(plan, keep_going=chosen.keep_going, chance=random.Random(seed)).run()


@settings(max_examples=200, deadline=None)
@given(backlogs(), options)
def test_levels_hold_what_can_run_once_and_in_an_order_that_dependencies_allow(
    tasks: list[Task], chosen: PlanOptions
) -> None:
    plan = make_plan(tasks, chosen)
    if plan.problems:
        return
    wave = {task: number for number, level in enumerate(plan.levels) for task in level}
    blocked = {one.task for one in plan.blocked}
    assert sorted(wave) == sorted(set(plan.tasks) - blocked)
    assert sum(map(len, plan.levels)) == len(wave)
    assert all(wave[needed] < wave[task] for task in wave for needed in plan.dependencies[task])
    assert plan.max_parallel == max(map(len, plan.levels), default=0)
    chain = plan.critical_path
    assert all(wave[one] < wave[other] for one, other in pairwise(chain))
    for task in plan.tasks:
        for needed in tasks_by_id(tasks)[task].dependencies:
            done = tasks_by_id(tasks)[needed].progress is Progress.DONE
            assert done or needed in wave or task in blocked, "a dependency that will not land was taken as satisfied"


@settings(max_examples=150, deadline=None)
@given(backlogs(), options)
def test_listed_overlaps_are_those_that_could_meet(tasks: list[Task], chosen: PlanOptions) -> None:
    plan = make_plan(tasks, chosen)
    if plan.problems:
        return
    running = [task for level in plan.levels for task in level]
    stage = {task: number for number, members in enumerate(plan.stages) for task in members}
    above = {task: all_needs(plan, task) for task in running}
    expected = {
        frozenset((one, other))
        for one in running
        for other in running
        if one != other
        and not set(plan.files.get(one, ())).isdisjoint(plan.files.get(other, ()))
        and stage.get(one) == stage.get(other)
        and one not in above[other]
        and other not in above[one]
    }
    assert {frozenset(overlap.tasks) for overlap in plan.overlaps} == expected
    assert len(plan.overlaps) == len(expected)


@settings(max_examples=100, deadline=None)
@given(backlogs(), options)
def test_the_same_backlog_gives_the_same_plan(tasks: list[Task], chosen: PlanOptions) -> None:
    extra = [task.evolve(context={"a": 1, "b": {"c": 2, "d": 3}}) for task in tasks]
    turned = [task.evolve(context={"b": {"d": 3, "c": 2}, "a": 1}) for task in tasks]
    one, again, other = (make_plan(given_tasks, chosen) for given_tasks in (extra, extra, turned))
    assert one == again
    assert one.model_dump_json() == again.model_dump_json()
    assert one.evolve(tasks={}) == other.evolve(tasks={})


def all_needs(plan: Plan, task: str) -> set[str]:
    found: set[str] = set()
    unexplored = [task]
    while unexplored:
        new = set(plan.dependencies[unexplored.pop()]) - found
        found |= new
        unexplored += new
    return found


def tasks_by_id(tasks: list[Task]) -> dict[str, Task]:
    return {task.id: task for task in tasks}
