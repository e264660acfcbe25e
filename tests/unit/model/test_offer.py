from __future__ import annotations

import pytest

from maestro.model.offer import read_task_line, task_line


@pytest.mark.parametrize(
    "task", ["a", "a b", "x/y", "Größe 😀", "--flag", " both ends ", "1 2 3", "maestro-task: r a 1"]
)
def test_the_line_goes_there_and_back(task: str) -> None:
    assert read_task_line(f"{task_line('run-1', task, 12)}\n\nDo it.") == ("run-1", task, 12)


def test_line_breaks_of_an_id_do_not_break_the_line() -> None:
    assert read_task_line(task_line("r", "a\nb", 1)) == ("r", "a b", 1)


@pytest.mark.parametrize(
    "text", ["", "no mark", "maestro-task: ", "maestro-task: r", "maestro-task: r a x", "x maestro-task: r a 1"]
)
def test_other_text_names_no_task(text: str) -> None:
    assert read_task_line(text) is None


def test_the_first_marked_line_counts() -> None:
    assert read_task_line("hello\nmaestro-task: r a 1\nmaestro-task: r b 1") == ("r", "a", 1)
