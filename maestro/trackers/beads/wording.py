"""What is written into beads. Pure.

beads takes a closing reason that holds "failed", "error", "blocked" and the like for a failure, wherever the letters
stand. So a reason has fixed words and a commit id; names, branches and what agents said go into the notes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from maestro.model.task import LandedBefore, Progress
from maestro.trackers.base import Note, Writing
from maestro.trackers.beads.issues import Issue

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_ONE = "Landed as {commit}"
_NO_CHANGE = "Done: nothing had to change"
_SEVERAL = "Landed, as the notes say"
EPIC_REASON = "All its issues are closed"
_OURS = re.compile(rf"Landed as [0-9a-f]{{7,64}}|{_NO_CHANGE}|{_SEVERAL}")
_ONE_COMMIT = re.compile(r"Landed as ([0-9a-f]{7,64})")
_OF_RUN = re.compile(r"maestro run (\S+):(.*)")
_ENDED = re.compile(r"- (\S+) (?:landed as ([0-9a-f]{7,64})(?: on ([^\s:]+))?|done, nothing had to change)")
_LONGEST = 4000
_LONGEST_OF_SEVERAL = 500
"""An agent's own words may be long, and stay in the notes for good."""


def closing_reason(writes: Sequence[Writing]) -> str:
    """The reason for closing some tasks by one call."""
    commits = {one.note.commit for one in writes}
    if len(commits) > 1:
        return _SEVERAL
    [commit] = commits
    if commit is None:
        return _NO_CHANGE
    return _ONE.format(commit=commit) if _COMMIT.fullmatch(commit) else _SEVERAL


def is_closed_by_us(issue: Issue) -> bool:
    """Whether a closed issue was closed by maestro."""
    return _OURS.fullmatch(issue.close_reason) is not None


def landed_in(issue: Issue) -> LandedBefore | None:
    """Which commit an issue was closed for by maestro, with its run and branch as far as the notes tell."""
    if not issue.is_closed or not is_closed_by_us(issue):
        return None
    known = _ONE_COMMIT.fullmatch(issue.close_reason)
    commit = known[1] if known else ""
    found = None
    run_id = ""
    for line in issue.notes.splitlines():
        text = line
        if (start := _OF_RUN.match(line)) is not None:
            run_id, text = start[1], f"- {issue.id} {start[2].strip()}"
        entry = _ENDED.match(text)
        if entry is not None and entry[1] == issue.id and commit in ("", entry[2]):  # the last word counts
            found = LandedBefore(commit=entry[2], run_id=run_id, branch=entry[3] or "") if entry[2] else None
    return found or (LandedBefore(commit=commit) if commit else None)


def note_for(writes: Sequence[Writing]) -> str:
    """The note for some writes of one run and one kind: what became of the work, and where it is."""
    if len(writes) == 1:
        return _clean(f"maestro run {writes[0].note.run_id}: {_said(writes[0], _LONGEST)}")
    lines = [f"{one.task} {_said(one, _LONGEST_OF_SEVERAL)}" for one in writes]
    return _clean("\n".join([f"maestro run {writes[0].note.run_id}:", *(f"- {line}" for line in lines)]))


def is_noted(issue: Issue, one: Writing) -> bool:
    """Whether the notes say so already: a landing by its run and commit, anything else by the same words."""
    note = one.note
    if one.progress is Progress.DONE and note.commit and note.commit in issue.notes and note.run_id in issue.notes:
        return True
    return note_for([one]) in issue.notes


def appended(notes: str, text: str) -> str:
    """Notes with a text behind what is there, as `--append-notes` does it."""
    return f"{notes}\n{text}" if notes else text


def _said(one: Writing, longest: int) -> str:
    note = one.note
    if one.progress is Progress.DONE:
        work = f"landed as {note.commit}" if note.commit else "done, nothing had to change"
        return work + (f" on {note.branch}" if note.branch else "") + _reason(note, longest)
    kept = [f"saved as {note.saved_ref}"] if note.saved_ref else []
    kept += [f"branch {note.branch}"] if note.branch else []
    where = f" (work: {', '.join(kept)})" if kept else ""
    state = _STATES.get(one.progress, "open again")
    return state + _reason(note, longest) + where


_STATES = {Progress.BLOCKED: "blocked", Progress.DEFERRED: "deferred", Progress.UNKNOWN: "not landed"}


def _reason(note: Note, longest: int) -> str:
    return f": {note.reason.strip()[:longest]}" if note.reason.strip() else ""


def _clean(text: str) -> str:
    """Without what no argument of a program can hold."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def why_not(issue: Issue | None, name: str) -> str:
    """A clause that says why an issue is not ours."""
    if issue is None:
        return f"beads has no task {name!r}"
    if issue.is_closed:
        reason = " ".join(issue.close_reason.split())[:200]
        return "it was closed meanwhile" + (f" ({reason})" if reason else "")
    if issue.assignee:
        return f"it is assigned to {issue.assignee}"
    if issue.status == "in_progress":
        return "it is in progress, and nobody is named"
    return f"beads says it is {issue.status}"
