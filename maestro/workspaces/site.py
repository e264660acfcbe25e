"""What all workspaces of one run share: the user's repository, where they stand, what goes into them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from maestro.vcs.git import Git
from maestro.vcs.parse import parse_config
from maestro.workspaces.keeping import Keep
from maestro.workspaces.roots import check_root, folder_name
from maestro.workspaces.setup import SetupSpec

_NOTHING = Keep(())

LOCK = Path("maestro") / "worktrees.lock"
"""In the git directory that all worktrees share."""


class Identity(NamedTuple):
    """Name and address for commits."""

    name: str
    email: str


MAESTRO = Identity("maestro", "maestro@localhost")
"""Commits what an agent left uncommitted; also the author where the user has no identity."""


LFS_OFF = {
    "filter.lfs.process": "",
    "filter.lfs.smudge": "cat",
    "filter.lfs.clean": "cat",
    "filter.lfs.required": "false",
}
"""Pointers stay pointers; without git-lfs even `git status` may fail otherwise."""


@dataclass(frozen=True)
class Site:
    """Facts about the user's repository, read once."""

    git: Git  # in the user's checkout, with the settings of `config`
    plain: Git  # the same without them: the user's checkout as it is
    top: Path
    common_dir: Path
    root: Path
    name: str  # of the folder that holds the files, in each workspace
    identity: Identity
    object_format: str  # sha1 or sha256
    config: Mapping[
        str, str
    ]  # settings for every git call here and by agents: sparse checkouts off, LFS without git-lfs
    user_config: tuple[Path, ...]  # the user's own global configuration files
    user_excludes: str  # the user's own ignore patterns
    setup: SetupSpec
    client_servers: Mapping[str, object] = field(default_factory=dict)
    credentials: str | None = None
    parked: int = 0  # at most so many used workspaces are kept to be handed out again
    keep: Keep = _NOTHING  # what stays in those

    @cached_property
    def makes_checkouts(self) -> tuple[str, ...]:
        """Files that, besides the commit, say how files are checked out: line ends, filters, attributes."""
        inside = ("config", "config.worktree", "info/attributes", "shallow")
        return (*(f"{self.common_dir}/{name}" for name in inside), *map(str, self.user_config))

    @cached_property
    def lock(self) -> Path:
        """Held by whoever changes the list of worktrees (E-8)."""
        return self.common_dir / LOCK


def read_config(git: Git) -> dict[str, str]:
    """What git is told by its files in the checkout that `git` is at the top of, key → last value."""
    listed = git.run("config", "--list", "--show-scope", "-z").stdout
    return {key: value for scope, key, value in parse_config(listed) if scope != "command"}


def survey(
    git: Git,
    root: Path,
    *,
    configured: Mapping[str, str] | None = None,
    setup: SetupSpec | None = None,
    client_servers: Mapping[str, object] | None = None,
    credentials: str | None = None,
    parked: int = 0,
    keep: Sequence[str] = (),
) -> Site:
    """Read the facts; `git` is at the top of the user's checkout. BadInput where the root cannot be used.

    `configured`: its configuration, where somebody has just read it.
    """
    environ = git.environ
    common_dir = git.common_dir()
    top = git.directory.resolve()
    settings = read_config(git) if configured is None else configured
    config = _settings_for(settings, environ)
    name, email = settings.get("user.name"), settings.get("user.email")
    return Site(
        git=git.at(git.directory, config=config),
        plain=git,
        top=top,
        common_dir=common_dir,
        root=check_root(root, top, common_dir),
        name=folder_name(top),
        identity=Identity(name or MAESTRO.name, email or MAESTRO.email),
        object_format=settings.get("extensions.objectformat", "sha1"),
        config=config,
        user_config=_user_config(environ),
        user_excludes=_user_excludes(settings, environ),
        setup=setup or SetupSpec(),
        client_servers=client_servers or {},
        credentials=credentials,
        parked=parked,
        keep=Keep(keep),
    )


def lacks_lfs(settings: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether git is configured for LFS while git-lfs is not installed."""
    configured = any(key.startswith("filter.lfs.") for key in settings)
    return configured and shutil.which("git-lfs", path=environ.get("PATH")) is None


def _settings_for(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    config: dict[str, str] = {}
    if settings.get("core.sparsecheckout", "false").lower() not in ("false", "no", "off", "0", ""):
        # worktrees inherit the patterns; an agent gets all files, whatever the user chose for this checkout
        config |= {"core.sparseCheckout": "false", "core.sparseCheckoutCone": "false", "index.sparse": "false"}
    if lacks_lfs(settings, environ):
        # a required filter that is missing would fail the checkout; pointers stay pointers, both ways
        config |= LFS_OFF
    return config


def _user_config(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files git reads as the user's own, in git's order (git-config(1), FILES)."""
    if named := environ.get("GIT_CONFIG_GLOBAL"):
        return (Path(named),) if Path(named).is_file() else ()
    candidates = [folder / "git" / "config" for folder in _config_home(environ)]
    if home := environ.get("HOME"):
        candidates.append(Path(home) / ".gitconfig")
    return tuple(path for path in candidates if path.is_file())


def _config_home(environ: Mapping[str, str]) -> list[Path]:
    if folder := environ.get("XDG_CONFIG_HOME"):
        return [Path(folder)]
    return [Path(environ["HOME"]) / ".config"] if environ.get("HOME") else []


def _user_excludes(settings: Mapping[str, str], environ: Mapping[str, str]) -> str:
    if named := settings.get("core.excludesfile"):
        home = environ.get("HOME", "")
        path = Path(home) / named[2:] if named.startswith("~/") else Path(named)
        candidates = [path]
    else:
        candidates = [folder / "git" / "ignore" for folder in _config_home(environ)]
    for path in candidates:
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="surrogateescape")
    return ""
