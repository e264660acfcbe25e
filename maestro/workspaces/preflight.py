"""What can be seen to fail, or to surprise, before the first workspace is made (W-7)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping

from maestro.errors import BadInput
from maestro.vcs.git import Git, require_version
from maestro.vcs.parse import Status, parse_refs, parse_status
from maestro.workspaces.site import LFS_OFF, lacks_lfs, read_config
from maestro.workspaces.submodules import declared


def preflight(git: Git, configured: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Remarks on the repository whose checkout `git` is at the top of; BadInput where no work can start.

    `configured`: its configuration, where somebody has just read it.
    """
    require_version()
    settings = read_config(git) if configured is None else configured
    git = git.at(git.directory, config=LFS_OFF if lacks_lfs(settings, git.environ) else {})
    said = git.run("status", "--porcelain=v2", "--branch", "-z", "--no-renames")
    status = parse_status(said.stdout)
    if status.oid is None:
        raise BadInput(
            f"{git.directory} has no commits yet",
            hint="make a first commit: agents start from one, and work lands on it",
        )
    refs = parse_refs(git.run("for-each-ref", "--format=%(objectname) %(refname)", *_IN_THE_WAY).stdout)
    for ref in _IN_THE_WAY:
        if ref in refs:
            name = ref.removeprefix("refs/heads/")
            raise BadInput(
                f"the branch {name} is in the way of maestro's branches {name}/…",
                hint=f"rename it: git branch -m {name} {name}-old",
            )
    return tuple(_remarks(git, status, settings))


_IN_THE_WAY = ("refs/heads/maestro", "refs/heads/integration")


def _remarks(git: Git, status: Status, settings: Mapping[str, str]) -> Iterator[str]:
    if status.entries:
        count = len(status.entries)
        changes = "1 uncommitted change: it is" if count == 1 else f"{count} uncommitted changes: they are"
        yield f"the checkout has {changes} not in the agents' work"
    if status.branch is None:
        yield "HEAD is detached"
    common_dir = git.common_dir()
    if (common_dir / "shallow").exists():
        yield "the repository is shallow: agents see no more history than it has"
    if settings.get("core.sparsecheckout", "false").lower() == "true":
        yield "the checkout is sparse: workspaces hold all files"
    if (git.directory / ".gitmodules").is_file():
        missing = [
            path
            for name, path in declared(git, git.directory).items()
            if not (common_dir / "modules" / name / "HEAD").is_file()
        ]
        if missing:
            yield (
                f"submodule{'s' if len(missing) > 1 else ''} {', '.join(missing)} not initialised in the checkout: "
                "empty in the workspaces too"
            )
    if _uses_lfs(git) and (lacks_lfs(settings, git.environ) or shutil.which("git-lfs") is None):
        yield "files are kept in git LFS and git-lfs is not installed: agents see the pointers"


def _uses_lfs(git: Git) -> bool:
    """Whether any tracked .gitattributes says so."""
    done = git.run("grep", "-q", "-I", "-e", "filter=lfs", "HEAD", "--", ":(glob)**/.gitattributes", ok=(0, 1))
    return done.returncode == 0
