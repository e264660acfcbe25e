from __future__ import annotations

import pytest

from maestro.integration.message import SUBJECT_LENGTH, Work, landing_message, replayed_message


def work(**fields: str) -> Work:
    return Work(**{"task": "T-1", "commit": "c", "base": "b", "run_id": "r1", **fields})


def test_subject_summary_and_trailers() -> None:
    message = landing_message(work(title="Add\n  a login  page", summary="It works.\r\n\r\nMore.\n"))
    assert message == "Land T-1: Add a login page\n\nIt works.\n\nMore.\n\nMaestro-Task: T-1\nMaestro-Run: r1\n"


def test_without_title_and_summary() -> None:
    assert landing_message(work()) == "Land T-1\n\nMaestro-Task: T-1\nMaestro-Run: r1\n"


@pytest.mark.parametrize(
    ("task", "title"), [("T-1", "x" * 300), ("y" * 200, "title"), ("a\nb", "c\x00d\x1b[31m"), ("ж" * 100, "é" * 100)]
)
def test_the_subject_is_one_short_line(task: str, title: str) -> None:
    message = landing_message(work(task=task, title=title))
    subject, blank, _ = message.split("\n", 2)
    assert len(subject) <= SUBJECT_LENGTH
    assert blank == ""
    assert "\x00" not in message
    assert f"\nMaestro-Task: {' '.join(task.split())}\n" in message


def test_a_summary_is_bounded() -> None:
    assert len(landing_message(work(summary="s" * 100_000))) < 5000


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("Fix it\n", "Fix it\n\nMaestro-Task: T-1\nMaestro-Run: r1\n"),
        ("Fix: it\n", "Fix: it\n\nMaestro-Task: T-1\nMaestro-Run: r1\n"),
        ("Fix it\n\nSigned-off-by: A\n", "Fix it\n\nSigned-off-by: A\nMaestro-Task: T-1\nMaestro-Run: r1\n"),
        ("", "Work on T-1\n\nMaestro-Task: T-1\nMaestro-Run: r1\n"),
    ],
)
def test_a_replayed_commit_keeps_its_words(original: str, expected: str) -> None:
    assert replayed_message(original, work()) == expected
