"""A beads repository per test, and a wrapper before `bd` that counts and misbehaves."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from maestro.trackers.base import Note
from maestro.trackers.beads.tracker import Beads as Tracker
from tests.real.beads_repository import Beads, make_beads

RUN = "r1"
NOTE = Note(run_id=RUN)
LANDED = Note(run_id=RUN, commit="c0ffee" * 6 + "abcd", branch="integration/fix-error")
FAILED = Note(run_id=RUN, reason='tests "failed"\nbadly', branch="maestro/r1/x", saved_ref="refs/maestro/saved/r1/x")
EPIC = ("-t", "epic")

_WRAPPER = """#!/bin/sh
REAL='{real}'
case "$BEADS_ACTOR" in maestro*) ;; *) exec "$REAL" "$@" ;; esac
for verb in "$@"; do case "$verb" in -*) ;; *) break ;; esac; done
echo "$verb" >>'{calls}'
[ -e '{hook}' ] && . '{hook}'
exec "$REAL" "$@"
"""
HOLDS_THE_DATABASE = """
import fcntl, pathlib, sqlite3, sys
folder = pathlib.Path(sys.argv[1])
if (folder / "beads.db").exists():
    held = sqlite3.connect(folder / "beads.db", timeout=30, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
else:
    [lock] = folder.glob("embeddeddolt/*/.dolt/noms/LOCK")
    held = lock.open()
    fcntl.flock(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class Lab:
    """One repository with a database of its own."""

    def __init__(self, bd: Path, path: Path, folder: Path) -> None:
        self.path = path
        self.real = bd.resolve()
        self._calls = folder / "calls"
        self._hook = folder / "hook"
        self._hook_once = folder / "once"
        bd.unlink()
        bd.write_text(_WRAPPER.format(real=self.real, calls=self._calls, hook=self._hook))
        bd.chmod(0o755)
        self.bd = Beads(Repository(path))
        self.is_sqlite = self.bd.is_sqlite

    def tracker(self, **options: object) -> Tracker:
        """A tracker as another process would open it."""
        return Tracker(self.path, None, os.environ, **options)  # type: ignore[arg-type]

    def tracker_loaded(self) -> Tracker:
        """One that has read the database."""
        tracker = self.tracker()
        tracker.load()
        return tracker

    def calls(self) -> list[str]:
        """The verbs of maestro's own calls since this was last asked."""
        try:
            found = self._calls.read_text().split()
            self._calls.unlink()
        except FileNotFoundError:
            return []
        return found

    def hook(self, script: str) -> None:
        """Shell that runs before each of maestro's calls, with the verb in $verb and the program in $REAL."""
        self._hook.write_text(script + "\n")

    def hook_once(self, verb: str, script: str) -> None:
        """The same before the next call of one verb only."""
        self._hook_once.touch()
        once = f"[ \"$verb\" = {verb} ] && rm '{self._hook_once}' 2>/dev/null"
        self.hook(f"if {once}; then\n{script}\nfi")

    def no_hook(self) -> None:
        self._hook.unlink()

    def a_person(self, *args: str) -> str:
        """Shell for a hook in which a person calls bd."""
        said = " ".join(f"'{arg}'" for arg in args)
        return f'BEADS_ACTOR=alice BD_ACTOR=alice BEADS_NO_DAEMON=1 "$REAL" {said} >/dev/null 2>&1'

    @contextlib.contextmanager
    def held_by_another_process(self) -> Iterator[subprocess.Popen[str]]:
        """The database is locked until the process is told to end."""
        command = [sys.executable, "-c", HOLDS_THE_DATABASE, str(self.path / ".beads")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
            holder.communicate("")

    def sql(self, statement: str) -> None:
        """Put into a 0.47 database what its own commands cannot."""
        with contextlib.closing(sqlite3.connect(self.path / ".beads" / "beads.db")) as database, database:
            database.execute(statement)


def make_lab(bd: Path, tmp_path: Path, factory: pytest.TempPathFactory) -> Lab:
    """A lab in `tmp_path/project`; `bd` is the program on PATH, and becomes the wrapper."""
    make_beads(tmp_path / "project", factory)
    return Lab(bd, tmp_path / "project", factory.mktemp("lab"))
