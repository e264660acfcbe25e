"""What the output of a running agent says of its requests is told at each change, and nothing else is touched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from maestro.agents.base import Claim, Heard
from maestro.agents.claude_events import ClaudeReader
from maestro.engine.listening import Listening

SAMPLE = Path(__file__).parents[1] / "agents" / "samples" / "claude" / "429-got-over.json"


def test_a_limit_that_is_got_over() -> None:
    sample = json.loads(SAMPLE.read_text())
    told: list[Heard] = []
    reader = Listening(ClaudeReader(lambda: datetime(2026, 1, 1, tzinfo=UTC)), told.append)
    notes = [note for line in sample["stdout"] for note in reader.feed(line.encode() + b"\n")]
    assert told == [Heard.ANSWER, Heard.LIMIT, Heard.ANSWER]
    assert reader.heard is Heard.ANSWER
    assert reader.ended
    assert len(notes) == 2
    assert reader.verdict(0, "").claim is Claim.DONE
