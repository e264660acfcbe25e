"""Whether a port is free, as the kernel says."""

from __future__ import annotations

import socket

import pytest

from maestro.resources.ports.probe import are_free


def bound(family: socket.AddressFamily, address: str, *, listening: bool, reuse: bool = False) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    if reuse:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        one.bind((address, 0))
    except OSError:
        one.close()
        pytest.skip(f"the machine has no {address}")
    if listening:
        one.listen()
    return one


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "127.0.0.2"),
        (socket.AF_INET6, "::"),
        (socket.AF_INET6, "::1"),
    ],
)
def test_who_is_on_a_port_is_noticed(family: socket.AddressFamily, address: str, listening: bool, reuse: bool) -> None:
    with bound(family, address, listening=listening, reuse=reuse) as one:
        assert not are_free([one.getsockname()[1]])


def test_one_that_is_taken_is_enough() -> None:
    with bound(socket.AF_INET, "127.0.0.1", listening=True) as one:
        taken = one.getsockname()[1]
        free = next(port for port in range(20000, 60000) if port != taken and are_free([port]))
        assert not are_free([free, taken])


def test_a_port_is_free_again_when_its_server_has_ended() -> None:
    def freed() -> bool:
        with bound(socket.AF_INET, "127.0.0.1", listening=True) as one:
            port = one.getsockname()[1]
        return are_free([port])

    assert any(freed() for _ in range(20))  # others on the machine may be quick


def test_a_port_whose_connections_are_still_remembered_is_not_free() -> None:
    with bound(socket.AF_INET, "127.0.0.1", listening=True, reuse=True) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = server.accept()
            accepted.close()  # who closes first keeps the memory
            assert client.recv(1) == b""
    assert not are_free([address[1]])
