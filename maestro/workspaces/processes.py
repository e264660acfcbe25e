"""Where live processes stand, as the kernel says."""

from __future__ import annotations

import os


def working_directories() -> list[str]:
    """The working directory of every process that may be looked at."""
    return [folder for _, folder in standing()]


def standing() -> list[tuple[int, str]]:
    """(pid, working directory) of every process that may be looked at."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - called for each task
        if name.isdigit():
            try:
                found.append((int(name), os.readlink(f"/proc/{name}/cwd")))  # noqa: PTH115 - the text of the link is wanted
            except OSError:
                continue
    return found
