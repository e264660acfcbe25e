"""What can happen while the loop waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from maestro.engine.attempt import Ended
from maestro.integration.verdicts import LandingVerdict


class AttemptOver(NamedTuple):
    """An attempt ended, one way or another."""

    ended: Ended


class ClaimRefused(NamedTuple):
    """The tracker does not give the task out."""

    task: str
    reason: str


class NotToBeHad(NamedTuple):
    """What the task needs cannot be had at all, so it cannot start."""

    task: str
    reason: str


class NotStarted(NamedTuple):
    """The tracker gave the task out when nothing was to start any more."""

    task: str


class StillOurs(NamedTuple):
    """The tracker has answered whether somebody closed or took the task of good work meanwhile."""

    ended: Ended
    taken: str | None  # a clause: who or what


class Delivered(NamedTuple):
    """The landing queue is done with a submission."""

    verdict: LandingVerdict


class Interrupted(NamedTuple):
    """The user's wish: level 1, finish what runs; level 2, stop it and save its work (E-7)."""

    level: int
    reason: str


class SessionOver(NamedTuple):
    """Those who did the work are gone: what they have not finished is stopped, what they have lands."""

    reason: str


class Broken(NamedTuple):
    """Something the run cannot do without has failed, e.g. the journal."""

    error: BaseException


@dataclass(frozen=True)
class Nudge:
    """Look again: a hold is over, a group is prepared, an attempt is under way."""


Message = (
    AttemptOver
    | StillOurs
    | ClaimRefused
    | NotToBeHad
    | NotStarted
    | Delivered
    | Interrupted
    | SessionOver
    | Broken
    | Nudge
)
