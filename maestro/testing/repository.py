"""Builds real git repositories for tests, demos and rehearsals."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Test Author",
    "GIT_AUTHOR_EMAIL": "author@example.invalid",
    "GIT_COMMITTER_NAME": "Test Committer",
    "GIT_COMMITTER_EMAIL": "committer@example.invalid",
}


class Repository:
    """A repository in `path`, driven by plain git as a user would drive it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *args: str, ok: bool = True) -> str:
        """Run git here; its output without the last newline."""
        done = subprocess.run(["git", *args], cwd=self.path, capture_output=True, text=True, check=False)
        if ok and done.returncode != 0:
            raise AssertionError(f"git {' '.join(args)} failed: {done.stderr}")
        return done.stdout.rstrip("\n")

    def write(self, files: Mapping[str, str]) -> None:
        """Write files below the repository, making folders as needed."""
        for name, content in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        """Write files and commit everything; the commit id."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.head

    @property
    def head(self) -> str:
        """Commit id of HEAD."""
        return self.git("rev-parse", "HEAD")

    def show(self, revision: str, path: str) -> str:
        """Content of a file at a revision."""
        return self.git("show", f"{revision}:{path}")

    def files(self, revision: str) -> list[str]:
        """Paths in the tree of a revision."""
        return self.git("ls-tree", "-r", "--name-only", revision).splitlines()


def make_repository(path: Path, files: Mapping[str, str] | None = None, *, branch: str = "main") -> Repository:
    """A new repository with one commit (none when `files` is an empty mapping)."""
    path.mkdir(parents=True, exist_ok=True)
    repository = Repository(path)
    repository.git("init", "-q", "-b", branch)
    if files is None:
        files = {"README.md": "# sample\n"}
    if files:
        repository.commit(files, "start")
    return repository
