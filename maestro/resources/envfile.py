"""The `.env.task` beside the workspace of an attempt (I-3): its ports and names for what does not have its variables,
such as `docker compose --env-file`, or the subagents of a session."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from maestro.errors import StateError
from maestro.planning.env_files import FILE
from maestro.planning.task_environment import render
from maestro.resources.base import Need, Provided, Provision

HEADING = "What the run has leased for this attempt; its environment has the same."


class EnvFile:
    """Writes down what the provision of ports gives, for as long as the attempt has it."""

    def __init__(self, ports: Provision) -> None:
        self._ports = ports

    def take(self, need: Need) -> Provided:
        """What the ports give; StateError where the disk takes no file of it."""
        provided = self._ports.take(need)
        try:
            _write(need.home / FILE, provided.env)
        except OSError as error:
            self._ports.give_back(need)
            raise StateError(
                f"{need.home / FILE} cannot be written: {error.strerror}", hint="make room there"
            ) from error
        except BaseException:
            self._ports.give_back(need)
            raise
        return provided

    def give_back(self, need: Need) -> None:
        """The file goes before its ports do."""
        with contextlib.suppress(OSError):
            (need.home / FILE).unlink()
        self._ports.give_back(need)


def _write(path: Path, variables: Mapping[str, str]) -> None:
    """A new file: what was there may be a link that an agent made."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(render(variables, heading=HEADING))
