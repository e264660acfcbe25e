"""Starting this very maestro again, from wherever an agent stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from maestro import __version__
from maestro.proc.ourselves import own_argv, own_command


def test_it_starts_from_a_directory_that_has_a_maestro_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "maestro").mkdir()
    (tmp_path / "maestro" / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    done = subprocess.run([*own_argv(), "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == (f"maestro {__version__}\n", "", 0)


def test_a_shell_is_told_the_short_name_only_where_that_leads_here(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    assert own_command({"PATH": str(folder)}) != "maestro"
    other = folder / "maestro"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    command = own_command({"PATH": str(folder)})
    done = subprocess.run(["sh", "-c", f"{command} --version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (f"maestro {__version__}\n", 0)
    beside = Path(sys.executable).parent / "maestro"
    if beside.exists():  # where the package is installed
        other.unlink()
        other.symlink_to(beside)
        assert own_command({"PATH": str(folder)}) == "maestro"
        assert own_command({"PATH": f"{beside.parent}{os.pathsep}/nowhere"}) == "maestro"
