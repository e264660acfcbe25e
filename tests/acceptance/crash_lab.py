"""Stops a coordinator dead at a chosen boundary, resumes it, and says how the run ended. Run as a script, by
`test_crash_points.py`; single-threaded itself, so that it may fork.

A boundary is the moment right after a record has been written to the journal, or right after an act: a call of git that
changes something, a child started, a file replaced, a folder removed or renamed. Each has a name and a number, such
as `attempt_ended:b #1` or `git update-ref #3`, so that it is met again in the next run however tasks overtake each
other. Between two of them nothing changes, so the moment before an act is that after what came before it. A
coordinator is stopped by SIGKILL to itself; its agents live on, as they would.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import maestro.cli.resume  # these are imported late: each child would do it again, and past our boundaries
import maestro.cli.run
import maestro.coordinator
import maestro.executors.local
import maestro.proc.run
import maestro.store.atomic
import maestro.store.historydb
import maestro.store.journal
import maestro.telemetry.oneline
import maestro.telemetry.plain
import maestro.vcs.commitdoor
import maestro.vcs.git
import maestro.vcs.refdoor
import maestro.wiring.clearing
import maestro.wiring.driving
import maestro.wiring.takeover
import maestro.workspaces.lifecycle
import maestro.workspaces.marker
import maestro.workspaces.removal
from maestro.cli.main import main
from maestro.proc.family import census
from maestro.store.blueprint import read_blueprint
from maestro.store.layout import Layout

RUN = "r"

CHANGING = frozenset({
    "add", "branch", "checkout", "clean", "clone", "commit", "commit-tree", "hash-object", "read-tree", "rebase",
    "reset", "symbolic-ref", "update-index", "update-ref", "worktree", "write-tree",
})  # fmt: skip
"""Commands of git after which something is otherwise than before."""


class Boundaries:
    """Counts them as they come, and stops this very process at one of them."""

    def __init__(self, stop_at: str | None, seen: Path | None) -> None:
        self._stop_at = stop_at
        self._seen = seen.open("a") if seen else None
        self._counts: Counter[str] = Counter()

    def reach(self, name: str) -> None:
        self._counts[name] += 1
        numbered = f"{name} #{self._counts[name]}"
        if self._seen is not None:
            self._seen.write(numbered + "\n")
            self._seen.flush()
        if numbered == self._stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, module: Any, attribute: str, name: Callable[..., str | None]) -> None:
        """Make a boundary of the end of a function's call."""
        real = getattr(module, attribute)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            said = name(*args, **kwargs)
            result = real(*args, **kwargs)
            if said is not None:
                self.reach(said)
            return result

        setattr(module, attribute, wrapped)

    def install(self) -> None:
        self._install_journal()
        self._install_kept()
        self.around(maestro.vcs.git.Git, "run", lambda _, *args, **__: _git_name(args))
        self.around(maestro.executors.local, "spawn", lambda request: f"start {request.exit_file.name}")
        replaced = _everywhere("write_atomically", maestro.store.atomic.write_atomically)
        for module in replaced:
            self.around(module, "write_atomically", lambda path, *_, **__: f"replace {_general(path.name)}")
        for module in _everywhere("remove_tree", maestro.workspaces.removal.remove_tree):
            self.around(module, "remove_tree", lambda path: f"remove {_general(path.name)}")
        for module in _everywhere("write_marker", maestro.workspaces.marker.write_marker):
            self.around(module, "write_marker", lambda home, _: f"mark {_general(home.name)}")
        self.around(Path, "rename", lambda path, _: f"rename {_general(path.name)}")

    def _install_journal(self) -> None:
        write = maestro.store.journal.Journal._write

        def one_by_one(journal: Any, payload: bytes) -> None:
            """Record by record, so that a batch can be cut anywhere between two of them."""
            for line in payload.splitlines(keepends=True):
                write(journal, line)
                event = json.loads(line)
                about = event.get("task") or event.get("group") or event.get("name") or ""
                self.reach(f"{event.get('type', 'header')}:{about}")

        maestro.store.journal.Journal._write = one_by_one  # type: ignore[method-assign]

    def _install_kept(self) -> None:
        """What is done by a process that is kept for it, as by a git of its own."""
        self._install_door(maestro.vcs.refdoor.RefDoor, "move", "git update-ref maestro")
        self._install_door(maestro.vcs.commitdoor.CommitDoor, "write", "git commit-tree")

    def _install_door(self, door: type, method: str, name: str) -> None:
        real = getattr(door, method)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            done = real(*args, **kwargs)
            if done:  # else nothing was changed, and a git of its own is called
                self.reach(name)
            return done

        setattr(door, method, wrapped)


def _everywhere(name: str, function: Any) -> list[Any]:
    """Modules that have taken the function in under its name."""
    return [module for module in list(sys.modules.values()) if getattr(module, name, None) is function]


def _git_name(args: tuple[str, ...]) -> str | None:
    words = [word for word in args if not word.startswith("-")]
    if args[0] not in CHANGING and args[:2] != ("merge-tree", "--write-tree"):
        return None
    return "git " + " ".join(word for word in words[:2] if len(word) < 30 and "/" not in word)


def _general(name: str) -> str:
    """Without what is random in it."""
    for start in (".parked", "taskfile"):
        if name.startswith(start):
            return start
    return ".removing" if "removing" in name else name[:40]


