"""Text from outside, made fit for one line of a terminal."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Without line breaks and control characters: what an agent says must not move anybody's cursor."""
    if not text.isprintable():
        text = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(text.split())
