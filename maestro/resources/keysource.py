"""Where an attempt's key comes from (A-6): a protocol, and the way without a gateway: a key for each attempt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from maestro.clock import Clock
from maestro.model.events import AttemptEnded, AttemptStarting, Event
from maestro.proc.family import members, variable_of
from maestro.resources.apikeys import ApiKey


class KeySource(Protocol):
    """Keys for the attempts of one run. Belongs to the run's event loop."""

    def environment(self, attempt_id: str) -> Mapping[str, str]:
        """Variables the attempt's agent gets; they win over all others. The same for the same attempt."""
        ...

    def base_url(self) -> str | None:
        """Where the agent finds its provider, for clients that take that from the command line; None: as ever."""
        ...

    def withheld(self) -> Collection[str]:
        """Names of variables that nothing the run starts may inherit."""
        ...

    def secrets(self) -> Collection[str]:
        """Values that may stand in no text."""
        ...

    def ended(self, attempt_id: str, limited_until: datetime | None) -> None:
        """The attempt is over; `limited_until`: it met a limit, which ends then."""
        ...

    def rests_until(self) -> datetime | None:
        """When the first key can be used again; None while there is one."""
        ...

    def restore(self, events: Iterable[Event]) -> None:
        """What an earlier coordinator of this run has written down, before `start`."""
        ...

    async def start(self) -> None:
        """Be ready to give out keys. MaestroError where that cannot be."""
        ...

    async def close(self) -> None:
        """The run is over."""
        ...


class KeyForEach(KeySource):
    """Each attempt gets a key of its own choice: the one that fewest attempts have now, then the least used so far."""

    def __init__(
        self,
        keys: Sequence[ApiKey],
        *,
        variables: Sequence[str],
        withheld: Collection[str],
        clock: Clock,
        place: tuple[str, str] | None = None,
    ) -> None:
        """`place`: the variable for the provider's address and the address; None: as the agent has it."""
        self._keys = keys
        self._place = place
        self._variables = tuple(variables)
        self._withheld = frozenset(withheld)
        self._clock = clock
        self._given: dict[str, int] = {}  # attempt → key, while it runs
        self._totals = [0] * len(keys)
        self._rests: dict[int, datetime] = {}

    def environment(self, attempt_id: str) -> Mapping[str, str]:
        """Where all keys rest, the one whose rest ends first."""
        if attempt_id not in self._given:
            self._given[attempt_id] = number = self._choose()
            self._totals[number] += 1
        value = self._keys[self._given[attempt_id]].value
        return {**dict.fromkeys(self._variables, value), **(dict([self._place]) if self._place else {})}

    def _choose(self) -> int:
        now = self._clock.now()
        held = list(self._given.values())

        def standing(number: int) -> tuple[float, int, int, int]:
            rest = (self._rests.get(number, now) - now).total_seconds()
            return max(rest, 0.0), held.count(number), self._totals[number], number

        return min(range(len(self._keys)), key=standing)

    def base_url(self) -> str | None:
        """The place that is configured for the pool."""
        return self._place[1] if self._place else None

    def withheld(self) -> Collection[str]:
        """The variables of all keys, and of logins that would win over them."""
        return self._withheld

    def secrets(self) -> Collection[str]:
        """The keys."""
        return [key.value for key in self._keys]

    def ended(self, attempt_id: str, limited_until: datetime | None) -> None:
        """A key whose attempt met a limit rests; the others go on."""
        number = self._given.pop(attempt_id, None)
        if number is not None and limited_until is not None:
            self._rests[number] = max(self._rests.get(number, limited_until), limited_until)

    def rests_until(self) -> datetime | None:
        """None while there is a key that does not rest."""
        now = self._clock.now()
        ends = [self._rests.get(number, now) for number in range(len(self._keys))]
        return None if min(ends) <= now else min(ends)

    def restore(self, events: Iterable[Event]) -> None:
        """Which key the attempts have that go on: on no disk, but in the environment of their processes."""
        going_on: set[str] = set()
        for event in events:
            match event:
                case AttemptStarting():
                    going_on.add(event.attempt_id)
                case AttemptEnded():
                    going_on.discard(event.attempt_id)
        numbers = {key.value: number for number, key in enumerate(self._keys)}
        for attempt_id in going_on:
            for process in members(attempt_id):
                value = variable_of(process.pid, self._variables[0])
                if value in numbers:
                    self._given[attempt_id] = numbers[value]

    async def start(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""


class SeveralSources(KeySource):
    """Pools of several providers, for an agent that may use any of them."""

    def __init__(self, sources: Sequence[KeySource]) -> None:
        self._sources = sources

    def environment(self, attempt_id: str) -> Mapping[str, str]:
        """What each of them gives."""
        return {name: value for source in self._sources for name, value in source.environment(attempt_id).items()}

    def base_url(self) -> str | None:
        """Not one, but several: only variables can say so."""
        return None

    def withheld(self) -> Collection[str]:
        """Those of all."""
        return {name for source in self._sources for name in source.withheld()}

    def secrets(self) -> Collection[str]:
        """Those of all."""
        return [value for source in self._sources for value in source.secrets()]

    def ended(self, attempt_id: str, limited_until: datetime | None) -> None:
        """Nobody knows whose limit it was, so the key of each rests."""
        for source in self._sources:
            source.ended(attempt_id, limited_until)

    def rests_until(self) -> datetime | None:
        """As long as one of them has no key: an agent may need any."""
        ends = [end for source in self._sources if (end := source.rests_until()) is not None]
        return max(ends, default=None)

    def restore(self, events: Iterable[Event]) -> None:
        """Tell each."""
        known = list(events)
        for source in self._sources:
            source.restore(known)

    async def start(self) -> None:
        """Start each."""
        for source in self._sources:
            await source.start()

    async def close(self) -> None:
        """Close each."""
        for source in self._sources:
            await source.close()
