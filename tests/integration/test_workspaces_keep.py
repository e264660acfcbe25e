"""What the user wants kept comes to the next task in a workspace, works there, and is never part of a commit (W-5)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maestro.errors import BadInput
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces

KINDS = ("worktree", "clone")


@pytest.fixture
def project(repo: Repository) -> Repository:
    repo.commit({"web/package.json": "{}\n", "vendor/tracked": "t\n", "src/a.py": "a = 1\n", ".gitignore": "*.log\n"})
    return repo


def opened(repo: Repository, tmp_path: Path, kind: str, *keep: str) -> Lifecycle:
    return open_workspaces(kind, git=open_repository(repo.path), root=tmp_path / "root", parked=2, keep=keep)


def made(workspaces: Lifecycle, task: str, base: str) -> Workspace:
    spec = WorkspaceSpec(run_id="r1", task_id=task, task_name=task, attempt=1, base=base, branch=f"maestro/r1/{task}")
    return workspaces.create(spec)


def as_agent(workspace: Workspace, command: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **workspace.env}
    env["MAESTRO_TEST_MARK"] = os.environ["MAESTRO_TEST_MARK"]
    done = subprocess.run(["sh", "-ec", command], cwd=workspace.repo, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def others(workspace: Workspace) -> set[str]:
    """Paths that git does not track, folders with a slash where all in them is not."""
    listed = as_agent(workspace, "git ls-files --others --directory -z")
    return set(listed.split("\0")) - {""}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_named_stays_and_the_rest_is_gone(kind: str, project: Repository, tmp_path: Path) -> None:
    workspaces = opened(project, tmp_path, kind, "node_modules", ".cache-*", "build/deps", "vendor")
    workspace = made(workspaces, "t1", project.head)
    inode = workspace.repo.stat().st_ino
    as_agent(
        workspace,
        """mkdir -p node_modules/x web/node_modules/y new/node_modules build/deps/d build/out .cache-1 node_modules2
        touch node_modules/x/1 web/node_modules/y/1 new/node_modules/1 build/deps/d/1 build/out/1 build/1 .cache-1/1
        touch node_modules2/1 x.log web/.cache-2 vendor/own src/.cache; ln -s /etc .cache-link; mkfifo .cache-pipe""",
    )
    evidence = workspaces.collect(workspace, "left over")
    kept = {"node_modules/", "web/node_modules/", "build/", ".cache-1/", "web/.cache-2", "vendor/own"}
    assert set(evidence.changed_paths) == {"node_modules2/1", "build/out/1", "build/1", "src/.cache"}
    workspaces.remove(workspace)
    again = made(workspaces, "t2", project.head)
    assert again.repo.stat().st_ino == inode
    assert others(again) == kept
    assert as_agent(again, "find build -type f") == "build/deps/d/1\n"
    assert as_agent(again, "git add -A; git status --porcelain") == ""
    assert workspaces.collect(again, "left over").tip is None
    workspaces.remove(again)
    third = made(workspaces, "t3", project.head)  # nothing has touched it since
    assert others(third) == kept
    workspaces.remove(third)
    workspaces.close()
    assert not list((tmp_path / "root").iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_new_base_has_no_place_for_goes(kind: str, project: Repository, tmp_path: Path) -> None:
    first = project.head
    project.git("rm", "-rq", "web")
    later = project.commit({"deps/now": "tracked\n", "cache": "a file\n", ".gitignore": "!.venv\n"})
    workspaces = opened(project, tmp_path, kind, "node_modules", "deps", "cache", ".venv")
    workspace = made(workspaces, "t1", first)
    inode = workspace.repo.stat().st_ino
    as_agent(workspace, "mkdir -p web/node_modules deps cache .venv node_modules")
    as_agent(workspace, "touch web/node_modules/1 node_modules/1 deps/1 cache/1 .venv/1")
    workspaces.remove(workspace)
    again = made(workspaces, "t2", later)
    assert again.repo.stat().st_ino == inode
    assert others(again) == {"node_modules/"}
    assert as_agent(again, "cat cache deps/now; git status --porcelain") == "a file\ntracked\n"
    workspaces.remove(again)
    workspaces.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_environment_that_names_its_place_works_in_the_next(kind: str, project: Repository, tmp_path: Path) -> None:
    workspaces = opened(project, tmp_path, kind, ".venv")
    workspace = made(workspaces, "t1", project.head)
    inode = workspace.repo.stat().st_ino
    as_agent(
        workspace,
        f"""{sys.executable} -m venv --without-pip .venv
        packages=$(echo .venv/lib/python*/site-packages); echo "$PWD/src" > $packages/here.pth
        printf '#!%s/.venv/bin/python\\nimport a; print(a.__file__)\\n' "$PWD" > .venv/bin/tool
        chmod 750 .venv/bin/tool
        ln -s "$PWD/src/a.py" .venv/link; echo "$PWD-2" > .venv/other; ln .venv/bin/tool ../in-a-cache
        . .venv/bin/activate; tool""",
    )
    workspaces.remove(workspace)
    again = made(workspaces, "t2", project.head)
    assert again.repo.stat().st_ino == inode
    assert as_agent(again, ". .venv/bin/activate; tool; readlink .venv/link; stat -c %a .venv/bin/tool").split() == [
        f"{again.repo}/src/a.py",
        f"{again.repo}/src/a.py",
        "750",
    ]
    assert as_agent(again, "cat .venv/other").strip() == f"{workspace.repo}-2"
    workspaces.remove(again)
    workspaces.close()


def test_nothing_goes_from_run_to_run(project: Repository, tmp_path: Path) -> None:
    for number in range(2):
        workspaces = opened(project, tmp_path, "worktree", ".venv")
        workspace = made(workspaces, f"t{number}", project.head)
        assert others(workspace) == set()
        as_agent(workspace, "mkdir .venv; touch .venv/1")
        workspaces.remove(workspace)
        workspaces.close()
        assert not list((tmp_path / "root").iterdir())


@pytest.mark.parametrize("pattern", ["", "/", "../x", "a//b", "*", "a/**/b", "!x", "a/.git", "x\ny", " x"])
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str, project: Repository, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="keep: "):
        opened(project, tmp_path, "worktree", pattern)
