"""Role templates: shipped as files beside this one, each overridable by a file of the user's.

A template is Markdown with placeholders in double braces, `{{task}}`. All other braces and dollar signs are text.
"""

from __future__ import annotations

import re
from pathlib import Path

from maestro.errors import BadInput
from maestro.model.record import Record

ROLES = ("implementation", "frontend", "quality", "testing", "security", "remediation", "docs")
DEFAULT_ROLE = ROLES[0]
_GOING_ON = "going-on"

PLACEHOLDERS = frozenset(
    {
        "task_id", "title", "task", "acceptance", "files", "siblings", "group",
        "skills", "subagent", "notes", "failures", "finish",
    }
)  # fmt: skip

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


class Template(Record):
    """A checked template; `source` says where it is from."""

    role: str
    source: str
    text: str


def load_template(role: str | None, directory: Path | None = None) -> Template:
    """The template of a role (None: implementation), the user's `<directory>/<role>.md` before the shipped one.

    BadInput for a role that neither has, and for a file that cannot be used.
    """
    role = role or DEFAULT_ROLE
    if role == _GOING_ON or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", role):
        raise BadInput(f"{role!r} cannot be the name of a role", hint="use letters, digits, dots and hyphens")
    return _load(role, directory)


def load_going_on(directory: Path | None = None) -> Template:
    """What a conversation is told that is gone on with: no role, and the task need not be in it again."""
    return _load(_GOING_ON, directory)


def _load(role: str, directory: Path | None) -> Template:
    own = directory / f"{role}.md" if directory else None
    if own is not None and own.is_file():
        try:
            return check(Template(role=role, source=str(own), text=own.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the prompt template {own} cannot be read: {error}") from error
    if role not in (*ROLES, _GOING_ON):
        hint = f"roles: {', '.join(ROLES)}" + (f"; or write {own}" if own else "")
        raise BadInput(f"there is no role named {role!r}", hint=hint)
    shipped = Path(__file__).with_name(f"{role}.md")
    return check(Template(role=role, source=f"maestro/{role}.md", text=shipped.read_text(encoding="utf-8")))


def check(template: Template) -> Template:
    """The same template; BadInput when it names an unknown placeholder or leaves out the task."""
    used = set(_PLACEHOLDER.findall(template.text))
    if unknown := sorted(used - PLACEHOLDERS):
        raise BadInput(
            f"the prompt template {template.source} has an unknown placeholder {{{{{unknown[0]}}}}}",
            hint=f"known ones: {', '.join(sorted(PLACEHOLDERS))}",
        )
    if "task" not in used and template.role != _GOING_ON:
        raise BadInput(f"the prompt template {template.source} has no {{{{task}}}}: the agent would not know its task")
    return template


def fill(template: Template, values: dict[str, str]) -> str:
    """The text with every placeholder replaced; what a value holds is never replaced again. Blank lines that empty
    values leave behind are closed up outside the values."""
    parts = _PLACEHOLDER.split(template.text)
    parts[1::2] = [values[name] for name in parts[1::2]]
    whole = ""
    for index, part in enumerate(parts):
        after_nothing = index % 2 == 0 and whole.endswith("\n") and not parts[index - 1]
        whole += part.lstrip("\n") if after_nothing else part
    return whole.rstrip("\n") + "\n"
