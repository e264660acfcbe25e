"""What every kind of workspace is: a place of its own for one attempt, pinned to a commit."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from maestro.model.record import Record

GATE_BENCH = "gate__bench"
"""Task name of the workspace in which a run's gates run: nothing on it is anybody's work. No task's own safe name
holds `__`."""


class WorkspaceSpec(Record):
    """What to make."""

    run_id: str
    task_id: str
    task_name: str  # safe name, unique in the run
    attempt: int
    base: str  # commit id
    branch: str  # maestro/<run>/<task-name>


class Workspace(Record):
    """A workspace that exists. `home` is `<root>/task-<name>`, `repo` is `home/<repo-name>`.

    `env` holds the variables that make git inside it safe: GIT_CONFIG_GLOBAL, GIT_CEILING_DIRECTORIES,
    GIT_TERMINAL_PROMPT …
    """

    kind: str
    home: Path
    repo: Path
    base: str
    branch: str
    env: dict[str, str]

    @property
    def excludes(self) -> Path:
        """Ignore patterns of what maestro itself brings into the files, and of what is kept for the next task."""
        return self.home / ".gitignore"


class WorkEvidence(Record):
    """What is really in a workspace after its agent ended (A-3)."""

    tip: str | None  # commit the work ends in (after committing leftovers); None without one
    new_commits: int  # commits reachable from tip and not from base
    changed_paths: tuple[str, ...]  # between base and tip
    committed_by_maestro: bool  # leftovers were committed and marked
    damage: str | None = None  # what the agent broke: `.git` gone, HEAD unreadable …
    remarks: tuple[str, ...] = ()  # "commits are on branch x", "HEAD was moved off the base" …


class Workspaces(Protocol):
    """One kind of workspace. Methods block and are called from several threads at once.

    Shared git state (worktree list, refs) is written under a cross-process lock.
    """

    kind: str

    def warm(self, base: str, count: int, run_id: str) -> None:
        """Begin to make up to `count` at this base for whoever calls `create` next; does not wait for them. A kind that
        makes none ahead does nothing. `close` must follow, whatever happens meanwhile."""
        ...

    def create(self, spec: WorkspaceSpec) -> Workspace:
        """Make it, with its layout (W-2) beside the repository. An unlanded older one of the task is saved first."""
        ...

    def adopt(self, home: Path) -> Workspace | None:
        """Take over a workspace that an earlier coordinator made in `home`; None where there is none any more."""
        ...

    def collect(self, workspace: Workspace, message: str) -> WorkEvidence:
        """Commit what is uncommitted (with `message`, marked as maestro's), and say what is there.

        Afterwards every commit of the evidence is an object of the user's repository and the branch
        `workspace.branch` there points to the tip.
        """
        ...

    def save(self, workspace: Workspace, run_id: str, task_name: str) -> str | None:
        """Put unlanded commits and uncommitted files under refs/maestro/saved/<run>/<task-name>; the ref, or None
        where there is nothing beyond the base."""
        ...

    def reveal(self, workspace: Workspace) -> None:
        """Let git see all that was done to the files: to be called before it is asked about them. GitError where that
        cannot be."""
        ...

    def saved(self, run_id: str, task_name: str) -> str | None:
        """The newest ref under which work of the task was saved."""
        ...

    def remove(self, workspace: Workspace, *, for_good: bool = False) -> None:
        """Remove it, or, if not `for_good`, empty it but for what is to be kept, so that the next task gets it (W-5);
        what is not landed must have been saved."""
        ...

    def close(self) -> None:
        """Remove what is kept to be handed out again; from now on `remove` removes. May be called again."""
        ...
