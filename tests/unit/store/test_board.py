"""The board of a run: whole lines, whoever writes them and however they die."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.clock import SystemClock
from maestro.errors import BadInput, Busy, StateError
from maestro.model.events import EVENT
from maestro.model.note import NOTE_LENGTH, Note
from maestro.store import board
from maestro.store.board import post, read_board
from maestro.store.claims import claim
from maestro.store.layout import Layout
from maestro.testing.story import STORY

RUN = "r1"
TALK = """
import sys
from pathlib import Path
from maestro.clock import SystemClock
from maestro.store.board import post
from maestro.store.layout import Layout
for n in range(25):
    post(Layout(Path(sys.argv[1])), "r1", f"{sys.argv[2]}-{n} " + "x" * 3000, clock=SystemClock())
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A repository in which a run with the tasks of the story is written down."""
    layout = Layout(tmp_path)
    layout.run(RUN).mkdir(parents=True)
    layout.journal(RUN).write_bytes(b'{"journal": "maestro", "version": 1}\n' + EVENT.dump_json(STORY[0]) + b"\n")
    return layout


@pytest.fixture
def alive(layout: Layout) -> Iterator[None]:
    held = claim(layout.locks, run_id=RUN, since="now", backlog="b", tasks=(), groups=())
    yield
    held.release()


def leave(layout: Layout, text: str, *, to: str | None = None, sender: str | None = None) -> Note:
    return post(layout, RUN, text, clock=SystemClock(), from_task=sender, to_task=to)


@pytest.mark.usefixtures("alive")
def test_what_is_posted_is_read_back_in_order(layout: Layout) -> None:
    first = leave(layout, "  the port is 5\nand stays  ", sender="a", to="b")
    second = leave(layout, "to all: ü 🎉")
    assert (first.from_task, first.to_task, first.text) == ("a", "b", "the port is 5\nand stays")
    assert read_board(layout.board(RUN)) == (first, second)


@pytest.mark.usefixtures("alive")
def test_a_torn_line_and_a_foreign_one_are_passed_over(layout: Layout) -> None:
    first = leave(layout, "one")
    with layout.board(RUN).open("ab") as file:
        file.write(b'{"mine": 1}\n\xff\xfe\n{"at": "2026-01-')
    second = leave(layout, "two")
    assert read_board(layout.board(RUN)) == (first, second)


@pytest.mark.usefixtures("alive")
def test_many_at_once_lose_nothing(layout: Layout) -> None:
    children = [subprocess.Popen([sys.executable, "-c", TALK, str(layout.repository), str(n)]) for n in range(4)]
    assert [child.wait(timeout=60) for child in children] == [0] * 4
    said = [note.text.split()[0] for note in read_board(layout.board(RUN))]
    assert sorted(said) == sorted(f"{child}-{n}" for child in range(4) for n in range(25))
    for child in range(4):  # each one's own are in order
        assert [one for one in said if one.startswith(f"{child}-")] == [f"{child}-{n}" for n in range(25)]


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("text", ["", " \n\t "])
def test_an_empty_note_is_refused(layout: Layout, text: str) -> None:
    with pytest.raises(BadInput, match="the note is empty"):
        leave(layout, text)
    assert read_board(layout.board(RUN)) == ()


@pytest.mark.usefixtures("alive")
def test_a_note_has_a_longest_length(layout: Layout) -> None:
    assert leave(layout, "ü" * NOTE_LENGTH).text == "ü" * NOTE_LENGTH
    with pytest.raises(BadInput, match=r"has 4,001 characters, of at most 4,000") as refused:
        leave(layout, "ü" * (NOTE_LENGTH + 1))
    assert "file of the repository" in refused.value.hint
    assert len(read_board(layout.board(RUN))) == 1


@pytest.mark.usefixtures("alive")
def test_bytes_that_are_no_text_are_written_out(layout: Layout) -> None:
    assert leave(layout, "odd \udcff").text == "odd \\udcff"
    assert read_board(layout.board(RUN))[0].text == "odd \\udcff"


@pytest.mark.usefixtures("alive")
def test_tasks_that_the_run_does_not_have(layout: Layout) -> None:
    with pytest.raises(BadInput, match="run r1 has no task nobody"):
        leave(layout, "x", to="nobody")
    with pytest.raises(BadInput, match="run r1 has no task nobody"):
        leave(layout, "x", sender="nobody")


@pytest.mark.usefixtures("alive")
def test_a_full_board_is_said(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "BOARD_LENGTH", 400)
    leave(layout, "x" * 100)
    with pytest.raises(BadInput, match="the board of the run is full"):
        leave(layout, "x" * 300)
    assert len(read_board(layout.board(RUN))) == 1


def test_runs_that_would_not_read_it(layout: Layout) -> None:
    with pytest.raises(BadInput, match="there is no run nope"):
        post(layout, "nope", "x", clock=SystemClock())
    with pytest.raises(BadInput, match="there is no run"):
        post(layout, "../locks", "x", clock=SystemClock())
    with pytest.raises(BadInput, match="nobody would read a note to run r1: its coordinator died"):
        leave(layout, "x")
    layout.summary(RUN).write_text("{}")
    with pytest.raises(BadInput, match="run r1 has ended"):
        leave(layout, "x")


@pytest.mark.usefixtures("alive")
def test_a_run_that_has_not_written_down_its_tasks_yet(layout: Layout) -> None:
    layout.journal(RUN).unlink()
    with pytest.raises(Busy, match="only just begun"):
        leave(layout, "x")
    layout.journal(RUN).write_bytes(b'{"journal": "maestro", "version": 1}\n{"torn')
    with pytest.raises(Busy, match="only just begun"):
        leave(layout, "x")


@pytest.mark.usefixtures("alive")
def test_a_board_that_cannot_be_used_is_named(layout: Layout) -> None:
    layout.board(RUN).mkdir()
    with pytest.raises(StateError, match=r"board\.jsonl cannot be written: Is a directory"):
        leave(layout, "x")
    with pytest.raises(StateError, match=r"board\.jsonl cannot be read: "):
        read_board(layout.board(RUN))
