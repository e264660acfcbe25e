"""A backlog file in JSON, JSON lines or YAML as entries with their places, and the status of one entry changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from maestro.errors import BadInput, TrackerError
from maestro.trackers import jsontext, yamltext
from maestro.trackers.fields import kind_of
from maestro.trackers.jsontext import Place
from maestro.trackers.source import BOM

SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".yaml": "yaml", ".yml": "yaml"}


class Entry(NamedTuple):
    """One task's value, where it stands, and how messages name it."""

    value: Any
    place: Place  # in JSON lines: (line index,)
    where: str


def format_of(path: Path, name: str) -> str:
    """`json`, `jsonl` or `yaml`, by the file's ending."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise BadInput(
            f"{name} has an ending that maestro does not know",
            hint="task files end in .json, .jsonl, .yaml, .yml or .md",
        ) from None


def parse(text: str, form: str, name: str) -> Any:
    """The whole document; JSON lines become a dict from line index to value."""
    text = text.removeprefix(BOM)
    if form == "yaml":
        return yamltext.parse(text, name)
    if form == "json":
        return jsontext.parse(text, name)
    return {
        index: jsontext.parse(line, name, first_line=index + 1)
        for index, line in enumerate(text.split("\n"))
        if line.strip()
    }


def entries_of(document: Any, form: str, name: str) -> list[Entry]:
    """Entries in their given order: of a list, of `{"tasks": [...]}`, or one per line."""
    if form == "jsonl":
        return [Entry(value, (index,), f"{name}, line {index + 1}") for index, value in document.items()]
    if isinstance(document, dict):
        if "tasks" not in document:
            raise BadInput(f"{name} has no list of tasks", hint='use a list, or an object with "tasks": [...]')
        prefix: Place = ("tasks",)
        found = document["tasks"]
        what = f'"tasks" in {name}'
    else:
        prefix, found, what = (), document, name
    if not isinstance(found, list):
        raise BadInput(f"{what} is {kind_of(found)}, not a list of tasks", hint='use a list, or {"tasks": [...]}')
    return [Entry(value, (*prefix, index), f"{name}, entry {index + 1}") for index, value in enumerate(found)]


def set_status(text: str, form: str, name: str, place: Place, word: str) -> str:
    """`text` with the status of the entry at `place` set; TrackerError unless exactly that has changed.

    `text` has no byte order mark.
    """
    wanted = copy.deepcopy(parse(text, form, name))
    jsontext.value_at(wanted, place)["status"] = word
    if form == "jsonl":
        changed = _set_on_line(text, place, word)
    else:
        edit: Callable[[str, Place, str, str], str] = jsontext.set_member if form == "json" else yamltext.set_member
        changed = edit(text, place, "status", word)
    try:
        faithful = parse(changed, form, name) == wanted
    except BadInput:
        faithful = False
    if not faithful:
        raise TrackerError(
            f"the status in {name} cannot be changed without touching something else",
            hint="write the entry in a plainer form, or leave out --write-back",
        )
    return changed


def _set_on_line(text: str, place: Place, word: str) -> str:
    lines = text.split("\n")
    index = int(place[0])
    lines[index] = jsontext.set_member(lines[index], (), "status", word)
    return "\n".join(lines)
