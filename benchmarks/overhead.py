"""What maestro adds to the work itself: no-op agents, side by side with what one would write without it.

`python benchmarks/overhead.py [--tasks 20 100] [--files 2000] [--rounds 3] [--json] [--strict]`

T tasks of an agent that writes a file and commits it, four at a time, each landed on an integration branch. The
contenders take turns (A B C D A B C D …), each in a fresh copy of the same repository; figures are medians over the
rounds. Landed is counted in git: the file of a task is in the tree of the branch. A contender whose tool is missing
is named and left out. Exit 1 when maestro landed less than all; ratios fail only with --strict.
"""

from __future__ import annotations

import argparse
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

GOAL_TASKS, GOAL_FILES = 100, 2000
GOAL_WALL = ("xargs -P", 1.1)
GOAL_CPU = ("bare asyncio", 1.2)


@dataclass(frozen=True)
class Measurement:
    """One contender in one round."""

    wall_seconds: float
    cpu_seconds: float
    landed: int
    remark: str


@dataclass(frozen=True)
class Row:
    """One contender over all rounds; seconds are medians."""

    name: str
    wall_seconds: float
    cpu_seconds: float
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
    ready = [each for each in contenders() if not each.missing]
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
    """Medians over the rounds."""
    cpu = statistics.median(each.cpu_seconds for each in taken)
    return Row(
        name=name,
        wall_seconds=statistics.median(each.wall_seconds for each in taken),
        cpu_seconds=cpu,
        cpu_ms_per_task=1000 * cpu / tasks,
        landed=[each.landed for each in taken],
        remarks=sorted({each.remark for each in taken if each.remark}),
    )


def table(rows: list[Row], tasks: int) -> list[str]:
    """Lines of the table; ratios are maestro's figure divided by the contender's, once it landed all."""
    ours = next((row for row in rows if row.name == "maestro" and min(row.landed) == tasks), None)
    lines = [f"{'':14}{'wall s':>8}{'CPU s':>8}{'CPU ms/task':>13}{'landed':>16}{'wall ratio':>12}{'CPU ratio':>11}"]
    for row in rows:
        counts = f"{row.landed[0]}" if len(set(row.landed)) == 1 else "/".join(map(str, row.landed))
        line = f"{row.name:14}{row.wall_seconds:8.2f}{row.cpu_seconds:8.2f}{row.cpu_ms_per_task:13.1f}"
        line += f"{counts + f' of {tasks}':>16}"
        if ours and row is not ours:
            wall, cpu = ours.wall_seconds / row.wall_seconds, ours.cpu_seconds / row.cpu_seconds
            line += f"{wall:12.2f}{cpu:11.2f}"
        lines.append(line)
        lines += [f"{'':14}  {row.name}: {remark}" for remark in row.remarks]
    return lines


def verdicts(rows: list[Row], tasks: int, files: int) -> list[tuple[str, bool]]:
    """Sentences on the goals with whether each is reached, and maestro's overhead per task."""
    by_name = {row.name: row for row in rows}
    ours, bare = by_name.get("maestro"), by_name.get(GOAL_CPU[0])
    found: list[tuple[str, bool]] = []
    if ours is None or min(ours.landed) < tasks:
        return found
    if bare:
        extra = ours.cpu_ms_per_task - bare.cpu_ms_per_task
        found.append((f"overhead per task: {extra:.1f} ms of CPU more than {bare.name}", True))
    if (tasks, files) != (GOAL_TASKS, GOAL_FILES):
        return found
    for word, (rival, limit), field in (("wall", GOAL_WALL, "wall_seconds"), ("CPU", GOAL_CPU, "cpu_seconds")):
        if rival in by_name:
            ratio = getattr(ours, field) / getattr(by_name[rival], field)
            reached = ratio <= limit
            goal = f"goal ≤ {limit}: {'reached' if reached else 'missed'}"
            found.append((f"{word} against {rival}: {ratio:.2f} ({goal})", reached))
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[20, 100], help="numbers of tasks (20 100)")
    parser.add_argument("--files", type=int, nargs="+", default=[2000], help="files in the repository (2000)")
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
        for files in args.files:
            for tasks in args.tasks:
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
