"""The queue of a named resource: its order, its slots, its tokens (I-7)."""

from __future__ import annotations

import os
import resource
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.errors import BadInput, Busy, StateError
from maestro.resources.locks.base import Resource, Scope, Who, status_object
from maestro.resources.locks.queue import Held, Pending, Turn
from maestro.resources.locks.status import status

TESTS = Resource("tests")
GPU = Resource("gpu", slots=2)
MANY = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "named"


def turn(folder: Path, what: Resource = TESTS, task: str | None = None) -> Turn:
    return Turn(folder, what, Who(task=task), {})


def hold(folder: Path, what: Resource = TESTS) -> Held:
    step = turn(folder, what).advance()
    assert isinstance(step, Held)
    return step


def is_woken(pending: Held | Pending, milliseconds: int = 0) -> bool:
    assert isinstance(pending, Pending)
    poll = select.poll()
    for fd in pending.fds:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(milliseconds))


def test_a_free_resource_is_had_at_once(folder: Path) -> None:
    held = hold(folder)
    assert held.token > 0
    assert [one.pid for one in status(folder, TESTS).holders] == [os.getpid()]
    held.release()
    assert status(folder, TESTS).holders == ()


def test_first_come_first_served(folder: Path) -> None:
    held, turns = hold(folder), [turn(folder, task=str(number)) for number in range(20)]
    steps = [one.advance() for one in turns]
    assert not any(map(is_woken, steps))
    assert [one.task for one in status(folder, TESTS).queue] == [str(number) for number in range(20)]
    for number, one in enumerate(turns):
        held.release()
        assert is_woken(steps[number])
        taken = one.advance()
        assert isinstance(taken, Held)
        held = taken
        assert status(folder, TESTS).holders[0].task == str(number)
        steps[number + 1 :] = [later.advance() for later in turns[number + 1 :]]
        assert not any(map(is_woken, steps[number + 1 :]))
    held.release()


def test_who_comes_while_it_is_free_but_others_wait_does_not_overtake(folder: Path) -> None:
    held, first = hold(folder), turn(folder)
    first.advance()
    held.release()  # the first one has not looked yet
    newcomer = turn(folder)
    assert isinstance(newcomer.advance(), Pending)
    taken = first.advance()
    assert isinstance(taken, Held)
    assert isinstance(newcomer.advance(), Pending)
    taken.release()
    assert isinstance(newcomer.advance(), Held)


def test_as_many_hold_it_as_it_has_slots(folder: Path) -> None:
    one, two, third, fourth = hold(folder, GPU), hold(folder, GPU), turn(folder, GPU), turn(folder, GPU)
    waits, behind = third.advance(), fourth.advance()
    two.release()  # any of them
    assert is_woken(waits)
    assert not is_woken(behind)
    three = third.advance()
    assert isinstance(three, Held)
    assert is_woken(behind)  # it is the head of the queue now
    assert isinstance(fourth.advance(), Pending)
    one.release()
    assert isinstance(fourth.advance(), Held)
    assert len(status(folder, GPU).holders) == 2


@pytest.mark.parametrize("gone", [[0], [1], [4], [1, 2], [0, 1, 2, 3], [2, 4], [4, 3, 2, 1, 0]])
def test_who_gives_up_or_dies_leaves_no_hole(folder: Path, gone: list[int]) -> None:
    """A closed pipe is all the kernel leaves of a dead process: `leave` does no more than that."""
    held, turns = hold(folder), [turn(folder, task=str(number)) for number in range(6)]
    for one in turns:
        one.advance()
    for number in gone:
        turns[number].leave()
    served = []
    for number in (one for one in range(6) if one not in gone):
        held.release()
        taken = turns[number].advance()
        assert isinstance(taken, Held)
        held = taken
        served.append(status(folder, TESTS).holders[0].task)
    held.release()
    assert served == [str(one) for one in range(6) if one not in gone]
    hold(folder).release()


def test_a_dead_one_that_had_taken_over_from_a_dead_one(folder: Path) -> None:
    held, turns = hold(folder), [turn(folder) for _ in range(4)]
    steps = [one.advance() for one in turns]
    turns[1].leave()
    assert is_woken(steps[2])
    turns[2].advance()
    turns[2].leave()
    assert isinstance(turns[3].advance(), Pending)  # behind the first one
    held.release()
    assert isinstance(turns[3].advance(), Pending)
    taken = turns[0].advance()
    assert isinstance(taken, Held)
    taken.release()
    assert isinstance(turns[3].advance(), Held)


def test_tickets_of_the_dead_are_swept_by_who_comes_next(folder: Path) -> None:
    held = hold(folder)
    for one in [turn(folder) for _ in range(10)]:
        one.leave()
    newcomer = turn(folder)
    newcomer.advance()
    assert [one.name for one in (folder / "tests" / "queue").iterdir() if one.name.isdigit()] == ["12"]
    held.release()
    assert isinstance(newcomer.advance(), Held)


