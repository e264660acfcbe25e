"""Calls of `maestro lock` that hold, wait and die, for tests."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maestro.proc.family import members, read_proc
from maestro.resources.locks.base import LockStatus, Resource
from maestro.resources.locks.status import status
from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.processes import Gate, until


class LockLab:
    """One resource of one repository."""

    def __init__(self, repository: Path, folder: Path, name: str = "tests", slots: int = 1) -> None:
        self.repository = repository
        self.folder = folder
        self.resource = Resource(name, slots)
        self.running: list[subprocess.Popen[str]] = []
        self.log = folder / "log"
        self.work = f"sleep 600.{secrets.randbelow(10**9):09}"
        """A command like no other on the machine, which ends when it is told to."""
        self.look = f"pgrep -f '^{self.work.replace('.', '[.]')}' >>$LOG; echo next >>$LOG"
        """Notes which of it still run."""

    @property
    def now(self) -> LockStatus:
        """The resource as it stands."""
        return status(self.repository / ".flow" / "maestro" / "locks" / "named", self.resource)

    def run(self, *args: str, env: Mapping[str, str] | None = None) -> Said:
        """`maestro lock NAME args` to its end."""
        return maestro("lock", self.resource.name, *args, cwd=self.repository, env=env)

    def start(self, *args: str, script: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """The same with a shell script as the command, in the background, with a process group of its own."""
        one = subprocess.Popen(
            command_line("lock", self.resource.name, *args, "--", "sh", "-c", script),
            cwd=self.repository,
            env={**os.environ, "LOG": str(self.log), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self.running.append(one)
        return one

    def hold(self, *args: str, script: str = "read _ <$GATE") -> tuple[subprocess.Popen[str], Gate]:
        """A holder that goes on until its gate lets it through."""
        gate = Gate(self.folder / f"gate-{len(self.running)}")
        one = self.start(*args, script=script, env={"GATE": str(gate.path)})
        until(lambda: any(holder.pid == one.pid for holder in self.now.holders))
        return one, gate

    def queue(self, *args: str, script: str) -> subprocess.Popen[str]:
        """Somebody who waits, at the end of the queue."""
        one = self.start(*args, script=script)
        until(lambda: any(waiter.pid == one.pid for waiter in self.now.queue))
        return one

    def lines(self) -> list[str]:
        """What scripts have written to $LOG."""
        return self.log.read_text().split("\n")[:-1] if self.log.exists() else []

    def close(self) -> None:
        for pid in (*(one.pid for one in self.running if one.poll() is None), *map(int, alive(self.work))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
        for one in self.running:
            one.communicate(timeout=30)
        until(lambda: not self.now.holders)
        until(lambda: not members(os.environ["MAESTRO_TEST_MARK"], "MAESTRO_TEST_MARK"))  # guardians on their way out


@contextmanager
def lock_lab(repository: Path, folder: Path, name: str = "tests", slots: int = 1) -> Iterator[LockLab]:
    """Whatever still runs at the end is killed."""
    folder.mkdir(exist_ok=True)
    lab = LockLab(repository, folder, name, slots)
    try:
        yield lab
    finally:
        lab.close()


def ended(one: subprocess.Popen[str]) -> int:
    """Its exit code, once it has one."""
    return one.wait(timeout=60)


def said_by(one: subprocess.Popen[str]) -> str:
    """What it has said on standard error, once it has ended."""
    return one.communicate(timeout=60)[1]


def guardian_of(one: subprocess.Popen[str]) -> int:
    """The child of a holder that is not its command: the one without the lock's mark; 0 where it has none now."""
    children = Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()
    environments = {int(pid): read_proc(f"/proc/{pid}/environ") for pid in children}  # empty where it has just ended
    return next((pid for pid, told in environments.items() if told and b"MAESTRO_FENCING_TOKEN=" not in told), 0)


def alive(command: str) -> list[str]:
    """Processes that run a command that begins so."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ") if entry.name.isdigit() else b""
            if words.startswith(command.encode()):
                found.append(entry.name)
    return found


def told(said: Said) -> dict[str, Any]:
    """The object of `--status --json`."""
    found: dict[str, Any] = json.loads(said.out)
    return found
