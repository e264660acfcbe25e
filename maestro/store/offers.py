"""The folder in which a delegate run and a session meet (C-3): what is offered, given out, reported and over.

runs/<run>/delegate/
    offers/<name>.<n>.json   written whole when attempt n of a task waits for its subagent
    handed/<name>.<n>        made exclusively by who gives the offer out, or takes it back: nobody else gets it
    ended/<name>.<n>         made when the attempt is over, whatever came of it
    settled                  there while all that can start now has been offered
    session.json             the coordinator's process, and the session's where there is one

Nothing here is the truth about the run: that is the journal. A reader needs a few system calls and no lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from maestro.errors import BadInput, StateError
from maestro.model.ids import hashed_name, safe_name
from maestro.model.offer import Offer
from maestro.model.report import Report
from maestro.proc.family import ProcessId
from maestro.store.atomic import write_atomically

_SUFFIX = ".json"


class Offers:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session_file = folder / "session.json"
        self._offers = folder / "offers"
        self._handed = folder / "handed"
        self._ended = folder / "ended"
        self._settled = folder / "settled"

    def open(self) -> None:
        """Make the folder; StateError where that cannot be done."""
        try:
            for folder in (self._offers, self._handed, self._ended):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"the folder {self.folder} cannot be made: {error.strerror}") from error

    def exists(self) -> bool:
        """Whether the run is a delegate run at all."""
        return self._offers.is_dir()

    # what the coordinator writes

    def add(self, offer: Offer) -> None:
        """Offer an attempt."""
        data = offer.model_dump_json(indent=2).encode("utf-8", "surrogatepass")
        write_atomically(self._offers / f"{offer.key}{_SUFFIX}", data)

    def end(self, key: str) -> None:
        """The attempt is over: it is not given out any more, and takes no report."""
        (self._ended / key).touch()

    def set_settled(self, settled: bool) -> None:
        """Say whether all that can start now has been offered."""
        if settled:
            self._settled.touch()
        else:
            self._settled.unlink(missing_ok=True)

    def set_session(self, process: ProcessId | None, session_id: str | None, *, coordinator: int) -> None:
        """Say in whose hands the offers are, and who made them."""
        body = {
            "pid": process.pid if process else None,
            "pid_started": process.started if process else None,
            "session_id": session_id,
            "coordinator": coordinator,
        }
        write_atomically(self.session_file, (json.dumps(body) + "\n").encode())

    # what others read

    def session(self) -> dict[str, Any] | None:
        """As `set_session` wrote it; None before that."""
        try:
            found = json.loads(self.session_file.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def is_settled(self) -> bool:
        """Whether all that can start now has been offered. Ask before listing the offers, not after."""
        return self._settled.exists()

    def ready(self) -> list[Offer]:
        """Offers that nobody has been given and that are not over, in the order they were made."""
        taken = _names(self._handed) | _names(self._ended)
        return self._read(key for key in self._keys() if key not in taken)

    def running(self) -> list[Offer]:
        """Offers that were given out and are not over, in the order they were made; reported ones included."""
        handed, ended = _names(self._handed), _names(self._ended)
        return self._read(key for key in self._keys() if key in handed and key not in ended)

    def latest(self, task: str) -> Offer | None:
        """The newest offer of a task."""
        found = [offer for name in {safe_name(task), hashed_name(task)} for offer in self._of_name(name)]
        return max((offer for offer in found if offer.task == task), key=lambda offer: offer.attempt, default=None)

    def offer(self, task: str, attempt: int) -> Offer | None:
        """The offer of one attempt."""
        found = [offer for name in {safe_name(task), hashed_name(task)} for offer in self._of_name(name)]
        return next((offer for offer in found if offer.task == task and offer.attempt == attempt), None)

    def is_handed(self, offer: Offer) -> bool:
        """Whether somebody has been given it."""
        return (self._handed / offer.key).exists()

    def is_ended(self, offer: Offer) -> bool:
        """Whether its attempt is over."""
        return (self._ended / offer.key).exists()

    def hand(self, offer: Offer) -> bool:
        """Take an offer to give it out; False where somebody else was given it first."""
        return self.withdraw(offer.key)

    def withdraw(self, key: str) -> bool:
        """See to it that nobody is given the offer, made already or not; False where somebody has been given it."""
        try:
            fd = os.open(self._handed / key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return False
        except OSError as error:
            raise StateError(f"{self._handed / key} cannot be written: {error.strerror}") from error
        os.close(fd)
        return True

    def states(self) -> dict[str, str]:
        """How each offer that is not over stands, by its task: offered, given out, reported."""
        handed, ended = _names(self._handed), _names(self._ended)
        states = {}
        for offer in self._read(key for key in self._keys() if key not in ended):
            states[offer.task] = "offered" if offer.key not in handed else "given out"
            if offer.key in handed and has_reported(offer):
                states[offer.task] = "reported"
        return states

    def _keys(self) -> list[str]:
        return [
            name.removesuffix(_SUFFIX)
            for name in _names(self._offers)
            if name.endswith(_SUFFIX) and not name.startswith(".")  # such are files on their way to their name
        ]

    def _read(self, keys: Any) -> list[Offer]:
        offers = [self._load(self._offers / f"{key}{_SUFFIX}") for key in keys]
        return sorted(offers, key=lambda offer: (offer.offered_at, offer.key))

    def _of_name(self, name: str) -> list[Offer]:
        """Offers of one safe name; another task's name may begin alike."""
        keys = [key for key in self._keys() if key.rpartition(".")[0] == name]
        return [self._load(self._offers / f"{key}{_SUFFIX}") for key in keys]

    def _load(self, path: Path) -> Offer:
        try:
            return Offer.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise StateError(f"{path} cannot be read: {error}") from error


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - a name is all that is needed
    except (FileNotFoundError, NotADirectoryError):
        return set()


def has_reported(offer: Offer) -> bool:
    """Whether its report is there, taken in by the coordinator or not yet."""
    return offer.report_file.exists()


def deliver(offer: Offer, report: Report) -> None:
    """Leave the report and ring; BadInput where there is one already, or where the attempt is over.

    The first report wins, also among several that come at once. Never waits for anybody.
    """
    write_report_once(offer.report_file, report)
    ring(offer.doorbell)


def write_report_once(path: Path, report: Report) -> None:
    """Write a report whole, unless there is one; BadInput then, and where its folder is gone."""
    try:
        fd, temporary = tempfile.mkstemp(prefix=".report.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(report.model_dump_json(indent=2).encode("utf-8", "surrogatepass") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # unlike a rename, it refuses to replace
        finally:
            os.unlink(temporary)  # noqa: PTH108
    except FileExistsError as error:
        raise BadInput("there is a report already", hint="one attempt, one report: the first one counts") from error
    except FileNotFoundError as error:
        raise BadInput("the attempt is over: its workspace is gone") from error
    except OSError as error:
        raise StateError(f"the report {path} cannot be written: {error.strerror}") from error


def ring(doorbell: Path) -> None:
    """Wake who waits at the doorbell. Nobody there is no trouble: a waiter looks for the report before it waits."""
    with contextlib.suppress(OSError):
        fd = os.open(doorbell, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(fd, b"\n")
        finally:
            os.close(fd)
