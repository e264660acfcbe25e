"""Who takes part in the overhead benchmark, each as a command line over the same repository, agent and tasks.

The three shell contenders are what a user would write: per task `git worktree add`, the agent, `git worktree
remove`, and after all of them a loop that lands each branch by merge-tree, commit-tree and update-ref.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

AGENT = """\
set -e
printf 'made by task %s\\n' "$MAESTRO_TASK_ID" >"result-$MAESTRO_TASK_ID.txt"
git add "result-$MAESTRO_TASK_ID.txt"
git commit -q -m "Do task $MAESTRO_TASK_ID"
"""

ONE_TASK = """\
workspace="$WORKSPACES/task-$1"
git worktree add -q -b "task-$1" "$workspace" main || exit
(cd "$workspace" && MAESTRO_TASK_ID="$1" sh "$AGENT")
git worktree remove --force "$workspace"
"""

LANDING = """\
git update-ref refs/heads/integration "$(git rev-parse main)" ''
for number in $(seq "$TASKS"); do
    tip=$(git rev-parse refs/heads/integration)
    tree=$(git merge-tree --write-tree "$tip" "task-$number") || continue
    commit=$(git commit-tree "$tree" -p "$tip" -p "task-$number" -m "Land task $number")
    git update-ref refs/heads/integration "$commit" "$tip"
done
"""

XARGS = 'seq "$TASKS" | xargs -P "$AT_ONCE" -n 1 sh "$ONE_TASK"\nsh "$LANDING"\n'
PARALLEL = 'seq "$TASKS" | parallel --will-cite -j "$AT_ONCE" sh "$ONE_TASK"\nsh "$LANDING"\n'
MAKE = 'make -s -k -j "$AT_ONCE" -f "$TASKS_MAKEFILE"\nsh "$LANDING"\n'

TASKS_MAKEFILE = """\
tasks := $(addprefix task-,$(shell seq $(TASKS)))
.PHONY: all $(tasks)
all: $(tasks)
$(tasks): task-%:
\t@sh "$(ONE_TASK)" $*
"""


@dataclass(frozen=True)
class Arena:
    """The place of one measurement: everything in it is made anew each time."""

    directory: Path
    tasks: int
    parallel: int

    @property
    def repository(self) -> Path:
        return self.directory / "project"

    @property
    def workspaces(self) -> Path:
        return self.directory / "workspaces"

    def file(self, name: str) -> Path:
        return self.directory / name

    def environment(self, base: dict[str, str]) -> dict[str, str]:
        """Variables that the contenders' scripts read (`PARALLEL` is taken: GNU parallel reads options from it)."""
        return base | {
            "TASKS": str(self.tasks),
            "AT_ONCE": str(self.parallel),
            "WORKSPACES": str(self.workspaces),
            "AGENT": str(self.file("agent.sh")),
            "ONE_TASK": str(self.file("one_task.sh")),
            "LANDING": str(self.file("landing.sh")),
            "TASKS_MAKEFILE": str(self.file("tasks.mk")),
        }

    def furnish(self) -> None:
        """Write the scripts and the task file."""
        self.workspaces.mkdir(parents=True)
        self.file("agent.sh").write_text(AGENT)
        self.file("one_task.sh").write_text(ONE_TASK)
        self.file("landing.sh").write_text(LANDING)
        self.file("tasks.mk").write_text(TASKS_MAKEFILE)
        tasks = [{"id": str(number), "title": f"Do task {number}"} for number in range(1, self.tasks + 1)]
        self.file("tasks.json").write_text(json.dumps(tasks))


@dataclass(frozen=True)
class Contender:
    """`missing` says why it cannot take part here, else it is empty."""

    name: str
    missing: str
    command: Callable[[Arena], list[str]]


def find_maestro() -> Path | None:
    """The console script beside this Python, else on PATH."""
    beside = Path(sys.executable).parent / "maestro"
    found = beside if beside.exists() else shutil.which("maestro")
    return Path(found) if found else None


def maestro_command(arena: Arena) -> list[str]:
    """`maestro run` over the task file, without gates: the contenders run none."""
    return [
        str(find_maestro()),
        "run",
        "--json",
        "--no-tests",
        "--tasks-file", str(arena.file("tasks.json")),
        "--agent-command", f"sh {arena.file('agent.sh')}",
        "--max-parallel", str(arena.parallel),
        "--workspace-root", str(arena.workspaces),
    ]  # fmt: skip


def asyncio_command(arena: Arena) -> list[str]:
    """The bare driver, on the same Python."""
    driver = Path(__file__).with_name("bare_asyncio.py")
    numbers = [str(arena.tasks), str(arena.parallel)]
    return [sys.executable, str(driver), *numbers, str(arena.workspaces), str(arena.file("agent.sh"))]


def contenders() -> list[Contender]:
    """All of them, in the order in which they run."""
    return [
        Contender("maestro", "" if find_maestro() else "the maestro command was not found", maestro_command),
        Contender("xargs -P", missing_tool("xargs"), lambda _: ["sh", "-c", XARGS]),
        Contender("GNU parallel", missing_gnu_parallel(), lambda _: ["sh", "-c", PARALLEL]),
        Contender("make -j", missing_tool("make"), lambda _: ["sh", "-c", MAKE]),
        Contender("bare asyncio", "", asyncio_command),
    ]


def missing_tool(name: str) -> str:
    """Why a tool cannot be used; empty where it can."""
    return "" if shutil.which(name) else f"{name} was not found on PATH"


def missing_gnu_parallel() -> str:
    """The same for GNU parallel; moreutils has another program of that name."""
    if missing := missing_tool("parallel"):
        return missing
    said = subprocess.run(["parallel", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    return "" if said.startswith("GNU parallel") else "the parallel on PATH is not GNU parallel"
