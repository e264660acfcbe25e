"""Whether a port is free: by binding it, which is the only question the kernel answers as it will the task's server.

No SO_REUSEADDR: with it the kernel would let us in beside a socket that is bound and does not listen yet. Without it,
it also refuses a port on which connections of a server that has just ended are still remembered (TIME_WAIT), and that
is right: a task's own server may not ask for reuse either.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

_ADDRESSES = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))
"""They meet every listener of their family, whichever address it has: 127.0.0.1 and ::1 too."""

_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})
_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES})


def are_free(ports: Iterable[int]) -> bool:
    """Whether all of them could be bound just now, by IPv4 and, where the machine has it, IPv6."""
    return all(_is_free(family, address, port) for port in ports for family, address in _ADDRESSES)


def _is_free(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as one:
            if family == socket.AF_INET6:  # or it would be refused because of an IPv4 socket, of which we have asked
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, port))
    except OSError as error:
        if error.errno in _NO_SUCH_FAMILY:
            return True
        if error.errno in _TAKEN:
            return False
        raise
    return True
