"""Which HOME an attempt or a gate has: the user's, one of its own, or a folder that was named (I-6)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from maestro.errors import WorkspaceError
from maestro.proc.request import ProcessRequest
from maestro.resources.base import Need, Provided

USER = "user"
PRIVATE = "private"

PLACES = (
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "CLAUDE_CONFIG_DIR",
    "CODEX_HOME",
    "CURSOR_CONFIG_DIR",
    "FACTORY_HOME_OVERRIDE",
    "GEMINI_CLI_HOME",
)
"""Variables that lead back to the user's own files whatever HOME is: taken out where they are the user's."""

_TOOLCHAINS = {"RUSTUP_HOME": ".rustup", "PYENV_ROOT": ".pyenv", "ASDF_DATA_DIR": ".asdf", "VOLTA_HOME": ".volta"}
"""Programs on PATH that are found there look for the real ones below HOME."""


def private_home(need: Need) -> Path:
    """Beside the repository: it comes and goes with the workspace, and an attempt that goes on in it finds its own."""
    return need.home / ".agent-home"


def without_places(environ: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables but for those of PLACES that are as the user has them."""
    return {
        name: value for name, value in environ.items() if name not in PLACES or value != inherited.get(name, object())
    }


class Homes(NamedTuple):
    """A `Provision`."""

    environ: Mapping[str, str]  # the user's
    default: str | Path = USER
    by_agent: Mapping[str, str | Path] = {}

    def policy(self, agent: str | None) -> str | Path:
        """USER, PRIVATE, or the folder; gates have the default."""
        return self.by_agent.get(agent, self.default) if agent is not None else self.default

    def folder(self, need: Need) -> Path | None:
        """Its HOME where that is not the user's."""
        policy = self.policy(need.agent)
        if policy == USER:
            return None
        return private_home(need) if policy == PRIVATE else Path(policy)

    def take(self, need: Need) -> Provided:
        home = self.folder(need)
        if home is None:
            return Provided()
        if home == private_home(need):
            make_private_home(need)
        elif not home.is_dir():
            raise WorkspaceError(f"its home {home} is not there any more", hint="make the folder, or change `home`")
        return Provided({"HOME": str(home), **self._toolchains()}, partial(_leave_out_places, inherited=self.environ))

    def give_back(self, need: Need) -> None:
        """It goes with the workspace: the next attempt may go on with the conversation that is kept in it."""

    def _toolchains(self) -> dict[str, str]:
        own = self.environ.get("HOME")
        if not own:
            return {}
        named = {name: self.environ.get(name) or str(Path(own, folder)) for name, folder in _TOOLCHAINS.items()}
        return {name: place for name, place in named.items() if Path(place).is_dir()}


def make_private_home(need: Need) -> Path:
    """The private home of an attempt, there and empty or as its processes left it. OSError where it cannot be."""
    home = private_home(need)
    make_folder(home, mode=0o700)
    return home


def make_folder(*folders: Path, mode: int = 0o777) -> None:
    """Folders where an agent may have been before, the outer ones first. WorkspaceError for a link, which would lead
    where it cannot go itself; OSError where one cannot be."""
    for folder in folders:
        if folder.is_symlink():
            raise WorkspaceError(f"{folder} was replaced by a link")
        folder.mkdir(mode=mode, exist_ok=True)


def _leave_out_places(request: ProcessRequest, inherited: Mapping[str, str]) -> ProcessRequest:
    return request.evolve(env=without_places(request.env, inherited))
