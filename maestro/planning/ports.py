"""Which ports a task gets (I-1): a block of one port per service, found from the task's id.

Every service has a range of 1,000 ports. A block takes the port with the same place in each of them, and the id says
which place: its last four digits, else a hash. Ids collide, so this is only the first choice (I-2).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from maestro.errors import BadInput

BLOCKS = 1000
"""So many blocks there are, and so many ports in the range of a service."""

SERVICES: Mapping[str, int] = {
    "POSTGRES_PORT": 10000,
    "REDIS_PORT": 16000,
    "BACKEND_PORT": 18000,
    "FRONTEND_PORT": 15000,
}
"""Variable → first port of the range of its service."""

LOWEST, HIGHEST = 1024, 65535
"""Ports below are for root alone."""

_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_OURS = ("DATABASE_URL", "POSTGRES_DB", "COMPOSE_PROJECT_NAME", "ZENFLOW_TASK_ID", "PATH", "HOME")
_HINT = "give each service a variable and the first port of a range of 1,000 of its own, such as SEARCH_PORT = 20000"


def suffix_of(task_id: str) -> int:
    """The last four digits of the id; without digits a hash, the same on every machine: the first 8 hex digits of its
    SHA-256, modulo 10,000."""
    digits = re.sub(r"[^0-9]", "", task_id)
    if digits:
        return int(digits[-4:])
    return int(hashlib.sha256(task_id.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) % 10000


def base_of(task_id: str) -> int:
    """The formula's base, from 1,000 to 9,999."""
    return suffix_of(task_id) % 9000 + 1000


def block_of(task_id: str) -> int:
    """The block that the formula gives this id, from 0 to 999."""
    return base_of(task_id) % BLOCKS


def candidates(task_id: str) -> Iterator[int]:
    """Every block once, the formula's first, then the ones after it."""
    first = block_of(task_id)
    return ((first + step) % BLOCKS for step in range(BLOCKS))


def ports_of(services: Mapping[str, int], block: int) -> dict[str, int]:
    """The ports of a block, by the variables of the services."""
    return {name: start + block for name, start in services.items()}


def services_of(configured: Mapping[str, int]) -> dict[str, int]:
    """The four services of the formula with what the configuration adds to them or moves elsewhere.

    BadInput, in one sentence, for a name that can be no variable or is another's, a range outside of the ports that
    a user may bind, and two ranges that share a port.
    """
    services = {**SERVICES, **configured}
    for name, start in services.items():
        if not _NAME.fullmatch(name) or name in _OURS or name.startswith("MAESTRO_"):
            raise BadInput(f"ports: {name!r} cannot be the variable of a port", hint=_HINT)
        if not LOWEST <= start <= HIGHEST - BLOCKS + 1:
            raise BadInput(
                f"ports: {name} starts at {start}, and its {BLOCKS:,} ports must lie between {LOWEST} and {HIGHEST}",
                hint=_HINT,
            )
    by_start = sorted(services.items(), key=lambda service: service[1])
    for (one, start), (other, next_start) in pairwise(by_start):
        if next_start - start < BLOCKS:
            raise BadInput(
                f"ports: {one} ({start} to {start + BLOCKS - 1}) and {other} "
                f"({next_start} to {next_start + BLOCKS - 1}) share ports",
                hint=_HINT,
            )
    return services
