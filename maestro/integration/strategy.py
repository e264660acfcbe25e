"""The ways in which work can land (M-1)."""

from __future__ import annotations

from enum import StrEnum


class Strategy(StrEnum):
    """How work becomes commits of the integration branch (M-1)."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"
