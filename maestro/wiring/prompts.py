"""From a brief to a prompt: which parts of it the templates of the agents get."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from maestro.agents.prompts.compose import PreviousAttempt, PromptParts, compose
from maestro.agents.prompts.templates import Template, load_going_on, load_template
from maestro.errors import BadInput
from maestro.model.note import Note
from maestro.model.task import Task
from maestro.model.used import Failure

if TYPE_CHECKING:
    from maestro.engine.context import Brief  # not wanted before a run begins


def composer(
    tasks: Iterable[Task],
    overrides: Path,
    maestro: str = "maestro",
    *,
    delegated: bool = False,
    tests_limit_seconds: float | None = None,
    ports: tuple[str, ...] = (),
) -> Callable[[Brief], str]:
    """A function from brief to prompt for these tasks; `overrides` is the folder of the user's own templates, and
    `maestro` what the agents' shells know maestro by. `delegated`: how to finish is left to the adapter.
    `tests_limit_seconds`: how long a command of theirs may hold the resource `tests`; None: they share none.
    `ports`: the variables that name ports of their own.

    BadInput names a task whose role has no template, before anything is started.
    """
    templates: dict[str | None, Template] = {}
    again = load_going_on(overrides)
    for task in tasks:
        if task.role not in templates:
            try:
                templates[task.role] = load_template(task.role, overrides)
            except BadInput as error:
                raise BadInput(f"task {task.id}: {error.message}", hint=error.hint) from error

    def composed(brief: Brief) -> str:
        task = brief.task
        parts = PromptParts(
            task_id=task.id,
            title=task.title,
            description=task.description,
            acceptance=task.acceptance,
            owned_files=brief.own_files,
            sibling_files=dict(brief.sibling_files),
            group_summary=brief.group_summary,
            skills=brief.chosen.skills,
            subagent=brief.chosen.subagent,
            notes=tuple(map(_told, brief.notes)),
            context={name: _text(value) for name, value in task.context.items()},
            failures=tuple(map(_previous, brief.failures)),
            maestro=maestro,
            tests_limit_seconds=tests_limit_seconds,
            resources=brief.resources,
            ports=ports,
            delegated=delegated,
        )
        return compose(parts, templates[task.role] if brief.session is None else again)

    return composed


def _previous(failure: Failure) -> PreviousAttempt:
    """The work of a failed attempt is saved under a ref, which the next one may look at."""
    where = f" (its work: `git show {failure.saved_ref}`)" if failure.saved_ref else ""
    return PreviousAttempt(attempt=failure.attempt, reason=failure.reason + where, output_tail=failure.output_tail)


def _told(note: Note) -> str:
    """A note with who said it to whom, without the control characters that a terminal would act on."""
    who = f"task {note.from_task}" if note.from_task else "a person"
    text = "".join(one for one in note.text if one.isprintable() or one in "\n\t")
    return f"From {who}{', to you' if note.to_task else ''}: {text}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
