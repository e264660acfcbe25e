"""The one folder of this user that every repository and every run on the machine shares: leases of ports, locks of
machine scope.

It is the same for every HOME, TMPDIR and kind of login, or two of them would lease one port; so it is no setting
either. Children are told of it by MAESTRO_MACHINE_DIR, so that a private HOME or a sandbox changes nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from maestro.errors import BadInput, StateError

VARIABLE = "MAESTRO_MACHINE_DIR"

_PRIVATE = 0o700
_OTHERS_MAY_WRITE = 0o022


def machine_folder(environ: Mapping[str, str]) -> Path:
    """The folder, made where it is missing. BadInput where the variable names no absolute path; StateError as
    `make_trusted`."""
    folder = machine_path(environ)
    make_trusted(folder)
    return folder


def check_machine_folder(environ: Mapping[str, str]) -> Path:
    """Where the folder is, or would be; nothing is made. Refuses as `machine_folder` what is there."""
    folder = machine_path(environ)
    if os.path.lexists(folder):
        make_trusted(folder)
    return folder


def make_trusted(folder: Path) -> None:
    """Make the folder where it is missing. StateError where it cannot be made, or not be trusted: a link, somebody
    else's, open to others."""
    try:
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StateError(
            f"the folder {folder}, which all runs on this machine share, cannot be made: {error.strerror}",
            hint=f"make room for it, or name another one: {VARIABLE}=/some/folder",
        ) from error
    if (wrong := _distrust(found)) is not None:
        raise StateError(
            f"{folder}, which all runs on this machine share, {wrong}",
            hint=f"look at what it is, and remove it or name another one: {VARIABLE}=/some/folder",
        )


def machine_path(environ: Mapping[str, str]) -> Path:
    """Where the folder is, or would be; nothing is made or looked at. BadInput as `machine_folder`."""
    named = environ.get(VARIABLE)
    if not named:
        return Path(f"/tmp/maestro-{os.getuid()}")
    if not Path(named).is_absolute():
        raise BadInput(f"{VARIABLE} is {named!r}, which is no absolute path", hint="agents work in other folders")
    return Path(named)


def _distrust(found: os.stat_result) -> str | None:
    if stat.S_ISLNK(found.st_mode):
        return "is a link"
    if not stat.S_ISDIR(found.st_mode):
        return "is no folder"
    if found.st_uid != os.getuid():
        return f"belongs to another user (uid {found.st_uid})"
    if found.st_mode & _OTHERS_MAY_WRITE:
        return "may be written by others"
    return None
