"""YAML as text: read safely, and one entry's status changed with every comment and byte around it kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maestro.errors import BadInput, TrackerError

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import MappingNode, Node


def _yaml() -> YAML:
    from ruamel.yaml import YAML  # a slow import that only YAML files need

    return YAML(typ="safe", pure=True)


def parse(text: str, name: str) -> Any:
    """The value of the one document; BadInput with line and column. Tags that would make objects are refused."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        said = " ".join((error.problem or error.context or "cannot be read").split())
        raise BadInput(f"{name} is not valid YAML: {said}{where}") from error
    except (YAMLError, ValueError) as error:
        said = " ".join(str(error).split())
        raise BadInput(f"{name} is not valid YAML: {said}") from error
    except RecursionError as error:
        raise BadInput(f"{name} is nested too deeply to be a backlog") from error


def set_member(text: str, place: Sequence[str | int], key: str, value: str) -> str:
    """`text` with the scalar `key` of the mapping at `place` set to the word `value`.

    A missing key gets a line of its own below the first one. TrackerError where the layout leaves no safe way.
    """
    entry = _find(_yaml().compose(text), place)
    for name, node in entry.value:
        if name.value == key:
            if node.start_mark.index < name.end_mark.index:
                raise TrackerError(f"the {key} is an alias of another place", hint="write it out in the file")
            return _replace(text, name.end_mark.index, node, value)
    return _add(text, entry, key, value)


def _find(node: Any, place: Sequence[str | int]) -> MappingNode:
    for step in place:
        if isinstance(step, int):
            node = node.value[step]
        else:
            node = next(child for name, child in node.value if name.value == step)
    found: MappingNode = node
    return found


def _replace(text: str, after_key: int, node: Node, value: str) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    if not text[start:end].strip():  # `status:` with nothing behind it; the mark is on the next token
        colon = text.index(":", after_key) + 1
        return f"{text[:colon]} {value}{text[colon:]}"
    old = text[start:end]
    ending = old[len(old.rstrip()) :]  # a block scalar ends with its line
    return f"{text[:start]}{value}{ending}{text[end:]}"


def _add(text: str, entry: MappingNode, key: str, value: str) -> str:
    name, first = entry.value[0]
    at = first.end_mark.index
    if entry.flow_style:
        return f"{text[:at]}, {key}: {value}{text[at:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    line_end = text.find("\n", at)
    line = f"{' ' * name.start_mark.column}{key}: {value}"
    if line_end < 0:
        return f"{text.rstrip()}{newline}{line}"
    return f"{text[: line_end + 1]}{line}{newline}{text[line_end + 1 :]}"
