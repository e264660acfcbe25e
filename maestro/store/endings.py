"""Whether a run or a group has ended: one small file says so, and the kernel whether its writer still lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from maestro.store.layout import Layout
from maestro.store.standing import DIED, finished, group_metadata, is_alive, known_run, result_of_run, run_of_group

ENDED = frozenset({"completed", "failed", "blocked", "interrupted"})
"""Statuses after which nothing comes."""

LOOK_SECONDS = 0.02
"""Between two looks at the file, for a waiter that is to answer within 100 ms (E-5)."""

ALIVE_SECONDS = 0.5
"""How often the kernel is asked whether the coordinator lives, so that nobody waits for a dead run."""


class Looks:
    """Looks at one run or group, as often as it is called; what it gives is what `maestro wait --json` shows."""

    def __init__(self, layout: Layout, *, run_id: str | None = None, group_id: str | None = None) -> None:
        """Exactly one of the two. BadInput where there is no such run or group here."""
        self._next_question = 0.0
        self._stands: Callable[[bool], dict[str, Any]]
        if group_id is not None:
            named = group_id
            group_metadata(layout, named)
            self._name = {"group_id": named}
            self._stands = lambda ask: group_stands(layout, named, ask_kernel=ask)
        else:
            known = known_run(layout, run_id or "")
            self._name = {"run_id": known}
            self._stands = lambda ask: run_stands(layout, known, ask_kernel=ask)

    def look(self) -> dict[str, Any]:
        """How it stands; `timed_out` says that it has not ended."""
        now = time.monotonic()
        ask = now >= self._next_question
        if ask:
            self._next_question = now + ALIVE_SECONDS
        stands = self._stands(ask)
        return {**self._name, **stands, "timed_out": stands["status"] not in ENDED}


def run_stands(layout: Layout, run_id: str, *, ask_kernel: bool) -> dict[str, Any]:
    """Status and reason of a run; the journal is read only when its coordinator is gone without a result."""
    result = finished(layout, run_id)
    if result is None and ask_kernel and not is_alive(layout, run_id):
        result = result_of_run(layout, run_id)
        if result["reason"] == DIED:
            return {"status": "failed", "reason": DIED}
    if result is None:
        return {"status": "running", "reason": ""}
    return {"status": result["status"], "reason": result.get("reason", "")}


def group_stands(layout: Layout, group_id: str, *, ask_kernel: bool) -> dict[str, Any]:
    """Status and reason of a group; one that its run left unfinished has failed."""
    metadata = group_metadata(layout, group_id)
    run_id = run_of_group(metadata)
    if metadata.get("status") not in ENDED and ask_kernel and run_id and not is_alive(layout, run_id):
        metadata = group_metadata(layout, group_id)  # it may have ended between the two looks
        if metadata.get("status") not in ENDED:
            return {"status": "failed", "reason": f"run {run_id}: {DIED}"}
    return {"status": str(metadata.get("status")), "reason": "; ".join(map(str, metadata.get("errors", [])))}
