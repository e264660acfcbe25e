"""Submodules of a fresh workspace, filled from the user's own repository without the network (W-7)."""

from __future__ import annotations

from pathlib import Path

from maestro.errors import WorkspaceError
from maestro.vcs.git import Git
from maestro.vcs.parse import text_of
from maestro.workspaces.leftovers import commit_tree, snapshot_tree
from maestro.workspaces.site import Identity

KEPT = "refs/maestro/saved/submodules"


def populate(git: Git, repo: Path, common_dir: Path) -> None:
    """Check out every submodule that the user's repository has; the others stay empty, as in a plain worktree.

    `git` is bound to the workspace. WorkspaceError where one that is there cannot be checked out.
    """
    settings: dict[str, str] = {"protocol.file.allow": "always"}
    paths = {}
    for name, path in declared(git, repo).items():
        source = common_dir / "modules" / name
        if (source / "HEAD").is_file():
            settings |= {f"submodule.{name}.url": str(source), f"submodule.{name}.active": "true"}
            settings |= {f"submodule.{name}.update": "checkout"}
            paths[path] = source
    if not paths:
        return
    try:
        git.at(repo, config=settings).run("submodule", "--quiet", "update", "--init", "--", *paths)
    except Exception as error:
        raise WorkspaceError(f"the submodules of {repo} could not be checked out: {error}") from error
    for path, source in paths.items():
        inside = repo / path
        if (inside / ".gitmodules").is_file():
            populate(git.at(inside), inside, source)


def keep(git: Git, repo: Path, common_dir: Path, author: Identity) -> None:
    """Carry what is in the submodules of a workspace, commits and uncommitted files, into the user's repository.

    Each is kept by a ref below refs/maestro/saved/submodules in the submodule's own repository there.
    """
    if not (repo / ".gitmodules").is_file():
        return
    for name, path in declared(git, repo).items():
        source, inside = common_dir / "modules" / name, repo / path
        if not (source / "HEAD").is_file() or not (inside / ".git").exists():
            continue
        # its own .git leads to its git directory, which lies inside the workspace's
        here, there = git.at(inside), git.at(inside, git_dir=source, work_tree=inside)
        head = here.commit_of("HEAD")
        if head is None:
            continue
        if there.commit_of(head) is None:
            _fetch(there, inside, head)
        tree = snapshot_tree(there, inside, head, ())
        if tree != there.text("rev-parse", f"{head}^{{tree}}"):
            commit = commit_tree(there, tree, [head], "Uncommitted work in a submodule, saved by maestro\n", author)
            there.set_ref(f"{KEPT}/{commit}", commit, None)
        keep(here, inside, source, author)


def _fetch(there: Git, inside: Path, commit: str) -> None:
    there.run("fetch", "-q", "--no-tags", "--no-prune", "--no-write-fetch-head", str(inside), f"+HEAD:{KEPT}/{commit}")


def declared(git: Git, repo: Path) -> dict[str, str]:
    """name → path, as `.gitmodules` in the files says."""
    listed = git.run(
        "config", "--file", str(repo / ".gitmodules"), "-z", "--get-regexp", r"^submodule\..*\.path$", ok=(0, 1)
    )
    found = {}
    for part in text_of(listed.stdout).split("\0"):
        key, newline, path = part.partition("\n")
        if newline:
            found[key.removeprefix("submodule.").removesuffix(".path")] = path
    return found
