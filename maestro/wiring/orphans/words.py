"""The reasons in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from maestro.proc.roles import COORDINATOR, GATE, GATEWAY, REFRESH
from maestro.wiring.orphans.kinds import Cause
from maestro.wiring.orphans.scene import RunFacts, Standing

CAUSES = {
    Standing.UNFINISHED: Cause.COORDINATOR_DIED,
    Standing.ENDED: Cause.RUN_ENDED,
    Standing.GONE: Cause.RUN_GONE,
}

_ENDS = {
    Standing.UNFINISHED: "whose coordinator died",
    Standing.ENDED: "which has ended",
    Standing.GONE: "whose folder is gone",
}


def cause_of(run: RunFacts) -> Cause:
    """Why nothing of the run is needed any more."""
    return CAUSES[run.standing]


def the_run(run: RunFacts) -> str:
    """`run x, whose coordinator died`."""
    return f"run {run.run_id}, {_ENDS[run.standing]}"


def of_run(run: RunFacts) -> str:
    """`of run x, whose coordinator died`."""
    return f"of {the_run(run)}"


def role(rest: str, names: Mapping[str, str]) -> tuple[str, str | None]:
    """Who a marker names after token and run, in words, and the task where it is one's."""
    name, _, number = rest.partition("/")
    if name in names:
        return f"attempt {number} of task {names[name]}", names[name]
    if name == GATE:
        return ("the set-up of the tests" if number.startswith("setup") else f"run {number} of the tests"), None
    if name == COORDINATOR:
        return "the coordinator itself", None
    if name == GATEWAY:
        return "the gateway", None
    if name == REFRESH:
        return f"the refresh of group {number}", None
    if number.isdigit():
        return f"attempt {number} of task {name}", name
    return rest, None


def time_of(moment: datetime, now: datetime) -> str:
    """The time where the user is; the day too, where it is not today."""
    here, today = moment.astimezone(), now.astimezone()
    return f"{here:%H:%M}" if here.date() == today.date() else f"{here:%Y-%m-%d %H:%M}"


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / (1 << 20):.0f} MB" if count >= 1 << 20 else f"{max(1, count >> 10)} KB"
