"""Errors become one sentence, a hint and an exit code; with --json also exactly one object."""

from __future__ import annotations

import errno
import io
import json
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from maestro.cli.boundary import guarded, wants_json
from maestro.errors import BadInput, Busy, GitError, MaestroError, StateError, TrackerError, WorkspaceError


def failing(error: BaseException) -> click.Command:
    @click.command()
    @click.option("--json", is_flag=True)
    def command(**_: Any) -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("this is wrong", hint="do that"), 2),
        (Busy("this is wrong", hint="do that"), 3),
        (GitError("this is wrong", hint="do that"), 1),
        (StateError("this is wrong", hint="do that"), 1),
        (TrackerError("this is wrong", hint="do that"), 1),
        (WorkspaceError("this is wrong", hint="do that"), 1),
        (MaestroError("this is wrong", hint="do that"), 1),
    ],
)
def test_expected_errors(error: MaestroError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(failing(error), []) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Error: This is wrong.\nHint: Do that.\n")
    assert guarded(failing(error), ["--json"]) == code
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": {"message": "This is wrong.", "hint": "Do that."}}


def test_a_package_that_is_missing_is_named_and_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    missing = ModuleNotFoundError("No module named 'pydantic.fields'", name="pydantic.fields")
    assert guarded(failing(missing), []) == 2
    assert capsys.readouterr().err == (
        "Error: The Python package pydantic is not installed.\n"
        "Hint: Install maestro with it: pip install flow-maestro.\n"
    )


def test_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(failing(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr().err == "\nError: Interrupted.\n"  # a new line after the terminal's ^C
    assert guarded(failing(click.Abort()), ["--json"]) == 130
    assert json.loads(capsys.readouterr().out) == {"error": {"message": "Interrupted.", "hint": ""}}


def test_interrupted_where_the_terminal_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(io.StringIO):
        name = "<stderr>"

        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    assert guarded(failing(KeyboardInterrupt()), ["--json"]) == 130
    assert json.loads(capsys.readouterr().out) == {"error": {"message": "Interrupted.", "hint": ""}}


def test_usage_errors_of_click_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(failing(RuntimeError()), ["--json", "--nope"]) == 2
    said = capsys.readouterr()
    assert "--nope" in json.loads(said.out)["error"]["message"]
    assert said.err.splitlines()[1] == "Hint: See `maestro --help`."


def test_a_bug_leaves_its_traceback_in_a_file_and_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".flow" / "maestro").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert guarded(failing(ZeroDivisionError("oh\nno")), ["--json"]) == 70
    said = capsys.readouterr()
    message = json.loads(said.out)["error"]["message"]
    assert message.startswith("Maestro met a bug of its own (ZeroDivisionError: oh no); the traceback is in ")
    log = Path(message.split(" is in ")[1].removesuffix("."))
    assert log.is_relative_to(tmp_path / ".flow" / "maestro" / "crashes")
    assert "Traceback" in log.read_text()
    assert (log.parent / ".gitignore").read_text() == "*\n"
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) == 2


def test_a_bug_outside_of_any_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert guarded(failing(ZeroDivisionError()), []) == 70
    assert len(list(tmp_path.glob("maestro-crash-*.log"))) == 1


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ([], False),
        (["plan", "--json"], True),
        (["--json", "nope"], True),
        (["plan", "--format=json"], True),
        (["plan", "--format", "json"], True),
        (["plan", "--format", "dot"], False),
        (["logs", "--", "--json"], False),
    ],
)
def test_json_is_told_from_the_bare_words(argv: list[str], wanted: bool) -> None:
    assert wants_json(argv) is wanted
