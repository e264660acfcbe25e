"""Which notes of a board a task gets to read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from maestro.model.note import NOTE_LENGTH, NOTES_SHOWN, SHOWN_LENGTH, Note, notes_for

START = datetime(2026, 1, 1, tzinfo=UTC)


def note(number: int, text: str = "x", to: str | None = None) -> Note:
    return Note(at=START + timedelta(seconds=number), from_task="a", to_task=to, text=text)


def test_those_to_others_are_left_out_and_the_newest_come_first() -> None:
    board = [note(1), note(2, to="b"), note(3, to="c"), note(4)]
    assert notes_for("c", board) == (board[2], board[3], board[0])
    assert notes_for("d", board) == (board[3], board[0])
    assert notes_for("d", ()) == ()


def test_a_crowd_of_notes_to_all_does_not_push_out_one_that_is_addressed() -> None:
    board = [note(0, to="c"), *(note(number) for number in range(1, 100))]
    shown = notes_for("c", board)
    assert len(shown) == NOTES_SHOWN
    assert shown[0] == board[0]
    assert shown[1:] == tuple(reversed(board[-NOTES_SHOWN + 1 :]))


def test_no_more_characters_than_there_is_room_for() -> None:
    shown = notes_for("c", [note(number, "x" * NOTE_LENGTH) for number in range(10)])
    assert len(shown) == SHOWN_LENGTH // NOTE_LENGTH
    assert shown[0].at == START + timedelta(seconds=9)
