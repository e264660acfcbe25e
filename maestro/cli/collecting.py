"""Python's search for garbage, kept out of the way of a command's start.

A command imports some hundred modules, which make about a hundred thousand objects that stay. Looking through them
again and again while they come finds nothing and is a tenth of what the start costs.
"""

from __future__ import annotations

import gc

MANY = 200_000
"""Objects that come before one looks: more than all modules make."""

_USUAL = gc.get_threshold()


def spare() -> None:
    """Look rarely from now on: most commands have ended by then."""
    gc.set_threshold(MANY, *_USUAL[1:])


def as_usual() -> None:
    """Look as often as ever, for what works for hours, but no more at what is there by now: it stays."""
    if gc.get_threshold()[0] == MANY:
        gc.freeze()
        gc.set_threshold(*_USUAL)


def never_again() -> None:
    """Not when the process ends either: all that is there goes with it, and looking through it first takes a third of
    what importing it did."""
    gc.freeze()
