"""scripts/install_compose.sh says in a line why it did not build, and builds nothing twice."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/install_compose.sh"
TOOLS = ("sh", "dirname", "sed", "sort", "mkdir", "mv", "rm", "grep", "head")


class Machine:
    """A checkout of the script alone, and a PATH that has the tools named here and no other."""

    def __init__(self, path: Path) -> None:
        self.checkout = path / "checkout"
        self.bin = path / "bin"
        self.built = self.checkout / ".tools/bin/docker-compose-v2"
        (self.checkout / "scripts").mkdir(parents=True)
        (self.checkout / "tests/real/compose/2.40.3").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(SCRIPT, self.checkout / "scripts")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or "")

    def add_go(self, version: str, build: str) -> None:
        go = self.bin / "go"
        go.write_text(
            f'#!/bin/sh\nif [ "$1" = version ]; then echo "go version go{version} linux/amd64"; exit; fi\n{build}\n'
        )
        go.chmod(0o755)

    def install(self) -> str:
        done = subprocess.run(
            [self.checkout / "scripts/install_compose.sh"],
            env={"PATH": str(self.bin), "HOME": str(self.checkout)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (0, "")
        return done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_go_it_says_so(machine: Machine) -> None:
    said = machine.install()
    assert said == "tools: docker-compose-v2: not built: Go 1.24.9 or newer was not found on PATH\n"
    machine.add_go("1.24.8", "exit 1")
    assert machine.install() == said
    assert not machine.built.exists()


def test_a_build_that_fails_is_said_in_its_own_words(machine: Machine) -> None:
    machine.add_go("1.26.2", "echo go: downloading a; echo the module cannot be had >&2; exit 1")
    assert "not built with Go 1.26.2: the module cannot be had" in machine.install()
    assert not machine.built.exists()


def test_what_does_not_answer_as_it_should_is_not_kept(machine: Machine) -> None:
    machine.add_go("1.26.2", 'while [ "$1" != -o ]; do shift; done; printf "#!/bin/sh\\necho 1.0" >"$2"; chmod +x "$2"')
    (machine.bin / "chmod").symlink_to(shutil.which("chmod") or "")
    assert "does not answer as version 2.40.3" in machine.install()
    assert list(machine.built.parent.iterdir()) == []


def test_what_is_there_is_not_built_again(machine: Machine) -> None:
    machine.add_go("1.26.2", "exit 1")
    machine.built.parent.mkdir(parents=True)
    machine.built.write_text("#!/bin/sh\necho 2.40.3\n")
    machine.built.chmod(0o755)
    assert machine.install() == ""
