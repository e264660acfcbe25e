"""The events of opencode 1.18.33 as it printed them, and what is made of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maestro.agents.base import Claim, Verdict
from maestro.agents.opencode_events import OpencodeReader

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
SESSION = "ses_e0138fc72fferxDKKchoIFN3ZL"
REJECTED = "The user rejected permission to use this specific tool call."
RULED = (
    "The user has specified a rule which prevents you from using this specific tool call. Here are some of the "
    'relevant rules [{"permission":"bash","pattern":"git push*","action":"deny"}]'
)


def event(kind: str, **more: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": 1795275820906, "sessionID": SESSION, **more}).encode() + b"\n"


def start() -> bytes:
    return event("step_start", part={"type": "step-start", "snapshot": "444a8fa9"})


def finish(reason: str, cost: float = 0.0) -> bytes:
    tokens = {"total": 120, "input": 60, "output": 15, "reasoning": 5, "cache": {"write": 0, "read": 40}}
    return event("step_finish", part={"type": "step-finish", "reason": reason, "tokens": tokens, "cost": cost})


def tool(name: str, error: str = "", **given: str) -> bytes:
    state: dict[str, Any] = {"status": "completed", "input": given, "output": "x", "title": "x"}
    if error:
        state = {"status": "error", "input": given, "error": error}
    return event("tool_use", part={"type": "tool", "tool": name, "callID": "call_1", "state": state})


def text(said: str) -> bytes:
    return event("text", part={"type": "text", "text": said, "time": {"start": 1, "end": 2}})


def error(message: str, status: int | None = None, name: str = "APIError", **headers: str) -> bytes:
    data: dict[str, Any] = {"message": message, "isRetryable": False, "responseHeaders": headers}
    if status is not None:
        data["statusCode"] = status
    return event("error", error={"name": name, "data": data})


WORKED = start() + tool("write", filePath="a.txt") + finish("tool-calls", 0.01)
WHOLE = WORKED + start() + text("all done") + finish("stop", 0.02)


def read(output: bytes, code: int | None = 0, stderr: str = "") -> tuple[Verdict, list[str]]:
    reader = OpencodeReader(lambda: NOW)
    notes = [note for at in range(0, len(output), 97) for note in reader.feed(output[at : at + 97])]
    return reader.verdict(code, stderr), notes


def test_a_whole_conversation_with_its_usage() -> None:
    verdict, notes = read(WHOLE)
    assert (verdict.claim, verdict.reason, verdict.summary, notes) == (Claim.DONE, "", "all done", [])
    assert verdict.usage.cost_usd == pytest.approx(0.03)
    usage = verdict.usage
    assert (usage.input_tokens, usage.output_tokens, usage.requests, usage.session_id) == (200, 40, 2, SESSION)


def test_usage_is_known_while_it_works() -> None:
    reader = OpencodeReader(lambda: NOW)
    assert reader.usage().cost_usd is None
    reader.feed(WORKED)
    usage = reader.usage()
    assert (usage.cost_usd, usage.input_tokens, usage.output_tokens) == (0.01, 100, 20)


def test_no_price_is_not_taken_for_a_cost() -> None:
    usage = read(start() + finish("stop"))[0].usage
    assert (usage.cost_usd, usage.input_tokens) == (None, 100)


ENDINGS: dict[str, tuple[bytes, int | None, Claim, str]] = {
    "nothing at all": (b"", 0, Claim.SILENT, "without taking a step"),
    "no session": (b"", 1, Claim.FAILED, "exit code 1: Error: Session not found"),
    "killed": (WORKED, 143, Claim.SILENT, "SIGTERM"),
    "killed without a status": (WORKED, None, Claim.SILENT, "killed"),
    "a bad exit code after a good step": (WHOLE, 1, Claim.FAILED, "exit code 1"),
    "in the middle": (WORKED, 0, Claim.SILENT, "in the middle of its work (last step: tool-calls)"),
    "a broken answer": (WORKED + start() + finish("unknown"), 0, Claim.SILENT, "its last answer broke off"),
    "no reason": (start() + event("step_finish", part={}), 0, Claim.SILENT, "broke off"),
    "too long": (WORKED + finish("length"), 0, Claim.FAILED, "cut off at the model's limit"),
    "filtered": (WORKED + finish("content-filter"), 0, Claim.FAILED, "the provider's filter"),
    "got over a broken answer": (start() + finish("unknown") + WHOLE, 0, Claim.DONE, ""),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_how_it_can_end(name: str) -> None:
    output, code, claim, reason = ENDINGS[name]
    verdict, _ = read(output, code, "\x1b[91m\x1b[1mError: \x1b[0mSession not found\n" if code == 1 else "")
    assert verdict.claim is claim
    assert reason in verdict.reason
    assert "\x1b" not in verdict.reason
    assert verdict.retryable


def test_a_start_that_lost_the_race_for_the_database() -> None:
    said = (
        "\x1b[91m\x1b[1mError: \x1b[0mUnexpected error\n\nFailed query: \nCREATE TABLE `workspace` (\n);\n\nparams: \n"
    )
    verdict, _ = read(b"", 1, said)
    assert (verdict.claim, verdict.retryable) == (Claim.FAILED, True)
    assert "its database could not be set up" in verdict.reason


def test_a_permission_that_nobody_gave_ends_the_conversation_with_exit_code_0() -> None:
    asked = start() + tool("write", REJECTED, filePath="/etc/x") + finish("tool-calls")
    verdict, notes = read(asked)
    assert verdict.claim is Claim.DENIED
    assert "nobody could answer; tool calls refused by permissions: write" in verdict.reason
    assert notes == ["tool call refused by permissions: write /etc/x"]


def test_a_rule_that_refuses_a_push_is_noted_and_the_rest_counts() -> None:
    push = start() + tool("bash", RULED, command="git push origin main") + tool("bash", RULED) + finish("tool-calls")
    verdict, notes = read(push + WHOLE)
    assert (verdict.claim, verdict.reason) == (Claim.DONE, "tool calls refused by permissions: bash ×2")
    assert notes[0] == "tool call refused by permissions: bash git push origin main"
    verdict, _ = read(push + start() + tool("read", filePath="a") + text("I could not") + finish("stop"))
    assert verdict.claim is Claim.DENIED, "reading alone is no work"


def test_a_tool_that_failed_is_not_one_that_was_refused() -> None:
    verdict, notes = read(start() + tool("edit", "oldString not found", filePath="a") + finish("tool-calls") + WHOLE)
    assert (verdict.claim, verdict.reason, notes) == (Claim.DONE, "", [])


REFUSALS: dict[str, tuple[bytes, Claim, bool]] = {
    "bad key": (error("bad key", 401), Claim.FAILED, False),
    "forbidden": (error("no", 403), Claim.FAILED, False),
    "no such model": (error("model not found", 404), Claim.FAILED, False),
    "odd": (error("odd thing", 400), Claim.FAILED, True),
    "server": (error("boom", 500), Claim.FAILED, True),
    "too fast": (error("slow down", 429), Claim.LIMIT, True),
    "overloaded": (error("Overloaded", 529), Claim.LIMIT, True),
    "no credits": (error("insufficient credits", 402), Claim.LIMIT, True),
    "quota, by its words": (error("You exceeded your current quota, please check your plan"), Claim.LIMIT, True),
    "too long a conversation": (
        error("maximum context length is 1000", None, "ContextOverflowError"),
        Claim.FAILED,
        True,
    ),
    "not logged in": (error("no credentials", None, "ProviderAuthError"), Claim.FAILED, False),
    "a wrong model, as it says it": (error("Unexpected server error.", None, "UnknownError"), Claim.FAILED, True),
    "without a message": (event("error", error={"name": "APIError"}), Claim.FAILED, True),
    "without anything": (event("error"), Claim.FAILED, True),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_are_judged_by_their_kind(name: str) -> None:
    output, claim, retryable = REFUSALS[name]
    verdict, _ = read(WORKED + output, 1)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert verdict.reason
    assert verdict.usage.session_id == SESSION


@pytest.mark.parametrize(
    ("output", "until"),
    [
        (error("slow down", 429, **{"Retry-After": "3600"}), NOW + timedelta(hours=1)),
        (error("Rate limit reached, try again in 5 minutes", 429), NOW + timedelta(minutes=5)),
        (error("slow down", 429, **{"retry-after": "soon"}), None),
    ],
)
def test_when_a_limit_ends(output: bytes, until: datetime | None) -> None:
    assert read(output, 1)[0].reset_at == until


def test_an_error_that_was_got_over_is_forgotten() -> None:
    assert read(error("boom", 500) + WHOLE)[0].claim is Claim.DONE


def test_the_end_is_seen_at_its_last_step_only() -> None:
    reader = OpencodeReader(lambda: NOW)
    seen = []
    for line in (start(), finish("tool-calls"), start(), finish("unknown"), start(), finish("stop"), start()):
        reader.feed(line)
        seen.append(reader.ended)
    assert seen == [False, False, False, False, False, True, False]
