"""A repository, a HOME with a secret and a login in it, and runs whose agents are shell scripts in a sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import BadInput
from maestro.resources.sandbox import find_bubblewrap
from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository

SECRET = "planted-2f6c1"
OURS = ("refs/heads/maestro/", "refs/heads/integration/", "refs/maestro/")
BASE = {"README.md": "# sample\n", ".gitignore": ".env\n"}


class SandboxLab:
    """`run` starts a run with an agent that is a script; scripts and what is inspected stand outside of HOME."""

    def __init__(self, repo: Repository, home: Path, folder: Path) -> None:
        self.repo = repo
        self.home = home
        self.folder = folder
        repo.commit(BASE, "base")
        repo.write({".env": SECRET})
        (home / ".ssh").mkdir()
        (home / ".ssh" / "id").write_text(SECRET)
        self.env = {
            "MAESTRO_SANDBOX": "bubblewrap",
            "MAESTRO_STOP_INTERRUPT_SECONDS": "5",
            "MAESTRO_STOP_TERMINATE_SECONDS": "1",
        }

    def arguments(self, tasks: list[dict[str, Any]], agent: str, *flags: str) -> list[str]:
        """Of `maestro run`, without tests unless the flags say otherwise."""
        file = self.folder / "tasks.json"
        file.write_text(json.dumps(tasks))
        gate = () if "--test-command" in flags else ("--no-tests",)
        return ["run", "--tasks-file", str(file), "--run-id", "it", "--agent-command", agent, "--json", *gate, *flags]

    def run(
        self, agent: str, *flags: str, tasks: tuple[str, ...] = ("a",), env: Mapping[str, str] | None = None
    ) -> Said:
        """A run to its end."""
        arguments = self.arguments([{"id": task} for task in tasks], agent, *flags)
        return maestro(*arguments, cwd=self.repo.path, env={**self.env, **(env or {})}, timeout_seconds=60)

    def start(self, agent: str, *flags: str, tasks: tuple[str, ...] = ("a",)) -> subprocess.Popen[bytes]:
        """A run under way."""
        return subprocess.Popen(
            command_line(*self.arguments([{"id": task} for task in tasks], agent, *flags)),
            cwd=self.repo.path,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start_resume(self) -> subprocess.Popen[str]:
        """The run gone on with, under way."""
        return subprocess.Popen(
            command_line("resume", "--run-id", "it", "--json"),
            cwd=self.repo.path,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def forget(self) -> None:
        """As if there had been no run."""
        shutil.rmtree(self.repo.path / ".flow")
        refs = self.repo.git("for-each-ref", "--format=%(refname)", *OURS).splitlines()
        for ref in refs:
            self.repo.git("update-ref", "-d", ref)

    def attempt(self, task: str = "a", number: int = 1) -> Path:
        """Its folder: stdout, stderr, exit."""
        return self.repo.path / ".flow/maestro/runs/it/attempts" / task / str(number)

    def said_inside(self, task: str = "a") -> str:
        return (self.attempt(task) / "stdout").read_text()

    def has_said(self, text: str, task: str) -> bool:
        """Whether its agent has printed just this so far."""
        return (self.attempt(task) / "stdout").exists() and self.said_inside(task) == text

    def checkout(self) -> dict[str, bytes]:
        """All that is the user's: the files, and git's configuration, hooks and refs but for maestro's own."""
        found = {}
        for path in sorted(self.repo.path.rglob("*")):
            name = str(path.relative_to(self.repo.path))
            if path.is_file() and not name.startswith((".flow/", ".git/")):
                found[name] = path.read_bytes()
        git = self.repo.path / ".git"
        for path in (git / "config", git / "HEAD", *sorted((git / "hooks").glob("*"))):
            found[str(path)] = path.read_bytes()
        refs = self.repo.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        users = [ref for ref in refs if not ref.startswith(OURS)]
        return {**found, "refs": "\n".join(users).encode()}


def skip_without_bubblewrap() -> None:
    """It may be installed and of no use: some machines forbid the namespaces that it makes."""
    try:
        find_bubblewrap(os.environ)
    except BadInput as error:
        pytest.skip(f"namespaces are forbidden here: {error.message}")
