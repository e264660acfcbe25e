"""The group: quick help, and a table that tells the truth about its commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import maestro as package
from maestro.cli.main import COMMANDS, UNLISTED, maestro
from maestro.cli.options import RUN_OPTIONS, SCHEDULES, TRACKERS, WORKSPACES
from maestro.config.load import KEYS
from maestro.config.settings import Settings
from maestro.testing.repository import Repository


def test_help_names_every_command_that_somebody_types(cli: Any) -> None:
    said = cli("--help")
    assert said.code == 0
    assert {name for name in COMMANDS if f"\n  {name} " not in said.out} == UNLISTED == {"hook"}


def test_a_delegate_start_does_not_offer_what_it_refuses(cli: Any) -> None:
    said = cli("delegate", "start", "--help")
    assert "--agents A,B,C" in said.out
    assert "--agent " not in said.out
    assert "--agent-command" not in said.out
    assert "names another agent" in cli("delegate", "start", "--agent", "claude").err


def test_version(cli: Any) -> None:
    said = cli("--version")
    assert (said.out, said.err, said.code) == (f"maestro {package.__version__}\n", "", 0)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there_and_explains_itself(cli: Any, name: str) -> None:
    said = cli(name, "--help")
    assert said.code == 0, said.err
    assert said.out.startswith(f"Usage: maestro {name} [OPTIONS]")
    assert "--json" in said.out
    assert maestro.commands == {}, "commands are looked up, never registered"


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "maestro", "--help"], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"pydantic", "asyncio", "rich", "psutil", "filelock", "ruamel.yaml", "subprocess"}
    assert "maestro.cli.main" in imported


def test_no_command_and_an_unknown_one(cli: Any) -> None:
    assert cli() == cli()
    assert (cli().out, cli().err, cli().code) == ("", "Error: Missing command.\nHint: See `maestro --help`.\n", 2)
    said = cli("nope", "--json")
    assert said.code == 2
    assert said.json()["error"]["message"].startswith("No such command 'nope'")


def test_every_flag_of_a_run_is_a_key_of_the_configuration() -> None:
    names = {name.removeprefix("--").replace("-", "_") for name, _ in RUN_OPTIONS}
    assert names - set(KEYS) == {"todos"}, "short for tasks_file and tracker"


def test_the_choices_of_flags_are_those_of_the_settings() -> None:
    fields = Settings.model_fields
    assert fields["tracker"].annotation.__args__ == TRACKERS  # type: ignore[union-attr]
    assert fields["workspace"].annotation.__args__ == WORKSPACES  # type: ignore[union-attr]
    assert list(SCHEDULES) == [one.value for one in fields["schedule"].annotation]  # type: ignore[union-attr]


@pytest.mark.parametrize("place", ["before", "after"])
def test_json_and_quiet_are_understood_before_and_after_the_command(cli: Any, place: str) -> None:
    argv = ("--json", "-q", "status") if place == "before" else ("status", "--json", "-q")
    assert cli(*argv).json() == {"runs": [], "total_runs": 0}


def test_a_directory_that_is_none(cli: Any) -> None:
    said = cli("-C", "nowhere", "status")
    assert said.code == 2
    assert said.err.endswith("nowhere is not a directory.\nHint: Give -C a directory that exists.\n")


def test_a_current_directory_that_is_gone(
    cli: Any, repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    said = cli("status", "--json")
    assert said.code == 2
    assert said.json()["error"]["message"] == "The current directory does not exist any more."
    assert cli("--help").code == 0
    assert cli("-C", str(repo.path), "status").out == "No run yet.\n"


def test_a_place_of_a_repository_without_files(cli: Any, repo: Repository) -> None:
    said = cli("-C", str(repo.path / ".git"), "plan", "--json")
    assert said.code == 2
    assert said.json()["error"]["message"].endswith(".git holds no files of its repository.")


def test_a_configuration_file_that_is_none(cli: Any) -> None:
    said = cli("--config", "nowhere.toml", "plan")
    assert said.code == 2
    assert "nowhere.toml cannot be read: no such file or directory." in said.err
