"""Which item of a stack turned it red: a binary search over prefixes, without any I/O (M-5)."""

from __future__ import annotations

from collections.abc import Generator


def first_red(count: int, green: int = 0) -> Generator[int, bool, int]:
    """Find an item that turns a green stack red.

    The prefix of length `green` is taken as green, the one of length `count` as red. Yields lengths of
    prefixes to test, is sent whether each is green, and returns the index of an item whose prefix without it
    is green and with it is red. Asks at most ceil(log2(count - green)) times. Where red and green alternate,
    the answer is still such an item.
    """
    if not 0 <= green < count:
        raise ValueError(f"no red item between prefixes of length {green} and {count}")
    low, high = green, count
    while high - low > 1:
        middle = (low + high) // 2
        if (yield middle):
            low = middle
        else:
            high = middle
    return high - 1
