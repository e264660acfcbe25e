"""Which task a subagent works on: the marked line of its prompt, read where Claude Code keeps it.

A hook inside a subagent is told the transcript of the session and the id of the subagent; the subagent's own
transcript lies beside it, with the prompt as its first record. It is written shortly after the first tool call has
begun (2.1.197), so the first hook of a subagent has to wait for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MARK = "maestro-task: "
"""The same as in maestro.model.offer, which would cost each tool call of a subagent 60 ms more."""

PATIENCE_SECONDS = 1.0
_LOOK_SECONDS = 0.01


def mark_in(text: str) -> str | None:
    """The first marked line of a prompt."""
    return next((line for line in text.splitlines() if line.startswith(MARK)), None)


def mark_of_subagent(payload: Mapping[str, Any], patience_seconds: float = PATIENCE_SECONDS) -> str | None:
    """The marked line of the subagent in which a hook runs; None outside of one, or where its prompt has none."""
    transcript = transcript_of(payload)
    if transcript is None:
        return None
    deadline = time.monotonic() + patience_seconds
    while (first := _first_line(transcript)) is None and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return mark_in(_prompt_of(first)) if first else None


def transcript_of(payload: Mapping[str, Any]) -> Path | None:
    """Where the subagent's transcript is, or will be."""
    agent = payload.get("agent_id")
    if not agent:
        return None
    if named := payload.get("agent_transcript_path"):
        return Path(str(named))
    session = str(payload.get("transcript_path") or "")
    if not session.endswith(".jsonl"):
        return None
    return Path(session.removesuffix(".jsonl")) / "subagents" / f"agent-{agent}.jsonl"


def _first_line(transcript: Path) -> str | None:
    """None while it is not there in full."""
    try:
        with transcript.open(encoding="utf-8", errors="replace") as file:
            line = file.readline()
    except OSError:
        return None
    return line if line.endswith("\n") else None


def _prompt_of(line: str) -> str:
    try:
        content = json.loads(line)["message"]["content"]
    except (ValueError, KeyError, TypeError):
        return ""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))
