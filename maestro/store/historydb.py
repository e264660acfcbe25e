"""The history of all runs in SQLite (S-2): made of the journals, so it may be thrown away and made anew at any time.

A run's rows are always replaced as a whole. Who writes holds a lock of ours and the file for that moment only, in
SQLite's rollback mode: no second file stays beside it, and a reader with `sqlite3` at hand never meets a half-told run.

Rejected: WAL (two more files beside the user's configuration for as long as somebody reads, and nothing here waits for
a reader); rows written event by event (they cost a task more than landing it does).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro.errors import StateError
from maestro.store.filelocks import locked
from maestro.store.ignorefile import hide
from maestro.store.layout import Layout

SCHEMA = 2
"""`user_version` of the file. An older one is made anew; a newer one is left alone."""

TABLES: Mapping[str, tuple[str, ...]] = {
    "runs": (
        "run_id TEXT PRIMARY KEY", "status TEXT", "reason TEXT", "started_at TEXT", "ended_at TEXT",
        "wall_seconds REAL", "tracker TEXT", "schedule TEXT", "base TEXT", "base_branch TEXT",
        "integration_branch TEXT", "max_parallel INTEGER", "tasks INTEGER", "landed INTEGER", "failed INTEGER",
        "blocked INTEGER", "cancelled INTEGER", "attempts INTEGER", "retries INTEGER", "conflicts INTEGER",
        "gates INTEGER", "cost_usd REAL", "tokens INTEGER", "went_sequential TEXT", "resumed INTEGER",
        "rolled_back INTEGER", "maestro_version TEXT", "journal_bytes INTEGER",
    ),
    "tasks": (
        "run_id TEXT", "task TEXT", "title TEXT", "kind TEXT", "groups TEXT", "state TEXT", "reason TEXT",
        "attempts INTEGER", "retries INTEGER", "conflicts INTEGER", "seconds REAL", "started_at TEXT", "ended_at TEXT",
        "commit_id TEXT", "saved_ref TEXT", "cost_usd REAL", "PRIMARY KEY (run_id, task)",
    ),
    "attempts": (
        "run_id TEXT", "task TEXT", "attempt INTEGER", "agent TEXT", "subagent TEXT", "outcome TEXT", "reason TEXT",
        "started_at TEXT", "ended_at TEXT", "seconds REAL", "cost_usd REAL", "tokens INTEGER",
        "PRIMARY KEY (run_id, task, attempt)",
    ),
    "landings": (
        "run_id TEXT", "number INTEGER", "at TEXT", "task TEXT", "commit_id TEXT", "branch TEXT", "undone TEXT",
        "PRIMARY KEY (run_id, number)",
    ),
    "gates": (
        "run_id TEXT", "number INTEGER", "at TEXT", "commit_id TEXT", "tasks TEXT", "result TEXT", "seconds REAL",
        "passed INTEGER", "failed INTEGER", "PRIMARY KEY (run_id, number)",
    ),
    "waits": (
        "run_id TEXT", "number INTEGER", "at TEXT", "resource TEXT", "task TEXT", "seconds REAL",
        "PRIMARY KEY (run_id, number)",
    ),
    "spend": (
        "run_id TEXT", "day TEXT", "agent TEXT", "attempts INTEGER", "seconds REAL", "cost_usd REAL",
        "tokens INTEGER", "PRIMARY KEY (run_id, day, agent)",
    ),
}  # fmt: skip

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""Of one run: table → rows, the columns in their order."""

_LOCK_SECONDS = 30.0
_BUSY_SECONDS = 10.0
"""Somebody who reads with a tool of their own may hold the file for so long."""

_IGNORED = ("/.gitignore", "/history.db*")


