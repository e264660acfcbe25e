"""Stop: keep the session that holds a delegate run going while there is something for it to do, within bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maestro.cli.hooks.place import Place, find_place
from maestro.cli.hooks.staying import Held, InHand, keep
from maestro.store.atomic import write_atomically
from maestro.store.offers import Offers, has_reported


def answer(payload: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any] | None:
    """What the session has to do first, or None."""
    place = find_place(payload, environ)
    if place is None or payload.get("agent_id"):
        return None
    for run_id in place.runs:
        offers = Offers(place.layout.delegate(run_id))
        session = offers.session() or {}
        if session.get("session_id") not in (None, payload.get("session_id")) or not session:
            continue
        if session.get("session_id") is None and not _is_ancestor(session.get("pid")):
            continue
        if (reason := _keep(place, run_id, offers, bool(payload.get("background_tasks")))) is not None:
            return {"decision": "block", "reason": reason}
    return None


def _keep(place: Place, run_id: str, offers: Offers, works_on: bool) -> str | None:
    ready, running = offers.ready(), offers.running()
    reported = [offer.task for offer in running if has_reported(offer)]
    in_hand = InHand(
        run_id=run_id,
        ready=[offer.task for offer in ready],
        running=[offer.task for offer in running if offer.task not in reported],
        landing=reported,
        works_on=works_on,
    )
    moved = (_size(place.layout.journal(run_id)), len(in_hand.ready), len(in_hand.running), len(reported))
    remembered = offers.folder / "stops.json"
    try:
        held = Held(*json.loads(remembered.read_bytes()))
    except (OSError, ValueError, TypeError):
        held = Held()
    reason, now = keep(in_hand, held, "/".join(map(str, moved)))
    write_atomically(remembered, json.dumps(now).encode())
    return reason


def _is_ancestor(pid: Any) -> bool:
    """Whether this process descends from that one."""
    import psutil

    return any(parent.pid == pid for parent in psutil.Process().parents())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
