"""Who does it, with what, in which files: from the metadata column, else from the description (P-9). Pure.

0.47 has no metadata column; there a fenced block holds it, or an "Agent Assignment" section in prose:

    ```json                              ## Agent Assignment
    {"subagent_type": "test-automator",  - **Subagent**: test-automator
     "files": ["tests/test_api.py"]}     - Fallback agents: backend-architect, python-pro
    ```                                  | Applicable skills | pytest |
"""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from maestro.errors import BadInput
from maestro.trackers import yamltext
from maestro.trackers.duration import minutes_of

KNOWN: Mapping[str, str] = {
    "subagent_type": "subagent_type",
    "subagent": "subagent_type",
    "subagenttype": "subagent_type",
    "agent": "subagent_type",
    "agent_type": "subagent_type",
    "execution_agent_type": "subagent_type",  # beads' own reserved key
    "fallback_agents": "fallback_agents",
    "fallback_agent": "fallback_agents",
    "fallbackagents": "fallback_agents",
    "fallbacks": "fallback_agents",
    "applicable_skills": "applicable_skills",
    "applicableskills": "applicable_skills",
    "skills": "applicable_skills",
    "files": "files",
    "owned_files": "files",
    "ownedfiles": "files",
    "estimate": "estimate",
    "estimated_minutes": "estimate",
    "group": "group",
    "execution_parallel_group": "group",
    "role": "role",
    "resources": "resources",
}
"""Names of a field as people write them, in lower case with underscores."""

_LISTS = ("fallback_agents", "applicable_skills", "files", "resources")
_FENCE = re.compile(r"^(`{3,}|~{3,})[ \t]*(\w*)[^\n]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^(#{1,6}[ \t]*|\*\*)agent assignment:?\*{0,2}:?[ \t]*$", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}[ \t]", re.MULTILINE)
_LINE = re.compile(r"^[ \t]*(?:[-*+][ \t]+|\|)?[ \t]*[*_`]{0,3}([A-Za-z][\w -]*?)[*_`]{0,3}[ \t]*[:|][*_`]{0,2}(.*)$")


def details_of(metadata: Mapping[str, Any], description: str) -> dict[str, Any]:
    """The known fields by name, and what else is in the metadata column as it is.

    What stands in the column is stronger than a fenced block, and that stronger than the section. A value that cannot
    be meant for maestro (other tools write there too) counts as one of the unknown.
    """
    found = _section(description)
    for block in _blocks(description):
        fields = _fields(block)
        if any(_field(key) is None for key in block):
            fields.pop("resources", None)  # a word of many other formats, such as a kustomization
        found |= fields
    ours = _fields(metadata)
    rest = {key: value for key, value in metadata.items() if _field(key) not in ours}
    return {**found, **ours, **({"metadata": rest} if rest else {})}


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    values = ((_field(key), value) for key, value in given.items())
    return {field: fitting for field, value in values if field and (fitting := _fitting(field, value)) is not None}


def _field(key: object) -> str | None:
    if not isinstance(key, str):
        return None
    return KNOWN.get(re.sub(r"[\s-]+", "_", key.strip().lower()))


def _fitting(field: str, value: Any) -> Any:
    """The value where it is one that the field can have, else None."""
    if field == "estimate":
        return value if minutes_of(value) is not None else None
    if field == "group" and isinstance(value, str):
        return re.sub(r"^(parallel:)?Group-", "", value.strip()) or None  # as in the label `parallel:Group-X`
    if field not in _LISTS:
        return value if isinstance(value, str) else None
    if isinstance(value, str) and value.lstrip().startswith("["):  # `create --graph` of 1.x takes texts only
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, list):
        return value if all(isinstance(one, str) for one in value) else None
    return value if isinstance(value, str) else None


def _blocks(description: str) -> Iterator[dict[str, Any]]:
    """Fenced blocks that hold an object with a known field and nothing but fields; other code is left alone."""
    for match in _FENCE.finditer(description):
        block = _parsed(match[2].lower(), match[3])
        if isinstance(block, dict) and isinstance(block.get("metadata"), dict) and len(block) == 1:
            block = block["metadata"]
        if isinstance(block, dict) and any(_field(key) for key in block):
            yield block


def _parsed(language: str, text: str) -> Any:
    """What the block holds; None where it is no data, or damaged: then it is prose for the agent."""
    if language in ("json", "jsonc", "metadata", ""):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    if language in ("toml", "metadata"):
        with contextlib.suppress(ValueError):
            return tomllib.loads(text)
    if language in ("yaml", "yml", "metadata"):
        with contextlib.suppress(BadInput):
            return yamltext.parse(text, "the block")
    return None


def _section(description: str) -> dict[str, Any]:
    """Fields of the "Agent Assignment" section: list items, bold words or table rows."""
    start = _SECTION.search(description)
    if start is None:
        return {}
    text = description[start.end() :]
    end = _HEADING.search(text)
    found: dict[str, Any] = {}
    for line in text[: end.start() if end else len(text)].splitlines():
        match = _LINE.match(line)
        field = _field(match[1]) if match else None
        if match is None or field is None:
            continue
        value = match[2].strip().strip("|").strip()
        words = [word for part in value.split(",") if (word := part.strip().strip("`*_\"'[]").strip())]
        if words:
            found.setdefault(field, words if field in _LISTS else words[0])
    return found
