"""A repository with a database that the `bd` on PATH made, and that `bd` asked as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository, make_repository

ENVIRONMENT = {"BEADS_NO_DAEMON": "1", "BD_NON_INTERACTIVE": "1"}
_INIT = {
    True: ("--skip-merge-driver", "--setup-exclude"),
    False: ("--skip-agents", "--non-interactive", "--stealth"),
}


class Beads:
    """`bd` in one repository; what it prints is checked, and what it warns of is left unread."""

    def __init__(self, repo: Repository) -> None:
        self.repo = repo
        self.is_sqlite = " 0." in self("version")

    def __call__(self, *args: str, actor: str = "a person") -> str:
        """Run it; it must succeed."""
        done = subprocess.run(
            ["bd", "--actor", actor, *args],
            cwd=self.repo.path,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"bd {args}: {done.stdout}{done.stderr}"
        return done.stdout

    def create(self, title: str, *flags: str, needs: str | tuple[str, ...] = ()) -> str:
        """A new issue's id; it waits for those in `needs`."""
        id_ = self("create", f"--title={title}", "--description=do it", *flags, "--silent").split()[-1]
        for other in (needs,) if isinstance(needs, str) else needs:
            self("dep", "add", id_, other)
        return id_

    def show(self, id_: str) -> dict[str, Any]:
        """One issue."""
        (found,) = json.loads(self("show", id_, "--json"))
        return dict(found)

    def all(self) -> dict[str, dict[str, Any]]:
        """Every issue by id, closed ones too."""
        return {one["id"]: one for one in json.loads(self("list", "--all", "--limit", "0", "--json"))}

    def ready(self) -> set[str]:
        """What beads itself calls ready."""
        return {one["id"] for one in json.loads(self("ready", "--limit", "0", "--json")) if one["status"] == "open"}


_TEMPLATES: dict[Path, Path] = {}
"""What `bd init` made, for each program that `bd` was in this process."""


def make_beads(path: Path, factory: pytest.TempPathFactory) -> Beads:
    """A repository with one commit and an empty database, neither of them seen by `git status`.

    It is the copy of one that `bd` made: with 1.0.5 each making takes as long as ten other calls.
    """
    program = Path(shutil.which("bd") or "bd").resolve()
    if program not in _TEMPLATES:
        _TEMPLATES[program] = _make(factory.mktemp("template") / "project")
    shutil.copytree(_TEMPLATES[program], path, symlinks=True)
    return Beads(Repository(path))


def _make(path: Path) -> Path:
    beads = Beads(make_repository(path))
    beads("init", "--prefix", "demo", "--quiet", "--skip-hooks", *_INIT[beads.is_sqlite])
    for left_whatever_the_flags in ("AGENTS.md", ".gitignore"):
        (beads.repo.path / left_whatever_the_flags).unlink(missing_ok=True)
    assert beads.repo.git("status", "--porcelain") == ""
    return path
