"""What it costs that agents never meet: leases of ports, and named locks.

`python benchmarks/isolation.py [--processes 20] [--leases 100] [--sections leases locks] [--json] [--strict]`

- leases: so many blocks of ports, asked for by so many processes at the same moment, all for tasks whose ids end in the
  same four digits, so that all want the same block. No port may be given out twice; each is held until all are had.
- locks: the hand-over of a named lock, see `lock_bench.py`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from arena import default_location, file_system_of
from latency import Spread, spread

from maestro.clock import SystemClock
from maestro.planning.ports import SERVICES
from maestro.resources.base import Need
from maestro.resources.ports.leases import PortLeases

LEASE_GOAL_MS = 20.0
PATIENCE_SECONDS = 120.0

Answer = tuple[list[float], list[int]]
"""Seconds that each lease took, and every port that was had."""


def lease(machine: Path, number: int, count: int, barrier: Barrier, answers: Queue[Answer]) -> None:
    """One coordinator: ask for `count` blocks, one after the other, and keep them until everybody has all."""
    provider = PortLeases(machine, SERVICES, run_id=str(number), repository=machine, clock=SystemClock())
    needs = [
        Need(task_id=f"task-{number}-{one}-9947", marker=f"bench/{number}/{one}", home=machine, repo=machine, agent="x")
        for one in range(count)
    ]
    seconds, ports = [], []
    barrier.wait(PATIENCE_SECONDS)
    for need in needs:
        began = time.perf_counter()
        env = provider.take(need).env
        seconds.append(time.perf_counter() - began)
        ports += [int(env[name]) for name in SERVICES]
    answers.put((seconds, ports))
    barrier.wait(PATIENCE_SECONDS)
    for need in needs:
        provider.give_back(need)


def measure_leases(folder: Path, processes: int, leases: int) -> list[Spread]:
    """How long a lease takes; RuntimeError where a port was given out twice."""
    machine = folder / "machine"
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(processes), context.Queue()
    shares = [leases // processes + (number < leases % processes) for number in range(processes)]
    children = [
        context.Process(target=lease, args=(machine, number, share, barrier, answers))
        for number, share in enumerate(shares)
    ]
    for child in children:
        child.start()
    got: list[Answer] = [answers.get(timeout=PATIENCE_SECONDS) for _ in children]
    for child in children:
        child.join(PATIENCE_SECONDS)
    ports = Counter(port for _, several in got for port in several)
    if len(ports) != leases * len(SERVICES):
        raise RuntimeError(f"ports given out twice: {[port for port, times in ports.items() if times > 1]}")
    seconds = [one for several, _ in got for one in several]
    return [spread(f"{leases} leases of 4 ports, {processes} processes at once", seconds, LEASE_GOAL_MS)]


def sections(arguments: argparse.Namespace) -> dict[str, Callable[[Path], list[Spread]]]:
    """Name → what it measures."""

    def locks(folder: Path) -> list[Spread]:
        from lock_bench import measure_locks

        return measure_locks(folder)

    return {
        "leases": lambda folder: measure_leases(folder, arguments.processes, arguments.leases),
        "locks": locks,
    }


def main() -> int:
    """Print the figures; 1 with --strict where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--leases", type=int, default=100)
    parser.add_argument("--sections", nargs="+", choices=("leases", "locks"), default=["leases", "locks"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--strict", action="store_true", help="end with 1 where a goal is missed")
    arguments = parser.parse_args()
    location = default_location()
    spreads: list[Spread] = []
    for name in arguments.sections:
        with tempfile.TemporaryDirectory(prefix="maestro-isolation-", dir=location) as folder:
            spreads += sections(arguments)[name](Path(folder))
    if arguments.json:
        print(json.dumps({"file_system": file_system_of(location), "spreads": [asdict(one) for one in spreads]}))
    else:
        print(f"on {file_system_of(location)}")
        for one in spreads:
            goal = "" if one.goal_ms is None else f"  (goal {one.goal_ms:.3g}: {'yes' if one.reached else 'NO'})"
            print(f"{one.name:<60} median {one.median_ms:8.2f} ms  p95 {one.p95_ms:8.2f} ms{goal}")
    return 1 if arguments.strict and not all(one.reached for one in spreads) else 0


if __name__ == "__main__":
    sys.exit(main())
