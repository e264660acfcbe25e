"""Which key is next, and when."""

from __future__ import annotations

from maestro.resources.keypool import KeyPool


def keys_of(pool: KeyPool, count: int, now: float = 0.0) -> list[int | None]:
    found = []
    for _ in range(count):
        taken = pool.take(now)
        if taken is not None:
            pool.answered(*taken, now)
        found.append(None if taken is None else taken[0])
    return found


def test_the_least_used_key_comes_first() -> None:
    assert keys_of(KeyPool([3, 3, 3]), 10) == [0, 1, 2, 0, 1, 2, 0, 1, 2, None]


def test_a_key_with_a_higher_rate_gets_more() -> None:
    found = keys_of(KeyPool([2, 4]), 7)
    assert (found.count(0), found.count(1), found.count(None)) == (2, 4, 1)


def test_keys_without_a_rate_take_turns_for_ever() -> None:
    assert keys_of(KeyPool([None, None]), 5) == [0, 1, 0, 1, 0]


def test_a_resting_key_is_left_alone_until_its_time() -> None:
    pool = KeyPool([5, 5])
    pool.rest(0, 30.0)
    pool.rest(0, 10.0)  # never shorter
    assert pool.is_resting(0, 29.9)
    assert keys_of(pool, 3, 1.0) == [1, 1, 1]
    assert pool.next_free_at(1.0) == 1.0
    pool.rest(1, 40.0)
    assert pool.take(1.0) is None
    assert pool.next_free_at(1.0) == 30.0
    assert keys_of(pool, 1, 30.0) == [0]


def test_a_place_is_free_a_window_after_the_answer_began() -> None:
    pool = KeyPool([1])
    taken = pool.take(0.0)
    assert taken is not None
    assert 65.0 <= pool.next_free_at(0.0) < 65.1  # on its way for 5 s at most
    pool.answered(*taken, 2.0)
    assert 62.0 <= pool.next_free_at(2.0) < 62.1
    assert pool.take(61.9) is None
    assert pool.take(62.1) is not None


def test_an_answer_that_is_long_in_coming_does_not_keep_its_place_longer() -> None:
    pool = KeyPool([1])
    taken = pool.take(0.0)
    assert taken is not None
    pool.answered(*taken, 64.0)
    assert pool.take(65.1) is not None


def test_what_was_never_sent_costs_nothing() -> None:
    pool = KeyPool([1])
    taken = pool.take(0.0)
    assert taken is not None
    pool.never_sent(*taken)
    assert pool.take(0.0) is not None


def test_a_pool_of_which_nobody_knows_what_it_sent() -> None:
    pool = KeyPool([2, 1])
    pool.assume_used_up(10.0)
    assert pool.take(69.9) is None
    assert 70.0 <= pool.next_free_at(10.0) < 70.1
    assert keys_of(pool, 4, 70.1) == [0, 1, 0, None]
    free = KeyPool([None])
    free.assume_used_up(10.0)
    assert free.take(10.0) is not None


def test_a_window_of_another_length() -> None:
    pool = KeyPool([1], window_seconds=2.0)
    assert keys_of(pool, 1) == [0]
    assert 2.0 <= pool.next_free_at(0.0) < 2.01


def test_the_wait_behind_others_is_foretold() -> None:
    pool = KeyPool([2, 2])
    assert pool.free_at(3, 0.0) == 0.0
    assert 60.0 <= pool.free_at(4, 0.0) < 60.1
    assert 120.0 <= pool.free_at(8, 0.0) < 120.2
    assert pool.totals() == [0, 0]


def test_a_request_is_on_its_way_from_when_it_leaves_not_from_when_it_was_to_leave() -> None:
    """A connection may be long in coming, and a large request long in going."""
    pool = KeyPool([1])
    taken = pool.take(0.0)
    assert taken is not None
    pool.sent(*taken, 29.0)
    pool.sent(*taken, 31.0)  # the rest of it
    assert pool.take(95.9) is None
    assert 96.0 <= pool.next_free_at(40.0) < 96.1
    pool.answered(*taken, 32.0)
    pool.sent(*taken, 33.0)  # whoever answers early is sent the rest all the same
    assert pool.take(92.1) is not None