def in_child(argv: list[str], cwd: Path, log: Path, stop_at: str | None, seen: Path | None = None) -> int:
    """One command line of maestro in a child of its own; its exit code, negative where a signal ended it."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.chdir(cwd)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        null = os.open(os.devnull, os.O_RDONLY)
        for number, fd in ((0, null), (1, out), (2, out)):
            os.dup2(fd, number)
        code = 70
        try:
            if stop_at is not None or seen is not None:
                Boundaries(stop_at, seen).install()
            code = main(argv)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Place:
    """One repository with its backlog, workspaces and memory of its agents."""

    def __init__(self, scenario: Path, at: Path) -> None:
        self.at = at
        self.spec = json.loads((scenario / "scenario.json").read_text())
        shutil.copytree(scenario / "project", at / "project", symlinks=True)
        (at / "memory").mkdir()
        (at / "tasks.json").write_text(json.dumps({"tasks": self.spec["tasks"]}))
        os.environ["LAB"] = str(at / "memory")

    def run(self, stop_at: str | None, seen: Path | None = None) -> int:
        argv = ["run", "--tasks-file", str(self.at / "tasks.json"), "--run-id", RUN, "--json", *self._flags()]
        return in_child(argv, self.at / "project", self.at / "run.log", stop_at, seen)

    def resume(self, stop_at: str | None = None, seen: Path | None = None) -> int:
        argv = ["resume", "--run-id", RUN, "--json"]
        return in_child(argv, self.at / "project", self.at / "resume.log", stop_at, seen)

    def _flags(self) -> list[str]:
        flags = [str(flag) for flag in self.spec["flags"]]
        return ["--agent-command", self.spec["agent"], "--workspace-root", str(self.at / "ws"), *flags]

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.at / "project", capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else f"git failed: {done.stderr.strip()}"

    def never_began(self) -> bool:
        """Whether it was stopped before there was anything to resume."""
        return not Layout(self.at / "project").blueprint(RUN).exists()

    def end_state(self) -> dict[str, Any]:
        """All that must be the same however often the coordinator died."""
        layout = Layout(self.at / "project")
        summary = json.loads(layout.summary(RUN).read_text()) if layout.summary(RUN).exists() else {}
        token = read_blueprint(layout.blueprint(RUN)).token
        branches = self.git("for-each-ref", "--format=%(refname:short)", "refs/heads/integration").split()
        landings = [line for branch in branches[-1:] for line in self.git("log", "--format=%s", branch).splitlines()]
        return {
            "status": summary.get("status"),
            "tasks": {name: task["status"] for name, task in summary.get("tasks", {}).items()},
            "files": {branch: self.git("ls-tree", "-r", branch) for branch in branches},
            "landed": dict(sorted(Counter(line for line in landings if line.startswith("Land ")).items())),
            "tracker": self._tracker(layout),
            "groups": {
                path.parent.name: json.loads(path.read_text())["status"]
                for path in sorted(layout.groups.glob("*/metadata.json"))
            },
            "workspaces": sorted(str(path.relative_to(self.at / "ws")) for path in (self.at / "ws").glob("*/*")),
            "worktrees": self.git("worktree", "list").count("\n"),
            "task branches": self.git("for-each-ref", "--format=%(refname)", f"refs/heads/maestro/{RUN}"),
            "checkout": self.git("status", "--porcelain", "--branch"),
            "processes": sorted(marker for marker in census() if marker.startswith(f"{token}/")),
        }

    def _tracker(self, layout: Layout) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in layout.progress.glob("*.json"):
            tasks = json.loads(path.read_text()).get("tasks", {})
            found |= {name: task.get("progress", "open") for name, task in tasks.items()}
        return found


def try_one(scenario: Path, work: Path, stop_at: str, expected: dict[str, Any], again: str | None) -> dict[str, Any]:
    """Stop the run at a boundary, resume it (where `again`, stop that at another, and resume once more)."""
    at = work / "place"
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir(parents=True)
    place = Place(scenario, at)
    said: dict[str, Any] = {"boundary": stop_at, "again": again}
    code = place.run(stop_at)
    said["met"] = code == -signal.SIGKILL
    if said["met"] and place.never_began():
        code = place.run(None)
    elif said["met"]:
        if again is not None:
            said["met again"] = place.resume(again) == -signal.SIGKILL
        code = place.resume()
    state = {**place.end_state(), "code": code}
    said["wrong"] = {key: [state.get(key), value] for key, value in expected.items() if state.get(key) != value}
    if said["wrong"]:
        said["log"] = "".join((at / log).read_text() for log in ("run.log", "resume.log") if (at / log).exists())[
            -4000:
        ]
    return said


def undisturbed(scenario: Path, work: Path, stopped_at: str | None) -> tuple[dict[str, Any], list[str]]:
    """The end state of a run that nothing happens to, and its boundaries in order; where it was `stopped_at` one of
    them, those of the run that resumes it."""
    at = work / "undisturbed"
    at.mkdir(parents=True)
    place = Place(scenario, at)
    seen = at / "boundaries"
    if stopped_at is None:
        code = place.run(None, seen)
    else:
        place.run(stopped_at)
        code = place.resume(None, seen)
    return {**place.end_state(), "code": code}, seen.read_text().splitlines()


if __name__ == "__main__":
    order = json.loads(sys.stdin.read())
    what, scenario, work = sys.argv[1], Path(sys.argv[2]).absolute(), Path(sys.argv[3]).absolute()
    if what == "undisturbed":
        print(json.dumps(undisturbed(scenario, work, order.get("stopped at"))))
    else:
        for stop_at, again in order["boundaries"]:
            print(json.dumps(try_one(scenario, work, stop_at, order["expected"], again)), flush=True)
