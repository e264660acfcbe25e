"""The queue of released tasks, less those whose files somebody holds.

Tasks are numbers here: their place in the order in which ready tasks start, so the smallest goes first.

A task whose file is held is parked at that file. When a file is let go, only the first task parked there comes back
to the queue, and it brings the next along when it is looked at: otherwise a file that k tasks share would cost k²
moves. What holds at all times: every task parked at a free file has an earlier one in the queue that uses the file.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

_NOWHERE = -2
_QUEUED = -1  # numbers from 0 on: parked at that file


class ReadyQueue:
    """`files[task]` are the numbers of the files that the task needs for itself; `file_count` is how many exist."""

    def __init__(self, files: Sequence[tuple[int, ...]], file_count: int) -> None:
        self._files = files
        self._queue: list[int] = []
        self._parked: list[list[int]] = [[] for _ in range(file_count)]
        self._holder: list[int | None] = [None] * file_count
        # Entries of the heaps are not removed when their task leaves; an entry counts only where this says so.
        self._place = [_NOWHERE] * len(files)

    def add(self, task: int) -> None:
        """The task may start as soon as its files are free."""
        self._place[task] = _QUEUED
        heapq.heappush(self._queue, task)

    def first(self, limit: int | None) -> list[int]:
        """Up to `limit` tasks whose files are all free, in order; each may start, though not all together."""
        found: list[int] = []
        while self._queue and (limit is None or len(found) < limit):
            task = heapq.heappop(self._queue)
            if self._place[task] != _QUEUED:
                continue
            held = self._held_file(task)
            if held is None:
                self._place[task] = _NOWHERE  # so that a second entry of the same task is passed over
                found.append(task)
            else:
                self._place[task] = held
                heapq.heappush(self._parked[held], task)
            self._bring_next(task)
        for task in found:
            self.add(task)
        return found

    def holder_against(self, task: int) -> int | None:
        """Who holds a file that the task needs."""
        held = self._held_file(task)
        return None if held is None else self._holder[held]

    def hold(self, task: int) -> None:
        """The task starts: it leaves the queue and holds its files."""
        self._place[task] = _NOWHERE
        for file in self._files[task]:
            self._holder[file] = task

    def let_go(self, task: int) -> None:
        """The task's files are free again."""
        for file in self._files[task]:
            self._holder[file] = None
        self._bring_next(task)

    def drop(self, task: int) -> None:
        """The task will not start."""
        self._place[task] = _NOWHERE
        self._bring_next(task)

    def _held_file(self, task: int) -> int | None:
        return next((file for file in self._files[task] if self._holder[file] is not None), None)

    def _bring_next(self, task: int) -> None:
        """For each free file of the task, put the first one parked there back into the queue."""
        for file in self._files[task]:
            parked = self._parked[file]
            while parked and self._holder[file] is None:
                following = heapq.heappop(parked)
                if self._place[following] == file:
                    self.add(following)
                    break