class History:
    """The open database. Use it within `with`; every change is one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.row_factory = sqlite3.Row

    def replace(self, run_id: str, rows: Rows) -> None:
        """Put the rows of a run in the place of those it had."""
        with self._db:
            self._forget(run_id)
            for table, values in rows.items():
                marks = ", ".join("?" * len(_columns(table)))
                self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", values)

    def forget(self, run_ids: Iterable[str]) -> None:
        """Take out runs."""
        with self._db:
            for run_id in run_ids:
                self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        for table in TABLES:
            self._db.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))

    def select(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        return [dict(row) for row in self._db.execute(query, values)]

    def copy_to(self, other: History) -> None:
        """Let the other hold the same, and nothing else."""
        self._db.backup(other._db)

    def known(self) -> dict[str, tuple[int, str]]:
        """Run → how long its journal was when its rows were made, and its status."""
        return {
            row["run_id"]: (row["journal_bytes"], row["status"])
            for row in self._db.execute("SELECT run_id, journal_bytes, status FROM runs")
        }


@contextlib.contextmanager
def history(layout: Layout, *, anew: bool = False) -> Iterator[History]:
    """The history of a repository, held against other writers; made where it is missing, damaged or of an older schema
    (and with `anew` in any case), empty then. What is there stays until the new one is whole.

    StateError where it cannot be written, or was written by a newer maestro.
    """
    _hide(layout)
    with locked(layout.locks / "history.lock", _LOCK_SECONDS), _as_state_error(layout.history):
        if anew or not _is_usable(layout.history):
            with _made_anew(layout.history) as made:
                yield made
            return
        with contextlib.closing(_connect(layout.history)) as connection:
            yield History(connection)


@contextlib.contextmanager
def history_in_memory() -> Iterator[History]:
    """An empty one that is gone afterwards: where nothing can be written, or to look at without holding the file."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        _make_tables(connection)
        yield History(connection)


@contextlib.contextmanager
def _made_anew(path: Path) -> Iterator[History]:
    """A new database that takes the place of the old one at the end of the block."""
    fresh = path.with_name(f"{path.name}.new")  # under the lock there is only one; a killed one's is made anew
    fresh.unlink(missing_ok=True)
    try:
        with contextlib.closing(_connect(fresh)) as connection:
            _make_tables(connection)
            yield History(connection)
        _journal_of(path).unlink(missing_ok=True)  # of the old file: it would be played into the new one
        os.replace(fresh, path)  # noqa: PTH105
    finally:
        for left in (fresh, _journal_of(fresh)):
            left.unlink(missing_ok=True)


def _journal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_SECONDS)


def _make_tables(connection: sqlite3.Connection) -> None:
    with connection:
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _columns(table: str) -> tuple[str, ...]:
    return tuple(name.split()[0] for name in TABLES[table] if not name.startswith("PRIMARY KEY"))


def _is_usable(path: Path) -> bool:
    """Whether it is there, whole, and of this schema. StateError for one of a newer maestro."""
    if not path.exists():
        return False
    try:
        with contextlib.closing(_connect(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise StateError(
                    f"{path} was written by a newer maestro",
                    hint="use that one, or make it anew with `maestro history --rebuild`",
                )
            return bool(version == SCHEMA and connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError:
        raise  # it cannot be opened or is locked: no damage
    except sqlite3.DatabaseError:
        return False


def _hide(layout: Layout) -> None:
    """Keep it out of `git status` (S-2) by a `.gitignore` that ignores itself too. One that the user has is left alone:
    then the folder above gets ours; where that has one as well, git goes by what they say."""
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
        for folder, prefix in ((layout.root, ""), (layout.root.parent, "/maestro")):
            ignore = folder / ".gitignore"
            wanted = f"{_IGNORED[0]}\n{prefix}{_IGNORED[1]}\n"
            if not ignore.exists():
                hide(folder, wanted)
                return
            if _IGNORED[1] in ignore.read_text(errors="replace"):
                return
    except OSError as error:
        raise StateError(f"{layout.root} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _as_state_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be used: {error}", hint="`maestro history --rebuild` makes it anew") from error
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror or error}") from error
