"""What a run of chaos.py has left, looked at from outside: git, /proc and files, held against the agents' diary."""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from chaos_scene import Scene

TROUBLE = ("crash", "hang", "memory", "lie", "daemon")
WORK = "Chaos: "
"""How the messages of the agents' own commits begin."""


@dataclass
class Audit:
    """Figures of one run."""

    run_id: str
    tasks: int
    landed: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # task → why
    without_reason: list[str] = field(default_factory=list)
    starts: int = 0  # of agents, as their diary has them, else the journal
    attempts: int = 0
    detections: dict[str, list[float]] = field(default_factory=dict)  # kind of trouble → seconds until it was noticed
    unnoticed: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    not_there: list[str] = field(default_factory=list)  # said to have landed
    tracker: list[str] = field(default_factory=list)  # tasks of which it says otherwise
    scratch_lost: list[str] = field(default_factory=list)  # what crashed agents had not committed, and is not saved

    @property
    def slowest(self) -> float:
        return max((seconds for each in self.detections.values() for seconds in each), default=0.0)

    @property
    def typical(self) -> float:
        return statistics.median([seconds for each in self.detections.values() for seconds in each] or [0.0])


def read_events(journal: Path) -> list[dict[str, Any]]:
    """The events of a run."""
    return [json.loads(line) for line in journal.read_text().splitlines()[1:]]


def audit(scene: Scene, run_id: str, tasks: int) -> Audit:
    """Look at everything that one run was to do and to leave alone."""
    found = Audit(run_id, tasks)
    state = scene.repository / ".flow/maestro"
    result = json.loads((state / "runs" / run_id / "summary.json").read_text())
    for name, task in result["tasks"].items():
        if task["status"] == "landed":
            found.landed += 1
        else:
            found.failed[name] = f"{task['status']}: {task['reason']}"
            if not task["reason"]:
                found.without_reason.append(name)
    events = read_events(state / "runs" / run_id / "journal.jsonl")
    diary = [line for line in map(json.loads, scene.diary.read_text().splitlines()) if of_run(line, run_id)]
    spawned = sum(event["type"] == "attempt_spawned" for event in events)
    found.starts = sum(line["what"] == "began" for line in diary) or spawned  # claude keeps no diary
    found.attempts = sum(event["type"] == "attempt_starting" for event in events)
    _landings(scene, result, events, found)
    _detections(events, diary, found)
    _scratch(scene, diary, found)
    _tracker(state, set(result["tasks"]), found)
    found.orphans = orphans(scene, run_id, found.failed)
    return found


def of_run(line: dict[str, Any], run_id: str) -> bool:
    """Whether a line of the diary is of an agent of that run."""
    return str(line["attempt"]).split("/")[1] == run_id


def _landings(scene: Scene, result: dict[str, Any], events: list[dict[str, Any]], found: Audit) -> None:
    """Each once in the journal and once in the history of the branch, which holds what was said to have landed."""
    branch = result["integration_branch"]
    said = Counter(event["task"] for event in events if event["type"] == "landed")
    trailers = scene.git("log", "--first-parent", "--format=%(trailers:key=Maestro-Task,valueonly)", f"main..{branch}")
    there = Counter(trailers.split())
    found.twice = sorted({task for counts in (said, there) for task, times in counts.items() if times > 1})
    reached = set(scene.git("rev-list", branch).split())
    for name, task in result["tasks"].items():
        if task["status"] == "landed" and (task["commit"] not in reached or there[name] != 1):
            found.not_there.append(name)


def _detections(events: list[dict[str, Any]], diary: list[dict[str, Any]], found: Audit) -> None:
    """From the trouble, as the agent wrote it down just before, to the event that shows that maestro knows."""
    known: dict[str, float] = {}
    for event in events:
        if event["type"] in ("attempt_stopping", "attempt_ended"):
            known.setdefault(event["attempt_id"], datetime.fromisoformat(event["at"]).timestamp())
    for line in diary:
        if line["what"] in TROUBLE:
            if line["attempt"] in known:
                found.detections.setdefault(line["what"], []).append(known[line["attempt"]] - line["at"])
            else:
                found.unnoticed.append(f"{line['what']} of {line['attempt']}")


def _scratch(scene: Scene, diary: list[dict[str, Any]], found: Audit) -> None:
    """An agent that crashed had written a file and not committed it: a ref of its task keeps it."""
    for task in {line["task"] for line in diary if line["what"] == "crash"}:
        name, where = f"scratch-{task}.txt", f"refs/maestro/saved/{found.run_id}/{task}"
        refs = scene.git("for-each-ref", "--format=%(refname)", where, f"{where}-*").split()
        if not any(scene.git("ls-tree", "--name-only", ref, name) for ref in refs):
            found.scratch_lost.append(name)


def _tracker(state: Path, tasks: set[str], found: Audit) -> None:
    """Done is what has landed, and nothing else."""
    for file in (state / "progress").glob("taskfile-*.json"):
        told = json.loads(file.read_text())["tasks"]
        if not tasks.isdisjoint(told):
            done = {task for task, entry in told.items() if entry["progress"] == "done"}
            found.tracker = sorted(done ^ (tasks - found.failed.keys()))


def orphans(scene: Scene, run_id: str, failed: Collection[str]) -> list[str]:
    """Processes, worktrees, branches, locks and temporary files of a run that is over; tasks that did not
    land keep their branch, for a person to look at."""
    said = [f"process {pid}: {words}" for pid, words in scene.ours(run_id).items() if "chaos.py" not in words]
    place = str(scene.workspaces / run_id)
    said += [line for line in scene.git("worktree", "list").splitlines() if line.startswith(place)]
    branches = scene.git("for-each-ref", "--format=%(refname:short)", f"refs/heads/maestro/{run_id}").splitlines()
    said += [f"branch {branch}" for branch in branches if branch.rpartition("/")[2] not in failed]
    state = scene.repository / ".flow/maestro"
    if (live := state / "locks/live" / f"{run_id}.json").exists():
        said.append(f"claim {live.name}")
    git = scene.repository / ".git"
    for top, pattern in ((git, "*.lock"), (state, "*.tmp"), (state, "*.new")):
        files = [path for path in top.rglob(pattern) if git / "maestro" not in path.parents]  # its locks: the kernel's
        said += [f"file {path.relative_to(scene.repository)}" for path in files]
    folder = scene.workspaces / run_id
    said += [f"folder {path}" for path in folder.glob("*")] if folder.exists() else []
    return said


def lost_commits(scene: Scene) -> list[str]:
    """Commits of agents that no ref keeps: those of the diary, and what else of theirs is in the object database."""
    kept = set(scene.git("rev-list", "--all").split())
    written = [line for line in map(json.loads, scene.diary.read_text().splitlines()) if line["what"] == "committed"]
    lost = {
        line["commit"]: f"{line['commit'][:12]} of {line['attempt']}" for line in written if line["commit"] not in kept
    }
    listed = scene.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
    for commit in re.findall(r"^commit (\w+)$", listed, re.MULTILINE):
        if commit not in kept and commit not in lost:
            subject = scene.git("show", "-s", "--format=%s", commit).strip()
            if subject.startswith(WORK):
                lost[commit] = f"{commit[:12]}: {subject}"
    return sorted(lost.values())
