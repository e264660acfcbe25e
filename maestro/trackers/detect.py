"""What backlogs a repository or a file holds (T-6): found by looking, never by guessing between two."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from maestro.errors import BadInput
from maestro.model.record import Record
from maestro.trackers import entries
from maestro.trackers.epic import list_place
from maestro.trackers.source import read_text, shown
from maestro.trackers.taskmaster import DEFAULT_SOURCE, tags_of

TASK_FILES = ("tasks.json", "tasks.jsonl", "tasks.yaml", "tasks.yml")
MARKDOWN = (".md", ".markdown", ".mdown")


class Detected(Record):
    """A backlog that could be meant."""

    kind: str  # the word of --tracker
    source: Path
    why: str  # a clause for people
    flag: str  # what to add to the command line to choose it


def detect(repository: Path) -> list[Detected]:
    """All candidates: TaskMaster's file, a beads folder, spec-kit and other check lists, task files at the top."""
    found = []
    if (repository / DEFAULT_SOURCE).is_file():
        found.append(
            Detected(
                kind="taskmaster",
                source=repository / DEFAULT_SOURCE,
                why=f"{DEFAULT_SOURCE} is there",
                flag="--tracker taskmaster",
            )
        )
    if beads := _beads(repository):
        found.append(beads)
    found += _check_lists(repository)
    for name in TASK_FILES:
        if (repository / name).is_file():
            kind = _kind_or_taskfile(repository / name, repository)
            why = f"{name} is there" + (" and holds an epic" if kind == "epic" else "")
            found.append(Detected(kind=kind, source=repository / name, why=why, flag=f"--tasks-file {name}"))
    return found


def _beads(repository: Path) -> Detected | None:
    """The folder here, else for a linked worktree that of the main checkout."""
    folder, why = repository / ".beads", ".beads is there"
    if not folder.is_dir() and (repository / ".git").is_file():
        from maestro.trackers.beads.place import main_checkout  # beads may have nothing to do with this run

        folder, why = main_checkout(repository, os.environ) / ".beads", ".beads is in the main checkout"
    return Detected(kind="beads", source=folder, why=why, flag="--tracker beads") if folder.is_dir() else None


def _kind_or_taskfile(path: Path, repository: Path) -> str:
    """A damaged file is still a candidate: it is refused with its reason when it is opened, not overlooked."""
    try:
        return kind_of_file(path, repository)
    except BadInput:
        return "taskfile"


def _check_lists(repository: Path) -> list[Detected]:
    """Markdown lists with an open box; where none has one, those that are all ticked."""
    from maestro.trackers.checklist import items_of  # not where the user says which backlog it is

    lists: list[tuple[bool, Detected]] = []
    for path in (*sorted(repository.glob("specs/*/tasks.md")), repository / "tasks.md"):
        if not path.is_file():
            continue
        name = shown(path, repository)
        try:
            items = items_of(read_text(path, name))
        except (
            BadInput
        ):  # an empty or foreign file is no candidate; given by --tasks-file it is refused with its reason
            continue
        if items:
            is_open = any(not item.ticked for item in items)
            why = f"{name} has {'open' if is_open else 'only ticked'} check boxes"
            found = Detected(kind="markdown", source=path, why=why, flag=f"--tasks-file {name}")
            lists.append((is_open, found))
    some_open = any(is_open for is_open, _ in lists)
    return [found for is_open, found in lists if is_open or not some_open]


def pick(repository: Path, kind: str | None = None) -> Detected:
    """The only candidate (of a kind, where one is given); BadInput names them all where there are several.

    Where there is none, its hint says what is looked for.
    """
    found = [one for one in detect(repository) if kind in (None, one.kind)]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{shown(one.source, repository)} ({one.kind})" for one in found)
        choices = " or ".join(one.flag for one in found)
        raise BadInput(f"there are several backlogs here: {several}", hint=f"choose one with {choices}")
    raise BadInput(
        f"no backlog{f' for {kind}' if kind else ''} was found in {repository}",
        hint="give one with --tasks-file; without it, maestro looks for "
        f"{DEFAULT_SOURCE}, .beads, specs/*/tasks.md, tasks.md and {', '.join(TASK_FILES)}",
    )


def kind_of_file(path: Path, repository: Path) -> str:
    """The kind of tracker for a file the user gave: by its ending, and for JSON and YAML by what it holds.

    A file that cannot be read is for its tracker to refuse; a file with an unknown ending is refused here.
    """
    name = shown(path, repository)
    if path.suffix.lower() in MARKDOWN:
        return "markdown"
    if path.is_dir():
        read_text(path, name)  # refuses it
    form = entries.format_of(path, name)
    if form == "jsonl":
        return "taskfile"
    document: Any = entries.parse(read_text(path, name), form, name)
    if form == "json" and (tags_of(document) or path.parent.parent.name == ".taskmaster"):
        return "taskmaster"
    if list_place(document) is not None and "tasks" not in document:
        return "epic"
    return "taskfile"
