"""Provides an attempt with all that is configured, or with nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from maestro.proc.request import ProcessRequest
from maestro.resources.base import Need, Provided, Provision


def provide(provisions: Sequence[Provision], need: Need) -> Provided:
    """Take of each, in order; where one refuses, what was taken is given back. Blocks. MaestroError as from `take`."""
    env: dict[str, str] = {}
    wraps: list[Callable[[ProcessRequest], ProcessRequest]] = []
    for provision in provisions:
        try:
            provided = provision.take(need)
        except BaseException:
            give_back(provisions, need)
            raise
        env |= provided.env
        wraps.append(provided.wrap)
    return Provided(env, lambda request: _wrapped(request, wraps))


def give_back(provisions: Sequence[Provision], need: Need) -> None:
    """Give back what was taken, the last first."""
    for provision in reversed(provisions):
        provision.give_back(need)


def _wrapped(request: ProcessRequest, wraps: Sequence[Callable[[ProcessRequest], ProcessRequest]]) -> ProcessRequest:
    for wrap in wraps:
        request = wrap(request)
    return request
