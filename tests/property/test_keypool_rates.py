"""However requests come and the network delays them: no window of a provider's holds more than a key's rate (A-6)."""

from __future__ import annotations

import heapq
from bisect import bisect_right

from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.resources.keypool import KeyPool

WINDOW = 60.0


@st.composite
def traffic(draw: st.DrawFn) -> tuple[list[int], list[tuple[float, ...]]]:
    """Rates of the keys, and requests: the pause before each, what its connection takes, its way to the provider, and
    the way back."""
    rates = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    connecting = st.one_of(st.just(0.0), st.floats(0, 30))
    way = st.one_of(st.just(0.0), st.floats(0, 2), st.floats(0, 4.9))
    back = st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 200))
    pauses = st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 90))
    return rates, draw(st.lists(st.tuples(pauses, connecting, way, back), min_size=1, max_size=60))


@given(traffic())
@settings(max_examples=300, deadline=None)
def test_no_window_of_the_provider_holds_more_than_the_rate(
    given_traffic: tuple[list[int], list[tuple[float, ...]]],
) -> None:
    rates, requests = given_traffic
    pool = KeyPool(rates)
    counted: list[list[float]] = [[] for _ in rates]
    coming: list[tuple[float, bool, int, int]] = []  # requests that leave, and answers that begin
    now = 0.0
    for pause, connecting, way, back in requests:
        now += pause
        while True:
            while coming and coming[0][0] <= now:
                at, is_answer, key, ticket = heapq.heappop(coming)
                (pool.answered if is_answer else pool.sent)(key, ticket, at)
            if (taken := pool.take(now)) is not None:
                break
            moments = [pool.next_free_at(now), *(one[0] for one in coming[:1])]  # either may move the moment
            assert min(moments) > now, "a pool that has no key names a moment to come"
            now = min(moments)
        key, ticket = taken
        counted[key].append(now + connecting + way)
        heapq.heappush(coming, (now + connecting, False, key, ticket))
        heapq.heappush(coming, (now + connecting + way + back, True, key, ticket))
    for rate, moments in zip(rates, counted, strict=True):
        moments.sort()
        for index, moment in enumerate(moments):
            assert bisect_right(moments, moment + WINDOW) - index <= rate


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 5))
def test_an_untroubled_network_costs_no_time(rate: int, count: int, keys: int) -> None:
    """The last of `count` requests goes when the windows before it are over, and not later than the margin."""
    pool = KeyPool([rate] * keys)
    now = 0.0
    for _ in range(count):
        while (taken := pool.take(now)) is None:
            now = pool.next_free_at(now)
        pool.answered(*taken, now)
    windows = (count - 1) // (rate * keys)
    assert windows * WINDOW <= now <= windows * WINDOW * 1.01


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 12), st.integers(0, 30))
def test_what_comes_after_others_is_foretold(rates: list[int], before: int, ahead: int) -> None:
    pool, now = KeyPool(rates), 0.0
    for _ in range(min(before, sum(rates))):
        taken = pool.take(now)
        assert taken is not None
        pool.answered(*taken, now)
    now = 1.0
    foretold = pool.free_at(ahead, now)
    for _ in range(ahead + 1):
        while (taken := pool.take(now)) is None:
            now = pool.next_free_at(now)
        pool.answered(*taken, now)
    assert abs(now - foretold) < 1.0
