"""Waiting for a lock, with and without an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from maestro.resources.locks.acquire import acquire
from maestro.resources.locks.base import LockStatus, Resource, WaitedTooLong, Who
from maestro.resources.locks.queue import Held
from maestro.resources.locks.status import status
from maestro.resources.locks.waiting import wait_for_lock
from maestro.testing.processes import until

TESTS = Resource("tests")


def in_a_loop(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    @wraps(test)
    def run(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    return run


def queue_length(folder: Path) -> int:
    return len(status(folder, TESTS).queue)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until_queued(folder: Path, number: int) -> None:
    await asyncio.to_thread(until, lambda: queue_length(folder) == number)


async def start_waiters(folder: Path, number: int, order: list[int]) -> list[asyncio.Task[None]]:
    async def one(who: int) -> None:
        held = await acquire(folder, TESTS, Who())
        order.append(who)
        await asyncio.sleep(0)
        held.release()

    tasks = []
    for who in range(number):
        tasks.append(asyncio.create_task(one(who)))
        await until_queued(folder, who + 1)
    return tasks


@in_a_loop
async def test_waiters_are_served_in_order(tmp_path: Path) -> None:
    held, order = await acquire(tmp_path, TESTS, Who()), list[int]()
    tasks = await start_waiters(tmp_path, 12, order)
    held.release()
    await asyncio.gather(*tasks)
    assert order == list(range(12))


@in_a_loop
async def test_who_is_cancelled_holds_nothing_and_keeps_nobody_up(tmp_path: Path) -> None:
    held, order = await acquire(tmp_path, TESTS, Who()), list[int]()
    tasks = await start_waiters(tmp_path, 6, order)
    files = open_files()
    for number in (0, 3, 4):
        tasks[number].cancel()
    await until_queued(tmp_path, 3)
    held.release()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 2, 5]
    assert open_files() < files


@in_a_loop
async def test_cancelled_at_any_moment_it_is_given_back(tmp_path: Path) -> None:
    for steps in range(40):
        task = asyncio.create_task(acquire(tmp_path, TESTS, Who()))
        for _ in range(steps % 8):
            await asyncio.sleep(0.0005 * (steps % 5))
        task.cancel()
        done = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(done, Held):
            done.release()
        again = await acquire(tmp_path, TESTS, Who(), wait_seconds=20)
        again.release()


@in_a_loop
async def test_no_longer_than_it_would_wait(tmp_path: Path) -> None:
    held, heard = await acquire(tmp_path, TESTS, Who(task="a")), list[LockStatus]()
    said = r"the lock tests was not free within 1 s: it is held by process .* of task a"
    with pytest.raises(WaitedTooLong, match=said):
        await acquire(tmp_path, TESTS, Who(), wait_seconds=1, on_queued=heard.append)
    with pytest.raises(WaitedTooLong) as told:
        await acquire(tmp_path, TESTS, Who(), wait_seconds=0)
    assert told.value.exit_code == 124
    assert [len(one.queue) for one in heard] == [1]
    held.release()
    (await acquire(tmp_path, TESTS, Who(), wait_seconds=0, on_queued=heard.append)).release()
    assert len(heard) == 1


@in_a_loop
async def test_the_time_waited_is_told(tmp_path: Path) -> None:
    held = await acquire(tmp_path, TESTS, Who())
    assert held.waited_seconds < 5
    task = asyncio.create_task(acquire(tmp_path, TESTS, Who()))
    await until_queued(tmp_path, 1)
    await asyncio.sleep(0.1)
    held.release()
    later = await task
    assert later.waited_seconds >= 0.1
    later.release()


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    inside, most, done = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, done
        for _ in range(5):
            held = wait_for_lock(tmp_path, TESTS, Who(), environ={})
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1
            done += 1
            held.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (most, done) == (1, 40)


def test_waiting_without_a_loop_says_so_once_and_gives_up(tmp_path: Path) -> None:
    held, heard = wait_for_lock(tmp_path, TESTS, Who(), environ={}), list[LockStatus]()
    with pytest.raises(WaitedTooLong):
        wait_for_lock(tmp_path, TESTS, Who(), environ={}, wait_seconds=1, on_queued=heard.append)
    assert len(heard) == 1
    assert queue_length(tmp_path) == 0
    held.release()
