"""A run that ended in order leaves nothing where its workspaces stood; what it keeps stays."""

from __future__ import annotations

from pathlib import Path

from maestro.testing.commandline import maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run


def test_the_folder_of_its_workspaces_goes_with_the_last(repo: Repository, run: Run, tmp_path: Path) -> None:
    root = tmp_path / "root"
    words = ("--run-id", "r1", "--workspace-root", str(root), "--attempts", "1")
    again = tmp_path / "again"
    agent = f'[ "$MAESTRO_TASK_ID" = a ] || [ -e "{again}" ] || exit 1; {WRITES_ONE_FILE}'
    said = run([{"id": "a"}, {"id": "b"}], *words, "--keep-going", agent=agent, tests="true")
    assert said.statuses() == {"a": "landed", "b": "failed"}, said.err
    assert list(root.iterdir()) == []
    again.touch()
    said = maestro("resume", "--run-id", "r1", "--retry-failed", "--json", cwd=repo.path)
    assert said.statuses() == {"a": "landed", "b": "landed"}, said.err
    assert list(root.iterdir()) == []


def test_what_is_kept_stays(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "root"
    said = run([{"id": "a"}], "--run-id", "r1", "--workspace-root", str(root), env={"MAESTRO_KEEP_WORKSPACES": "true"})
    assert said.code == 0, said.err
    assert [entry.name for entry in (root / "r1").iterdir()] == ["task-a"]
