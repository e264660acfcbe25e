"""What the real CLIs printed when a provider refused them: recorded by tests/real/limit_samples.py, read here.

Each had done one piece of work before; so what is read is the middle of a conversation that can be gone on with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Claim, Heard, Reader, Verdict
from maestro.agents.claude_events import ClaudeReader
from maestro.agents.codex_events import CodexReader
from maestro.agents.droid_events import DroidReader
from maestro.agents.gemini_events import GeminiReader
from maestro.agents.opencode_events import OpencodeReader

SAMPLES = Path(__file__).parent / "samples"
READERS: dict[str, Callable[[Callable[[], datetime]], Reader]] = {
    "claude": ClaudeReader,
    "codex": CodexReader,
    "droid": DroidReader,
    "gemini": GeminiReader,
    "opencode": OpencodeReader,
}
ALL = sorted(f"{path.parent.name}/{path.stem}" for path in SAMPLES.glob("*/*.json"))
LIMITS = {
    one for one in ALL if not one.endswith(("-got-over", "/unknown-session", "/session-in-use"))
}  # fmt: skip
NAMED = datetime(2030, 3, 17, 17, 46, 40, tzinfo=UTC)


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return found


def read(name: str) -> tuple[Verdict, list[Heard], dict[str, Any]]:
    """The verdict, and what was heard after each line."""
    recorded = sample(name)
    now = datetime.fromisoformat(recorded["at"])
    reader = READERS[recorded["agent"]](lambda: now)
    heard = []
    for line in recorded["stdout"]:
        reader.feed(line.encode() + b"\n")
        heard.append(reader.heard)
    return reader.verdict(recorded["exit_code"], recorded["stderr"]), heard, recorded


def test_there_are_samples_of_every_agent_that_was_tried() -> None:
    for agent in READERS:
        assert {f"{agent}/429", f"{agent}/unknown-session"} <= set(ALL)
    assert {f"{agent}/529" for agent in READERS} <= set(ALL)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_a_limit_is_recognised_and_its_conversation_known(name: str) -> None:
    verdict, _, _ = read(name)
    assert verdict.claim is Claim.LIMIT
    assert verdict.reason
    assert verdict.usage.session_id
    assert not verdict.no_session


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude/epoch", NAMED),
        ("codex/usage-limit", NAMED.replace(second=0)),
        ("claude/429", None),
        ("claude/429-retry-after", None),  # it does not say how long, though it knows
        ("codex/usage-limit-open", None),
        ("gemini/503", None),
        ("opencode/429", None),
        ("droid/429", None),
    ],
)
def test_the_end_of_a_limit_is_read_where_it_is_named(name: str, expected: datetime | None) -> None:
    assert read(name)[0].reset_at == expected


def test_a_time_of_day_in_a_zone_and_a_delay() -> None:
    verdict, _, recorded = read("claude/session-limit")
    at = datetime.fromisoformat(recorded["at"])
    assert verdict.reset_at is not None
    assert at < verdict.reset_at <= at + timedelta(days=1)
    assert verdict.reset_at.hour in (13, 14)  # 3pm in Berlin
    verdict, _, recorded = read("gemini/quota")
    assert verdict.reset_at == datetime.fromisoformat(recorded["at"]) + timedelta(seconds=30.5)


@pytest.mark.parametrize("name", [one for one in ALL if one.endswith(("/unknown-session", "/session-in-use"))])
def test_a_conversation_that_is_not_to_be_had(name: str) -> None:
    verdict, heard, _ = read(name)
    assert (verdict.claim, verdict.no_session, verdict.retryable) == (Claim.FAILED, True, True)
    assert Heard.ANSWER not in heard


@pytest.mark.parametrize("name", ["claude/429-got-over", "claude/529-got-over"])
def test_a_limit_is_heard_at_its_first_retry_and_gone_with_the_next_answer(name: str) -> None:
    verdict, heard, recorded = read(name)
    assert verdict.claim is Claim.DONE
    first = next(at for at, line in enumerate(recorded["stdout"]) if '"api_retry"' in line)
    assert heard[first - 1] is Heard.ANSWER
    assert heard[first] is Heard.LIMIT
    assert heard[-1] is Heard.ANSWER


@pytest.mark.parametrize("name", ["claude/429", "claude/529"])
def test_while_claude_tries_again_its_account_is_known_to_be_limited(name: str) -> None:
    _, heard, _ = read(name)
    assert heard[-1] is Heard.LIMIT


@pytest.mark.parametrize("name", sorted(one for one in LIMITS if not one.startswith("claude")))
def test_the_others_are_heard_to_be_answered_before(name: str) -> None:
    """The piece of work that each had done; that they try again most of them do not say."""
    assert Heard.ANSWER in read(name)[1]


@pytest.mark.parametrize("name", ALL)
def test_no_sample_says_where_it_was_recorded(name: str) -> None:
    text = (SAMPLES / f"{name}.json").read_text()
    assert "/home/" not in text.replace("/scratch/home", "")
    assert "/root" not in text
    assert "/node_modules" not in text.replace(" node_modules", "").replace("(node_modules", "")
