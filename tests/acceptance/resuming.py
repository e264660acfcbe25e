"""Runs that broke off, and what is asked of them when they are resumed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maestro.proc.family import census, members
from maestro.testing.commandline import Said, maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Started

QUICK = {"MAESTRO_STOP_INTERRUPT_SECONDS": "0.2", "MAESTRO_STOP_TERMINATE_SECONDS": "0.2"}

Start = Callable[..., Started]


class Scene:
    """One repository with a run `it`, and agents that note their starts and wait for a word."""

    def __init__(self, repo: Repository, start: Start, folder: Path) -> None:
        self.repo = repo
        self._start = start
        self.folder = folder
        self.state = repo.path / ".flow/maestro"
        self.folder_of_run = self.state / "runs/it"
        self.journal = self.folder_of_run / "journal.jsonl"
        self.tasks_file = folder / "tasks.json"

    def agent(self, then: str = WRITES_ONE_FILE) -> str:
        """Notes that it was started, waits until `let_go`, and does its work."""
        lab = self.folder
        return (
            f'echo "$MAESTRO_TASK_ID" >>"{lab}/starts"; touch "{lab}/here-$MAESTRO_TASK_ID"; '
            f'until [ -e "{lab}/go" ] || [ -e "{lab}/go-$MAESTRO_TASK_ID" ]; do sleep 0.02; done; {then}'
        )

    def let_go(self, *tasks: str) -> None:
        """Of these tasks, of all where none is named."""
        for name in [f"go-{task}" for task in tasks] or ["go"]:
            (self.folder / name).touch()

    def starts(self) -> list[str]:
        """The tasks whose agents were started, in order, as often as they were."""
        path = self.folder / "starts"
        return path.read_text().split() if path.exists() else []

    def begin(self, tasks: list[dict[str, Any]], *flags: str, waits_for: tuple[str, ...], **more: Any) -> Started:
        """The run under way, with the agents of some tasks at work."""
        more.setdefault("agent", self.agent())
        started = self._start(tasks, "--run-id", "it", *flags, **more)
        started.until(*(self.folder / f"here-{task}" for task in waits_for))
        self.until(lambda: len(self.pids()) >= len(waits_for))
        return started

    def kill(self, started: Started) -> None:
        """Its coordinator, and nothing else."""
        started.process.kill()
        started.process.communicate()

    def dead(self, tasks: list[dict[str, Any]], *flags: str, waits_for: tuple[str, ...], **more: Any) -> None:
        """A run whose coordinator was killed while some agents were at work."""
        self.kill(self.begin(tasks, *flags, waits_for=waits_for, **more))

    def reboot(self) -> None:
        """End every process of the run, as losing power does."""
        for marker in self.markers():
            for one in members(marker):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
        self.until(lambda: not self.markers())

    def token(self) -> str:
        return str(json.loads((self.folder_of_run / "blueprint.json").read_text())["token"])

    def markers(self) -> list[str]:
        """Of the live processes of the run."""
        token = self.token()
        return [marker for marker in census() if marker.startswith(f"{token}/it/")]

    def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def resume(self, *flags: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Said:
        return maestro("resume", "--json", *flags, cwd=cwd or self.repo.path, env={**QUICK, **(env or {})})

    def resume_in_words(self, *flags: str, env: Mapping[str, str] | None = None) -> Said:
        return maestro("resume", *flags, cwd=self.repo.path, env={**QUICK, **(env or {})})

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Those of the journal that are whole, of some kinds or all."""
        if not self.journal.exists():
            return []
        found = [json.loads(line) for line in self.journal.read_bytes().split(b"\n")[1:-1]]
        return [event for event in found if not kinds or event["type"] in kinds]

    def pids(self) -> dict[str, int]:
        """Task → process of its last attempt, as the journal has it."""
        return {event["task"]: event["pid"] for event in self.events("attempt_spawned")}

    def landed(self) -> list[str]:
        return [event["task"] for event in self.events("landed")]

    def on_branch(self, branch: str = "integration/it") -> set[str]:
        return {path for path in self.repo.files(branch) if path.startswith("out-")}

    def maestro(self, *args: str, env: Mapping[str, str] | None = None) -> Said:
        return maestro(*args, cwd=self.repo.path, env=env)
