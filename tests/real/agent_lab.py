"""One repository in which a real agent CLI is started as the engine starts it, against a scripted model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from maestro.agents.base import Agent, Job, Verdict
from maestro.executors.local import LocalExecutor, LocalProcess
from maestro.proc.family import members
from maestro.proc.ladder import Graces
from maestro.proc.request import MARKER, Exit, ProcessRequest
from maestro.testing.repository import IDENTITY, Repository, make_repository

Steps = list[dict[str, Any]]
WORK: Steps = [
    {"write": {"path": "a.txt", "content": "x\n"}},
    {"bash": "git add -A && git commit -qm work"},
    {"say": "all done"},
]


class Ran(NamedTuple):
    """One attempt that has ended."""

    verdict: Verdict
    ended: Exit
    notes: list[str]
    stderr: str
    swept: int  # processes that outlived it


class AgentLab:
    """`make` builds the adapter from its options; `env` is the whole environment beyond what every agent gets."""

    def __init__(
        self, folder: Path, home: Path, executable: Path, make: Callable[..., Agent], env: dict[str, str]
    ) -> None:
        self.repo: Repository = make_repository(folder / "project")
        self.cwd = self.repo.path
        self.folder = folder
        self.home = home
        self.make = make
        self.env = {
            "PATH": f"{executable.parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
            "MAESTRO_TEST_MARK": os.environ["MAESTRO_TEST_MARK"],
            **IDENTITY,
            **env,
        }
        self.servers: dict[str, Any] = {}  # MCP servers of the client configuration
        self.started = 0
        self._mark = uuid.uuid4().hex  # unique on the machine: other tests run beside this one

    @property
    def mark(self) -> str:
        """The marker of the last one started."""
        return f"{self._mark}-{self.started}"

    @property
    def files(self) -> Path:
        """Where the last one started has its prompt and its output."""
        return self.folder / str(self.started)

    async def start(self, text: str, agent: Agent, resume: str | None = None) -> LocalProcess:
        """Start it on a prompt."""
        self.started += 1
        files = self.files
        files.mkdir(exist_ok=True)
        (files / "prompt.md").write_text(text)
        if self.servers:
            (files / "client-config.json").write_text(json.dumps({"mcpServers": self.servers}))
        job = Job(
            task_id="T1",
            prompt=text,
            prompt_file=files / "prompt.md",
            workspace=self.cwd,
            state_dir=files,
            client_config=files / "client-config.json",
            resume_session=resume,
        )
        asked = agent.invocation(job)
        request = ProcessRequest(
            argv=asked.argv,
            cwd=job.workspace,
            env={**self.env, **asked.env, MARKER: self.mark},
            stdin_file=asked.stdin_file,
            stdout_file=files / "stdout",
            stderr_file=files / "stderr",
            exit_file=files / "exit",
        )
        return await LocalExecutor(Graces(interrupt_seconds=2)).start(request)

    def read(self, agent: Agent, ended: Exit, swept: int = 0) -> Ran:
        """What the adapter makes of the last one started."""
        reader = agent.reader()
        notes = list(reader.feed((self.files / "stdout").read_bytes()))
        stderr = (self.files / "stderr").read_text()
        return Ran(reader.verdict(ended.code, stderr), ended, notes, stderr, swept)

    def run(self, work: Steps | str, *, resume: str | None = None, **options: Any) -> Ran:
        """Run one to its end, and sweep after it."""
        agent = self.make(**options)

        async def main() -> tuple[Exit, int]:
            child = await self.start(work if isinstance(work, str) else prompt(work), agent, resume)
            return await child.wait(), await child.sweep()

        return self.read(agent, *asyncio.run(main()))

    def events(self) -> list[dict[str, Any]]:
        """The JSON lines that the last one started has printed."""
        lines = (self.files / "stdout").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    async def file(self, name: str) -> Path:
        """Wait until the agent has made this file in its workspace."""
        path = self.cwd / name
        while not path.exists():
            await asyncio.sleep(0.01)
        return path


def named(mark: str, name: str) -> list[int]:
    """Processes of a family whose kernel name holds `name`; any of them may end at any time."""
    found = []
    for one in members(mark):
        with suppress(OSError):
            if name in Path(f"/proc/{one.pid}/comm").read_text():
                found.append(one.pid)
    return found


def signal_named(mark: str, name: str, number: signal.Signals) -> None:
    """Send them a signal."""
    for pid in named(mark, name):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def prompt(steps: Steps) -> str:
    """A prompt that holds a script."""
    return f"Do the task.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"