@pytest.mark.parametrize("lost", ["token", "tail", "both", "torn"])
def test_tokens_only_grow_whatever_is_lost(folder: Path, lost: str) -> None:
    tokens = []
    for _ in range(50):
        held = hold(folder)
        tokens.append(held.token)
        held.release()
        home = folder / "tests"
        if lost == "torn":
            (home / "token").write_bytes(b"179")
            (home / "tail").write_bytes(b"")
        for name in {"both": ["token", "tail"], "torn": []}.get(lost, [lost]):
            (home / name).unlink()
        time.sleep(0.0011)  # the clock has to have gone on by a millisecond where nothing else is left
    assert tokens == sorted(set(tokens))
    assert tokens[0] >= 1_700_000_000


def test_tokens_grow_also_where_the_clock_goes_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hold(folder)
    first.release()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    second = hold(folder)
    assert second.token == first.token + 1
    second.release()


def test_who_dies_between_its_ticket_and_its_number_is_taken_over(folder: Path) -> None:
    held = hold(folder)
    before = (folder / "tests" / "tail").read_bytes()
    dead = turn(folder)
    dead.leave()
    (folder / "tests" / "tail").write_bytes(before)
    after = turn(folder)
    assert isinstance(after.advance(), Pending)
    held.release()
    assert isinstance(after.advance(), Held)


def test_release_is_quick_to_repeat_and_harms_no_later_holder(folder: Path) -> None:
    first = hold(folder)
    first.release()
    second = hold(folder)
    first.release()
    assert len(status(folder, TESTS).holders) == 1
    second.release()


def test_status_is_what_scripts_are_promised(folder: Path) -> None:
    assert status_object(status(folder, TESTS)) == {"name": "tests", "capacity": 1, "holders": [], "queue": []}
    held, waiter = Turn(folder, TESTS, Who(task="a"), {}).advance(), turn(folder)
    assert isinstance(held, Held)
    told = status_object(status(folder, TESTS))
    assert told == {
        "name": "tests",
        "capacity": 1,
        "holders": [{"pid": os.getpid(), "task": "a", "since": told["holders"][0]["since"], "token": held.token}],
        "queue": [{"pid": os.getpid(), "since": told["queue"][0]["since"]}],
    }
    assert told["queue"][0]["since"].endswith("Z")
    held.release()
    waiter.leave()
    assert status_object(status(folder, TESTS))["queue"] == []


@pytest.mark.parametrize("name", ["", "a/b", "..", "ä", "x" * 80, ".hidden"])
def test_names_that_are_no_folder_of_ours(folder: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a resource"):
        turn(folder, Resource(name))
    with pytest.raises(BadInput):
        status(folder, Resource(name))


def test_who_works_under_a_lock_is_not_let_wait_for_itself(folder: Path) -> None:
    held = hold(folder)
    with pytest.raises(Busy, match="it would wait for itself"):
        Turn(folder, TESTS, Who(), held.variables)
    (folder.parent / "link").symlink_to(folder)
    with pytest.raises(Busy):
        Turn(folder.parent / "link", TESTS, Who(), held.variables)
    Turn(folder, GPU, Who(), held.variables).leave()  # another one is fine
    held.release()
    Turn(folder, TESTS, Who(), held.variables).leave()  # a stranger's variables, left over


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "named").write_text("a file")
    with pytest.raises(StateError, match="the lock tests cannot be used"):
        turn(tmp_path / "named")


@pytest.fixture
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
def test_a_hand_over_costs_the_same_with_many_waiters(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in looks at tickets, which is what a queue could do too often; no clock can be wrong about that. The
    benchmark takes the time, with 1,000."""
    from maestro.resources.locks import queue, slots, tickets

    looks = 0

    def counted(path: Path) -> int | None:
        nonlocal looks
        looks += 1
        return tickets.look_at(path)

    monkeypatch.setattr(queue, "look_at", counted)
    monkeypatch.setattr(slots, "look_at", counted)
    held, turns = hold(folder), [turn(folder) for _ in range(MANY)]
    steps = [one.advance() for one in turns]
    looks = 0
    for number in range(MANY - 1):
        held.release()
        taken = turns[number].advance()
        assert isinstance(taken, Held)
        held = taken
        assert is_woken(steps[number + 1])
        steps[number + 1] = turns[number + 1].advance()  # the new head looks who holds it
    assert looks <= 4 * MANY
    held.release()
    turns[-1].leave()


def test_a_resource_has_plain_defaults() -> None:
    assert Resource("x") == Resource("x", 1, Scope.REPO, 900.0)
