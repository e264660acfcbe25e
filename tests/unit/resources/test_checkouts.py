"""What git may write in a sandbox: the least that a commit needs, and never where its configuration is."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import WorkspaceError
from maestro.resources.checkouts import borrowed_objects, git_folders, unpin
from maestro.testing.repository import Repository

RUN = "maestro/r"


@pytest.fixture
def tree(repo: Repository, tmp_path: Path) -> Path:
    place = tmp_path / "ws" / "project"
    repo.git("worktree", "add", "-q", "-b", f"{RUN}/a", str(place))
    return place


def test_a_worktree_writes_its_own_folder_objects_and_the_branches_of_its_run(repo: Repository, tree: Path) -> None:
    git = repo.path / ".git"
    own = git / "worktrees" / "project"
    folders = git_folders(tree, git, RUN)
    assert set(folders.write) == {
        tree, own, git / "objects", git / "refs/heads" / RUN,
    }  # fmt: skip
    assert {tree / ".git", own / "commondir", own / "gitdir", git / "objects/pack", git / "objects/info"} == set(
        folders.read
    )
    assert all(path.exists() for path in (*folders.write, *folders.read)), "only what exists can be mounted"


def test_settings_of_a_worktree_alone_are_there_to_be_made_read_only(repo: Repository, tree: Path) -> None:
    repo.git("config", "extensions.worktreeConfig", "true")
    git = repo.path / ".git"
    assert git / "worktrees/project/config.worktree" in git_folders(tree, git, RUN).read
    assert repo.git("-C", str(tree), "status", "--porcelain") == ""


def test_a_clone_writes_only_itself_and_its_configuration_stays_where_it_is(repo: Repository, tmp_path: Path) -> None:
    place = tmp_path / "clone"
    repo.git("clone", "-q", str(repo.path), str(place))
    for _ in range(2):
        folders = git_folders(place, repo.path / ".git", RUN)
    assert folders.write == (place, place / ".git")
    assert {place / ".git" / name for name in ("config", "commondir", "hooks")} <= set(folders.read)
    clone = Repository(place)
    clone.commit({"a.txt": "a"})
    assert clone.git("status", "--porcelain") == ""
    unpin(place)
    unpin(place)
    assert not (place / ".git" / "commondir").exists()
    (place / ".git" / "commondir").write_text("/tmp/evil\n")
    with pytest.raises(WorkspaceError, match="put there by an agent"):
        git_folders(place, repo.path / ".git", RUN)


def test_submodules_are_kept_in_the_same_way(repo: Repository, tree: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    repo.git("clone", "-q", str(repo.path), str(library))
    Repository(tree).git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    module = repo.path / ".git/worktrees/project/modules/lib"
    folders = git_folders(tree, repo.path / ".git", RUN)
    assert {module, tree / "lib"} <= set(folders.write)
    assert {module / "config", tree / "lib" / ".git"} <= set(folders.read)


def test_objects_that_a_repository_borrows_are_found_through_all_of_them(repo: Repository, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    repo.git("clone", "-q", "--shared", str(repo.path), str(one))
    repo.git("clone", "-q", "--shared", str(one), str(two))
    assert set(borrowed_objects(two / ".git")) == {path / ".git" / "objects" for path in (one, repo.path)}
    assert borrowed_objects(repo.path / ".git") == ()
    (repo.path / ".git/objects/info/alternates").write_text(f"# itself\n{two}/.git/objects\n")
    assert two / ".git" / "objects" in borrowed_objects(two / ".git"), "a circle has an end"


def test_files_without_git_are_only_files(tmp_path: Path) -> None:
    assert git_folders(tmp_path, None, RUN) == ((tmp_path,), ())


@pytest.mark.parametrize("attack", ["hooks", "modules", "worktree", "gitfile"])
def test_what_an_earlier_agent_left_in_its_git_directory_shows_nothing_else(
    repo: Repository, tree: Path, tmp_path: Path, attack: str
) -> None:
    own = repo.path / ".git/worktrees/project"
    secret = tmp_path / "secret"
    (secret / ".git").mkdir(parents=True)
    (secret / ".git" / "config").write_text(f"[core]\n\tworktree = {secret}\n")
    (secret / ".git" / "HEAD").touch()
    module = own / "modules" / "x"
    if attack == "hooks":
        (own / "hooks").symlink_to(secret)
    elif attack == "modules":
        (own / "modules").symlink_to(secret)
    else:
        files = tree / "x" if attack == "gitfile" else secret
        module.mkdir(parents=True)
        (module / "HEAD").touch()
        (module / "config").write_text(f"[core]\n\tworktree = {files}\n")
        if attack == "gitfile":
            files.mkdir()
            (files / ".git").symlink_to(secret)
    with pytest.raises(WorkspaceError):
        git_folders(tree, repo.path / ".git", RUN)


def test_a_clone_without_hooks_can_get_none(repo: Repository, tmp_path: Path) -> None:
    place = tmp_path / "clone"
    repo.git("clone", "-q", "--template=", str(repo.path), str(place))
    assert place / ".git" / "hooks" in git_folders(place, repo.path / ".git", RUN).read


@pytest.mark.parametrize("attack", ["link", "elsewhere", "another"])
def test_a_git_file_that_leads_elsewhere_is_refused(repo: Repository, tree: Path, tmp_path: Path, attack: str) -> None:
    marker, git = tree / ".git", repo.path / ".git"
    if attack == "link":
        marker.unlink()
        marker.symlink_to(git)
    elif attack == "elsewhere":
        marker.write_text(f"gitdir: {tmp_path}\n")
    else:
        repo.git("worktree", "add", "-q", "-b", f"{RUN}/b", str(tmp_path / "ws" / "other"))
        marker.write_text(f"gitdir: {git}/worktrees/other\n")
    with pytest.raises(WorkspaceError):
        git_folders(tree, git, RUN)
