"""What agents can write into the folder of a lock makes nobody end, overwrite or wait for what is not under it (I-7).

An agent in a sandbox can write there, and to little else; whoever is next in the queue may be outside.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import StateError
from maestro.proc.family import ProcessId, identify, start_time
from maestro.resources.locks.base import Resource, Who
from maestro.resources.locks.queue import Held, Turn
from maestro.resources.locks.status import status
from maestro.resources.locks.tickets import keeps, look_at, read_keepers, write_keepers

TESTS = Resource("tests")

RECORD: dict[str, Any] = {
    "pid": 7,
    "task": None,
    "run": None,
    "what": "",
    "since": "2026-01-01T00:00:00Z",
    "mark": "MAESTRO_LOCK_0",
    "family": ["MAESTRO_LOCK_0", "x"],
    "outlives": False,
    "limit_seconds": None,
    "token": 5,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hold(tmp_path / "named").release()
    return tmp_path / "named"


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], env={"STRANGER": "yes", "PATH": os.environ["PATH"]}) as process:
        yield process
        process.kill()


def hold(folder: Path) -> Held:
    turn = Turn(folder, TESTS, Who(), {})
    step = turn.advance()
    if not isinstance(step, Held):
        turn.leave()
        pytest.fail("the lock is not free")
    return step


def plant(folder: Path, number: int, record: object, kind: str = "holders") -> Path:
    ticket = folder / "tests" / kind / str(number)
    os.mkfifo(ticket)
    ticket.with_suffix(".json").write_text(json.dumps(record))
    return ticket


def test_a_record_names_nobody_but_who_works_under_a_lock(folder: Path, stranger: subprocess.Popen[bytes]) -> None:
    plant(folder, 999, RECORD | {"family": ["STRANGER", "yes"]})
    hold(folder).release()
    assert stranger.poll() is None


def test_keepers_are_ended_only_where_they_hold_the_ticket(folder: Path, stranger: subprocess.Popen[bytes]) -> None:
    ticket = plant(folder, 999, RECORD | {"limit_seconds": 0.001, "since_monotonic": time.monotonic() - 100})
    fd = os.open(ticket, os.O_RDWR | os.O_NONBLOCK)
    looks = look_at(ticket)
    assert looks is not None
    write_keepers(ticket, [ProcessId(stranger.pid, start_time(stranger.pid) or 0.0)])
    turn = Turn(folder, TESTS, Who(), {})
    turn.advance()
    turn.leave()
    assert stranger.poll() is None
    ours = identify(os.getpid())
    assert ours is not None
    assert keeps(ours, looks)  # who has it open for writing, and not who looks at it
    os.close(fd)
    assert not keeps(ours, looks)
    os.close(looks)


@pytest.mark.parametrize(
    "record",
    [
        [],
        "text",
        {"token": 1},
        RECORD | {"family": "xy"},
        RECORD | {"family": ["MAESTRO_ATTEMPT", ""]},
        RECORD | {"family": ["MAESTRO_ATTEMPT", "\ud800"]},
        RECORD | {"family": ["MAESTRO_LOCK_0", "a\0STRANGER=yes"]},
        RECORD | {"since": None},
        RECORD | {"token": "5"},
        RECORD | {"pid": None},
        RECORD | {"limit_seconds": 10**400, "since_monotonic": 1},
        RECORD | {"limit_seconds": float("nan")},
    ],
)
@pytest.mark.parametrize("kind", ["holders", "queue"])
def test_a_record_that_is_none_harms_nobody(folder: Path, record: object, kind: str) -> None:
    alive = os.open(plant(folder, 2, record, kind), os.O_RDWR | os.O_NONBLOCK)
    status(folder, TESTS)
    os.close(alive)
    status(folder, TESTS)
    hold(folder).release()
    assert [one.task for one in status(folder, TESTS).holders] == []


@pytest.mark.parametrize("name", ["holders/9", "holders/9.json", "holders/\u00b2", "queue/2", "queue/\u0663"])
def test_files_that_are_no_tickets_are_nobodys_turn(folder: Path, name: str) -> None:
    (folder / "tests" / name).write_text("junk")
    hold(folder).release()
    assert status(folder, TESTS).holders == ()


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "precious"
    file.write_text("mine")
    yield file
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["tail", "token"])
def test_no_link_leads_to_a_file_of_the_user(folder: Path, precious: Path, name: str) -> None:
    (folder / "tests" / name).unlink()
    (folder / "tests" / name).symlink_to(precious)
    with pytest.raises(StateError, match="too many levels of symbolic links"):
        hold(folder)


def test_no_link_leads_who_names_its_keepers_astray(folder: Path, precious: Path) -> None:
    (folder / "tests" / "holders" / "2.keepers").symlink_to(precious)
    held = hold(folder)
    held.name_keepers((os.getpid(),))
    assert read_keepers(held.path) == []  # nobody is named, and the lock is held all the same
    assert len(status(folder, TESTS).holders) == 1
    held.release()


@pytest.mark.parametrize("name", ["", "queue", "holders"])
def test_no_link_leads_to_a_folder_of_the_user(folder: Path, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (folder / "tests").rename(tmp_path / "away")
    link = folder / "tests" / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(theirs)
    with pytest.raises(StateError, match="symbolic links"):
        hold(folder)
    assert [one.name for one in theirs.rglob("*") if not one.is_dir()] == []
