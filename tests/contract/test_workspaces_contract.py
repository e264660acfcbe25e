"""What every kind of workspace with files of its own does (W-1, W-2, W-4, W-6)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.errors import WorkspaceError
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.setup import SetupSpec

RECYCLED = "recycled worktree"  # one that another task worked in before
KINDS = ("worktree", RECYCLED, "clone", "copy", "none")
OWN_FILES = ("worktree", RECYCLED, "clone", "copy")

Opener = Callable[..., Lifecycle]


@pytest.fixture
def opener(repo: Repository, tmp_path: Path) -> Opener:
    def open_kind(kind: str, **options: object) -> Lifecycle:
        return open_one(kind, repo, tmp_path / "root", **options)

    return open_kind


def open_one(kind: str, repo: Repository, root: Path, **options: object) -> Lifecycle:
    """Workspaces of the kind; for RECYCLED the first that is made was in use before."""
    git = open_repository(repo.path)
    if kind != RECYCLED:
        return open_workspaces(kind, git=git, root=root, **options)  # type: ignore[arg-type]
    workspaces = open_workspaces("worktree", git=git, root=root, parked=2, **options)  # type: ignore[arg-type]
    with contextlib.suppress(WorkspaceError):  # a setup that cannot work
        workspace = workspaces.create(spec_for(repo.head, "before"))
        as_agent(workspace, "echo b > before; git add before; git commit -qm before; echo i > litter")
        workspaces.save(workspace, "r0", "before")
        workspaces.remove(workspace)
        assert list(root.glob(".parked-*"))
        repo.git("update-ref", "-d", "refs/heads/maestro/r1/before")
        repo.git("update-ref", "-d", "refs/maestro/saved/r0/before")
    return workspaces


def spec_for(base: str, task: str = "t1", attempt: int = 1) -> WorkspaceSpec:
    return WorkspaceSpec(
        run_id="r1", task_id=task, task_name=task, attempt=attempt, base=base, branch=f"maestro/r1/{task}"
    )


def as_agent(workspace: Workspace, command: str, ok: bool = True) -> str:
    """Run a shell command as an agent would: only its workspace's variables and a path."""
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **workspace.env}
    env["MAESTRO_TEST_MARK"] = os.environ["MAESTRO_TEST_MARK"]
    done = subprocess.run(["sh", "-c", command], cwd=workspace.repo, env=env, capture_output=True, text=True)
    assert not ok or done.returncode == 0, done.stderr
    return done.stdout.strip()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_commits_of_an_agent_come_home(kind: str, opener: Opener, repo: Repository) -> None:
    base = repo.head
    workspaces = opener(kind)
    workspace = workspaces.create(spec_for(base))
    assert workspace.kind == ("worktree" if kind == RECYCLED else kind)
    assert as_agent(workspace, "git rev-parse HEAD") == base
    assert as_agent(workspace, "git symbolic-ref --short HEAD") == "maestro/r1/t1"
    as_agent(
        workspace, "echo one > 'a b.txt'; git add -A; git commit -qm one; echo two > c; git add c; git commit -qm 2"
    )

    evidence = workspaces.collect(workspace, "left over")

    assert evidence.damage is None
    assert evidence.new_commits == 2
    assert evidence.changed_paths == ("a b.txt", "c")
    assert not evidence.committed_by_maestro
    assert evidence.tip == repo.git("rev-parse", "maestro/r1/t1")
    assert repo.git("rev-parse", "maestro/r1/t1~2") == base
    assert repo.git("log", "-1", "--format=%an", "maestro/r1/t1") != ""
    workspaces.remove(workspace)
    assert repo.git("fsck", "--no-progress", "--no-dangling") == ""
    assert repo.git("status", "--porcelain") == ""
    assert repo.git("symbolic-ref", "--short", "HEAD") == "main"
    assert repo.head == base


