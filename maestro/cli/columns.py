"""Plain columns for text output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from maestro.telemetry.oneline import one_line

WIDEST = 40
"""A cell longer than this is shown whole, but the rows of the others are not stretched for it."""


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell; control characters are left out."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
