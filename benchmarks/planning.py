"""How long it takes to plan a big backlog and to drain its dispatcher, and how much memory that needs (P-8).

    python benchmarks/planning.py [--tasks 100000] [--edges 300000] [--files 0] [--chain] [--schedule dataflow]

Times are wall clock and, as machines are shared, processor; memory is the peak of a fresh process that holds
backlog, plan and dispatcher together.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import time

from maestro.model.plan import PlanOptions, ScheduleKind
from maestro.model.task import Task
from maestro.planning.plan import make_plan
from maestro.planning.schedule import Dispatcher

SLOTS = 16  # tasks active at once while draining


def main() -> None:
    """Measure in a child process, so that its peak is that of planning alone."""
    options = _arguments()
    if options.here:
        measure(options)
        return
    raise SystemExit(subprocess.run([sys.executable, __file__, *sys.argv[1:], "--here"]).returncode)


def measure(options: argparse.Namespace) -> None:
    """Make a backlog, plan it, drain it; print one line for each step."""
    tasks = backlog(options)
    held = peak()
    began = now()
    plan = make_plan(tasks, PlanOptions(schedule=ScheduleKind(options.schedule)))
    planned = now()
    assert not plan.problems, plan.problems[:3]
    starts = drain(Dispatcher(plan, keep_going=False))
    drained = now()
    assert starts == options.tasks
    edges = sum(len(task.dependencies) for task in tasks)
    print(f"tasks {len(tasks)}, edges {edges}, levels {len(plan.levels)}, overlaps {len(plan.overlaps)}")
    print(f"plan  {took(began, planned)}")
    print(f"drain {took(planned, drained)} ({SLOTS} at once)")
    print(f"peak  {peak():6.0f} MiB ({held:.0f} of it the backlog)")


def now() -> tuple[float, float]:
    """Wall clock and processor time, in seconds."""
    return time.perf_counter(), time.process_time()


def peak() -> float:
    """Most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def took(since: tuple[float, float], until: tuple[float, float]) -> str:
    """The difference, in words."""
    return f"{until[0] - since[0]:6.2f} s, processor {until[1] - since[1]:5.2f} s"


def backlog(options: argparse.Namespace) -> list[Task]:
    """A random acyclic backlog, or one chain; the same one each time."""
    chance = random.Random(1)
    count: int = options.tasks
    needs: list[set[int]] = [set() for _ in range(count)]
    if options.chain:
        needs = [{number - 1} if number else set() for number in range(count)]
    else:
        left = min(options.edges, count * (count - 1) // 2)
        while left:
            later = chance.randrange(1, count)
            earlier = chance.randrange(later)
            if earlier not in needs[later]:
                needs[later].add(earlier)
                left -= 1
    return [
        Task(
            id=f"task-{number}",
            title=f"Do number {number}",
            dependencies=tuple(f"task-{one}" for one in sorted(needs[number])),
            files=(f"src/file_{chance.randrange(options.files)}.py",) if options.files else (),
        )
        for number in range(count)
    ]


def drain(dispatcher: Dispatcher) -> int:
    """Land everything, oldest first; returns how many tasks were started."""
    running: list[str] = []
    started = 0
    while not dispatcher.is_over:
        while len(running) < SLOTS and (ready := dispatcher.ready(1)):
            dispatcher.start(ready[0])
            running.append(ready[0])
            started += 1
        dispatcher.landed(running.pop(0))
    return started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=300_000)
    parser.add_argument("--files", type=int, default=0, help="every task writes one of so many files")
    parser.add_argument("--chain", action="store_true", help="one chain of all tasks")
    parser.add_argument("--schedule", default="dataflow", choices=[kind.value for kind in ScheduleKind])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
