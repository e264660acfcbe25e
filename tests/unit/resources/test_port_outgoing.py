"""Ports of outgoing connections are no place for services."""

from __future__ import annotations

import socket

import pytest

from maestro.planning.ports import SERVICES
from maestro.resources.ports.outgoing import in_the_way, outgoing_ports


def test_the_kernel_takes_its_own_ports_from_the_range() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        assert one.getsockname()[1] in outgoing_ports()


@pytest.mark.parametrize(
    ("start", "is_named"), [(31767, False), (31768, False), (31769, True), (40000, True), (60999, True), (61000, False)]
)
def test_a_range_that_meets_it_is_named(start: int, is_named: bool) -> None:
    services = {**SERVICES, "SEARCH_PORT": start}
    assert in_the_way(services, range(32768, 61000)) == (["SEARCH_PORT"] if is_named else [])


def test_nothing_is_in_the_way_of_nothing() -> None:
    assert in_the_way(SERVICES, range(0)) == []
