"""What can happen while the loop waits."""

from __future__ import annotations

from dataclasses import dataclass

from maestro.engine.attempt import Ended
from maestro.integration.verdicts import LandingVerdict


@dataclass(frozen=True)
class AttemptOver:
    """An attempt ended, one way or another."""

    ended: Ended


@dataclass(frozen=True)
class ClaimRefused:
    """The tracker does not give the task out."""

    task: str
    reason: str


@dataclass(frozen=True)
class NotToBeHad:
    """What the task needs cannot be had at all, so it cannot start."""

    task: str
    reason: str


@dataclass(frozen=True)
class NotStarted:
    """The tracker gave the task out when nothing was to start any more."""

    task: str


@dataclass(frozen=True)
class StillOurs:
    """The tracker has answered whether somebody closed or took the task of good work meanwhile."""

    ended: Ended
    taken: str | None  # a clause: who or what


@dataclass(frozen=True)
class Delivered:
    """The landing queue is done with a submission."""

    verdict: LandingVerdict


@dataclass(frozen=True)
class Interrupted:
    """The user's wish: level 1, finish what runs; level 2, stop it and save its work (E-7)."""

    level: int
    reason: str


@dataclass(frozen=True)
class SessionOver:
    """Those who did the work are gone: what they have not finished is stopped, what they have lands."""

    reason: str


@dataclass(frozen=True)
class Broken:
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
