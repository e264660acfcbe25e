"""What maestro adds to the work itself: no-op agents, side by side with what one would write without it.

`python benchmarks/overhead.py [--tasks 20 100] [--files 2000] [--rounds 3] [--json] [--strict]`
`python benchmarks/overhead.py --goals [--rounds 3]`: only what there is a goal for (Q-1), against xargs alone

T tasks of an agent that writes a file and commits it, four at a time, each landed on an integration branch. The
contenders take turns (A B C D A B C D …), each in a fresh copy of the same repository; figures are medians over the
rounds, and ratios medians of those within each round, since a shared machine is not equally fast in all of them.
Landed is counted in git: the file of a task is in the tree of the branch. A contender whose tool is missing is named
and left out. Exit 1 when maestro landed less than all; ratios fail only with --strict.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from arena import build_repository, clean_environment, default_location, file_system_of, files_on
from contenders import Arena, Contender, contenders

RIVAL, BARE = "xargs -P", "bare asyncio"
GOALS = {(100, 2_000): 0.75, (20, 2_000): 1.0, (100, 20_000): 0.5}
"""(tasks, files) → at most so many times the wall time and the CPU of the rival (Q-1)."""


@dataclass(frozen=True)
class Measurement:
    """One contender in one round."""

    wall_seconds: float
    cpu_seconds: float
    landed: int
    remark: str


@dataclass(frozen=True)
class Row:
    """One contender over all rounds; the seconds of each, in order."""

    name: str
    wall_seconds: list[float]
    cpu_seconds: list[float]
    cpu_ms_per_task: float
    landed: list[int]
    remarks: list[str]


def measure(contender: Contender, template: Path, place: Path, tasks: int, parallel: int) -> Measurement:
    """Run one contender in a place of its own, which is removed afterwards."""
    arena = Arena(place, tasks, parallel)
    shutil.copytree(template, arena.repository, symlinks=True)
    arena.furnish()
    # copied files have new times; without this every contender's first look would read them all
    subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=arena.repository, check=True)
    env = arena.environment(clean_environment(place / "home"))
    figures, output, errors = arena.file("figures.json"), arena.file("stdout"), arena.file("stderr")
    runner = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measure.py")), str(figures)]
    with output.open("wb") as out, errors.open("wb") as err:
        subprocess.run(
            [*runner, *contender.command(arena)],
            cwd=arena.repository,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            check=True,
        )
    cost = json.loads(figures.read_text())
    on_branch = files_on(arena.repository, branch_of(contender, output))
    landed = sum(f"result-{number}.txt" in on_branch for number in range(1, tasks + 1))
    remark = describe(cost, errors, landed == tasks)
    shutil.rmtree(place)
    return Measurement(cost["wall_seconds"], cost["cpu_seconds"], landed, remark)


def branch_of(contender: Contender, output: Path) -> str:
    """The integration branch: maestro names its own."""
    if contender.name != "maestro":
        return "refs/heads/integration"
    try:
        return f"refs/heads/{json.loads(output.read_text())['integration_branch']}"
    except (ValueError, KeyError, TypeError):
        return "refs/heads/integration"


def describe(cost: dict[str, float], errors: Path, all_landed: bool) -> str:
    """What went wrong in one round; empty where nothing did."""
    said = []
    if cost["still_running"]:
        said.append(f"{cost['still_running']:g} processes left")
    if not all_landed:
        lines = [line for line in errors.read_text(errors="replace").splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith("fatal:")] or lines[-1:]
        said += [f"exit code {cost['code']:g}", *fatal[:1]]
    return ", ".join(said)


def compare(tasks: int, files: int, args: argparse.Namespace, root: Path) -> list[Row]:
    """All contenders over all rounds, interleaved."""
    template = root / f"template-{files}"
    if not template.exists():
        build_repository(template, files, clean_environment(root / "home"))
    wanted = {"maestro", RIVAL} if args.goals else None
    ready = [each for each in contenders() if not each.missing and (wanted is None or each.name in wanted)]
    taken: dict[str, list[Measurement]] = {each.name: [] for each in ready}
    for number in range(args.rounds):
        for each in ready:
            if sys.stderr.isatty():
                print(f"\r\033[K{tasks} tasks, round {number + 1}, {each.name} …", end="", file=sys.stderr)
            taken[each.name].append(measure(each, template, root / "arena", tasks, args.parallel))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return [summarise(name, measurements, tasks) for name, measurements in taken.items()]


def summarise(name: str, taken: list[Measurement], tasks: int) -> Row:
    """All rounds of one contender."""
    cpu = [each.cpu_seconds for each in taken]
    return Row(
        name=name,
        wall_seconds=[each.wall_seconds for each in taken],
        cpu_seconds=cpu,
        cpu_ms_per_task=1000 * statistics.median(cpu) / tasks,
        landed=[each.landed for each in taken],
        remarks=sorted({each.remark for each in taken if each.remark}),
    )


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def table(rows: list[Row], tasks: int) -> list[str]:
    """Lines of the table; ratios are maestro's figure divided by the contender's, once it landed all."""
    ours = next((row for row in rows if row.name == "maestro" and min(row.landed) == tasks), None)
    lines = [f"{'':14}{'wall s':>8}{'CPU s':>8}{'CPU ms/task':>13}{'landed':>16}{'wall ratio':>12}{'CPU ratio':>11}"]
    for row in rows:
        counts = f"{row.landed[0]}" if len(set(row.landed)) == 1 else "/".join(map(str, row.landed))
        wall, cpu = statistics.median(row.wall_seconds), statistics.median(row.cpu_seconds)
        line = f"{row.name:14}{wall:8.2f}{cpu:8.2f}{row.cpu_ms_per_task:13.1f}"
        line += f"{counts + f' of {tasks}':>16}"
        if ours and row is not ours:
            line += f"{ratio(ours.wall_seconds, row.wall_seconds):12.2f}"
            line += f"{ratio(ours.cpu_seconds, row.cpu_seconds):11.2f}"
        lines.append(line)
        lines += [f"{'':14}  {row.name}: {remark}" for remark in row.remarks]
    return lines


def verdicts(rows: list[Row], tasks: int, files: int) -> list[tuple[str, bool]]:
    """Sentences on the goals with whether each is reached, and maestro's overhead per task."""
    by_name = {row.name: row for row in rows}
    ours, bare, rival = by_name.get("maestro"), by_name.get(BARE), by_name.get(RIVAL)
    found: list[tuple[str, bool]] = []
    if ours is None or min(ours.landed) < tasks:
        return found
    if bare:
        extra = ours.cpu_ms_per_task - bare.cpu_ms_per_task
        found.append((f"overhead per task: {extra:.1f} ms of CPU more than {bare.name}", True))
    limit = GOALS.get((tasks, files))
    if limit is None or rival is None:
        return found
    pairs = (("wall", ours.wall_seconds, rival.wall_seconds), ("CPU", ours.cpu_seconds, rival.cpu_seconds))
    for word, mine, theirs in pairs:
        times = ratio(mine, theirs)
        goal = f"goal ≤ {limit}: {'reached' if times <= limit else 'missed'}"
        found.append((f"{word} against {RIVAL}: {times:.2f} ({goal})", times <= limit))
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[20, 100], help="numbers of tasks (20 100)")
    parser.add_argument("--files", type=int, nargs="+", default=[2000], help="files in the repository (2000)")
    parser.add_argument("--goals", action="store_true", help="only what there is a goal for, against xargs alone")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which medians are taken (3)")
    parser.add_argument("--parallel", type=int, default=4, help="tasks at a time (4)")
    parser.add_argument("--location", type=Path, default=default_location(), help="where to work (a tmpfs)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    return parser.parse_args()


def main() -> int:
    """Exit code: 1 when maestro took part and did not land everything, or a goal was missed under --strict."""
    args = arguments()
    kind = file_system_of(args.location.resolve())
    git = subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout.split()[2]
    setting = f"git {git}, Python {platform.python_version()}, {os.cpu_count()} cores, {kind} ({args.location})"
    left_out = {each.name: each.missing for each in contenders() if each.missing}
    results, failed = [], "maestro" in left_out
    if not args.json:
        print(f"{setting}, {args.parallel} at a time, {args.rounds} rounds, medians")
        for name, reason in left_out.items():
            print(f"left out: {name}: {reason}")
    with tempfile.TemporaryDirectory(prefix="maestro-overhead-", dir=args.location) as directory:
        for tasks, files in GOALS if args.goals else itertools.product(args.tasks, args.files):
            rows = compare(tasks, files, args, Path(directory))
            said = verdicts(rows, tasks, files)
            failed |= any(row.name == "maestro" and min(row.landed) < tasks for row in rows)
            failed |= args.strict and not all(reached for _, reached in said)
            results.append({"tasks": tasks, "files": files, "rows": [asdict(row) for row in rows],
                            "goals": [sentence for sentence, _ in said]})  # fmt: skip
            if not args.json:
                print(f"\n{tasks} tasks, {files:,} files; ratios are maestro ÷ the other")
                print("\n".join([*table(rows, tasks), *(sentence for sentence, _ in said)]), flush=True)
    if args.json:
        print(json.dumps({"setting": setting, "left_out": left_out, "results": results}, indent=2))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