@pytest.mark.parametrize("kind", KINDS)
def test_uncommitted_files_are_committed_and_marked(kind: str, opener: Opener, repo: Repository) -> None:
    repo.commit({".gitignore": "*.log\n", "old.txt": "old\n", "gone.txt": "gone\n"})
    workspaces = opener(kind)
    workspace = workspaces.create(spec_for(repo.head))
    as_agent(workspace, "echo new > 'new file'; echo more >> old.txt; rm gone.txt; echo x > noise.log")
    as_agent(
        workspace,
        "mkdir -p .agent-state .flow/maestro/runs/x; echo s > .agent-state/s; echo j > .flow/maestro/runs/x/j",
    )

    evidence = workspaces.collect(workspace, "Add a thing\n\nUncommitted work, committed by maestro.")

    assert evidence.committed_by_maestro
    assert evidence.new_commits == 1
    assert evidence.changed_paths == ("gone.txt", "new file", "old.txt")
    assert evidence.tip is not None
    assert repo.git("log", "-1", "--format=%s|%cn", evidence.tip) == "Add a thing|maestro"
    if kind != "none":  # where the checkout is the user's again after the first time
        assert workspaces.collect(workspace, "again") == evidence.evolve(committed_by_maestro=False)
    else:
        shutil.rmtree(repo.path / ".agent-state")
        shutil.rmtree(repo.path / ".flow")


@pytest.mark.parametrize("kind", KINDS)
def test_no_work_is_no_tip(kind: str, opener: Opener, repo: Repository) -> None:
    workspaces = opener(kind)
    workspace = workspaces.create(spec_for(repo.head))
    evidence = workspaces.collect(workspace, "m")
    assert (evidence.tip, evidence.new_commits, evidence.changed_paths, evidence.damage) == (None, 0, (), None)
    assert workspaces.save(workspace, "r1", "t1") is None
    assert repo.git("for-each-ref", "refs/maestro") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_save_keeps_commits_and_files_and_remove_leaves_nothing(kind: str, opener: Opener, repo: Repository) -> None:
    base = repo.head
    workspaces = opener(kind)
    workspace = workspaces.create(spec_for(base))
    as_agent(workspace, "echo one > one; git add one; git commit -qm one; echo two > two; echo x >> README.md")
    before = as_agent(workspace, "git status --porcelain; git rev-parse HEAD")

    ref = workspaces.save(workspace, "r1", "t1")

    assert ref == "refs/maestro/saved/r1/t1"
    assert as_agent(workspace, "git status --porcelain; git rev-parse HEAD") == before
    assert repo.files(ref) == ["README.md", "one", "two"]
    assert repo.show(ref, "README.md") == "# sample\nx"
    assert repo.git("rev-parse", f"{ref}~2") == base
    assert workspaces.save(workspace, "r1", "t1") == ref  # the same work again
    as_agent(workspace, "echo other > two")
    assert workspaces.save(workspace, "r1", "t1") == f"{ref}-2"
    assert repo.show(ref, "two") == "two"
    workspaces.remove(workspace)
    workspaces.close()
    assert not workspace.home.exists()
    assert repo.git("fsck", "--no-progress", "--no-dangling") == ""
    assert repo.show(ref, "one") == "one"
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert repo.git("status", "--porcelain") == ""


