"""From a backlog to a plan (P-3 … P-7). Pure: the same input gives the same plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from maestro.model.plan import Plan, PlanOptions, Problem, ScheduleKind
from maestro.model.task import Progress, Task
from maestro.planning.backlog import Backlog, read_backlog
from maestro.planning.blocked import LEFT_OUT, find_blocked
from maestro.planning.estimate import known_minutes, predict
from maestro.planning.graph import without
from maestro.planning.levels import heaviest_chain, level_of, remaining_paths, waves
from maestro.planning.overlap import claims_of, find_overlaps
from maestro.planning.resources import unknown_resources, wanted_resources
from maestro.planning.stages import Stages, group_stages, level_stages


def make_plan(
    tasks: Sequence[Task],
    options: PlanOptions,
    *,
    repository_files: Collection[str] = (),
    history_minutes: Mapping[str, float] | None = None,
    landed_elsewhere: Mapping[str, str] | None = None,
) -> Plan:
    """Plan the backlog, or say in `problems` why that is impossible; nothing is raised for a bad backlog.

    `repository_files` are the paths that exist, for files that a task only names (P-6). `history_minutes` is what a
    kind of task took before (see `kind_of`). `landed_elsewhere` maps a task that an earlier run landed outside this
    run's base to a sentence that says where; it satisfies no dependency (P-4).
    """
    elsewhere = landed_elsewhere or {}
    backlog = read_backlog(tasks, options.group_ids, options.selected)
    plan = _outline(backlog, options, elsewhere)
    if plan.problems:
        return plan
    stages, problems = _stages(backlog, plan.schedule)
    if problems:
        return plan.evolve(problems=tuple(problems))
    blocked = find_blocked(backlog, stages, elsewhere, keep_going=options.keep_going)
    set_aside = tuple(name for name, task in backlog.chosen.items() if not task.is_runnable)
    plan = plan.evolve(stages=stages, blocked=blocked, set_aside=set_aside)
    return _with_order(plan, backlog.order, repository_files, history_minutes or {})


def _outline(backlog: Backlog, options: PlanOptions, elsewhere: Mapping[str, str]) -> Plan:
    schedule = options.schedule
    if schedule is ScheduleKind.AUTO:
        # Markers of finished tasks count too: what is left of a backlog keeps the schedule it began with.
        schedule = ScheduleKind.STAGES if backlog.group else ScheduleKind.DATAFLOW
    groups: dict[str, list[str]] = {}
    for name in backlog.chosen:
        if name in backlog.group:
            groups.setdefault(backlog.group[name], []).append(name)
    resources = wanted_resources(backlog.chosen.values())
    return Plan(
        schedule=schedule,
        tasks=dict(backlog.chosen),
        done_before=tuple(
            name
            for name, task in backlog.tasks.items()
            if task.progress is Progress.DONE
            and name not in elsewhere
            and (options.selected is None or name in options.selected)
        ),
        dependencies=dict(backlog.graph),
        groups={group: tuple(members) for group, members in groups.items()},
        resources=resources,
        allow_overlap=options.allow_overlap,
        problems=(*backlog.problems, *unknown_resources(resources, options.resources)),
    )


def _stages(backlog: Backlog, schedule: ScheduleKind) -> tuple[Stages, list[Problem]]:
    if schedule is ScheduleKind.DATAFLOW:
        return (), []
    graph = without(backlog.graph, {name for name, task in backlog.chosen.items() if task.progress in LEFT_OUT})
    if schedule is ScheduleKind.LEVELS:
        return level_stages([name for name in backlog.order if name in graph], graph), []
    return group_stages(graph, backlog.group)


def _with_order(
    plan: Plan, order: Sequence[str], repository_files: Collection[str], history_minutes: Mapping[str, float]
) -> Plan:
    """Everything that follows from who can run: levels, ranks, critical path, overlaps, predicted times."""
    blocked = {one.task for one in plan.blocked}
    graph = without(plan.dependencies, blocked)
    order = [task for task in order if task in graph]
    stages = [[task for task in stage if task not in blocked] for stage in plan.stages] or [list(graph)]
    stage = {task: number for number, members in enumerate(stages) for task in members}
    within = graph
    if len(stages) > 1:  # what stands in an earlier stage is over before
        within = {task: [one for one in needs if stage[one] == stage[task]] for task, needs in graph.items()}
    level = level_of(order, within)
    levels = tuple(chain.from_iterable(waves(members, level) for members in stages))
    known = known_minutes((plan.tasks[task] for task in graph), history_minutes)
    weight = {task: known.get(task, 1.0) for task in graph}
    paths = remaining_paths(order, graph, weight)
    paths_within = remaining_paths(order, within, weight) if len(stages) > 1 else paths
    claims = claims_of((plan.tasks[task] for task in graph), repository_files)
    overlaps, unlisted = find_overlaps(claims, {task: stage[task] for task in graph}, order, graph)
    plan = plan.evolve(
        levels=levels,
        files=claims,
        overlaps=overlaps,
        overlaps_unlisted=unlisted,
        # The heaviest chain of each stage, one after the other: what the whole cannot be quicker than.
        critical_path=tuple(chain.from_iterable(heaviest_chain(members, paths_within) for members in stages)),
        rank=paths.rank,
        max_parallel=max(map(len, levels), default=0),
        theoretical_speedup=len(graph) / len(levels) if levels else 0.0,
    )
    predicted = predict(plan, known)
    if predicted is None:
        return plan
    return plan.evolve(predicted_sequential_minutes=predicted[0], predicted_parallel_minutes=predicted[1])
