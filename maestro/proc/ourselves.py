"""How to start this very maestro again: as a child of ours, or from a shell of an agent's."""

from __future__ import annotations

import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import maestro


def own_argv() -> tuple[str, ...]:
    """A command line that starts this installation from any directory, whatever packages lie about there."""
    start = (sys.executable, "-P", "-m", "maestro")
    root = str(Path(maestro.__file__).resolve().parents[1])
    if root in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        return start
    return ("env", f"PYTHONPATH={root}", *start)  # run from a checkout, which need not be installed


def own_command(environ: Mapping[str, str]) -> str:
    """The same for a shell: plain `maestro` where PATH leads to this installation."""
    found = shutil.which("maestro", path=environ.get("PATH"))
    if found and Path(found).resolve().parent == Path(sys.executable).parent.resolve():
        return "maestro"
    return shlex.join(own_argv())
