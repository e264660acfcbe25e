"""How long maestro makes people and tasks wait.

`python benchmarks/latency.py [--chain 30] [--files 2000] [--runs 1000] [--json] [--strict]`

- From the end of one task's agent to the start of its dependant's agent, in a chain: evidence, landing, a new
  workspace and the start lie between. The agents write both times themselves, outside their workspaces, as their
  first and last act. The journal divides it: until landed, until the dependant is dispatched, until its agent starts.
- `maestro --help`, and `maestro status` with many runs on disk: copies of a real one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from arena import build_repository, clean_environment, default_location, file_system_of
from contenders import find_maestro

from maestro.store.layout import Layout

AGENT = """\
date +%s.%N >"$TIMES/$MAESTRO_TASK_ID.start"
printf 'made by %s\\n' "$MAESTRO_TASK_ID" >"result-$MAESTRO_TASK_ID.txt"
git add . && git commit -q -m "Do $MAESTRO_TASK_ID"
date +%s.%N >"$TIMES/$MAESTRO_TASK_ID.end"
"""


@dataclass(frozen=True)
class Spread:
    """Milliseconds over many measurements; `goal_ms` limits the median, None where there is no goal."""

    name: str
    count: int
    median_ms: float
    p95_ms: float
    goal_ms: float | None

    @property
    def reached(self) -> bool:
        return self.goal_ms is None or self.median_ms <= self.goal_ms


def spread(name: str, seconds: list[float], goal_ms: float | None = None) -> Spread:
    """Median and 95th percentile."""
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return Spread(name, len(seconds), 1000 * statistics.median(seconds), 1000 * cuts[18], goal_ms)


class Bench:
    """Everything below one directory: a repository, a HOME and a place for the agents' times."""

    def __init__(self, root: Path, files: int) -> None:
        self.root = root
        self.repository = root / "project"
        self.times = root / "times"
        self.times.mkdir()
        self.env = clean_environment(root / "home")
        build_repository(self.repository, files, self.env)

    def maestro(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the repository."""
        command = [str(find_maestro()), *args]
        return subprocess.run(
            command, cwd=self.repository, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    def run_chain(self, length: int, run_id: str) -> dict[str, list[float]]:
        """Seconds between each task's end and its dependant's start, whole and in its parts."""
        agent = AGENT.replace("$TIMES", str(self.times))
        (self.root / "agent.sh").write_text(agent)
        names = [f"{run_id}-{number}" for number in range(length)]
        tasks = [
            {"id": name, "title": f"Do {name}", "dependencies": names[number - 1 : number]}
            for number, name in enumerate(names)
        ]
        (self.root / "tasks.json").write_text(json.dumps(tasks))
        done = self.maestro(
            "run", "--json", "--no-tests", "--run-id", run_id,
            "--tasks-file", str(self.root / "tasks.json"),
            "--agent-command", f"sh {self.root / 'agent.sh'}",
            "--workspace-root", str(self.root / "workspaces"),
        )  # fmt: skip
        if done.returncode != 0:
            sys.exit(f"latency: maestro run ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        landed, dispatched = self.moments(run_id, "landed"), self.moments(run_id, "attempt_starting")
        parts: dict[str, list[float]] = {name: [] for name in ("whole", "landing", "dispatch", "workspace")}
        for before, after in pairwise(names):
            end, start = self.time(before, "end"), self.time(after, "start")
            parts["whole"].append(start - end)
            parts["landing"].append(landed[before] - end)
            parts["dispatch"].append(dispatched[after] - landed[before])
            parts["workspace"].append(start - dispatched[after])
        return parts

    def time(self, task: str, moment: str) -> float:
        """Seconds since the epoch, as an agent wrote them."""
        return float((self.times / f"{task}.{moment}").read_text())

    def moments(self, run_id: str, kind: str) -> dict[str, float]:
        """When each task had its event of a type, from the journal: seconds since the epoch."""
        lines = Layout(self.repository).journal(run_id).read_text().splitlines()[1:]
        events = [json.loads(line) for line in lines]
        return {
            event["task"]: datetime.fromisoformat(event["at"]).timestamp() for event in events if event["type"] == kind
        }

    def multiply_run(self, run_id: str, count: int) -> None:
        """Copies of a run under other names, until there are `count`; attempts are left out, status reads none."""
        layout = Layout(self.repository)
        for number in range(1, count):
            target = layout.run(f"{run_id}-{number:04d}")
            target.mkdir()
            for source in (layout.journal(run_id), layout.summary(run_id)):
                text = source.read_text().replace(f'"{run_id}"', f'"{target.name}"')
                (target / source.name).write_text(text)

    def time_command(self, *args: str, times: int = 20) -> list[float]:
        """Wall seconds of a command, the first two calls (cold caches) left out."""
        taken = []
        for _ in range(times + 2):
            start = time.monotonic()
            done = self.maestro(*args)
            taken.append(time.monotonic() - start)
            if done.returncode not in (0, 1, 3):
                sys.exit(f"latency: maestro {' '.join(args)} ended with {done.returncode}: {done.stderr[-500:]}")
        return taken[2:]


def measure(root: Path, args: argparse.Namespace) -> list[Spread]:
    """All figures."""
    bench = Bench(root, args.files)
    chain = bench.run_chain(args.chain, "chain")
    shutil.rmtree(bench.times)
    bench.times.mkdir()
    bench.run_chain(2, "small")
    bench.multiply_run("small", args.runs - 1)
    return [
        spread(f"agent's end to dependant's start, {args.files:,} files", chain["whole"]),
        spread("  agent's end to landed", chain["landing"]),
        spread("  landed to the dependant's dispatch", chain["dispatch"], 50.0),
        spread("  dispatch to its agent's first act", chain["workspace"]),
        spread("maestro --help", bench.time_command("--help"), 150.0),
        spread(f"maestro status, {args.runs:,} runs", bench.time_command("status"), 200.0),
    ]


def main() -> int:
    """Exit code 1 only when a goal is missed under --strict, or maestro failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chain", type=int, default=30, help="tasks in the chain (30)")
    parser.add_argument("--files", type=int, default=2000, help="files in the repository (2000)")
    parser.add_argument("--runs", type=int, default=1000, help="runs on disk for `maestro status` (1000)")
    parser.add_argument("--location", type=Path, default=default_location(), help="where to work (a tmpfs)")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    args = parser.parse_args()
    if find_maestro() is None:
        sys.exit("latency: the maestro command was not found")
    with tempfile.TemporaryDirectory(prefix="maestro-latency-", dir=args.location) as directory:
        figures = measure(Path(directory), args)
    if args.json:
        print(json.dumps([asdict(each) for each in figures], indent=2))
    else:
        print(f"on {file_system_of(args.location.resolve())} ({args.location})")
        print(f"{'':48}{'n':>4}{'median ms':>11}{'p95 ms':>9}")
        for each in figures:
            goal = (
                "" if each.goal_ms is None else f"  goal ≤ {each.goal_ms:g}: {'reached' if each.reached else 'missed'}"
            )
            print(f"{each.name:48}{each.count:4}{each.median_ms:11.1f}{each.p95_ms:9.1f}{goal}")
    return 1 if args.strict and not all(each.reached for each in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
