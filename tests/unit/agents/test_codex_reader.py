"""Output as codex 0.169.0 gave it; `tests/real/test_codex.py` has the program itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from maestro.agents.base import Claim, Verdict
from maestro.agents.codex_events import CodexReader

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
THREAD = "01a1fecb-f03f-7e63-b430-227c39ce6e27"
BEGIN = f"""{{"type":"thread.started","thread_id":"{THREAD}"}}
{{"type":"item.completed","item":{{"id":"item_0","type":"error","message":"Model metadata for `m` not found."}}}}
{{"type":"turn.started"}}
{{"type":"item.started","item":{{"id":"item_1","type":"command_execution","command":"/bin/bash -lc 'make'",\
"aggregated_output":"","exit_code":null,"status":"in_progress"}}}}
"""
COMMAND_ENDED = """{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"x",\
"aggregated_output":"","exit_code":0,"status":"completed"}}
"""
END = """{"type":"item.completed","item":{"id":"item_3","type":"agent_message","text":"all done"}}
{"type":"turn.completed","usage":{"input_tokens":300,"cached_input_tokens":120,"output_tokens":60}}
"""


def read(output: str, code: int | None = 0, stderr: str = "") -> tuple[Verdict, list[str], CodexReader]:
    reader = CodexReader(lambda: NOW)
    notes = list(reader.feed(output.encode()))
    return reader.verdict(code, stderr), notes, reader


def failed(message: str) -> str:
    return BEGIN + json.dumps({"type": "turn.failed", "error": {"message": message}}) + "\n"


def test_a_turn_to_its_end() -> None:
    verdict, notes, reader = read(BEGIN + COMMAND_ENDED + END)
    assert (verdict.claim, verdict.reason, verdict.summary) == (Claim.DONE, "", "all done")
    used = verdict.usage
    assert (used.input_tokens, used.output_tokens, used.session_id) == (300, 60, THREAD)
    assert used.whole_conversation, "a resumed thread tells the tokens of before again"
    assert notes == ["Model metadata for `m` not found."]
    assert reader.ended


def test_a_command_that_was_not_waited_for_is_named() -> None:
    verdict, _, _ = read(BEGIN + END)
    assert (verdict.claim, verdict.reason) == (
        Claim.DONE,
        "it ended while a command of its was still running: /bin/bash -lc 'make'",
    )


def test_a_last_line_without_its_end_counts() -> None:
    assert read((BEGIN + COMMAND_ENDED + END).rstrip("\n"))[0].claim is Claim.DONE


@pytest.mark.parametrize(
    ("message", "claim", "retryable", "reason"),
    [
        ("unexpected status 401 Unauthorized: bad key, url: http://x", Claim.FAILED, False, "bad key"),
        ("unexpected status 404 Not Found: no such model, url: http://x", Claim.FAILED, False, "no such model"),
        ("Missing environment variable: `LAB_KEY`.", Claim.FAILED, False, "LAB_KEY"),
        ('{"error": {"message": "odd", "type": "invalid_request_error"}}', Claim.FAILED, True, "odd"),
        ('{"error": "odd"', Claim.FAILED, True, '{"error": "odd"'),
        ("", Claim.FAILED, True, "without a text"),
        ("stream disconnected before completion: x", Claim.FAILED, True, "stream disconnected"),
        ("exceeded retry limit, last status: 429 Too Many Requests", Claim.LIMIT, True, "429"),
    ],
)
def test_a_turn_that_failed(message: str, claim: Claim, retryable: bool, reason: str) -> None:
    verdict, _, reader = read(failed(message), 1)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert reason in verdict.reason
    assert reader.ended


def test_a_limit_that_names_its_end() -> None:
    verdict, _, _ = read(failed("You’ve hit your usage limit. Try again at 5:54 PM."), 1)
    assert (verdict.claim, verdict.reset_at) == (Claim.LIMIT, datetime(2026, 11, 21, 17, 54, tzinfo=UTC))


def test_new_tries_are_noted_and_a_turn_after_a_failed_one_counts() -> None:
    again = json.dumps({"type": "error", "message": "Reconnecting... 1/5 (stream disconnected)"}) + "\n"
    verdict, notes, _ = read(BEGIN + again + COMMAND_ENDED + END)
    assert verdict.claim is Claim.DONE
    assert notes[-1] == "Reconnecting... 1/5 (stream disconnected)"
    assert read(failed("x") + '{"type":"turn.started"}\n' + COMMAND_ENDED + END)[0].claim is Claim.DONE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, "it ended with exit code 0, without a final event"),
        (1, "it ended with exit code 1, without a final event"),  # interrupted
        (None, "killed before an exit status could be recorded, without a final event"),
        (143, "exit code 143 (SIGTERM): WARNING: x, without a final event"),
    ],
)
def test_an_end_without_an_end(code: int | None, reason: str) -> None:
    verdict, _, _ = read(BEGIN, code, "WARNING: x")
    assert (verdict.claim, verdict.reason) == (Claim.SILENT, reason)
    assert verdict.usage.session_id == THREAD


@pytest.mark.parametrize(
    ("code", "stderr", "retryable"),
    [
        (1, "Error: thread/resume failed: no rollout found", True),
        (2, "error: unexpected argument '--x' found", True),
        (127, "codex: not found", False),
    ],
)
def test_one_that_did_not_begin(code: int, stderr: str, retryable: bool) -> None:
    verdict, _, _ = read("", code, stderr)
    assert (verdict.claim, verdict.retryable) == (Claim.FAILED, retryable)
    assert stderr in verdict.reason


def test_killed_while_it_tried_again() -> None:
    again = json.dumps({"type": "error", "message": "Reconnecting... 1/1 (last status: 429 Too Many Requests)"})
    assert "trying again (Reconnecting... 1/1 (last status: 429" in read(BEGIN + again + "\n", 143)[0].reason


@pytest.mark.parametrize(("code", "claim"), [(1, Claim.FAILED), (143, Claim.DONE), (None, Claim.DONE)])
def test_an_exit_code_after_the_end_is_said(code: int | None, claim: Claim) -> None:
    verdict, _, _ = read(BEGIN + COMMAND_ENDED + END, code)
    assert verdict.claim is claim
    assert "after its final event" in verdict.reason


@pytest.mark.parametrize("value", [None, 3, [], "x", {"item": 3}, {"error": [], "usage": "much", "message": {}}])
def test_fields_of_the_wrong_type_are_no_reason_to_stop(value: Any) -> None:
    kinds = ("thread.started", "item.started", "item.completed", "error", "turn.failed", "turn.completed", "new")
    lines = [
        {"type": kind, **(value if isinstance(value, dict) else {"item": value, "usage": value})} for kind in kinds
    ]
    assert isinstance(read("\n".join(map(json.dumps, lines)), 0)[0], Verdict)
