"""Which files a task would write (P-6): those it declares, else those its text names and the repository has."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping

from maestro.model.task import Task

_KEYS = ("files", "owned_files", "ownedFiles", "touches")

_HEADING = re.compile(r"^\W*(?:relevant|owned)[ _-]files(?:\W*|\W*:\W*?(?P<rest>[\w./`].*))$", re.IGNORECASE)
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(?P<text>.+)$")
_RULE = re.compile(r"^[\s|:-]+$")
_TICKED = re.compile(r"`+([^`\n]+)`+")
_REMARK = re.compile(r"\s+[-–—(]|:\s")  # what follows the path in "src/a.py - the parser"
_QUOTED = re.compile(r"`([^`\n]+)`|\"([^\"\n]+)\"|'([^'\n]+)'|\]\(([^)\n]+)\)")
_BEFORE = "([{<\"'`*"
_AFTER = ")]}>\"'`*.,;:!?"
_SPLIT = re.compile(r"[()\[\]{}<>,;|\"'`=*]+")
_LINE_NUMBER = re.compile(r"(?::\d+)+(?:-\d+)?$|#L\d+(?:-L?\d+)?$")
_NO_FILE = frozenset({"n/a", "none", "tbd"})


def files_of(task: Task, repository: Collection[str] = ()) -> tuple[str, ...]:
    """Paths and globs relative to the repository; empty where nothing is known. `repository` should be a set."""
    return declared_files(task) or named_files(task, repository)


def declared_files(task: Task) -> tuple[str, ...]:
    """What the task says it owns: its `files`, the context's owned files and touches, a files table in the text.

    Malformed entries (empty, outside the repository, with a NUL) are left out.
    """
    found: list[object] = list(task.files)
    if task.context:
        extra = task.context.get("metadata")
        for source in (task.context, extra if isinstance(extra, Mapping) else {}):
            for key in _KEYS:
                if key in source:
                    found += _entries(source[key])
    found += _listed(task.description)
    return tuple(dict.fromkeys(path for entry in found if (path := normalise(entry)) is not None))


def named_files(task: Task, repository: Collection[str]) -> tuple[str, ...]:
    """Paths of the repository that stand in title or description as whole words, in quotes or in backticks.

    A bare lower-case word such as `run` counts only in quotes, though a file may have that name.
    """
    if not repository:
        return ()
    found: dict[str, None] = {}
    for text in (task.title, task.description):
        for groups in _QUOTED.findall(text):
            for quoted in groups:
                _keep(quoted, repository, found)
        for word in text.split():
            for token in (word, word.lstrip(_BEFORE).rstrip(_AFTER), *_SPLIT.split(word)):
                if not token.islower() or "/" in token or "." in token:
                    _keep(token, repository, found)
    return tuple(found)


def normalise(entry: object) -> str | None:
    """A path as git names it, None where it cannot be one; a folder `docs/` becomes `docs/**`."""
    if isinstance(entry, Mapping):
        entry = entry.get("path") or entry.get("file")
    if not isinstance(entry, str):
        return None
    text = entry.strip().strip("`\"'").replace("\\", "/")
    if not text or "\0" in text:
        return None
    path = posixpath.normpath(text.lstrip("/") or ".")
    if path == ".." or path.startswith("../"):
        return None
    if path == ".":
        return "**"
    return f"{path}/**" if text.endswith("/") else path


def _keep(token: str, repository: Collection[str], found: dict[str, None]) -> None:
    for candidate in (token, _LINE_NUMBER.sub("", token)):
        path = candidate.strip().removeprefix("./")
        if path in repository:
            found[path] = None


def _entries(value: object) -> Iterable[object]:
    if isinstance(value, str):
        return re.split(r"[,\n]", value)
    return value if isinstance(value, list | tuple) else ()


def _listed(text: str) -> Iterable[str]:
    """Entries of the lists and tables under a heading "Relevant Files" or "Owned Files"."""
    if "files" not in text.lower():
        return
    inside, column = False, None
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            inside, column = True, None
            yield from _paths_in(heading["rest"] or "")
        elif inside and line.strip().startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if column is None:
                column = _file_column(cells)
            elif not _RULE.match(line) and column < len(cells):
                yield from _paths_in(cells[column])
        elif inside and (item := _ITEM.match(line)):
            yield from _paths_in(item["text"])
        elif line.strip():
            inside = False


def _file_column(header: list[str]) -> int:
    named = [index for index, cell in enumerate(header) if re.search(r"\b(?:files?|paths?)\b", cell, re.IGNORECASE)]
    return named[0] if named else 0


def _paths_in(text: str) -> Iterable[str]:
    """What is in backticks before any remark, else the words there that can be paths ("src/a.py, src/b.py - both")."""
    linked = re.match(r"\[[^\]]*\]\(([^)\s]+)\)", text)
    part = linked[1] if linked else _REMARK.split(text, maxsplit=1)[0]
    pieces = part.split(",")
    words = [word for piece in pieces for word in _TICKED.findall(piece) or (one.strip("*;") for one in piece.split())]
    return [word for word in words if _can_be_path(word)]


def _can_be_path(word: str) -> bool:
    return ("/" in word or "." in word.strip(".") or not word.islower()) and word.lower() not in _NO_FILE
