"""What a slow tracker costs a run: the same tasks from a task file and from beads, both eras, in one go.

`python benchmarks/beads.py [--tasks 50] [--issues 100] [--parallel 4] [--think 2] [--json] [--strict]`

- The database holds `--issues` issues, made by `bd` itself; `--tasks` of them run, half of which wait for one of the
  other half. The task file says the same. Agents wait `--think` seconds, as for a model, then commit a file.
- The bound: wall with bd ≤ wall without + claim latency x tasks ÷ parallelism + 2 s. The claim latency is what the
  tracker takes for one claim, read back, on that database: the median of five, measured just before the run.
- Calls of bd are counted by a script in its place.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arena import build_repository, clean_environment, default_location, file_system_of
from contenders import find_maestro

from maestro.trackers.base import Note
from maestro.trackers.beads.tracker import Beads

TOOLS = Path(__file__).parents[1] / ".tools" / "bin"
ERAS = ("bd-0.47.1", "bd-1.0.5")
SLACK_SECONDS = 2.0
LABEL = "bench"
AGENT = """\
sleep $THINK
printf 'made by %s\\n' "$MAESTRO_TASK_ID" >"result-$MAESTRO_TASK_ID.txt"
git add . && git commit -q -m "Do $MAESTRO_TASK_ID"
"""
INIT = {
    "bd-0.47.1": ("--skip-merge-driver", "--setup-exclude"),
    "bd-1.0.5": ("--skip-agents", "--non-interactive", "--stealth"),
}


@dataclass(frozen=True)
class Figures:
    """One run. Seconds; the last four are None for the task file, which they are held against."""

    name: str
    wall: float
    landed: int
    calls_per_task: float | None = None
    claim: float | None = None
    bound: float | None = None
    ratio: float | None = None  # wall ÷ wall without

    @property
    def reached(self) -> bool:
        return self.bound is None or self.wall <= self.bound


class Bench:
    """A repository of one contender, below a directory of its own, with its own HOME."""

    def __init__(self, root: Path, args: argparse.Namespace) -> None:
        self.root, self.args = root, args
        self.repository = root / "project"
        self.env = clean_environment(root / "home") | {"BEADS_NO_DAEMON": "1", "BD_NON_INTERACTIVE": "1"}
        build_repository(self.repository, args.files, self.env)
        agent = root / "agent.sh"
        agent.write_text(AGENT.replace("$THINK", str(args.think)))
        self.agent = f"sh {agent}"

    def run(self, *flags: str) -> tuple[float, int]:
        """`maestro run`; wall seconds, and how many tasks landed."""
        command = [
            str(find_maestro()), "run", "--json", "--no-tests", "--max-parallel", str(self.args.parallel),
            "--schedule", "dataflow", "--agent-command", self.agent, "--workspace-root", str(self.root / "work"),
            *flags,
        ]  # fmt: skip
        start = time.monotonic()
        done = subprocess.run(
            command, cwd=self.repository, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        wall = time.monotonic() - start
        if done.returncode != 0:
            sys.exit(f"beads: maestro run ended with {done.returncode}: {done.stderr.strip()[-800:]}")
        statuses = [task["status"] for task in json.loads(done.stdout)["tasks"].values()]
        return wall, statuses.count("landed")


def needs(number: int, tasks: int) -> int | None:
    """The task that this one waits for: the second half waits for the first."""
    half = tasks // 2
    return number - half if number >= half else None


def with_a_file(root: Path, args: argparse.Namespace) -> Figures:
    """The same tasks, without bd."""
    bench = Bench(root, args)
    tasks: list[dict[str, Any]] = []
    for number in range(args.tasks):
        before = needs(number, args.tasks)
        tasks.append({"id": f"demo-{number}", "title": f"Part {number}", "dependencies": []})
        if before is not None:
            tasks[-1]["dependencies"] = [f"demo-{before}"]
    (root / "tasks.json").write_text(json.dumps(tasks))
    wall, landed = bench.run("--tasks-file", str(root / "tasks.json"))
    return Figures("task file", wall, landed)


class Database:
    """A beads database, made and asked by one era's `bd`, which is a script that counts."""

    def __init__(self, bench: Bench, program: Path) -> None:
        self.bench = bench
        self.log = bench.root / "calls"
        folder = bench.root / "path"
        folder.mkdir()
        counting = folder / "bd"
        counting.write_text(f'#!/bin/sh\necho "$*" >>"{self.log}"\nexec "{program}" "$@"\n')
        counting.chmod(0o755)
        bench.env["PATH"] = f"{folder}:{bench.env['PATH']}"
        self("init", "--prefix", "demo", "--quiet", "--skip-hooks", *INIT[program.name])
        for left in ("AGENTS.md", ".gitignore"):
            (bench.repository / left).unlink(missing_ok=True)

    def __call__(self, *args: str) -> str:
        done = subprocess.run(
            ["bd", *args], cwd=self.bench.repository, env=self.bench.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            sys.exit(f"beads: bd {' '.join(args)[:80]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def fill(self, tasks: int, issues: int) -> list[str]:
        """Issues in bulk; those that no task is among are given back."""
        source = self.bench.root / "issues.md"
        source.write_text(
            "".join(
                f"## Part {number}\n### Description\nDo it.\n"
                + (f"### Labels\n{LABEL}\n" if number < tasks else "### Labels\nother\n")
                for number in range(issues)
            )
        )
        made = json.loads(self("create", "--file", str(source), "--json"))
        ids = [one["id"] for one in made]
        for number in range(tasks):
            if (before := needs(number, tasks)) is not None:
                self("dep", "add", ids[number], ids[before])
        return ids[tasks:]

    def claim_seconds(self, others: list[str]) -> float:
        """What the tracker takes for one claim, read back."""
        tracker = Beads(self.bench.repository, None, self.bench.env)
        tracker.load()
        taken = []
        for name in others[:5]:
            start = time.monotonic()
            tracker.claim(name, Note(run_id="measured"))
            taken.append(time.monotonic() - start)
        return statistics.median(taken)

    def calls(self) -> int:
        """So many since the last question."""
        count = len(self.log.read_text().splitlines())
        self.log.write_text("")
        return count


def with_beads(root: Path, args: argparse.Namespace, program: Path, without: float) -> Figures:
    """One era."""
    bench = Bench(root, args)
    database = Database(bench, program)
    others = database.fill(args.tasks, args.issues)
    claim = database.claim_seconds(others)
    database.calls()
    wall, landed = bench.run("--tracker", "beads", "--label", LABEL)
    bound = without + claim * args.tasks / args.parallel + SLACK_SECONDS
    calls = database.calls() / args.tasks
    return Figures(program.name, wall, landed, calls, claim, bound, wall / without)


def show(figures: list[Figures], args: argparse.Namespace) -> None:
    """The table."""
    load = os.getloadavg()
    print(f"on {file_system_of(args.location.resolve())}, {os.cpu_count()} cores, load {load[0]:.1f} at the end")
    print(f"{args.tasks} tasks of {args.issues} issues, {args.parallel} at once, agents think {args.think:g} s")
    print(f"{'':12}{'wall s':>8}{'÷ file':>8}{'bound s':>9}{'claim s':>9}{'calls/task':>12}{'landed':>8}")
    for one in figures:
        cells = [f"{one.name:12}{one.wall:8.1f}"]
        if one.bound is not None and one.ratio is not None and one.claim is not None:
            cells.append(f"{one.ratio:8.2f}{one.bound:9.1f}{one.claim:9.2f}{one.calls_per_task:12.1f}")
        else:
            cells.append(" " * 38)
        cells.append(f"{one.landed:8}" + ("" if one.bound is None else "  reached" if one.reached else "  missed"))
        print("".join(cells))


def main() -> int:
    """Exit code 1 only when the bound is missed under --strict, or something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=50, help="tasks to run (50)")
    parser.add_argument("--issues", type=int, default=100, help="issues in the database (100)")
    parser.add_argument("--parallel", type=int, default=4, help="agents at once (4)")
    parser.add_argument("--think", type=float, default=2.0, help="seconds an agent waits (2)")
    parser.add_argument("--files", type=int, default=200, help="files in the repository (200)")
    parser.add_argument("--tools", type=Path, default=TOOLS, help=f"where {' and '.join(ERAS)} are (.tools/bin)")
    parser.add_argument("--location", type=Path, default=default_location(), help="where to work (a tmpfs)")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--strict", action="store_true", help="exit 1 when the bound is missed")
    args = parser.parse_args()
    if find_maestro() is None:
        sys.exit("beads: the maestro command was not found")
    missing = [era for era in ERAS if not (args.tools / era).exists()]
    if missing:
        sys.exit(f"beads: {' and '.join(missing)} not found in {args.tools}: scripts/install_bd.sh builds them")
    with tempfile.TemporaryDirectory(prefix="maestro-beads-", dir=args.location) as directory:
        root = Path(directory)
        figures = [with_a_file(root / "file", args)]
        for era in ERAS:
            figures.append(with_beads(root / era, args, (args.tools / era).resolve(), figures[0].wall))
    if args.json:
        print(json.dumps([asdict(one) for one in figures], indent=2))
    else:
        show(figures, args)
    return 1 if args.strict and not all(one.reached for one in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
