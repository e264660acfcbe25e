"""Accounts on hold: when a provider says "not now", all attempts on that account wait (A-5)."""

from __future__ import annotations

from datetime import datetime


class Holds:
    """Until when each account rests."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}

    def hold(self, account: str, until: datetime) -> None:
        """Let an account rest; a longer rest already said stays."""
        self._until[account] = max(until, self._until.get(account, until))

    def is_held(self, account: str, now: datetime) -> bool:
        """Whether the account still rests."""
        return account in self._until and now < self._until[account]

    def next_end(self, now: datetime) -> float | None:
        """Seconds until the first hold ends; None where nothing is held."""
        waits = [(until - now).total_seconds() for until in self._until.values() if until > now]
        return min(waits, default=None)
