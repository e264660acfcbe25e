"""Named resources of tasks (I-7): the field `resources`, and labels such as `resource:docker`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from maestro.model.plan import Problem, ProblemKind
from maestro.model.task import Task
from maestro.planning.backlog import OVER

LABEL = "resource:"


def resources_of(task: Task) -> tuple[str, ...]:
    """The resources that an attempt at the task holds, each once, in the order in which everybody takes them: two who
    want the same ones then never hold half of them each."""
    labelled = (label.strip().removeprefix(LABEL).strip() for label in task.labels if label.strip().startswith(LABEL))
    return tuple(sorted({name for name in (*task.resources, *labelled) if name}))


def wanted_resources(tasks: Iterable[Task]) -> dict[str, tuple[str, ...]]:
    """Task → its resources, of those that want any."""
    return {task.id: names for task in tasks if task.progress not in OVER and (names := resources_of(task))}


def unknown_resources(wanted: Mapping[str, Collection[str]], known: Collection[str] | None) -> Iterator[Problem]:
    """A problem for each task that wants what is not configured. `known` None: whatever they want is there."""
    if known is None:
        return
    for task, names in wanted.items():
        for name in names:
            if name not in known:
                there = _instead(name, known)
                message = f"task {task!r} wants the resource {name!r}, which is not configured: {there}"
                yield Problem(kind=ProblemKind.UNKNOWN_RESOURCE, tasks=(task,), message=message)


def _instead(name: str, known: Collection[str]) -> str:
    import difflib  # to refuse something, and then alone

    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, sorted(known)))}"
