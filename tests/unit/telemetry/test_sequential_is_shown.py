"""The turn to one at a time and a rollback, in the lines and the picture that people look at (E-9)."""

from __future__ import annotations

import io

from rich.console import Console

from maestro.model import events as e
from maestro.model.folding import fold
from maestro.model.result import result_object
from maestro.model.view import view_of
from maestro.telemetry.live import render
from maestro.telemetry.plain import line_of
from maestro.testing.story import STORY, at, started

WENT = e.WentSequential(at=at(21), reason="2 of 4 landings failed")


def test_the_lines() -> None:
    assert line_of(WENT) == "one task at a time from here on: 2 of 4 landings failed"
    back = e.RollingBack(
        at=at(30), checkpoint="group-X", branch="b", expected="1" * 40, commit="0" * 40, tasks=("a", "b")
    )
    assert line_of(back) == "rolled back to group-X: 2 landed tasks wait again"


def test_the_picture_fits_the_screen_with_it() -> None:
    names = tuple(f"t{number}" for number in range(50))
    run = fold([started(tasks=names, titles={}, dependencies={}, groups={}, levels=()), WENT,
                e.DispatchStopped(at=at(22), reason="a budget is spent")])  # fmt: skip
    console = Console(file=io.StringIO(), width=100, height=20, force_terminal=False)
    console.print(render(view_of(run, at(23)), 20, 100))
    said = console.file.getvalue().rstrip("\n").splitlines()  # type: ignore[attr-defined]
    assert "one task at a time: 2 of 4 landings failed" in "\n".join(said)
    assert len(said) <= 20


def test_the_result_has_it_only_where_it_happened() -> None:
    assert "sequential" not in result_object(fold(STORY), {})
    assert result_object(fold([*STORY[:-1], WENT, STORY[-1]]), {})["sequential"] == WENT.reason
