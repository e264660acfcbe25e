"""Status words of the formats that spell them out, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable

from maestro.model.task import Progress

MEANINGS: dict[str, Progress] = {
    **dict.fromkeys(("", "pending", "todo", "to_do", "open", "ready", "not_started"), Progress.OPEN),
    **dict.fromkeys(("in_progress", "started", "doing"), Progress.IN_PROGRESS),
    # work that waits for a person's review must neither run again nor satisfy a dependency
    **dict.fromkeys(("blocked", "review", "in_review"), Progress.BLOCKED),
    "deferred": Progress.DEFERRED,
    **dict.fromkeys(("done", "completed", "closed"), Progress.DONE),
    **dict.fromkeys(("cancelled", "canceled"), Progress.CANCELLED),
}

WORDS: dict[Progress, str] = {
    Progress.OPEN: "pending",
    Progress.IN_PROGRESS: "in_progress",
    Progress.BLOCKED: "blocked",
    Progress.DEFERRED: "deferred",
    Progress.DONE: "done",
    Progress.CANCELLED: "cancelled",
}


def meaning(word: str) -> Progress:
    """What a status word means; case, blanks and hyphens do not matter. An unknown word is UNKNOWN, never done."""
    return MEANINGS.get(word.strip().lower().replace("-", "_").replace(" ", "_"), Progress.UNKNOWN)


def word_for(progress: Progress, used: Iterable[str]) -> str:
    """The word to write: one the file itself uses for this (it may say `completed`), else the usual one."""
    plain = WORDS.get(progress, progress.value)
    for word in used:
        if word and meaning(word) is progress and word.strip().lower() not in ("review", "in_review", "in review"):
            return word
    return plain
