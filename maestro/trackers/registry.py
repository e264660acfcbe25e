"""Trackers by name; the one place that knows all of them, used by wiring only. Imported is the one that is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import Field

from maestro.errors import BadInput
from maestro.model.record import Record
from maestro.store.claims import working_runs
from maestro.store.layout import Layout
from maestro.trackers.base import Tracker
from maestro.trackers.detect import kind_of_file, pick
from maestro.trackers.source import read_text, shown


class Wanted(Record):
    """What the user asked for, as far as a tracker needs to know."""

    repository: Path
    source: Path | None = None
    write_back: bool = False
    tag: str | None = None
    text: str | None = None  # a list of todos, for the kind `todos`
    environ: Mapping[str, str] = Field(default_factory=dict)  # of this process, for trackers that are programs


class Opened(Record):
    """A choice that was made: the kind, its source and the reason, for the line that tells the user."""

    kind: str
    source: Path | None
    why: str


def _taskfile(wanted: Wanted) -> Tracker:
    from maestro.trackers.taskfile import TaskFile

    return TaskFile(wanted.repository, _source(wanted, "taskfile"), write_back=wanted.write_back)


def _taskmaster(wanted: Wanted) -> Tracker:
    from maestro.trackers.taskmaster import TaskMaster

    return TaskMaster(wanted.repository, wanted.source, tag=wanted.tag)


def _markdown(wanted: Wanted) -> Tracker:
    from maestro.trackers.markdown import Markdown

    return Markdown(wanted.repository, _source(wanted, "markdown"))


def _epic(wanted: Wanted) -> Tracker:
    from maestro.trackers.epic import Epic

    return Epic(wanted.repository, _source(wanted, "epic"))


def _todos(wanted: Wanted) -> Tracker:
    from maestro.trackers.todos import Todos

    text = wanted.text
    if text is None and wanted.source is not None:
        text = read_text(wanted.source, shown(wanted.source, wanted.repository))
    if text is None:
        raise BadInput(
            "no list of todos was given", hint="give it as JSON: --todos FILE, or --todos - for standard input"
        )
    return Todos(wanted.repository, text)


def _beads(wanted: Wanted) -> Tracker:
    """The repository's own database by default: `.beads` in a linked worktree is not one, whatever found it there."""
    from maestro.trackers.beads.place import FOLDER, main_checkout
    from maestro.trackers.beads.tracker import Beads

    layout = Layout(wanted.repository)
    environ = wanted.environ or os.environ
    detected = (wanted.repository / FOLDER, main_checkout(wanted.repository, environ) / FOLDER)
    given = None if wanted.source in detected else wanted.source

    def is_alive(run_id: str) -> bool:  # a run that never was in this checkout may live in another one
        return not layout.journal(run_id).is_file() or run_id in working_runs(layout.locks)

    return Beads(wanted.repository, given, environ, runs_alive=is_alive)


KINDS: dict[str, Callable[[Wanted], Tracker]] = {
    "beads": _beads,
    "taskfile": _taskfile,
    "taskmaster": _taskmaster,
    "markdown": _markdown,
    "epic": _epic,
    "todos": _todos,
}
"""How each kind is opened. A new tracker is one line here, one in `detect`, and the contract suite."""

AUTO = "auto"


def choose(kind: str, *, repository: Path, source: Path | None) -> Opened:
    """Settle `auto` and a missing source: by the file given, else by what is in the repository.

    BadInput where there is no candidate or more than one.
    """
    if kind == AUTO and source is not None:
        found = kind_of_file(source, repository)
        return Opened(kind=found, source=source, why=f"{source.name} was given")
    if kind == AUTO:
        picked = pick(repository)
        return Opened(kind=picked.kind, source=picked.source, why=picked.why)
    return Opened(kind=kind, source=source, why=f"{kind} was asked for")


def open_tracker(
    kind: str,
    *,
    repository: Path,
    source: Path | None = None,
    write_back: bool = False,
    tag: str | None = None,
    text: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Tracker:
    """The tracker of a kind (`auto`: chosen as by `choose`); BadInput names what is wrong with the request.

    `source` is absolute or relative to the working directory. Nothing is read yet but what choosing needs.
    """
    chosen = choose(kind, repository=repository, source=source)
    try:
        opener = KINDS[chosen.kind]
    except KeyError:
        raise BadInput(
            f"there is no tracker {chosen.kind!r} in this version of maestro" + _because(kind, chosen),
            hint=f"the trackers are {', '.join(KINDS)}; choose one with --tracker or give a file with --tasks-file",
        ) from None
    if write_back and chosen.kind in ("epic", "todos"):
        raise BadInput(f"--write-back does not work with {chosen.kind}", hint="its progress is kept beside the runs")
    wanted = Wanted(
        repository=repository,
        source=chosen.source,
        write_back=write_back,
        tag=tag,
        text=text,
        environ=environ or {},
    )
    return opener(wanted)


def _because(kind: str, chosen: Opened) -> str:
    return f" (picked because {chosen.why})" if kind == AUTO else ""


def _source(wanted: Wanted, kind: str) -> Path:
    return wanted.source or pick(wanted.repository, kind).source
