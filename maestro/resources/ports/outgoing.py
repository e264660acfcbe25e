"""Ports that the kernel gives to outgoing connections: no place for servers, since any program may have one at any
time."""

from __future__ import annotations

from collections.abc import Mapping

from maestro.planning.ports import BLOCKS
from maestro.proc.family import read_proc

_PROC = "/proc/sys/net/ipv4/ip_local_port_range"


def outgoing_ports() -> range:
    """The range of them; empty where the machine does not say."""
    ends = read_proc(_PROC).split()
    return range(int(ends[0]), int(ends[1]) + 1) if len(ends) == 2 else range(0)


def in_the_way(services: Mapping[str, int], outgoing: range) -> list[str]:
    """Services some of whose ports may be taken by outgoing connections."""
    return [
        name
        for name, start in services.items()
        if outgoing and start < outgoing.stop and outgoing.start < start + BLOCKS
    ]
