"""Which live run holds which tasks and groups of a repository (E-8).

Every run holds a kernel lock on `locks/live/<run>.json` for its lifetime; the file says what it claims. A run that
died holds no lock, so its claims count for nothing, however old or young they are. Whoever cleans up after a dead run
holds its lock meanwhile. Claiming looks at all live runs under one short lock, so two runs that start at once cannot
both win.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from maestro.errors import Busy, StateError
from maestro.store.filelocks import GRACE_SECONDS, POLL_SECONDS, is_held, locked


class Claim:
    """What one run holds, until `release` or its death."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self.path = path

    def release(self) -> None:
        """Give everything back."""
        self.path.unlink(missing_ok=True)
        os.close(self._fd)


def claim(
    locks: Path, *, run_id: str, since: str, backlog: str, tasks: Collection[str], groups: Collection[str]
) -> Claim:
    """Claim tasks of one backlog and groups for a run; Busy names who holds one of them since when."""
    live = locks / "live"
    try:
        live.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"the lock folder {live} cannot be made: {error.strerror}") from error
    with locked(locks / "claim.lock"):
        for other in live_claims(locks):
            _refuse_shared(other, run_id, backlog, tasks, groups)
        body = {
            "run_id": run_id,
            "pid": os.getpid(),
            "since": since,
            "backlog": backlog,
            "tasks": sorted(tasks),
            "groups": sorted(groups),
        }
        path = live / f"{run_id}.json"
        return Claim(_hold(path, run_id, body), path)


def coordinator_environment(locks: Path, run_id: str) -> dict[str, str]:
    """The variables that the live coordinator of a run was started with; none where there is no such process, or it
    is another user's."""
    path = locks / "live" / f"{run_id}.json"
    try:
        pid = json.loads(path.read_bytes())["pid"]
        data = Path(f"/proc/{int(pid)}/environ").read_bytes() if is_held(path) else b""
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    variables = (one.decode("utf-8", "surrogateescape").partition("=") for one in data.split(b"\0") if one)
    return {name: value for name, _, value in variables}


def hold_dead(locks: Path, *, run_id: str, since: str, backlog: str = "", tasks: Collection[str] = ()) -> Claim:
    """Keep a run whose coordinator is gone, and its tasks, from being taken up while somebody cleans up after it.

    Busy where its coordinator lives, or somebody else is at it. What is left on a full disk is held too: the lock
    counts, not the words in its file.
    """
    live = locks / "live"
    try:
        live.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"the lock folder {live} cannot be made: {error.strerror}") from error
    body = {"run_id": run_id, "pid": os.getpid(), "since": since, "backlog": backlog, "cleaning": True}
    with locked(locks / "claim.lock"):
        for other in live_claims(locks):
            if other["run_id"] == run_id:
                _refuse_shared(other, run_id, backlog, (), ())
        path = live / f"{run_id}.json"
        return Claim(_hold(path, run_id, {**body, "tasks": sorted(tasks), "groups": []}, must_say=False), path)


def _hold(path: Path, run_id: str, body: dict[str, Any], *, must_say: bool = True) -> int:
    """The file of a run's claim, locked, with its words in it."""
    fd = _lock(path, run_id)
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(body).encode(), 0)
    except OSError as error:
        if must_say:
            os.close(fd)
            raise StateError(f"{path} cannot be written: {error.strerror}") from error
    return fd


def _lock(path: Path, run_id: str) -> int:
    deadline = time.monotonic() + GRACE_SECONDS
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink:
                return fd
        except BlockingIOError as error:
            if time.monotonic() > deadline:  # longer than a look by `is_held` takes
                os.close(fd)
                raise Busy(f"run {run_id} is already under way", hint="choose another --run-id") from error
            time.sleep(POLL_SECONDS)
        os.close(fd)  # another's for a moment, or taken away by its former holder since it was opened


def _refuse_shared(
    other: dict[str, Any], run_id: str, backlog: str, tasks: Collection[str], groups: Collection[str]
) -> None:
    process = f"(process {other['pid']}, since {other['since']})"
    if other.get("cleaning"):
        _refuse_cleaned(other, process, run_id, backlog, tasks)
        return
    who = f"run {other['run_id']} {process}"
    hint = f"wait for it with `maestro wait --run-id {other['run_id']}`, or run other tasks"
    if other["run_id"] == run_id:
        raise Busy(
            f"{who} is already under way",
            hint=f"wait for it with `maestro wait --run-id {run_id}`; a new run needs another --run-id",
        )
    if shared := sorted(set(groups) & set(other["groups"])):
        raise Busy(f"group {shared[0]} is held by {who}", hint=hint)
    if other["backlog"] == backlog and (shared := sorted(set(tasks) & set(other["tasks"]))):
        what = f"task {shared[0]} is" if len(shared) == 1 else f"task {shared[0]} and {len(shared) - 1} more are"
        raise Busy(f"{what} held by {who}", hint=hint)


def _refuse_cleaned(other: dict[str, Any], process: str, run_id: str, backlog: str, tasks: Collection[str]) -> None:
    if other["run_id"] == run_id or (other["backlog"] == backlog and set(tasks) & set(other["tasks"])):
        raise Busy(f"run {other['run_id']} is being cleaned up {process}", hint="try again when that has ended")


def live_runs(locks: Path) -> frozenset[str]:
    """Runs whose coordinator is alive, and those that somebody cleans up after."""
    return frozenset(str(held["run_id"]) for held in live_claims(locks))


def working_runs(locks: Path) -> frozenset[str]:
    """Runs whose coordinator is alive."""
    return frozenset(str(held["run_id"]) for held in live_claims(locks) if not held.get("cleaning"))


def live_claims(locks: Path) -> list[dict[str, Any]]:
    """Claims of runs whose coordinator is alive, as the kernel says; files of dead runs are left for the janitor."""
    found = []
    for path in sorted((locks / "live").glob("*.json")):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(ValueError):  # locked, but its first words are not written yet
                found.append(json.loads(os.read(fd, 1 << 26)))
        finally:
            os.close(fd)
    return found
