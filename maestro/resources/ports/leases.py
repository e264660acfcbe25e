"""Ports for attempts, leased machine-wide (I-2): the formula's block where it is free, else the next one.

A block is had by holding the kernel's locks on all of its ports at once, after which two more are asked: whether a
dead coordinator's agents still work with one of them (they outlive it), and whether anybody at all is on one.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from maestro.clock import Clock
from maestro.errors import Busy, MaestroError, StateError
from maestro.planning.ports import BLOCKS, candidates, ports_of
from maestro.planning.task_environment import task_environment
from maestro.proc.family import start_time
from maestro.resources.base import Need, Provided
from maestro.resources.ports.bytelocks import ByteLocks
from maestro.resources.ports.probe import are_free
from maestro.resources.ports.records import Lease, Records, is_of, living_markers

log = logging.getLogger(__name__)

ADOPTION_SECONDS = 5.0
"""A coordinator that was killed a moment ago may be dying still, and its locks go with its last thread."""

_PAUSE_SECONDS = 0.01


class _Held(NamedTuple):
    lease: Lease
    locks: ByteLocks


class PortLeases:
    """Provides every attempt, and the gates, with a block of ports and the variables that name them."""

    def __init__(
        self,
        machine: Path,
        services: Mapping[str, int],
        *,
        run_id: str,
        repository: Path,
        clock: Clock,
        are_free: Callable[[Collection[int]], bool] = are_free,
    ) -> None:
        """`are_free` asks the kernel whether anybody is on a port."""
        self._machine = machine
        self._records = Records(machine)
        self._services = dict(services)
        self._run_id = run_id
        self._repository = str(repository)
        self._clock = clock
        self._are_free = are_free
        self._pid_started = start_time(os.getpid()) or 0.0
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def take(self, need: Need) -> Provided:
        """A block that nobody has; for an attempt whose processes live already, the one they know. Busy where none is
        left; StateError where the machine's folder cannot be used."""
        with self._lock:
            held = self._held.get(need.marker)
        if held is None:
            try:
                self._records.make()
                held = self._adopted(need) or self._new(need)
            except OSError as error:
                raise StateError(
                    f"the leases of ports in {self._records.folder} cannot be used: {error.strerror}",
                    hint="make room there, or make it writable",
                ) from error
            with self._lock:
                self._held[need.marker] = held
        return Provided(env=task_environment(need.task_id, held.lease.ports, repository=self._repository))

    def give_back(self, need: Need) -> None:
        """Others may have the ports from now on."""
        with self._lock:
            held = self._held.pop(need.marker, None)
        try:
            if held is not None:
                self._records.remove(held.lease)
            elif (left := self._records.of_marker(need.marker)) is not None:  # by a coordinator that died
                from maestro.resources.ports.listing import remove_stale  # after a coordinator's death alone

                remove_stale(self._machine, left)
        except (OSError, MaestroError) as error:  # whoever meets it finds its owner dead
            log.warning("the lease of ports of task %s cannot be removed: %s", need.task_id, error)
        finally:
            if held is not None:
                held.locks.close()

    def _adopted(self, need: Need) -> _Held | None:
        """The block that processes of this very attempt work with since an earlier coordinator started them."""
        lease = self._records.of_marker(need.marker)
        if lease is None or not is_of(lease, living_markers()):
            return None
        locks = ByteLocks(self._records.lock)
        until = self._clock.monotonic() + ADOPTION_SECONDS
        while not locks.take(lease.ports.values()):
            if self._clock.monotonic() >= until:
                locks.close()
                raise Busy(
                    f"the ports of task {need.task_id} are still leased by another process",
                    hint="`maestro workspace ports` says by which one",
                )
            time.sleep(_PAUSE_SECONDS)
        return self._recorded(need, lease.ports, locks)

    def _new(self, need: Need) -> _Held:
        locks = ByteLocks(self._records.lock)
        alive: set[str] = set()
        try:
            for block in candidates(need.task_id):
                ports = ports_of(self._services, block)
                if not locks.take(ports.values()):
                    continue
                if self._nobody_works_with(ports, alive) and self._are_free(ports.values()):
                    return self._recorded(need, ports, locks)
                locks.free(ports.values())
        except BaseException:
            locks.close()
            raise
        locks.close()
        raise Busy(
            f"no ports are left for task {need.task_id}: of each service all {BLOCKS:,} are leased or in use",
            hint="`maestro workspace ports` says by whom",
        )

    def _nobody_works_with(self, ports: Mapping[str, int], alive: set[str]) -> bool:
        """Whether no agent that outlived its coordinator has one of them; leases of the dead are taken away. The locks
        are ours. `alive`: markers seen so far, so that one look is enough for many leases."""
        for port in ports.values():
            lease = self._records.of_port(port)
            if lease is None:
                continue
            if not is_of(lease, alive):
                alive |= living_markers()  # seen alive is enough to leave it, seen dead must be new
            if is_of(lease, alive):
                return False
            self._records.remove(lease)
        return True

    def _recorded(self, need: Need, ports: Mapping[str, int], locks: ByteLocks) -> _Held:
        lease = Lease(
            marker=need.marker,
            task=need.task_id,
            run_id=self._run_id,
            repository=self._repository,
            ports=dict(ports),
            pid=os.getpid(),
            pid_started=self._pid_started,
            since=self._clock.now(),
        )
        try:
            self._records.write(lease)
        except BaseException:
            locks.close()
            raise
        return _Held(lease, locks)
