"""The APIs that the model server speaks; the path of a request decides which."""

from __future__ import annotations

from maestro.testing.wires.anthropic import Anthropic
from maestro.testing.wires.base import Wire
from maestro.testing.wires.chat import Chat
from maestro.testing.wires.generate import Generate
from maestro.testing.wires.responses import Responses

WIRES: tuple[Wire, ...] = (Anthropic(), Responses(), Generate(), Chat())


def wire_of(path: str) -> Wire | None:
    """The wire that serves this path (without its query)."""
    return next((wire for wire in WIRES if wire.serves(path)), None)
