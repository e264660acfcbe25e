"""The scripts behind make: a clear sentence where a machine lacks something, and nothing of the user's removed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TOOLS = ("sh", "cat", "cksum", "dirname", "env", "grep", "head", "ls", "mkdir", "rm")


class Machine:
    """A checkout and a PATH that has the tools named here and no other."""

    def __init__(self, path: Path) -> None:
        self.checkout = path / "checkout"
        self.bin = path / "bin"
        self.bin.mkdir(parents=True)
        shutil.copytree(SCRIPTS, self.checkout / "scripts")
        (self.checkout / "pyproject.toml").write_text("[project]\nname = 'sample'\nversion = '1'\n")
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)

    def add_python(self, name: str, first_line: str) -> None:
        """The Python of these tests under another name, with one line of Python run before all else."""
        site = self.bin / f"{name}-site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(f"import sys\n{first_line}\n")
        program = self.bin / name
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{site}" exec "{sys.executable}" "$@"\n')
        program.chmod(0o755)

    def run(self, script: str, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.checkout / "scripts" / script), *args],
            env={"PATH": str(self.bin), "HOME": str(self.checkout)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_python_it_says_so(machine: Machine) -> None:
    done = machine.run("set_up_venv.sh", ".venv", "plain")
    assert (done.returncode, done.stderr) == (1, "set up: no Python 3.11 or newer was found on PATH.\n")


def test_an_old_python_is_named_with_its_version(machine: Machine) -> None:
    machine.add_python("python3", "sys.version_info = (3, 9, 2)")
    done = machine.run("set_up_venv.sh", ".venv", "plain")
    assert done.returncode == 1
    assert done.stderr == "set up: python3 is Python 3.9.2, and maestro needs 3.11 or newer.\n"


def test_a_python_that_cannot_make_venvs_is_named_with_the_cure(machine: Machine) -> None:
    machine.add_python("python3", "sys.modules['ensurepip'] = None")
    done = machine.run("set_up_venv.sh", ".venv", "plain")
    assert done.returncode == 1
    assert "its ensurepip module is missing (on Debian and Ubuntu: apt install python3-venv)" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_a_version_that_is_not_there_has_its_own_exit_code(machine: Machine) -> None:
    machine.add_python("python3", "pass")
    done = machine.run("set_up_venv.sh", ".venv-3.99", "dev", "3.99")
    assert done.returncode == 3
    assert "there is no Python 3.99 here" in done.stderr


def test_a_folder_that_is_no_environment_is_left_alone(machine: Machine) -> None:
    machine.add_python("python3", "pass")
    mine = machine.checkout / ".venv" / "mine"
    mine.parent.mkdir()
    mine.write_text("keep me")
    done = machine.run("set_up_venv.sh", ".venv", "plain")
    assert done.returncode == 1
    assert "is not a virtual environment" in done.stderr
    assert mine.read_text() == "keep me"


def test_without_npm_the_missing_agent_is_named_and_nothing_fails(machine: Machine) -> None:
    done = machine.run("install_claude.sh")
    assert (done.returncode, done.stderr) == (0, "tools: claude: not installed: npm was not found on PATH\n")


def without_leftovers(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "without_leftovers.py"), "sh", "-c", script]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)


@pytest.mark.parametrize("code", [0, 7])
def test_a_command_that_leaves_nothing_keeps_its_exit_code(code: int) -> None:
    done = without_leftovers(f"sleep 0.1 & exit {code}")
    assert (done.returncode, done.stderr) == (code, "")


def test_a_process_that_escaped_is_named_killed_and_a_failure(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    done = without_leftovers(f"env -i setsid sh -c 'echo $$ >{pid}; exec sleep 600' >/dev/null 2>&1 & exit 0")
    assert done.returncode == 1
    assert done.stderr == f"left behind: {pid.read_text().strip()} sleep 600 \n"
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
