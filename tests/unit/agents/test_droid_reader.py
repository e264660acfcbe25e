"""The events of droid 0.215.0 as it printed them, and what is made of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maestro.agents.base import Claim, Verdict
from maestro.agents.droid_events import DroidReader

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
SESSION = "e880d70d-62b5-4a4e-8038-1e6f379bb69f"
NOT_PERMITTED = "Error: Tool Create is not permitted in this exec session. Available tools: Read, LS."
TOO_LOW = "Exec ended early: insufficient permission to proceed. Re-run with --auto medium or --auto high."


def event(kind: str, **more: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": 1795276309622, "session_id": SESSION, **more}).encode() + b"\n"


INIT = event("system", subtype="init", cwd="/tmp/x", tools=["Read"], model="custom:lab-0")
ASKED = event("message", role="user", id="1", text="do it")
END = event(
    "completion",
    finalText="all done",
    numTurns=3,
    usage={"input_tokens": 180, "output_tokens": 60, "cache_read_input_tokens": 120, "factory_credits": 0},
)


def tool(name: str, error: str = "") -> bytes:
    call = event("tool_call", id="call_1", toolId=name, toolName=name, parameters={})
    if error:
        said = {"type": "tool_error", "message": error}
        return call + event("tool_result", id="call_1", toolId=name, isError=True, error=said)
    return call + event("tool_result", id="call_1", toolId=name, isError=False, value="{}")


def said(text: str) -> bytes:
    return event("message", role="assistant", id="2", text=text)


def failed(message: str) -> bytes:
    return event("error", source="agent_loop", message=message) + event("error", source="cli", message="Exec failed")


WORKED = INIT + ASKED + tool("Create") + tool("Execute")
WHOLE = WORKED + said("all done") + END


def read(output: bytes, code: int | None = 0, stderr: str = "") -> tuple[Verdict, list[str]]:
    reader = DroidReader(lambda: NOW)
    notes = [note for at in range(0, len(output), 89) for note in reader.feed(output[at : at + 89])]
    return reader.verdict(code, stderr), notes


def test_a_whole_conversation_with_its_usage() -> None:
    verdict, notes = read(WHOLE)
    assert (verdict.claim, verdict.reason, verdict.summary, notes) == (Claim.DONE, "", "all done", [])
    usage = verdict.usage
    assert (usage.input_tokens, usage.output_tokens, usage.requests, usage.session_id) == (300, 60, 3, SESSION)
    assert usage.cost_usd is None, "it names none"


ENDINGS: dict[str, tuple[bytes, int | None, str, Claim, str, bool]] = {
    "nothing at all": (b"", 0, "", Claim.SILENT, "exit code 0, without a final event", True),
    "without a word": (b"", 1, "", Claim.FAILED, "exit code 1 and not one word", True),
    "a bad option": (b"", 1, "error: unknown option '--nope'\n", Claim.FAILED, "unknown option", True),
    "not there": (b"", 127, "", Claim.FAILED, "command not found", False),
    "killed": (WORKED, 137, "", Claim.SILENT, "SIGKILL), without a final event", True),
    "killed without a status": (WORKED, None, "", Claim.SILENT, "killed", True),
    "a bad exit code after its end": (WHOLE, 143, "", Claim.DONE, "after its final event", True),
    "a torn last line": (WHOLE[:-1], 0, "", Claim.DONE, "", True),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_how_it_can_end(name: str) -> None:
    output, code, stderr, claim, reason, retryable = ENDINGS[name]
    verdict, _ = read(output, code, stderr)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert reason in verdict.reason


REFUSALS: dict[str, tuple[str, Claim, bool]] = {
    "bad key": ("401 bad key", Claim.FAILED, False),
    "no such model": ("404 no such model", Claim.FAILED, False),
    "odd": ("400 odd thing", Claim.FAILED, True),
    "server down": ("Connection error.", Claim.FAILED, True),
    "too fast": ("429 slow down", Claim.LIMIT, True),
    "no credits": ("402 no credits", Claim.LIMIT, True),
    "quota, by its words": ("You exceeded your current quota", Claim.LIMIT, True),
    "not logged in": ("Authentication failed. Please log in using /login", Claim.FAILED, False),
    "without a message": ("", Claim.FAILED, True),
    "a number that is none": ("4012 things went wrong", Claim.FAILED, True),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_are_judged_by_their_kind(name: str) -> None:
    message, claim, retryable = REFUSALS[name]
    verdict, _ = read(WORKED + failed(message), 1)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert verdict.reason
    assert verdict.reason != "Exec failed"
    assert verdict.usage.session_id == SESSION


def test_when_a_limit_ends() -> None:
    verdict, _ = read(failed("429 Rate limit reached, try again in 20 minutes"), 1)
    assert verdict.reset_at == NOW + timedelta(minutes=20)


def test_what_its_level_of_autonomy_denies() -> None:
    verdict, notes = read(INIT + tool("Create", NOT_PERMITTED) + tool("Execute", TOO_LOW) + failed(TOO_LOW), 1)
    assert (verdict.claim, verdict.reason) == (Claim.DENIED, TOO_LOW)
    assert notes == [f"tool call denied by its level of autonomy: {name}" for name in ("Create", "Execute")]
    verdict, _ = read(INIT + tool("Create", NOT_PERMITTED) + tool("Read") + END)
    assert (verdict.claim, verdict.reason) == (Claim.DENIED, "tool calls denied by its level of autonomy: Create")
    assert read(INIT + tool("Create", NOT_PERMITTED) + WHOLE)[0].claim is Claim.DONE


def test_a_tool_that_failed_is_not_one_that_was_denied() -> None:
    verdict, notes = read(INIT + tool("Execute", "Error: Command failed (exit code: 1)") + END)
    assert (verdict.claim, verdict.reason, notes) == (Claim.DONE, "", [])


def test_the_end_is_seen_and_taken_back_when_it_goes_on() -> None:
    reader = DroidReader(lambda: NOW)
    seen = []
    for line in (INIT, END, said("more"), failed("x")):
        reader.feed(line)
        seen.append(reader.ended)
    assert seen == [False, True, False, True]
