"""Whether a client is installed, by asking it for its version."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from maestro.agents.base import Availability
from maestro.proc.capture import capture


def ask_version(executable: str, env: Mapping[str, str], *, hint: str) -> Availability:
    """What `executable --version` says. `hint` is how to get a missing one."""
    path = shutil.which(executable, path=env.get("PATH", os.defpath))
    if path is None:
        return Availability(available=False, detail=f"{executable} was not found on PATH", hint=hint)
    said = capture([path, "--version"], env=env, timeout_seconds=30)
    version = said.stdout.decode("utf-8", "replace").strip().splitlines()[:1]
    if said.code != 0 or not version:
        last = said.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no version"]
        return Availability(available=False, detail=f"{path} does not run: {last[0]}", hint=f"install it again: {hint}")
    return Availability(available=True, detail=f"{version[0]}, {path}")
