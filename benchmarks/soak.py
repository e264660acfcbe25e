"""Whether a coordinator grows with the work that it has done.

`python benchmarks/soak.py [--tasks 1000] [--parallel 4] [--files 200] [--json] [--strict]`

One coordinator, in a process of its own, takes `--tasks` tasks of an agent that writes a file and commits it, in groups
of fifty so that metadata.json is kept too, with the live table drawn on a terminal that is a pipe. At each landing an
observer looks at the process (/proc) and at its event loop: resident memory, open files, threads, asyncio tasks. What
counts is memory at the end, at most 1.2 times that after a tenth (100 of 1,000), and that the others are no higher than
in the second tenth: by then a run has what it needs. What is open only while a child is started or read from says
nothing: of open files and asyncio tasks the fewest of several looks are compared, which are those that never go.
Threads are those beside the pool of the event loop, which makes its own as several are first wanted at once, up to a
number of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from arena import build_repository, clean_environment, default_location, file_system_of
from footprint import Footprint, look_at

from maestro.clock import SystemClock
from maestro.coordinator import ParallelCoordinator
from maestro.model.events import Event, Landed
from maestro.telemetry.live import LiveObserver
from maestro.telemetry.plain import PlainObserver

GOAL_RATIO = 1.2
SWAY = 2
"""Open files, threads and asyncio tasks of agents that happen to start or end at that moment."""
POOL = "maestro_"
"""How the names of the threads begin that the event loop's pool made."""
GROUP_OF = 50
AGENT = """\
printf 'made by %s\\n' "$MAESTRO_TASK_ID" >"result-$MAESTRO_TASK_ID.txt"
git add . && git commit -q -m "Do $MAESTRO_TASK_ID"
"""


@dataclass(frozen=True)
class Look:
    """The coordinator when one more task had landed."""

    landed: int
    seconds: float
    asyncio_tasks: int
    blocks: int  # of memory that Python holds
    pooled: int  # threads
    at: Footprint


class Looker:
    """An Observer that looks at its own process."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._begun = time.monotonic()
        self._landed = 0
        self.looks: list[Look] = []

    def notify(self, event: Event) -> None:
        """Called in the event loop's own thread, so its tasks can be counted."""
        if not isinstance(event, Landed):
            return
        self._landed += 1
        if self._landed % self._every == 0:
            seconds = time.monotonic() - self._begun
            pooled = sum(thread.name.startswith(POOL) for thread in threading.enumerate())
            self.looks.append(
                Look(self._landed, seconds, len(asyncio.all_tasks()), sys.getallocatedblocks(), pooled, look_at())
            )

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Soak:
    """The start of the run against its end. `first` and `last` are medians or the fewest of a tenth of the run each."""

    tasks: int
    landed: int
    seconds: float
    first: dict[str, float]
    last: dict[str, float]
    peak_rss_mib: float

    @property
    def failures(self) -> list[str]:
        """What was not reached."""
        said = [] if self.landed == self.tasks else [f"only {self.landed} of {self.tasks} landed"]
        ratio = self.last["rss_mib"] / self.first["rss_mib"]
        if ratio > GOAL_RATIO:
            said.append(f"memory at the end is {ratio:.2f} times that after a tenth, goal: at most {GOAL_RATIO}")
        names = ("open_files", "threads", "asyncio_tasks")
        grown = [name for name in names if self.last[name] > self.first[name] + SWAY]
        return said + [f"{name} grew from {self.first[name]:g} to {self.last[name]:g}" for name in grown]


