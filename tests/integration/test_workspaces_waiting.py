"""A used workspace on its way to where it waits, what happens to it there, and how it is read when it was new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces import pool
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.tracked import IndexReader
from tests.integration.test_workspaces_recycling import admin_of, as_agent

KINDS = ("worktree", "clone")


@pytest.fixture(params=KINDS)
def workspaces(request: pytest.FixtureRequest, repo: Repository, tmp_path: Path) -> Lifecycle:
    repo.commit({"src/main.c": "int main;\n", "src/deep/x": "x\n", "lib/z": "z\n"})
    return open_workspaces(request.param, git=open_repository(repo.path), root=tmp_path / "root", parked=2)


def made(workspaces: Lifecycle, repo: Repository, name: str) -> Workspace:
    return workspaces.create(
        WorkspaceSpec(run_id="r", task_id=name, task_name=name, attempt=1, base=repo.head, branch=f"maestro/r/{name}")
    )


def waiting(root: Path) -> Path:
    (home,) = root.glob(".parked-*")
    return home


def test_it_is_emptied_where_nobody_who_worked_in_it_finds_it(
    workspaces: Lifecycle, repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, real, seen = made(workspaces, repo, "t1"), pool.clear, []

    def clear(site: Any, files: Path, *args: Any) -> Any:
        assert not workspace.repo.exists()
        assert (files / "litter").exists()
        homes = (workspace.home, waiting(tmp_path / "root"))
        seen.extend(json.loads((home / ".maestro-workspace.json").read_text())["parked"] for home in homes)
        return real(site, files, *args)

    monkeypatch.setattr(pool, "clear", clear)
    as_agent(workspace, "echo x > litter")
    workspaces.remove(workspace)
    assert seen == [True, True]  # where it was, too: a crash leaves nothing there that is anybody's work
    assert not workspace.home.exists()
    assert not (waiting(tmp_path / "root") / "project" / "litter").exists()


def test_what_cannot_be_emptied_leaves_nothing(
    workspaces: Lifecycle, repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> Any:
        raise OSError(28, "No space left on device")

    workspace = made(workspaces, repo, "t1")
    monkeypatch.setattr(pool, "clear", full)
    workspaces.remove(workspace)
    assert not list((tmp_path / "root").iterdir())
    assert len(repo.git("worktree", "list").splitlines()) == 1
    monkeypatch.undo()
    again = made(workspaces, repo, "t2")
    workspaces.remove(again)  # the place that was reserved has been given back, or two could not wait
    assert waiting(tmp_path / "root")


def test_a_marker_is_not_written_through_a_link(workspaces: Lifecycle, repo: Repository, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    workspace = made(workspaces, repo, "t1")
    (workspace.home / ".maestro-workspace.json.new").symlink_to(victim)
    workspaces.remove(workspace)
    assert victim.read_text() == "precious\n"
    assert not workspace.home.exists()


def test_what_is_put_into_one_that_waits_does_not_go_from_task_to_task(
    workspaces: Lifecycle, repo: Repository, tmp_path: Path
) -> None:
    for name in ("t1", "t2"):  # from the second time on, a folder is known by its time
        workspaces.remove(made(workspaces, repo, name))
    (waiting(tmp_path / "root") / "project" / "src" / "deep" / "stray").write_text("s\n")
    workspaces.remove(made(workspaces, repo, "t3"))
    assert not (waiting(tmp_path / "root") / "project" / "src" / "deep" / "stray").exists()
    last = made(workspaces, repo, "t4")
    assert as_agent(last, "git status --porcelain --ignored; git ls-files").split() == repo.files(repo.head)


def test_a_link_of_the_agents_to_its_git_directory_is_not_handed_on(repo: Repository, tmp_path: Path) -> None:
    workspaces = open_workspaces("worktree", git=open_repository(repo.path), root=tmp_path / "root", parked=2)
    workspace = made(workspaces, repo, "t1")
    other_name = tmp_path / "other name"
    other_name.hardlink_to(workspace.repo / ".git")
    workspaces.remove(workspace)
    again = made(workspaces, repo, "t2")
    other_name.write_text("gitdir: /nowhere\n")
    assert admin_of(again).is_dir()
    assert as_agent(again, "git rev-parse --abbrev-ref HEAD").strip() == again.branch


def test_indexes_of_one_commit_are_parsed_once_and_of_another_anew(repo: Repository, tmp_path: Path) -> None:
    repo.commit({"src/main.c": "int main;\n", "lib/z": "z\n"})
    workspaces = open_workspaces("worktree", git=open_repository(repo.path), root=tmp_path / "root")
    same = [admin_of(made(workspaces, repo, f"t{number}")) / "index" for number in range(2)]
    repo.commit({"src/main.c": "int other;\n"})
    touched = admin_of(made(workspaces, repo, "t2")) / "index"
    repo.commit({"lib/more": "m\n"})
    other = admin_of(made(workspaces, repo, "t3")) / "index"
    reader = IndexReader()
    for indexes, alike in ((same, True), ([same[0], touched], False), ([touched, other, same[1]], False)):
        read = [reader.read(index, 20) for index in indexes]
        assert read == [IndexReader().read(index, 20) for index in indexes]
        assert len({id(one[0]) for one in read if one is not None}) == (1 if alike else len(indexes))


class _Killed(BaseException):
    """As if the process were gone from there on."""


def test_one_that_a_crash_left_half_emptied_is_nobodys_work(
    workspaces: Lifecycle, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = made(workspaces, repo, "t1")
    assert workspaces.adopt(workspace.home) is not None

    def clear(*_args: Any) -> None:
        raise _Killed

    monkeypatch.setattr(pool, "clear", clear)
    with pytest.raises(_Killed):
        workspaces.remove(workspace)
    assert workspace.home.exists()
    assert workspaces.adopt(workspace.home) is None
    made(workspaces, repo, "t1")