@pytest.mark.parametrize("kind", OWN_FILES)
def test_the_layout_beside_the_files(kind: str, opener: Opener, repo: Repository, hermetic: Path) -> None:
    (hermetic / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.invalid\n[alias]\n\tst = status\n"
    )
    workspaces = opener(kind, client_servers={"flow": {"command": "maestro"}}, credentials="https://u:p@host.invalid")
    workspace = workspaces.create(spec_for(repo.head))

    assert workspace.home.name == "task-t1"
    assert workspace.repo == workspace.home / "project"
    assert stat.S_IMODE(workspace.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((workspace.home / ".git-credentials").stat().st_mode) == 0o600
    assert (workspace.home / ".agent-state").is_dir()
    assert json.loads((workspace.home / "client-config.json").read_text()) == {
        "mcpServers": {"flow": {"command": "maestro"}}
    }
    assert as_agent(workspace, ". ../env; echo $MAESTRO_WORKSPACE_DIR $MAESTRO_TASK_ID") == f"{workspace.repo} t1"
    assert as_agent(workspace, "git config alias.st; git config user.email") == "status\nada@example.invalid"
    said = as_agent(workspace, "printf 'protocol=https\\nhost=host.invalid\\n\\n' | git credential fill")
    assert "password=p" in said


@pytest.mark.parametrize("kind", OWN_FILES)
def test_an_agent_can_commit_where_the_user_has_no_identity_and_bad_hooks(
    kind: str, opener: Opener, repo: Repository, hermetic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pre-commit", "commit-msg", "post-checkout", "prepare-commit-msg"):
        hook = repo.path / ".git" / "hooks" / name
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    repo.git("config", "commit.gpgsign", "true")
    repo.git("config", "gpg.program", "false")
    (hermetic / ".gitconfig").write_text("[commit]\n\tgpgsign = true\n[core]\n\thooksPath = /nonexistent\n")
    workspaces = opener(kind)
    workspace = workspaces.create(spec_for(repo.head))
    as_agent(workspace, "echo x > x; git add x; git commit -qm x; git tag -a v1 -m v1; echo y > y")
    evidence = workspaces.collect(workspace, "rest")
    assert (evidence.new_commits, evidence.changed_paths) == (2, ("x", "y"))


@pytest.mark.parametrize("kind", OWN_FILES)
def test_a_second_attempt_saves_the_first(kind: str, opener: Opener, repo: Repository) -> None:
    workspaces = opener(kind)
    first = workspaces.create(spec_for(repo.head))
    as_agent(first, "echo one > one; git add one; git commit -qm one; echo dirty > dirty")
    second = workspaces.create(spec_for(repo.head, attempt=2))
    assert repo.files("refs/maestro/saved/r1/t1") == ["README.md", "dirty", "one"]
    assert names_in(second.repo) == {".git", "README.md"}
    workspaces.remove(second)
    # the folder may be gone while the branch with its work is not
    third = workspaces.create(spec_for(repo.head, attempt=3))
    as_agent(third, "echo three > three; git add three; git commit -qm three")
    assert workspaces.collect(third, "m").tip is not None
    shutil.rmtree(third.home)
    fourth = workspaces.create(spec_for(repo.head, attempt=4))
    assert as_agent(fourth, "git rev-parse HEAD") == repo.head
    assert repo.files("refs/maestro/saved/r1/t1-2") == ["README.md", "three"]


@pytest.mark.parametrize("kind", OWN_FILES)
def test_a_folder_that_is_not_ours_is_left_alone(kind: str, opener: Opener, repo: Repository, tmp_path: Path) -> None:
    workspaces = opener(kind)
    foreign = tmp_path / "root" / "task-t1"
    foreign.mkdir(parents=True)
    (foreign / "precious").write_text("mine")
    with pytest.raises(WorkspaceError, match="not a workspace"):
        workspaces.create(spec_for(repo.head))
    assert (foreign / "precious").read_text() == "mine"


@pytest.mark.parametrize("kind", OWN_FILES)
def test_a_failed_create_leaves_nothing(kind: str, opener: Opener, repo: Repository, tmp_path: Path) -> None:
    workspaces = opener(kind)
    with pytest.raises(WorkspaceError):
        workspaces.create(spec_for("0" * 39 + "1"))
    workspaces.close()
    assert names_in(tmp_path / "root") == set()
    assert len(repo.git("worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("kind", OWN_FILES)
def test_files_of_the_checkout_are_brought_in_and_not_committed(kind: str, opener: Opener, repo: Repository) -> None:
    repo.commit({".gitignore": ".env\nsecret/\nnode_modules/\n", ".worktreeinclude": "secret/\n*.key\n"})
    repo.write({".env": "A=1\n", "secret/k": "s", "node_modules/m/i.js": "m", "local.cfg": "l", "README.md": "dirty\n"})
    (repo.path / ".env").chmod(0o600)
    setup = SetupSpec(copy=(".env", "local.cfg", "README.md", "no-such-*"), symlink=("node_modules",))
    workspaces = opener(kind, setup=setup)
    workspace = workspaces.create(spec_for(repo.head))
    assert (workspace.repo / ".env").read_text() == "A=1\n"
    assert stat.S_IMODE((workspace.repo / ".env").stat().st_mode) == 0o600
    assert (workspace.repo / "secret" / "k").read_text() == "s"
    assert (workspace.repo / "node_modules").is_symlink()
    assert (workspace.repo / "README.md").read_text() == "# sample\n"  # tracked: never overwritten
    assert as_agent(workspace, "git status --porcelain") == ""
    assert workspaces.collect(workspace, "m").tip is None
    workspaces.remove(workspace)
    assert (repo.path / "node_modules" / "m" / "i.js").read_text() == "m"


@pytest.mark.parametrize("kind", OWN_FILES)
@pytest.mark.parametrize("pattern", ["../outside", "/etc/passwd", "link/x", ".git/config"])
def test_setup_never_leads_out_of_the_checkout(
    kind: str, pattern: str, opener: Opener, repo: Repository, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("x")
    (repo.path / "link").symlink_to(tmp_path / "outside")
    workspaces = opener(kind, setup=SetupSpec(copy=(pattern,)))
    with pytest.raises(WorkspaceError, match="checkout"):
        workspaces.create(spec_for(repo.head))


@pytest.mark.parametrize("kind", OWN_FILES)
def test_odd_names_survive(kind: str, tmp_path: Path) -> None:
    from maestro.testing.repository import make_repository

    project = make_repository(tmp_path / "my pröject\nline 'q' \"d\"")
    (project.path / "new\nline").write_text("n")
    Path(os.fsdecode(os.fsencode(project.path) + b"/latin\xe9")).write_text("l")
    base = project.commit({"ünï cödé": "u", 'quo"te': "q", "-dash": "d"})
    workspaces = open_one(kind, project, tmp_path / "ro ot")
    workspace = workspaces.create(spec_for(base))
    assert names_in(workspace.repo) >= {"new\nline", "latin\udce9", "ünï cödé"}
    Path(os.fsdecode(os.fsencode(workspace.repo) + b"/more\xe9")).write_text("l")
    as_agent(workspace, "echo x >> 'new\nline'; git rm -q -- -dash")
    evidence = workspaces.collect(workspace, "m")
    assert evidence.changed_paths == ("-dash", "more\\xe9", "new\nline")
    assert workspaces.save(workspace, "r1", "t1") is not None
    workspaces.remove(workspace)


@pytest.mark.parametrize("kind", OWN_FILES)
def test_detached_head_and_dirty_checkout_of_the_user_are_fine(kind: str, opener: Opener, repo: Repository) -> None:
    repo.git("checkout", "-q", "--detach")
    repo.write({"README.md": "dirty\n", "untracked": "u"})
    workspaces = opener(kind)
    workspace = workspaces.create(spec_for(repo.head))
    assert names_in(workspace.repo) == {".git", "README.md"}
    workspaces.remove(workspace)
    assert repo.git("status", "--porcelain") == " M README.md\n?? untracked"


@pytest.mark.parametrize("kind", OWN_FILES)
def test_git_of_an_agent_without_its_git_dir_finds_no_other_repository(
    kind: str, opener: Opener, repo: Repository, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # the root lies in somebody's repository
    workspaces = opener(kind)
    workspace = workspaces.create(spec_for(repo.head))
    said = as_agent(
        workspace, "rm -rf .git; echo x > x; git add x; git commit -qm x; git rev-parse --git-dir", ok=False
    )
    assert said == ""