def around(looks: list[Look], place: float) -> dict[str, float]:
    """The looks next to a place between 0 and 1, a tenth of the run: medians, and the fewest of what comes and goes."""
    middle, half = round(place * len(looks)), max(len(looks) // 20, 1)
    near = looks[max(middle - half, 0) : middle + half]
    return {
        "rss_mib": statistics.median(look.at.rss_mib for look in near),
        "pss_mib": statistics.median(look.at.pss_mib for look in near),
        "open_files": min(look.at.open_files for look in near),
        "threads": statistics.median_high(look.at.threads - look.pooled for look in near),
        "asyncio_tasks": min(look.asyncio_tasks for look in near),
    }


def coordinate(place: Path, tasks: int, parallel: int, every: int) -> None:
    """In a process of its own: the run; prints one JSON object."""
    looker = Looker(every)
    flags = {
        "tasks_file": str(place / "tasks.json"),
        "agent_command": f"sh {place / 'agent.sh'}",
        "agent": "command",
        "no_tests": True,
        "max_parallel": parallel,
        "schedule": "dataflow",
        "workspace_root": str(place / "workspaces"),
    }
    coordinator = ParallelCoordinator(place / "project")
    with open(os.devnull, "w") as nowhere:
        shown = [LiveObserver(nowhere, SystemClock()), PlainObserver(nowhere)]
        begun = time.monotonic()
        result = coordinator.run(coordinator.settings(flags), observers=[*shown, looker]).result
    landed = sum(task["status"] == "landed" for task in result["tasks"].values())
    begun_with = {name: value for name, value in around(looker.looks, 0.1).items() if name.endswith("_mib")}
    soak = Soak(
        tasks=tasks,
        landed=landed,
        seconds=time.monotonic() - begun,
        first=around(looker.looks, 0.15) | begun_with,
        last=around(looker.looks, 1.0),
        peak_rss_mib=max(look.at.rss_mib for look in looker.looks),
    )
    whole = asdict(soak) | {"failures": soak.failures, "looks": [asdict(look) for look in looker.looks]}
    print(json.dumps(whole))


def soak(place: Path, args: argparse.Namespace) -> dict[str, object]:
    """Furnish a place and run the coordinator in it."""
    env = clean_environment(place / "home")
    build_repository(place / "project", args.files, env)
    (place / "agent.sh").write_text(AGENT)
    tasks = [
        {"id": f"t{number}", "title": f"Do task {number}", "group": f"part-{number // GROUP_OF}"}
        for number in range(args.tasks)
    ]
    (place / "tasks.json").write_text(json.dumps(tasks))
    command = [sys.executable, __file__, "--coordinate", str(place), "--tasks", str(args.tasks)]
    command += ["--parallel", str(args.parallel), "--every", str(max(args.tasks // 100, 1))]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"soak: the coordinator ended with {done.returncode}")
    return dict(json.loads(done.stdout))


def say(figures: dict[str, object], location: Path) -> None:
    """Lines for people."""
    looks = figures["looks"]
    assert isinstance(looks, list)
    print(f"{figures['landed']} of {figures['tasks']} tasks landed in {figures['seconds']:.0f} s, on "
          f"{file_system_of(location.resolve())}; the end is held against the second tenth")  # fmt: skip
    print(f"{'landed':>8}{'RSS MiB':>10}{'PSS MiB':>10}{'files':>8}{'threads':>9}{'asyncio tasks':>15}{'blocks':>11}"
          f"{'CPU s':>8}")  # fmt: skip
    for look in looks[max(len(looks) // 10, 1) - 1 :: max(len(looks) // 10, 1)]:
        at = look["at"]
        print(f"{look['landed']:8}{at['rss_mib']:10.1f}{at['pss_mib']:10.1f}{at['open_files']:8}{at['threads']:9}"
              f"{look['asyncio_tasks']:15}{look['blocks']:11}{at['cpu_seconds']:8.1f}")  # fmt: skip
    failures = figures["failures"]
    assert isinstance(failures, list)
    print("\n".join(failures) if failures else "flat: all goals reached")


def main() -> int:
    """Exit code 1 when not all landed, or something grew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000, help="tasks (1000)")
    parser.add_argument("--parallel", type=int, default=4, help="at a time (4)")
    parser.add_argument("--files", type=int, default=200, help="files in the repository (200)")
    parser.add_argument("--location", type=Path, default=default_location(), help="where to work (a tmpfs)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--coordinate", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--every", type=int, default=10, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.coordinate is not None:
        coordinate(args.coordinate, args.tasks, args.parallel, args.every)
        return 0
    with tempfile.TemporaryDirectory(prefix="maestro-soak-", dir=args.location) as directory:
        figures = soak(Path(directory), args)
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        say(figures, args.location)
    return 1 if figures["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
