"""A stand-in for a session that works in delegate mode: plain shells in place of subagents."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository

WRITES_ONE_FILE = (
    'echo "$TASK" > "out-$(printf %s "$TASK" | cksum | cut -d" " -f1).txt" && git add -A && git commit -qm w'
)
SUMMARY = "what you did"


class Session:
    """Starts runs, gives offers to shells, and knows the state folder."""

    def __init__(self, repo: Repository, folder: Path) -> None:
        self.repo = repo
        self.folder = folder
        self.runs = repo.path / ".flow" / "maestro" / "runs"

    def tasks_file(self, tasks: list[dict[str, Any]]) -> Path:
        path = self.folder / "tasks.json"
        path.write_text(json.dumps({"tasks": tasks}))
        return path

    def start(self, tasks: list[dict[str, Any]], *flags: str, env: Mapping[str, str] | None = None) -> Said:
        """`maestro delegate start --json`, without tests unless the flags say so."""
        gate = [] if "--test-command" in flags else ["--no-tests"]
        argv = ["delegate", "start", "--json", "--tasks-file", str(self.tasks_file(tasks)), *gate, *flags]
        return maestro(*argv, cwd=self.repo.path, env=env)

    def next(self, *flags: str, wait: float = 30) -> Said:
        return maestro("delegate", "next", "--json", "--wait", str(wait), *flags, cwd=self.repo.path)

    def report(self, *words: str, cwd: Path | None = None) -> Said:
        return maestro("report", *words, cwd=cwd or self.repo.path)

    def wait(self, run_id: str) -> Said:
        return maestro("wait", "--run-id", run_id, "--timeout", "60", "--json", cwd=self.repo.path)

    def delegate_folder(self, run_id: str) -> Path:
        return self.runs / run_id / "delegate"

    def log(self, run_id: str) -> str:
        return (self.runs / run_id / "coordinator.log").read_text()

    def coordinator(self, run_id: str) -> int:
        return int(json.loads((self.delegate_folder(run_id) / "session.json").read_text())["coordinator"])

    def result(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.runs / run_id / "summary.json").read_text())
        return found

    def statuses(self, run_id: str) -> dict[str, str]:
        return {task: entry["status"] for task, entry in self.result(run_id)["tasks"].items()}

    def stop(self) -> None:
        """End whatever still runs here."""
        for file in self.runs.glob("*/delegate/session.json"):
            pid = int(json.loads(file.read_text())["coordinator"])
            if is_coordinator(pid):
                os.kill(pid, signal.SIGTERM)
                until(partial(has_ended, pid))


def by_task(launches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """They are told in the order in which their workspaces were ready."""
    return sorted(launches, key=lambda one: str(one["task"]))


def subagent(launch: dict[str, Any], work: str = WRITES_ONE_FILE, status: str = "done") -> subprocess.Popen[str]:
    """Do the work in the offered workspace, then call what the prompt says, by its own words."""
    script = f'cd "$WORKSPACE" && {{ {work}\n}} && {report_command(launch, status)}'
    return subprocess.Popen(
        ["/bin/sh", "-c", script],
        env={**os.environ, "TASK": launch["task"], "WORKSPACE": launch["workspace"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def work_all(launches: list[dict[str, Any]], work: str = WRITES_ONE_FILE, status: str = "done") -> None:
    """All at once, as subagents of one message are."""
    for process in [subagent(launch, work, status) for launch in launches]:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err


def report_command(launch: dict[str, Any], status: str = "done") -> str:
    """The command that ends the prompt, with another status where that is wished."""
    found = re.search(r"^```\n(cd .* report .*)\n```$", launch["prompt"], re.MULTILINE)
    assert found, launch["prompt"]
    assert SUMMARY in found[1]
    return found[1].replace("--status done", f"--status {status}")


def is_coordinator(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and b"coordinate" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def has_ended(pid: int) -> bool:
    return not is_coordinator(pid)


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that will become so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.02)


def session_named_claude(script: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A shell that passes for Claude Code: its children find it as their session. It lives until its input ends."""
    return subprocess.Popen(
        ["claude", "-c", f"{script}\nread -r never"],
        executable="/bin/bash",
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_words(tasks_file: Path, *flags: str) -> list[str]:
    """The command line of a start, for a shell of another's."""
    return command_line("delegate", "start", "--json", "--no-tests", "--tasks-file", str(tasks_file), *flags)
