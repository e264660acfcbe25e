"""Whether a login can be seen, from variables and files alone.

Values are never read further than "there is one", so that no secret can reach a screen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from maestro.agents.base import Login


class LoginFile(NamedTuple):
    """A file that a logged-in client keeps; `keys`: one of these top-level keys must hold something."""

    path: str  # "~/" is HOME
    keys: tuple[str, ...] = ()


def look_for_login(env: Mapping[str, str], variables: Sequence[str], files: Sequence[LoginFile], *, hint: str) -> Login:
    """The first of the variables that is set, else the first of the files that holds a login. `hint` is how to log
    in."""
    for name in variables:
        if env.get(name):
            return Login(found=True, detail=f"{name} is set")
    for file in files:
        if _holds(_place(env, file.path), file.keys):
            return Login(found=True, detail=f"logged in ({file.path})")
    wanted = ", ".join((*variables, *(file.path for file in files)))
    return Login(found=False, detail="no key and no login seen", hint=f"{hint} (looked for {wanted})")


def _place(env: Mapping[str, str], path: str) -> Path | None:
    if not path.startswith("~/"):
        return Path(path)
    return Path(env["HOME"], path[2:]) if env.get("HOME") else None


def _holds(path: Path | None, keys: Sequence[str]) -> bool:
    """Whether the file is there and holds something: one of the keys, where they are named."""
    try:
        data = path.read_bytes() if path else b""
    except OSError:
        return False
    if not keys and path is not None and path.suffix != ".json":
        return bool(data.strip())
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not keys:
        return bool(content)
    return isinstance(content, dict) and any(content.get(key) for key in keys)
