"""Caches of package managers, where HOME does not say it: shared, so that ten agents download a package once, or
private (I-6).

Where HOME is the user's and there is no sandbox, tools find their own caches, and only what is to be private is set.
In a sandbox the caches that are shared are shared among agents, and are never the user's own: what an agent puts into
them would be run by the user, outside of any sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from maestro.errors import WorkspaceError
from maestro.resources.base import Need, Provided
from maestro.resources.homes import Homes, make_folder

PRIVATE = "private"
SHARED = "shared"

VARIABLES = {"pip": "PIP_CACHE_DIR", "npm": "npm_config_cache", "uv": "UV_CACHE_DIR", "cargo": "CARGO_HOME"}
_BELOW_HOME = {"pip": ".cache/pip", "npm": ".npm", "uv": ".cache/uv", "cargo": ".cargo"}
_CARGO_PARTS = ("registry", "git")
"""The rest of CARGO_HOME are programs, settings and logins, which are no cache."""


@dataclass(frozen=True)
class Caches:
    """A `Provision`."""

    environ: Mapping[str, str]  # the user's
    homes: Homes
    chosen: Mapping[str, str] = field(default_factory=dict)  # tool → PRIVATE or SHARED
    sandboxed: bool = False

    def take(self, need: Need) -> Provided:
        env = {}
        try:
            for tool, variable in VARIABLES.items():
                if (folder := self._folder(tool, need)) is None:
                    continue
                own = _own(need, tool)
                if own == folder or tool == "cargo":
                    make_folder(own.parent, own)
                if tool == "cargo":
                    folder = _cargo_home(own, folder)
                else:
                    folder.mkdir(parents=True, exist_ok=True)
                env[variable] = str(folder)
        except OSError as error:
            raise WorkspaceError(f"its caches cannot be made: {error.filename}: {error.strerror}") from error
        return Provided(env)

    def give_back(self, need: Need) -> None:
        """Private ones go with the workspace, shared ones stay."""

    def shared_folders(self, need: Need) -> tuple[Path, ...]:
        """What a sandbox must let it write, beside its workspace."""
        found = []
        for tool in VARIABLES:
            folder = self._folder(tool, need)
            if folder is not None and not folder.is_relative_to(need.home):
                found += [folder / part for part in _CARGO_PARTS] if tool == "cargo" else [folder]
        return tuple(found)

    def _folder(self, tool: str, need: Need) -> Path | None:
        """Where its cache is; None: where the tool itself finds it."""
        choice = self.chosen.get(tool, SHARED)
        if choice == PRIVATE:
            return _own(need, tool)
        if self.sandboxed:
            return self._users("XDG_CACHE_HOME", ".cache") / "maestro" / tool
        if self.homes.folder(need) is None:
            return None
        return self._users(VARIABLES[tool], _BELOW_HOME[tool])

    def _users(self, variable: str, below_home: str) -> Path:
        named = self.environ.get(variable, "")
        return Path(named) if Path(named).is_absolute() else Path(self.environ.get("HOME", "/"), below_home)


def _own(need: Need, tool: str) -> Path:
    return need.home / ".agent-caches" / tool


def _cargo_home(home: Path, shared: Path) -> Path:
    """A CARGO_HOME of the attempt's own, in which only what was downloaded is the shared one's."""
    if home != shared:
        for part in _CARGO_PARTS:
            (shared / part).mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # adopted, or gone on with
                (home / part).symlink_to(shared / part)
    return home
