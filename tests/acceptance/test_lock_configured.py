"""`maestro lock` and the configuration of resources (I-7, C-7)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from maestro.testing.commandline import Said, maestro
from maestro.testing.repository import Repository


def ask(repo: Repository, *args: str, env: dict[str, str] | None = None) -> Said:
    return maestro("lock", "gpu", "--status", "--json", *args, cwd=repo.path, env=env)


@pytest.mark.parametrize("file", [".flow/maestro/config.toml", "pyproject.toml"])
def test_slots_as_configured(repo: Repository, file: str) -> None:
    assert ask(repo).json["capacity"] == 1
    path = repo.path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[resources]\ngpu = 3\n" if file.endswith("config.toml") else "[tool.maestro.resources]\ngpu = 3\n")
    assert ask(repo).json["capacity"] == 3


@pytest.mark.parametrize(
    ("told", "capacity"),
    [
        ('{"gpu": {"slots": 3, "scope": "machine", "limit": 5.0}}', 3),
        ('{"gpu": 2}', 2),
        ('{"gpu": {"slots": 4}}', 4),  # as a user may write it
        ('{"other": 2}', 1),
    ],
)
def test_slots_as_a_run_tells_its_agents(repo: Repository, told: str, capacity: int) -> None:
    said = ask(repo, env={"MAESTRO_RESOURCES": told})
    assert (said.code, said.json["capacity"]) == (0, capacity)


@pytest.mark.parametrize("told", ["[1]", '{"gpu": {"slots": 0}}', '{"gpu": {"scope": "moon"}}', "no json"])
def test_a_bad_variable_is_named(repo: Repository, told: str) -> None:
    said = ask(repo, env={"MAESTRO_RESOURCES": told})
    assert said.code == 2
    assert "MAESTRO_RESOURCES" in said.err


def test_a_flag_is_stronger_than_the_configured_scope(repo: Repository, tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    env = {"MAESTRO_MACHINE_DIR": str(machine), "MAESTRO_RESOURCES": '{"gpu": {"slots": 1, "scope": "machine"}}'}
    held = [
        maestro("lock", "gpu", *scope, "--", "sh", "-c", "echo ran", cwd=repo.path, env=env)
        for scope in ((), ("--scope", "repo"))
    ]
    assert [one.out for one in held] == ["ran\n", "ran\n"]
    assert (machine / "locks" / "gpu").is_dir()
    assert (repo.path / ".flow" / "maestro" / "locks" / "named" / "gpu").is_dir()


def test_the_configured_limit_ends_the_command(repo: Repository) -> None:
    told = '{"gpu": {"slots": 1, "scope": "repo", "limit": 0.2}}'
    said = maestro("lock", "gpu", "--", "sleep", "600", cwd=repo.path, env={"MAESTRO_RESOURCES": told})
    assert said.code == 124
    assert "for more than 0.2 s" in said.err


def test_the_way_to_the_command_has_no_slow_import() -> None:
    script = (
        "import sys; import maestro.cli.main, maestro.cli.lock, maestro.resources.locks.command,"
        "maestro.resources.locks.waiting, maestro.resources.locks.place, maestro.resources.locks.testresults;"
        "print({'pydantic', 'asyncio', 'tomllib', 'subprocess'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
