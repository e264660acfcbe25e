"""Records without secrets: the same value with its texts masked, and what names a thing left as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

Mask = Callable[[str], str]
R = TypeVar("R", bound=BaseModel)

KEPT = frozenset({
    "type", "id", "ids", "task", "tasks", "task_id", "run_id", "attempt_id", "token", "group", "groups", "group_id",
    "base", "base_branch", "integration_branch", "branch", "commit", "commits", "tip", "new_tip", "expected",
    "saved_ref", "ref", "repository", "workspace", "tracker", "account", "agent", "subagent", "subagent_type",
    "wanted_subagent", "fallback_agents", "skills", "applicable_skills", "role", "labels", "files", "dependencies",
    "levels", "stages", "critical_path", "done_before", "from_task", "to_task", "schedule", "maestro_version",
    "session_id", "name", "checkpoint", "reopened", "marker", "saved_refs", "provider", "progress", "paths", "ours",
    "theirs", "resource", "resources",
})  # fmt: skip
"""Fields that say which thing is meant: with one letter changed they would mean none. All other texts are words."""


def masked(record: R, mask: Mask) -> R:
    """The record with its words masked; the very same one where there is nothing to mask, which costs next to
    nothing."""
    return record if _is_clean(record, mask) else _record(record, mask)


def _is_clean(record: BaseModel, mask: Mask) -> bool:
    """Whether all of it in one text holds nothing: known secrets are known as JSON has them too."""
    try:
        text = record.model_dump_json()
    except PydanticSerializationError:  # a name of a file that is no UTF-8
        return False
    return mask(text) is text


def _record(record: R, mask: Mask) -> R:
    changed = {name: new for name, value in record if (new := _value(value, mask, name in KEPT)) is not value}
    return record.model_copy(update=changed) if changed else record


def _value(value: Any, mask: Mask, kept: bool) -> Any:
    if isinstance(value, BaseModel):
        return _record(value, mask)
    if isinstance(value, str):
        return value if kept or isinstance(value, Enum) else mask(value)
    if isinstance(value, Mapping):
        new = {key: _value(one, mask, kept) for key, one in value.items()}
        return new if any(new[key] is not one for key, one in value.items()) else value
    if isinstance(value, list | tuple):
        several = type(value)(_value(one, mask, kept) for one in value)
        return several if any(one is not old for one, old in zip(several, value, strict=True)) else value
    return value
