"""A subagent ends (SubagentStop, StopFailure, and the Agent tool's own end): report for one that forgot to.

A subagent that breaks off on an error of the API has no SubagentStop, only a StopFailure (2.1.197), which may come
later than the end of the tool that launched it; one that was interrupted has neither. A stop in good order is always
heard of before the end of the tool, so whoever has not reported by then broke off.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from maestro.cli.hooks.ending import NUDGES, Ended, decide
from maestro.cli.hooks.marks import mark_in, mark_of_subagent
from maestro.cli.hooks.place import Place, find_place
from maestro.errors import BadInput, MaestroError
from maestro.model.offer import Offer, read_task_line
from maestro.store.offers import Offers, deliver, has_reported
from maestro.vcs.git import open_repository

Payload = Mapping[str, Any]


def answer(payload: Payload, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Report for a subagent that ends without having done so; send it back once where it has done nothing."""
    place = find_place(payload, environ)
    mark = _mark_of_ended(payload) if place else None
    found = _offer_of(place, mark) if place and mark else None
    if place is None or found is None:
        return None
    offers, offer = found
    decision = decide(_ended(payload, offers, offer), lambda: has_work(offer.workspace, environ), _command_of(offer))
    if isinstance(decision, str):
        return {"decision": "block", "reason": decision}
    if decision is not None:
        with suppress(BadInput):  # it has just been reported, or is over
            deliver(offer, decision)
    return None


def _mark_of_ended(payload: Payload) -> str | None:
    if payload.get("hook_event_name") not in ("PostToolUse", "PostToolUseFailure"):
        return mark_of_subagent(payload)
    given, answered = payload.get("tool_input"), payload.get("tool_response")
    launched = isinstance(answered, Mapping) and answered.get("status") not in (None, "completed")
    if launched or not isinstance(given, Mapping):
        return None  # it goes on in the background
    return mark_in(str(given.get("prompt") or ""))


def _offer_of(place: Place, mark: str) -> tuple[Offers, Offer] | None:
    marked = read_task_line(mark)
    if marked is None or marked.run_id not in place.runs:
        return None
    offers = Offers(place.layout.delegate(marked.run_id))
    offer = offers.offer(marked.task, marked.attempt)
    return (offers, offer) if offer is not None else None


def _ended(payload: Payload, offers: Offers, offer: Offer) -> Ended:
    event = payload.get("hook_event_name")
    said = str(payload.get("last_assistant_message") or _text_of(payload.get("tool_response")))
    error = "" if event == "SubagentStop" else str(payload.get("error") or "an error")
    reported = has_reported(offer)
    stopping = event == "SubagentStop" and not payload.get("stop_hook_active") and not reported
    return Ended(
        said=said,
        error=(said or error) if error else "",
        has_reported=reported,
        is_over=offers.is_ended(offer),
        may_go_back=stopping and _count(offers.folder / "sent-back" / offer.key) <= NUDGES,
    )


def _command_of(offer: Offer) -> str:
    """The command that ends the prompt, as the prompt has it."""
    lines = [line.strip() for line in offer.prompt.splitlines() if " report --run-id " in line]
    return f"`{lines[0]}`" if lines else "`maestro report`"


def _text_of(answered: Any) -> str:
    if isinstance(answered, Mapping) and isinstance(answered.get("content"), list):
        return "\n".join(str(block.get("text", "")) for block in answered["content"] if isinstance(block, Mapping))
    return ""


def has_work(workspace: Path, environ: Mapping[str, str]) -> bool:
    """Whether a workspace holds changes, or commits that no other branch has. What git cannot say counts as none."""
    try:
        git = open_repository(workspace, environ)
        if git.text("status", "--porcelain", "--untracked-files=normal"):
            return True
        branch = git.text("branch", "--show-current")
        own = (f"--exclude={branch}",) if branch else ()
        return bool(git.text("rev-list", "--max-count=1", "HEAD", "--not", *own, "--branches", "--remotes", "--tags"))
    except (MaestroError, OSError):
        return False


def _count(path: Path) -> int:
    """One more in a file that counts; how many it makes."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(b".")
    return path.stat().st_size
