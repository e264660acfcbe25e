"""Where to look for what runs left, and what is known of each run: as little of it is read as the question needs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from maestro.errors import StateError
from maestro.model.events import AttemptStarting, Event, Landed, RunEnded, RunStarted
from maestro.model.ids import is_plain, safe_names
from maestro.model.redaction import Redactor
from maestro.model.states import RunStatus
from maestro.proc.describe import writers_of
from maestro.proc.family import ProcessId, census
from maestro.proc.ladder import Graces
from maestro.store.journal import read_first, read_journal
from maestro.store.layout import Layout
from maestro.store.standing import is_alive
from maestro.vcs.git import Git
from maestro.wiring.elsewhere import Elsewhere


class Standing(StrEnum):
    """How a run stands, as the kernel and its files say."""

    LIVE = "live"  # its coordinator is there: nothing of it is touched
    UNFINISHED = "unfinished"  # its coordinator died
    ENDED = "ended"
    GONE = "gone"  # its folder is not there any more
    ELSEWHERE = "elsewhere"  # another repository or worktree keeps it: nothing of it is touched


@dataclass(frozen=True)
class RunFacts:
    """A run, as far as what it left can be told by it."""

    run_id: str
    standing: Standing
    token: str | None  # in the markers of its processes
    names: Mapping[str, str]  # safe name → task id
    backlog: str  # identity of its tracker
    roots: frozenset[Path]  # folders that hold workspaces of it, besides the one that is configured
    keeps_workspaces: bool  # the user wanted them kept
    landed: frozenset[str]  # safe names of its landed tasks
    resumable: bool  # `maestro resume` would go on with it
    events: tuple[Event, ...] = ()  # of one that did not end


@dataclass
class Scene:
    """One repository."""

    git: Git
    layout: Layout
    root: Path  # for workspaces, as configured
    environ: Mapping[str, str]
    now: datetime
    graces: Graces = field(default_factory=Graces)
    redactor: Redactor = field(default_factory=Redactor)
    ours: set[str] = field(default_factory=set)  # runs that a marker of ours was met of, also those without a folder

    @cached_property
    def marked(self) -> dict[str, list[ProcessId]]:
        """Live processes of every attempt on the machine, by marker; see `look_again`."""
        return census()

    def look_again(self) -> None:
        """Forget what was seen of processes."""
        self.__dict__.pop("marked", None)
        self.__dict__.pop("_writers", None)

    @cached_property
    def _writers(self) -> dict[str, ProcessId]:
        """path → process, of the journals that somebody writes."""
        return writers_of({self._journal(run_id) for run_id in self.known_runs()} | self._journals_of_marks())

    def known_runs(self) -> list[str]:
        """Runs that have a folder, by name."""
        try:
            with os.scandir(self.layout.runs) as entries:
                return sorted(entry.name for entry in entries if is_plain(entry.name) and entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def is_live(self, run_id: str) -> bool:
        """Whether a coordinator is there: it holds its lock, or, where somebody removed that file, its journal."""
        return is_alive(self.layout, run_id) or self.is_written(run_id)

    @cached_property
    def elsewhere(self) -> Elsewhere:
        """Which runs are not ours although they left something here."""
        return Elsewhere(self.git, self.layout)

    def is_written(self, run_id: str) -> bool:
        """Whether a process has the run's journal open for writing."""
        return self._journal(run_id) in self._writers

    def facts(self, run_id: str, *, held: bool = False) -> RunFacts:
        """What is known of the run; `held`: its lock is ours, so nobody else's."""
        live = self.is_written(run_id) if held else self.is_live(run_id)
        if not live and self.elsewhere.keeper_of(run_id) is not None:
            return _nothing_known(run_id, Standing.ELSEWHERE)
        if not self.layout.run(run_id).is_dir():
            return _nothing_known(run_id, Standing.LIVE if live else Standing.GONE)
        summary, blueprint = _object(self.layout.summary(run_id)), _object(self.layout.blueprint(run_id))
        standing = Standing.LIVE if live else Standing.ENDED if summary is not None else Standing.UNFINISHED
        events = self._events(run_id) if standing is Standing.UNFINISHED or blueprint is None else ()
        if standing is Standing.UNFINISHED and any(isinstance(event, RunEnded) for event in events[-1:]):
            standing = Standing.ENDED  # it only did not get round to its summary
        return _facts(run_id, standing, events or self._first(run_id), summary, blueprint)

    def _events(self, run_id: str) -> tuple[Event, ...]:
        try:
            return read_journal(self.layout.journal(run_id)).events
        except StateError:
            return ()  # damaged or missing: its workspaces and marks speak for themselves

    def _first(self, run_id: str) -> tuple[Event, ...]:
        try:
            first = read_first(self.layout.journal(run_id))
        except StateError:
            first = None
        return () if first is None else (first,)

    def _journal(self, run_id: str) -> str:
        return os.path.realpath(self.layout.journal(run_id))

    def _journals_of_marks(self) -> set[str]:
        return {self._journal(run_id) for marker in self.marked if (run_id := run_of(marker)) is not None}


