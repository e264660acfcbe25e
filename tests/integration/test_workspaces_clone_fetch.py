"""Work of a clone comes home while a worktree is being added beside it."""

from __future__ import annotations

import threading
from pathlib import Path

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import WorkspaceSpec
from maestro.workspaces.lifecycle import repository_lock
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.site import survey


def test_a_worktree_that_is_half_added_does_not_cost_the_work(repo: Repository, tmp_path: Path) -> None:
    git = open_repository(repo.path)
    clones = open_workspaces("clone", git=git, root=tmp_path / "ws")
    spec = WorkspaceSpec(
        run_id="r", task_id="a", task_name="a", attempt=1, base=repo.head, branch="maestro/r/a"
    )  # fmt: skip
    workspace = clones.create(spec)
    (workspace.repo / "work.txt").write_text("work\n")
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"))
    head = repo.path / ".git" / "worktrees" / "other" / "HEAD"
    whole, held = head.read_text(), threading.Event()

    def add_slowly() -> None:
        with repository_lock(survey(git, tmp_path / "ws")):
            head.write_text("0" * 40 + "\n")  # as git itself writes it first
            held.set()
            asked.wait(20)
            head.write_text(whole)

    asked = threading.Event()
    adding = threading.Thread(target=add_slowly)
    adding.start()
    held.wait(20)
    threading.Timer(0.5, asked.set).start()
    evidence = clones.collect(workspace, "work")
    adding.join()
    assert evidence.damage is None
    assert repo.show("maestro/r/a", "work.txt") == "work"
