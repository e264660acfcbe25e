"""What is written where, and how it reads."""

from __future__ import annotations

import io
import json

import pytest

from maestro.cli.columns import columns
from maestro.cli.output import Output, use_colour
from maestro.errors import sentence


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ("this is wrong", "This is wrong."),
        ("git was not found", "Git was not found."),
        ("tasks.json is empty", "tasks.json is empty."),
        ("/a/b is not a directory", "/a/b is not a directory."),
        ("--agent is unknown", "--agent is unknown."),
        ("max_parallel must be more", "max_parallel must be more."),
        ("did you mean x?", "Did you mean x?"),
        ("A sentence.", "A sentence."),
        ("`maestro plan` tells", "`maestro plan` tells."),
        ("", ""),
    ],
)
def test_sentences(clause: str, said: str) -> None:
    assert sentence(clause) == said


def test_results_and_words_go_different_ways(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.text("a", "b")
    output.note("by the way")
    output.warn("look out")
    assert capsys.readouterr() == ("a\nb\n", "by the way\nWarning: look out\n")


def test_quiet_leaves_out_notes_but_no_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(quiet=True)
    output.note("by the way")
    output.warn("look out")
    assert capsys.readouterr() == ("", "Warning: look out\n")


def test_json_is_plain_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    Output().json({"größe": "\udcff"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"größe": "\udcff"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert use_colour(Terminal())
    assert not use_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not use_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not use_colour(Terminal())


def test_columns_are_plain_lines() -> None:
    assert columns([("a", "long one", "x"), ("bb\n", "\x1b[2J", "")]) == ["a   long one  x", "bb  [2J"]
    assert columns([]) == []
    assert columns([("L" * 200, "x"), ("b", "y")])[1] == "b" + " " * 41 + "y", "one long name stretches no other row"
