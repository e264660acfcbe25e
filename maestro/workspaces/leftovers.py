"""Uncommitted files of a workspace: found, committed on the spot, or put into a commit without touching anything."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from maestro.errors import GitError
from maestro.vcs.git import Git
from maestro.vcs.parse import Status, StatusEntry, parse_status
from maestro.workspaces.removal import make_writable
from maestro.workspaces.site import MAESTRO, Identity

_BY_COMMIT = "--ignore-submodules=dirty"


def read_status(git: Git, repo: Path) -> Status:
    """All that differs from HEAD, every untracked file by name; folders that were made unreadable are opened.

    Of a repository inside only its commit is looked at: to see its files git would run there, by a configuration that
    an agent wrote, and that can name programs.
    """
    args = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames", _BY_COMMIT)
    done = git.run(*args)
    if b"Permission denied" in done.stderr:
        make_writable(repo)
        done = git.run(*args)
    return parse_status(done.stdout)


def is_leftover(entry: StatusEntry) -> bool:
    """Whether the entry is uncommitted work that a commit can hold."""
    if entry.is_nested_repository:
        return False
    # a submodule whose own files changed has nothing that a commit here could hold; a moved commit has ("C")
    return not entry.submodule.startswith("S") or "C" in entry.submodule or entry.xy[0] != "."


def stage(git: Git, repo: Path, nested: Iterable[str], env: dict[str, str] | None = None) -> None:
    """`git add -A` without nested repositories, which it would turn into bare links."""
    pathspec = [b":/", *(b":(top,exclude,literal)" + os.fsencode(path.rstrip("/")) for path in nested)]
    args = ("add", "-A", "--pathspec-from-file=-", "--pathspec-file-nul")
    try:
        git.run(*args, stdin=b"\0".join(pathspec), env=env)
    except GitError as error:
        if "ermission denied" not in error.output:
            raise
        make_writable(repo)
        git.run(*args, stdin=b"\0".join(pathspec), env=env)


def commit_leftovers(git: Git, repo: Path, nested: Sequence[str], message: str, author: Identity) -> bool:
    """Commit all uncommitted files on HEAD, with maestro as the committer; False where nothing was to commit."""
    stage(git, repo, nested)
    done = git.run(
        "commit", "-q", "--no-verify", "--no-gpg-sign", "--allow-empty-message", "-F", "-",
        stdin=message.encode("utf-8", "replace"),
        env=_identity(author),
        ok=(0, 1),
    )  # fmt: skip
    if done.returncode == 1:
        if git.succeeds("diff", "--cached", "--quiet"):
            return False  # only line ends or modes that git does not record
        raise GitError("git commit failed", output=done.stderr.decode("utf-8", "replace"), returncode=1)
    return True


def snapshot_tree(git: Git, repo: Path, start: str, nested: Sequence[str]) -> str:
    """Tree of the files as they are, nested repositories' files included, on a temporary index.

    Nothing is written but objects, into the repository that `git` writes to.
    """
    with tempfile.TemporaryDirectory(prefix="maestro-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.run("read-tree", start, env=env)
        stage(git, repo, nested, env)
        for path in nested:
            _add_nested(git, repo, path.rstrip("/"), env)
        return git.text("write-tree", env=env)


def commit_tree(git: Git, tree: str, parents: Iterable[str], message: str, author: Identity) -> str:
    """A commit object; no ref is moved."""
    chosen = [part for parent in parents for part in ("-p", parent)]
    return git.text("commit-tree", tree, *chosen, stdin=message.encode("utf-8", "replace"), env=_identity(author))


def _identity(author: Identity) -> dict[str, str]:
    return {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": MAESTRO.name,
        "GIT_COMMITTER_EMAIL": MAESTRO.email,
    }


def _add_nested(git: Git, repo: Path, nested: str, env: dict[str, str]) -> None:
    """Add the files of a repository inside the repository, which `git add` refuses to look into."""
    files: list[str] = []
    lines: list[bytes] = []
    for folder, folders, names in os.walk(repo / nested):
        folders[:] = [name for name in folders if name != ".git"]
        for name in (*names, *folders):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            inside = os.fsencode(path.relative_to(repo))
            if name == ".git":
                continue
            if stat.S_ISLNK(mode):
                oid = git.text("hash-object", "-w", "--stdin", stdin=os.fsencode(os.readlink(path)))  # noqa: PTH115
                lines.append(b"120000 " + oid.encode() + b"\t" + inside)
            elif stat.S_ISREG(mode) and b"\n" not in inside:  # hash-object reads one path per line
                files.append(os.fsdecode(inside))
    oids = git.text(
        "hash-object", "-w", "--no-filters", "--stdin-paths",
        stdin=b"".join(os.fsencode(repo / path) + b"\n" for path in files),
    ).split("\n") if files else []  # fmt: skip
    for path_text, oid in zip(files, oids, strict=True):
        executable = os.access(repo / path_text, os.X_OK)
        lines.append((b"100755 " if executable else b"100644 ") + oid.encode() + b"\t" + os.fsencode(path_text))
    git.run("update-index", "-z", "--index-info", stdin=b"".join(line + b"\0" for line in lines), env=env)
