"""The scripts behind make: a clear sentence where a machine lacks something, and nothing of the user's removed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
MODULES = Path(__file__).parents[1] / "real/bd"
TOOLS = (
    "sh",
    "cat",
    "chmod",
    "cksum",
    "dirname",
    "env",
    "grep",
    "head",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "readlink",
    "rm",
    "sed",
    "sort",
)
AGENTS = ("claude", "codex", "droid", "gemini", "opencode")
BEADS = {"bd-0.47.1": "1.24.0", "bd-1.0.5": "1.26.2"}


class Machine:
    """A checkout and a PATH that has the tools named here and no other."""

    def __init__(self, path: Path) -> None:
        self.checkout = path / "checkout"
        self.bin = path / "bin"
        self.bin.mkdir(parents=True)
        shutil.copytree(SCRIPTS, self.checkout / "scripts")
        shutil.copytree(MODULES, self.checkout / "tests/real/bd")
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

    def add(self, name: str, script: str) -> Path:
        """A program on PATH, in the shell's language."""
        program = self.bin / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

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


def test_without_npm_each_missing_agent_is_named_and_nothing_fails(machine: Machine) -> None:
    done = machine.run("install_agents.sh")
    assert done.returncode == 0
    assert sorted(done.stderr.splitlines()) == [
        f"tools: {name}: not installed: npm was not found on PATH" for name in AGENTS
    ]


def test_agents_on_path_are_accepted_when_they_answer(machine: Machine) -> None:
    for name in AGENTS:
        machine.add(name, "exit 0")
    machine.add("codex", "exit 127")
    machine.add("npm", "exit 1")
    done = machine.run("install_agents.sh")
    assert done.returncode == 0
    assert {line.split(":")[1] for line in done.stderr.splitlines()} == {" codex"}


def test_only_the_agents_named_are_looked_for(machine: Machine) -> None:
    done = machine.run("install_agents.sh", "--pinned", "droid", "codex")
    assert {line.split(":")[1].strip() for line in done.stderr.splitlines()} == {"codex", "droid"}


BUILDS = """
for each; do [ "$last" != -o ] || made=$each; last=$each; done
echo 'echo "bd version 0.47.1 (dev)"' >"$made" && chmod +x "$made"
"""
NPM = """
while [ $# -gt 1 ]; do [ "$1" != --prefix ] || prefix=$2; shift; done
mkdir -p "$prefix/node_modules/.bin"
echo 'echo "$HOME" >>"$HOME/asked"' >"$prefix/node_modules/.bin/codex"
chmod +x "$prefix/node_modules/.bin/codex"
"""


def test_an_agent_from_npm_is_linked_and_fetched_once(machine: Machine) -> None:
    machine.add("node", "echo v20.1.0")
    machine.add("npm", NPM)
    assert "installing @openai/codex@" in machine.run("install_agents.sh", "codex").stderr
    assert (machine.checkout / ".tools/bin/codex").exists()
    assert machine.run("install_agents.sh", "--pinned", "codex").stderr == ""
    assert not (machine.checkout / "asked").exists(), (
        "an agent that was asked for its version wrote into the user's HOME"
    )


def test_an_agent_that_needs_a_newer_node_is_named_with_it(machine: Machine) -> None:
    machine.add("node", "echo v18.19.0")
    machine.add("npm", "exit 1")
    done = machine.run("install_agents.sh", "gemini")
    assert done.stderr == "tools: gemini: not installed: it needs Node 20 or newer, and this is v18.19.0\n"


def test_what_npm_says_is_passed_on(machine: Machine) -> None:
    machine.add("npm", "echo 'npm error network no route' >&2; exit 1")
    done = machine.run("install_agents.sh", "claude")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "tools: claude: not installed: npm said: npm error network no route"


def test_without_go_each_bd_is_named_and_nothing_fails(machine: Machine) -> None:
    done = machine.run("install_bd.sh")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"tools: {name}: not built: Go {needed} or newer was not found on PATH" for name, needed in BEADS.items()
    ]


def test_a_go_that_is_too_old_is_named_with_its_version(machine: Machine) -> None:
    machine.add("go", "echo go version go1.19.8 linux/amd64")
    done = machine.run("install_bd.sh")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"tools: {name}: not built: Go is 1.19.8, and {needed} or newer is needed" for name, needed in BEADS.items()
    ]


def test_without_a_c_compiler_only_the_newer_bd_is_missed(machine: Machine) -> None:
    machine.add("go", f'[ "$1" = version ] && echo go version go1.26.8 linux/amd64 && exit; {BUILDS}')
    done = machine.run("install_bd.sh")
    assert done.returncode == 0
    assert done.stderr.splitlines()[1:] == [
        "tools: bd-1.0.5: not built: a C compiler is needed, and gcc was not found on PATH"
    ]
    assert (machine.checkout / ".tools/bin/bd-0.47.1").exists()
    assert machine.run("install_bd.sh").stderr.splitlines() == done.stderr.splitlines()[1:], "it was built twice"


def test_what_go_says_is_passed_on_and_nothing_half_made_stays(machine: Machine) -> None:
    said = "go: downloading golang.org/x/sys v0.1.0\ngo: module lookup disabled"
    machine.add("go", f'[ "$1" = version ] && echo go version go1.26.8 linux/amd64 && exit; echo "{said}" >&2; exit 1')
    done = machine.run("install_bd.sh")
    assert done.returncode == 0
    assert done.stderr.splitlines()[1] == (
        "tools: bd-0.47.1: not built with Go 1.26.8 (1.24.0 or newer is needed): go: module lookup disabled"
    )
    assert list((machine.checkout / ".tools/bin").iterdir()) == []


def test_only_an_older_go_may_fetch_another_one(machine: Machine) -> None:
    machine.add("gcc", "exit 0")
    machine.add(
        "go", '[ "$1" = version ] && echo go version go1.25.3 && exit; echo "${GOTOOLCHAIN:-unset}" >&2; exit 1'
    )
    words = [
        line.rpartition(" ")[2] for line in machine.run("install_bd.sh").stderr.splitlines() if "not built" in line
    ]
    assert words == ["local", "unset"]


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
