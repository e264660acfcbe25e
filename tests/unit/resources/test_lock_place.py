"""Where locks are kept, and who calls `maestro lock` (I-7)."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from maestro.errors import BadInput
from maestro.resources.locks.base import Scope
from maestro.resources.locks.caller import Caller, attempt_folder, find_caller
from maestro.resources.locks.place import folder_of, main_checkout
from maestro.resources.locks.testresults import TestResults
from maestro.store.layout import Layout
from maestro.testing.repository import Repository
from maestro.workspaces.marker import Marker, encode_path, write_marker


def make_workspace(repo: Repository, home: Path, *, run: str = "r1", task: str = "a b") -> Path:
    """As W-2 has them, made by the code that makes them; the folder of the files."""
    files = home / "project" / "src"
    files.mkdir(parents=True)
    (home / "project" / ".git").write_text("gitdir: elsewhere\n")
    marker = Marker(
        kind="worktree",
        run_id=run,
        task_id=task,
        task_name="a-b",
        attempt=1,
        base="0" * 40,
        branch="maestro/r1/a-b",
        common_dir=encode_path(repo.path / ".git"),
        repo=encode_path(home / "project"),
    )
    write_marker(home, marker)
    return files


def test_scope_repo_is_in_the_state_directory_and_hidden_from_git(repo: Repository) -> None:
    folder = folder_of(Scope.REPO, repo.path, None, {})
    assert folder == repo.path / ".flow" / "maestro" / "locks" / "named"
    (folder / "tests").mkdir()
    (folder / "tests" / "tail").write_text("1\n")
    assert repo.git("status", "--porcelain").strip() == ""


def test_worktrees_of_a_user_share_their_repositorys_locks(repo: Repository, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "other"))
    assert folder_of(Scope.REPO, tmp_path / "other", None, {}) == folder_of(Scope.REPO, repo.path, None, {})
    assert main_checkout(tmp_path) == tmp_path


def test_a_submodule_is_a_repository_of_its_own(repo: Repository, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / ".git").write_text(f"gitdir: {repo.path / '.git'}\n")  # with no `commondir`, as modules have none
    assert main_checkout(inner) == inner


def test_scope_run_is_in_the_folder_of_the_run(repo: Repository) -> None:
    Layout(repo.path).run("r1").mkdir(parents=True)
    assert folder_of(Scope.RUN, repo.path, "r1", {}) == Layout(repo.path).run("r1") / "locks"
    with pytest.raises(BadInput, match="there is no run r2"):
        folder_of(Scope.RUN, repo.path, "r2", {})
    with pytest.raises(BadInput, match="belongs to a run"):
        folder_of(Scope.RUN, repo.path, None, {})
    with pytest.raises(BadInput, match="belongs to a repository"):
        folder_of(Scope.RUN, None, "r1", {})


def test_scope_machine_is_the_users_own_folder(tmp_path: Path) -> None:
    environ = {"MAESTRO_MACHINE_DIR": str(tmp_path / "machine")}
    folder = folder_of(Scope.MACHINE, None, None, environ)
    assert folder == tmp_path / "machine" / "locks"
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_an_agent_is_told_its_repository_by_variables(repo: Repository, tmp_path: Path) -> None:
    environ = {"MAESTRO_REPOSITORY": str(repo.path), "MAESTRO_RUN_ID": "r1", "MAESTRO_TASK_ID": "a"}
    assert find_caller(tmp_path, environ, is_given=False) == Caller(repo.path, "r1", "a")
    other = Repository(tmp_path / "other")
    (other.path / ".git").mkdir(parents=True)
    assert find_caller(other.path, environ, is_given=True).repository == other.path
    with pytest.raises(BadInput, match="MAESTRO_REPOSITORY names"):
        find_caller(tmp_path, {"MAESTRO_REPOSITORY": str(tmp_path / "gone")}, is_given=False)


@pytest.mark.parametrize("odd", ["plain", "b\udce9"])
def test_an_agent_without_variables_is_known_by_its_workspace(tmp_path: Path, odd: str) -> None:
    from maestro.testing.repository import make_repository

    repo = make_repository(tmp_path / odd / "project")
    Layout(repo.path).run("r1").mkdir(parents=True)
    files = make_workspace(repo, tmp_path / "workspaces" / "task-a-b")
    assert find_caller(files, {}, is_given=False) == Caller(repo.path, "r1", "a b")


def test_a_user_is_known_by_the_checkout(repo: Repository, tmp_path: Path) -> None:
    (repo.path / "deep" / "er").mkdir(parents=True)
    assert find_caller(repo.path / "deep" / "er", {}, is_given=False) == Caller(repo.path)
    (tmp_path / "bare").mkdir()
    assert find_caller(tmp_path / "bare", {}, is_given=False).repository in (None, *tmp_path.parents)


def test_results_are_kept_beside_the_attempt(repo: Repository) -> None:
    folder = Layout(repo.path).attempt("r1", "a-b", 2)
    folder.mkdir(parents=True)
    caller, environ = Caller(repo.path, "r1", "a b"), {"MAESTRO_ATTEMPT": "0123abcd/r1/a-b/2"}
    assert attempt_folder(caller, environ) == folder
    for number in (1, 2):
        results = TestResults(folder, ["pytest", "-q", "a b"], 1.23456)
        said = json.loads((folder / "tests" / f"{number}.json").read_text())
        assert (said["command"], said["waited_seconds"]) == ("pytest -q 'a b'", 1.235)
        assert (said["exit_code"], said["seconds"]) == (None, None)
        options = results.variables({"PYTEST_ADDOPTS": "-x"})["PYTEST_ADDOPTS"]
        assert options.startswith(f"-x --junitxml={folder / 'tests' / f'{number}.xml'}")
        results.close(5, 2.0)
        said = json.loads((folder / "tests" / f"{number}.json").read_text())
        assert (said["exit_code"], said["seconds"]) == (5, 2.0)


@pytest.mark.parametrize("marker", ["", "t/r1/role__gate/3", "t/r2/a-b/2", "t/r1/a-b/x", "t/r1/a-b", "t/r1/a-b/9"])
def test_who_is_no_attempt_has_no_results(repo: Repository, marker: str) -> None:
    Layout(repo.path).attempt("r1", "a-b", 2).mkdir(parents=True)
    assert attempt_folder(Caller(repo.path, "r1", None), {"MAESTRO_ATTEMPT": marker}) is None
    assert attempt_folder(Caller(None), {"MAESTRO_ATTEMPT": "t/r1/a-b/2"}) is None


def test_pytest_writes_the_report(repo: Repository, tmp_path: Path) -> None:
    results = TestResults(tmp_path, ["x"], 0.0)
    (repo.path / "test_x.py").write_text("def test_x(): pass\n")
    import os
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_x.py"],
        cwd=repo.path,
        env={**os.environ, **results.variables({})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert 'name="test_x"' in (tmp_path / "tests" / "1.xml").read_text()
