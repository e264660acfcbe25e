"""A plan for people to read (P-7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from maestro.model.plan import Overlap, Plan, ScheduleKind
from maestro.planning.files import declared_files

MOST = 50
"""Most entries of one section; --json has them all."""

_SCHEDULES = {
    ScheduleKind.STAGES: "stages (each begins when all before it has landed)",
    ScheduleKind.LEVELS: "levels (each begins when all before it has landed)",
    ScheduleKind.DATAFLOW: "dataflow (a task starts when all it depends on has landed)",
}


def render_text(plan: Plan) -> str:
    """The whole plan as lines, with a line end after the last."""
    lines = [
        f"Total tasks: {plan.total_tasks}",
        f"Execution levels: {len(plan.levels)}",
        f"Max parallel tasks: {plan.max_parallel}",
        f"Theoretical speedup: {plan.theoretical_speedup:.1f}x",
        f"Schedule: {_SCHEDULES.get(plan.schedule, plan.schedule.value)}",
    ]
    if plan.critical_path:
        lines.append(f"Critical path: {_joined(plan.critical_path, ' → ')}")
    if plan.predicted_sequential_minutes is not None and plan.predicted_parallel_minutes is not None:
        lines.append(f"Predicted time, one after the other: {duration(plan.predicted_sequential_minutes)}")
        lines.append(f"Predicted time, in parallel: {duration(plan.predicted_parallel_minutes)}")
    if plan.done_before:
        lines.append(f"Done before: {len(plan.done_before)}")
    if plan.is_all_done:
        lines += ["", *(shown(problem.message) for problem in plan.problems)]
    else:
        lines += _section("Problems", (problem.message for problem in plan.problems), len(plan.problems))
    lines += _section("Levels", _levels(plan), len(plan.levels))
    lines += _section(
        "Groups", (f"{shown(group)}: {_joined(tasks)}" for group, tasks in plan.groups.items()), len(plan.groups)
    )
    lines += _resources(plan)
    lines += _overlaps(plan)
    lines += _section("Blocked", (f"{shown(one.task)}: {one.reason}" for one in plan.blocked), len(plan.blocked))
    return "\n".join(lines) + "\n"


def duration(minutes: float) -> str:
    """`45 s`, `12 min` or `3 h 05 min`."""
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    whole = round(minutes)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60:02d} min"


def shown(text: str) -> str:
    """The text itself, or quoted with escapes where it would disturb a terminal or a line."""
    return text if text.isprintable() else repr(text)


def _levels(plan: Plan) -> Iterator[str]:
    for number, tasks in enumerate(plan.levels, start=1):
        yield f"{number}: {_joined(tasks)}"


def _resources(plan: Plan) -> Iterator[str]:
    tasks: dict[str, list[str]] = {}
    for task, names in plan.resources.items():
        for name in names:
            tasks.setdefault(name, []).append(task)
    yield from _section("Resources", (f"{shown(name)}: {_joined(tasks[name])}" for name in sorted(tasks)), len(tasks))


def _overlaps(plan: Plan) -> Iterator[str]:
    heading = "Overlaps (allowed: they may run at once)" if plan.allow_overlap else "Overlaps (never run at once)"
    total = len(plan.overlaps) + plan.overlaps_unlisted
    yield from _section(heading, (_overlap(plan, overlap) for overlap in plan.overlaps), total)


def _overlap(plan: Plan, overlap: Overlap) -> str:
    one, other = overlap.tasks
    guessed = [task for task in overlap.tasks if task in plan.tasks and not declared_files(plan.tasks[task])]
    source = f" (named in the text of {_joined(guessed, ' and ')})" if guessed else ""
    return f"{shown(one)} and {shown(other)}: both would write {_joined(overlap.files)}{source}"


def _section(heading: str, entries: Iterable[str], count: int) -> Iterator[str]:
    if not count:
        return
    yield ""
    yield f"{heading}:"
    printed = 0
    for entry in entries:
        if printed == MOST:
            break
        yield f"  {shown(entry)}"
        printed += 1
    if printed < count:
        yield f"  … and {'up to ' if heading.startswith('Overlaps') else ''}{count - printed} more"


def _joined(names: Sequence[str], between: str = ", ") -> str:
    more = [f"… and {len(names) - MOST} more"] if len(names) > MOST else []
    return between.join([*(shown(name) for name in names[:MOST]), *more])