def run_of(marker: str) -> str | None:
    """The run that a process's marker names; None where it is not one of ours."""
    parts = marker.split("/", 2)
    return parts[1] if len(parts) == 3 and is_plain(parts[1]) else None


def _facts(
    run_id: str,
    standing: Standing,
    events: tuple[Event, ...],
    summary: dict[str, Any] | None,
    blueprint: dict[str, Any] | None,
) -> RunFacts:
    start = events[0] if events and isinstance(events[0], RunStarted) else None
    names = {name: task for task, name in safe_names(start.tasks if start else ()).items()}
    landed = {event.task for event in events if isinstance(event, Landed)}
    for task, one in (summary or {}).get("tasks", {}).items():
        if isinstance(one, dict) and one.get("status") == "landed" and one.get("attempts"):
            landed.add(task)
    settings = (blueprint or {}).get("settings")
    settings = settings if isinstance(settings, dict) else {}
    return RunFacts(
        run_id=run_id,
        standing=standing,
        token=_token(blueprint, events),
        names=names,
        backlog=start.tracker if start else "",
        roots=_roots(blueprint, events),
        # an older maestro did not write down whether they are to be kept
        keeps_workspaces=blueprint is None or bool(settings.get("keep_workspaces")),
        landed=frozenset(name for name, task in names.items() if task in landed),
        resumable=blueprint is not None and _may_go_on(standing, summary),
        events=events,
    )


def _may_go_on(standing: Standing, summary: dict[str, Any] | None) -> bool:
    """Whether `maestro resume` would take it up (wiring/resuming.py)."""
    waits = (summary or {}).get("status") in (RunStatus.INTERRUPTED, RunStatus.BLOCKED)
    return standing is Standing.UNFINISHED or (standing is Standing.ENDED and waits)


def _token(blueprint: dict[str, Any] | None, events: tuple[Event, ...]) -> str | None:
    """From what the run was told, else from the markers of its attempts."""
    said = (blueprint or {}).get("token")
    if isinstance(said, str) and said:
        return said
    marks = (event.attempt_id for event in events if isinstance(event, AttemptStarting))
    return next((mark.partition("/")[0] for mark in marks), None)


def _roots(blueprint: dict[str, Any] | None, events: tuple[Event, ...]) -> frozenset[Path]:
    """Each is the parent of the run's own folder."""
    folders = {Path(event.workspace).parent for event in events if isinstance(event, AttemptStarting)}
    if isinstance(said := (blueprint or {}).get("root"), str):
        folders.add(Path(said))
    return frozenset(folder.parent for folder in folders if folder.is_absolute())


def _nothing_known(run_id: str, standing: Standing) -> RunFacts:
    return RunFacts(
        run_id=run_id,
        standing=standing,
        token=None,
        names={},
        backlog="",
        roots=frozenset(),
        keeps_workspaces=False,
        landed=frozenset(),
        resumable=False,
    )


def _object(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where it is missing or cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
