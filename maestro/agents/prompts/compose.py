"""Makes the prompt of one attempt (A-2) from its parts. No I/O."""

# no `from __future__ import annotations`: see maestro.model.record

import re
from collections.abc import Iterable

from pydantic import Field

from maestro.agents.prompts.templates import Template, fill
from maestro.model.gate import TESTS
from maestro.model.record import Record

_FAILURES_SHOWN = 3
_TAIL_LENGTH = 4000
_SUMMARY_LENGTH = 20_000

_FINISH = """\
## How to finish

1. Work only in the current directory, a checkout of your own on a branch of its own; stay on that branch.
2. Commit your work there (`git add`, `git commit`), with a message that says what and why. Do not push.
3. Write a report to the file that the environment variable `MAESTRO_REPORT_FILE` names, as JSON:

```json
{"status": "done", "summary": "what you did", "confidence": 0.9, "notes": ["what the next one should know"]}
```

`status` is `done`, `failed`, `blocked` (you cannot go on without a person: say what you need) or `no_change`
(the task needs no change: say why). `confidence` is a number from 0 to 1. Do not claim `done` for work that is not
committed or that you have not tried. Work that you come across and that is no part of this task, leave alone and name:
`"discovered": [{"title": "what is to be done", "description": "where and why", "kind": "bug"}]`. The backlog itself is
not yours to change (no `bd close`, no ticked boxes): the task is closed there once your work has landed.
"""

_NOTE = """
What tasks that start later must know before yours has landed (a name you chose, a trap), say at once with
`{maestro} note "…"`; with `--to TASK` it is for that one only.
"""


_TESTS = """
Others here test too, and tests disturb each other. So run each test command as `{maestro} lock tests -- COMMAND`:
it waits for its turn, and ends with the exit code of COMMAND, which is stopped after {limit:g} seconds.
"""

_HELD = """
Until you have finished, {names} {are} this task's alone. Use {them} as {they} {are}, without `maestro lock`.
"""

_PORTS = """
Others here start servers too. Those that you start, if any, listen on the ports that the variables {names} name: they
are this task's alone, as is a database of the name in `POSTGRES_DB`. End what you have started.
"""


class PreviousAttempt(Record):
    """What an earlier attempt at the same task came to."""

    attempt: int
    reason: str
    output_tail: str = ""


class PromptParts(Record):
    """All that an agent is told; empty parts leave no trace in the prompt."""

    task_id: str
    title: str = ""
    description: str = ""
    acceptance: str = ""
    owned_files: tuple[str, ...] = ()
    sibling_files: dict[str, tuple[str, ...]] = Field(
        default_factory=dict
    )  # task that runs at the same time → its files
    group_summary: str = ""
    skills: tuple[str, ...] = ()
    subagent: str | None = None
    notes: tuple[str, ...] = ()  # from the board of the run, the newest first
    context: dict[str, str] = Field(default_factory=dict)  # further fields of the task, name → text
    failures: tuple[PreviousAttempt, ...] = ()
    maestro: str = ""  # how a shell of the agent's starts it
    tests_limit_seconds: float | None = None  # of a command under the resource `tests`; None: nobody shares it
    resources: tuple[str, ...] = ()  # the named ones that the task holds
    ports: tuple[str, ...] = ()  # variables that name ports of the task's own
    delegated: bool = False  # the adapter itself says by whom, where and how to finish


def compose(parts: PromptParts, template: Template) -> str:
    """The prompt. The last three failures are shown, each with the last 4,000 characters of its output."""
    return fill(
        template,
        {
            "task_id": parts.task_id,
            "title": parts.title or parts.task_id,
            "task": _task(parts),
            "acceptance": _section("Acceptance criteria", parts.acceptance),
            "files": _section("Files of this task", _owned(parts.owned_files)),
            "siblings": _section("Files of other tasks", _siblings(parts.sibling_files)),
            "group": _section("What is going on around this task", parts.group_summary[:_SUMMARY_LENGTH]),
            "skills": _section("Skills", _skills(parts.skills)),
            "subagent": "" if parts.delegated else _section("Subagent", _subagent(parts.subagent)),
            "notes": _section("Notes", _notes(parts.notes)),
            "failures": _section("What failed before", _failures(parts.failures)),
            "finish": _section("Others at work", _shared(parts)) if parts.delegated else _finish(parts),
        },
    )


def _finish(parts: PromptParts) -> str:
    said = _FINISH
    if parts.ports:
        said += _PORTS.format(names=", ".join(_code(parts.ports)))
    return said + _shared(parts) + (_NOTE.format(maestro=parts.maestro) if parts.maestro else "")


def _shared(parts: PromptParts) -> str:
    """What is used in turn; empty where nothing is."""
    said = ""
    if parts.maestro and parts.tests_limit_seconds is not None and TESTS not in parts.resources:
        said += _TESTS.format(maestro=parts.maestro, limit=parts.tests_limit_seconds)
    if parts.resources:
        names, many = ", ".join(_code(parts.resources)), len(parts.resources) > 1
        said += _HELD.format(
            names=names, are="are" if many else "is", them="them" if many else "it", they="they" if many else "it"
        )
    return said


def _section(heading: str, body: str) -> str:
    return f"## {heading}\n\n{body.strip()}\n" if body.strip() else ""


def _task(parts: PromptParts) -> str:
    heading = f"## Task {parts.task_id}" + (f": {parts.title}" if parts.title else "")
    blocks = [heading, parts.description.strip()]
    blocks += [f"{name}: {text.strip()}" for name, text in parts.context.items()]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _bullets(lines: Iterable[str]) -> str:
    # later lines of an entry are indented, so that they stay part of it
    return "\n".join("- " + line.strip().replace("\n", "\n  ") for line in lines)


def _owned(files: tuple[str, ...]) -> str:
    if not files:
        return ""
    return f"Keep your changes to these files, and to new ones that belong to them:\n\n{_bullets(_code(files))}"


def _siblings(files: dict[str, tuple[str, ...]]) -> str:
    lines = [f"{', '.join(_code(names))} (task {task})" for task, names in files.items() if names]
    if not lines:
        return ""
    return f"Other agents are changing these at the same time. Do not touch them:\n\n{_bullets(lines)}"


def _skills(skills: tuple[str, ...]) -> str:
    return f"Apply these skills first, where you have them:\n\n{_bullets(skills)}" if skills else ""


def _subagent(name: str | None) -> str:
    return f"Do this as the `{name}` agent, or delegate it to that subagent where you have it." if name else ""


def _notes(notes: tuple[str, ...]) -> str:
    if not notes:
        return ""
    source = "Left by other tasks of this run and by people, the newest first. Check before you rely on one:"
    return f"{source}\n\n{_bullets(notes)}"


def _failures(failures: tuple[PreviousAttempt, ...]) -> str:
    blocks = []
    for one in failures[-_FAILURES_SHOWN:]:
        blocks.append(f"Attempt {one.attempt}: {one.reason}")
        if tail := one.output_tail.strip()[-_TAIL_LENGTH:]:
            blocks.append(f"The end of its output:\n\n{_fenced(tail)}")
    if blocks:
        blocks.append("Do not repeat what failed: find out why it did.")
    return "\n\n".join(blocks)


def _code(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _fenced(text: str) -> str:
    """A code block whose fence no line of the text can close."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}"
