"""Keeps the folder of offers true (C-3): an attempt that is over is not given out any more."""

from __future__ import annotations

from collections.abc import Mapping

from maestro.model.events import AttemptEnded, Event
from maestro.model.offer import offer_key
from maestro.store.offers import Offers


class OffersObserver:
    """An Observer: says of each attempt that it is over."""

    def __init__(self, offers: Offers, names: Mapping[str, str]) -> None:
        """`names`: task → its safe name."""
        self._offers = offers
        self._names = names

    def notify(self, event: Event) -> None:
        """After the journal: whoever reads the folder finds at least as much there."""
        if isinstance(event, AttemptEnded):
            self._offers.end(offer_key(self._names[event.task], event.attempt))

    def close(self) -> None:
        """Nothing is held."""
