"""Whether a session may end its turn while tasks run that it has in hand. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LIMIT = 3
"""A session is kept so often without anything having moved in between, then it is let go: never an endless loop."""

LIMIT_AT_WORK = 20
"""The same while subagents work in the background. Their ends would wake the session, but in a new turn, in which the
permissions of `/flow:implement` are gone (2.1.197); each time it is kept, it waits a minute for them."""


class Held(NamedTuple):
    """How often the session was kept since something moved; `mark` changes with everything that moves."""

    mark: str = ""
    times: int = 0


class InHand(NamedTuple):
    """What the run waits for."""

    run_id: str
    ready: Sequence[str]  # offered, given to nobody
    running: Sequence[str]  # given out, not reported
    landing: Sequence[str]  # reported, not over
    works_on: bool  # something of the session runs in the background


def keep(in_hand: InHand, held: Held, mark: str) -> tuple[str | None, Held]:
    """What to tell the session so that it goes on (None: let it end), and what to remember."""
    times = held.times if held.mark == mark else 0
    if times >= (LIMIT_AT_WORK if in_hand.works_on else LIMIT):
        return None, Held(mark, times)
    return _words(in_hand), Held(mark, times + 1)


def _words(in_hand: InHand) -> str:
    run = in_hand.run_id
    told = [f"maestro's run {run} has not ended."]
    if in_hand.ready:
        told.append(f"Ready to be launched: {_list(in_hand.ready)}.")
    if in_hand.running:
        told.append(
            f"Not reported yet: {_list(in_hand.running)}. Where such a subagent has come back, report for it: "
            f'`maestro report --run-id {run} --task TASK --status failed --summary "what it said"`.'
        )
    if in_hand.landing:
        told.append(f"Being checked and landed: {_list(in_hand.landing)}.")
    told.append(
        f"Run `maestro delegate next --run-id {run} --wait 60 --json`, launch all of its `launch` in one message, and "
        f"when nothing is left `maestro wait --run-id {run}`; then say what landed and what did not."
    )
    return " ".join(told)


def _list(tasks: Sequence[str], most: int = 5) -> str:
    named = ", ".join(tasks[:most])
    return f"{named} and {len(tasks) - most} more" if len(tasks) > most else named
