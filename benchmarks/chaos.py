"""What becomes of a run when everything around it fails (Q-3).

`python benchmarks/chaos.py [--tasks 200] [--crash 10%] [--kills 24] [--seed N] [--json]`

A repository on a small tmpfs of its own, a dirty checkout, and a backlog of `--tasks` tasks, a third of which wait for
another. The agent is a script that follows a seeded plan: it works and commits; it crashes (exit 1, or SIGKILL) with
the given share; it hangs, takes too much memory, says done and has done nothing, makes the tests fail, changes the same
file as others, leaves a daemon in a session of its own. The coordinator is killed with SIGKILL `--kills` times at any
moment, alone, with the git that it calls, or with its agents, and resumed each time; the disk is filled to the last
byte now and then. Beside it a second coordinator runs claude, the real one, against a model on loopback that answers
with 429 first, and is killed as well.

Afterwards everything is looked at from outside, and held against what the agents wrote in a diary. The goals: 99 % of
the tasks landed and the rest failed with a reason, trouble noticed within two minutes, no commit lost, nothing landed
twice, the tracker told of what landed and of nothing else, uncommitted files of crashed agents saved, no orphan left,
the checkout as it was byte by byte, no bystander harmed. Exit 1 where one is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from arena import default_location
from chaos_audit import Audit, audit, lost_commits
from chaos_claude import Limited, find_claude
from chaos_monkey import KILLS, Monkey
from chaos_scene import FLOOR_MIB, Scene, say
from contenders import find_maestro

LANDED_SHARE = 0.99
NOTICED_SECONDS = 120.0
ATTEMPTS = 6
HANG_SECONDS = 12.0
MEMORY_MIB = 200
SHARES = {"hang": 0.02, "memory": 0.01, "lie": 0.02, "break": 0.02, "shared": 0.03, "daemon": 0.03}
LONGEST_SECONDS = 1800.0


def share(text: str) -> float:
    """`10%` or `0.1`."""
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value < 0.8:
        raise argparse.ArgumentTypeError(f"{text} is no share that leaves room for work")
    return value


def main_run(scene: Scene, args: argparse.Namespace, dice: random.Random) -> Monkey:
    """`maestro run` over the backlog, with the scripted agent."""
    plan = {
        "seed": args.seed,
        "shares": {"crash": args.crash, **SHARES},
        "diary": str(scene.diary),
        "think": [0.05, 0.6],
    }
    file = scene.root / "plan.json"
    file.write_text(json.dumps(plan))
    agent = Path(__file__).with_name("chaos_agent.py")
    scene.env["MAESTRO_MIN_FREE_DISK_MB"] = str(FLOOR_MIB)
    env = scene.env | {
        "MAESTRO_ATTEMPT_MEMORY_MB": str(MEMORY_MIB),
        "MAESTRO_MAX_LOAD": "1000",  # whatever else the machine does is no part of this
        "MAESTRO_STOP_INTERRUPT_SECONDS": "1",
        "MAESTRO_STOP_TERMINATE_SECONDS": "1",
    }
    flags = [
        "--tasks-file", str(scene.tasks_file), "--agent-command", f"{sys.executable} -S {agent} {file}",
        "--test-command", "test ! -e BROKEN", "--task-timeout", str(HANG_SECONDS), "--attempts", str(ATTEMPTS),
        "--max-parallel", str(args.parallel), "--schedule", "dataflow", "--keep-going",
        "--workspace-root", str(scene.workspaces),
    ]  # fmt: skip
    suffers = acts(args, dice, not scene.disk.missing)
    return Monkey(scene, "main", flags, args.tasks, suffers, seed=args.seed, env=env)


def acts(args: argparse.Namespace, dice: random.Random, disk: bool) -> list[str]:
    """What the main run suffers, in random order."""
    fills = max(args.tasks // 70, 1) if disk else 0
    listed = [KILLS[number % 4 % len(KILLS)] for number in range(args.kills)]  # half of them of the first kind
    listed += ["fill"] * fills + ["fill and kill"] * (fills - fills // 2)
    dice.shuffle(listed)
    return listed


def rage(scene: Scene, args: argparse.Namespace) -> tuple[list[Monkey], str]:
    """Both runs to their end; why the one with claude was left out, where it was."""
    dice = random.Random(args.seed)
    monkeys = [main_run(scene, args, dice)]
    claude = find_claude()
    count = max(round(args.tasks * 0.05), 2)
    if claude is None:
        _wait(monkeys)
        return monkeys, "claude was not found"
    with Limited(scene, claude, count) as limited:
        kills = list(KILLS[: max(args.kills // 10, 1)])
        second = Monkey(
            scene, "limited", limited.flags, count, kills, seed=args.seed, env=limited.env, options=limited.options
        )
        monkeys.append(second)
        _wait(monkeys)
    return monkeys, ""


def _wait(monkeys: list[Monkey]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    for monkey in monkeys:
        monkey.start()
    for monkey in monkeys:
        monkey.join(max(deadline - time.monotonic(), 0))


def judge(scene: Scene, monkeys: list[Monkey], audits: list[Audit]) -> tuple[dict[str, object], list[str]]:
    """All figures, and what was missed."""
    lost, changed, harmed = lost_commits(scene), scene.changed(), scene.harmed()
    missed = [f"{monkey.run_id}: {monkey.failure}" for monkey in monkeys if monkey.failure]
    missed += [f"{monkey.run_id} was not over after {LONGEST_SECONDS:g} s" for monkey in monkeys if monkey.is_alive()]
    for one in audits:
        if one.landed < LANDED_SHARE * one.tasks:
            missed.append(f"{one.run_id}: only {one.landed} of {one.tasks} landed")
        if one.slowest > NOTICED_SECONDS:
            missed.append(f"{one.run_id}: trouble was noticed only after {one.slowest:.1f} s")
        for what, names in (
            ("without a reason", one.without_reason),
            ("never noticed", one.unnoticed),
            ("landed twice", one.twice),
            ("said to have landed and not there", one.not_there),
            ("the tracker says otherwise", one.tracker),
            ("not saved", one.scratch_lost),
            ("left behind", one.orphans),
        ):
            missed += [f"{one.run_id}: {what}: {name}" for name in names]
    missed += [f"commit lost: {each}" for each in lost]
    missed += [f"checkout changed: {each}" for each in changed]
    missed += [f"bystander harmed: {each}" for each in harmed]
    figures: dict[str, object] = {
        "runs": [
            asdict(one) | {"kills": monkey.kills, "fills": monkey.fills, "seconds": round(monkey.seconds, 1)}
            for one, monkey in zip(audits, monkeys, strict=False)
        ],
        "commits_lost": lost,
        "checkout_changed": changed,
        "bystanders_harmed": harmed,
        "missed": missed,
    }
    return figures, missed


def table(monkeys: list[Monkey], audits: list[Audit], figures: dict[str, object]) -> list[str]:
    """Lines for people."""
    lines = []
    for monkey, one in zip(monkeys, audits, strict=False):
        lines.append(
            f"{one.run_id}: {one.landed} of {one.tasks} landed, {len(one.failed)} not, in {monkey.seconds:.0f} s; "
            f"coordinator killed {monkey.kills} times, disk full {monkey.fills} times; {one.starts} starts of agents, "
            f"{one.attempts - one.tasks} retries; landed twice {len(one.twice)}; orphans left {len(one.orphans)}"
        )
        for kind, seconds in sorted(one.detections.items()):
            middle = sorted(seconds)[len(seconds) // 2]
            lines.append(
                f"  {kind}: {len(seconds)} times, noticed after {middle:.2f} s (median), {max(seconds):.2f} s (most)"
            )
        lines += [f"  not landed: {task}: {why}" for task, why in one.failed.items()]
    counts = {name: len(value) for name, value in figures.items() if isinstance(value, list) and name != "runs"}
    lines.append("; ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()))
    return lines


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200, help="tasks (200)")
    parser.add_argument("--crash", type=share, default=0.1, metavar="SHARE", help="agents that crash (10%%)")
    parser.add_argument("--kills", type=int, help="times the coordinator is killed (24 for 200 tasks, at least 6)")
    parser.add_argument("--parallel", type=int, default=8, help="agents at a time (8)")
    parser.add_argument("--files", type=int, default=200, help="files in the repository (200)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="makes the plan of the agents and the kills")
    parser.add_argument("--location", type=Path, default=default_location(), help="where to work (a tmpfs)")
    parser.add_argument("--keep", action="store_true", help="leave everything there to look at")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    if args.kills is None:
        args.kills = max(args.tasks * 24 // 200, 6)
    return args


def main() -> int:
    """Exit code 1 where a goal was missed."""
    args = arguments()
    if find_maestro() is None:
        sys.exit("chaos: the maestro command was not found")
    say(f"seed {args.seed}; the same with --seed {args.seed}, but for the moments at which things happen")
    root = Path(tempfile.mkdtemp(prefix="maestro-chaos-", dir=args.location))
    scene = Scene(root, args.tasks, args.files)
    try:
        monkeys, left_out = rage(scene, args)
        audits = [audit(scene, monkey.run_id, monkey.tasks) for monkey in monkeys if not monkey.is_alive()]
        figures, missed = judge(scene, monkeys, audits)
    finally:
        if args.keep:
            say(f"kept in {root}, with its mount and its bystanders")
        else:
            scene.close()
    left = [each for each in (scene.disk.missing, left_out) if each]
    figures |= {"seed": args.seed, "left_out": left}
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join([*table(monkeys, audits, figures), *(f"left out: {each}" for each in left)]))
        print("\n".join(f"MISSED {each}" for each in missed) if missed else "all goals reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
