"""Whatever a command prints or leaves behind holds no secret of its environment or its settings."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from maestro.cli.app import App
from maestro.cli.boundary import guarded
from maestro.cli.output import Output
from maestro.testing.repository import Repository

SECRET = 'Pl4nted"secret'


def app(*, as_json: bool = False) -> App:
    return App(Output(as_json=as_json), {"MY_TOKEN": SECRET})


def test_lines_words_and_errors_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    output = app().output
    output.text(f"one {SECRET}")
    output.note(f"two {SECRET}")
    output.warn(f"three {SECRET}")
    output.error(f"four {SECRET}", f"five {SECRET}")

    assert capsys.readouterr() == ("one ***\n", "two ***\nWarning: three ***\nError: Four ***.\nHint: Five ***.\n")


def test_an_object_is_masked_and_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    app().output.json({"reason": f"x {SECRET}", "tasks": [f'{{"y": "{SECRET}"}}'], "prompt": "x-api-key: as-it-came"})

    assert json.loads(capsys.readouterr().out) == {
        "reason": "x ***",
        "tasks": ['{"y": "***"}'],
        "prompt": "x-api-key: as-it-came",
    }


def test_secrets_of_the_settings_are_known_once_they_are_loaded(
    repo: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[mcp_servers.one]\ncommand = "x"\nenv = {API_KEY = "Pl4nted-server-key"}\n')
    one = app()
    one.config_file = config
    one.load(repository=repo.path)
    one.output.text("the Pl4nted-server-key")

    assert capsys.readouterr().out == "the ***\n"


def test_a_traceback_is_kept_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def command() -> None:
        raise RuntimeError(SECRET)

    (tmp_path / ".flow" / "maestro").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_TOKEN", SECRET)

    assert guarded(command, []) == 70

    (log,) = (tmp_path / ".flow" / "maestro" / "crashes").glob("*.log")
    assert "RuntimeError: ***" in log.read_text()
    assert SECRET not in log.read_text() + "".join(capsys.readouterr())
