"""Output as gemini 0.61.0 gave it; `tests/real/test_gemini.py` has the program itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maestro.agents.base import Claim, Verdict
from maestro.agents.gemini_events import GeminiReader
from maestro.agents.gemini_limits import is_limit, limit_ends

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
SESSION = "20d472bd-9e7a-4b1e-89cb-70da859c0503"
BEGIN = f"""{{"type":"init","timestamp":"2026-11-21T15:50:26.940Z","session_id":"{SESSION}","model":"gemini-2.5-pro"}}
{{"type":"message","role":"user","content":"Do it."}}
{{"type":"message","role":"assistant","content":"I will","delta":true}}
{{"type":"tool_use","tool_name":"write_file","tool_id":"w1","parameters":{{"file_path":"a.txt"}}}}
"""
WRITTEN = '{"type":"tool_result","tool_id":"w1","status":"success"}\n'
WITHHELD = """{"type":"tool_result","tool_id":"w1","status":"error","output":"Tool not found.",\
"error":{"type":"tool_not_registered","message":"Tool not found."}}
"""
LOOKED = """{"type":"tool_use","tool_name":"read_file","tool_id":"r1","parameters":{}}
{"type":"tool_result","tool_id":"r1","status":"success"}
"""
END = """{"type":"message","role":"assistant","content":"all ","delta":true}
{"type":"message","role":"assistant","content":"done","delta":true}
{"type":"result","status":"success","stats":{"total_tokens":360,"input_tokens":300,"output_tokens":60,"cached":120}}
"""


def read(output: str, code: int | None = 0, stderr: str = "") -> tuple[Verdict, list[str], GeminiReader]:
    reader = GeminiReader(lambda: NOW)
    notes = list(reader.feed(output.encode()))
    return reader.verdict(code, stderr), notes, reader


def failed(message: str) -> str:
    error = {"type": "unknown", "message": message}
    return BEGIN + WRITTEN + json.dumps({"type": "result", "status": "error", "error": error, "stats": {}}) + "\n"


def test_a_run_to_its_end() -> None:
    verdict, notes, reader = read(BEGIN + WRITTEN + END)
    assert (verdict.claim, verdict.reason, verdict.summary) == (Claim.DONE, "", "all done")
    used = verdict.usage
    assert (used.input_tokens, used.output_tokens, used.session_id) == (300, 60, SESSION)
    assert notes == []
    assert reader.ended


def test_success_with_every_tool_withheld_is_denied_and_with_some_is_not() -> None:
    verdict, _, _ = read(BEGIN + WITHHELD + LOOKED + END)
    assert (verdict.claim, verdict.reason) == (
        Claim.DENIED,
        "tools that it may not use: write_file",
    )
    again = '{"type":"tool_use","tool_name":"write_file","tool_id":"w1"}\n'
    assert read(BEGIN + WITHHELD + again + WITHHELD + END)[0].reason.endswith("write_file ×2")
    assert read(BEGIN + WITHHELD + again + WRITTEN + END)[0].claim is Claim.DONE
    imagined = (BEGIN + WITHHELD + END).replace("write_file", "write_all_files")
    assert read(imagined)[0].claim is Claim.DONE, "a tool that never was is for the evidence to judge"
    assert read(imagined.replace("tool_not_registered", "policy_violation"))[0].claim is Claim.DENIED


@pytest.mark.parametrize(
    ("message", "code", "claim", "retryable", "reason"),
    [
        ('[API Error: {"error":{"code":401,"message":"who?"}}]', 145, Claim.FAILED, False, "401 who?"),
        ('[API Error: {"error":{"code":400,"message":"API key not valid."}}]', 144, Claim.FAILED, False, "API key not"),
        ('[API Error: {"error":{"code":400,"message":"odd"}}]', 144, Claim.FAILED, True, "400 odd"),
        ("[API Error: models/x is not found for API version v1beta]", 1, Claim.FAILED, False, "is not found"),
        (
            "[API Error: slow down]\nPlease wait and try again later.",
            173,
            Claim.LIMIT,
            True,
            "429 slow down Please wait",
        ),
        ("[API Error: The model is overloaded.]", 247, Claim.LIMIT, True, "503 The model is overloaded."),
        ("[API Error: terminated]", 1, Claim.FAILED, True, "terminated"),
        ("[API Error: terminated]", 0, Claim.FAILED, True, "terminated"),
        ("[API Error: {broken]", 1, Claim.FAILED, True, "{broken"),
        ("", 1, Claim.FAILED, True, "without a text"),
    ],
)
def test_a_result_that_is_an_error(message: str, code: int, claim: Claim, retryable: bool, reason: str) -> None:
    verdict, _, reader = read(failed(message), code)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert verdict.reason.startswith(reason) or reason in verdict.reason
    assert reader.ended


@pytest.mark.parametrize(
    ("code", "stderr", "claim", "retryable", "reason"),
    [
        (0, "", Claim.SILENT, True, "it ended with exit code 0, without a final event"),
        (None, "", Claim.SILENT, True, "without a final event"),
        (137, "", Claim.SILENT, True, "SIGKILL"),
        (41, "When using Gemini API, you must specify the GEMINI_API_KEY", Claim.FAILED, False, "GEMINI_API_KEY"),
        (42, "No input provided via stdin.", Claim.FAILED, True, "No input"),
        (55, "not running in a trusted directory", Claim.FAILED, False, "trusted"),
        (127, "gemini: not found", Claim.FAILED, False, "not found"),
    ],
)
def test_an_end_without_a_result(code: int | None, stderr: str, claim: Claim, retryable: bool, reason: str) -> None:
    verdict, _, _ = read(BEGIN, code, stderr)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert reason in verdict.reason
    assert verdict.usage.session_id == SESSION


def test_errors_on_the_way_are_noted_and_an_exit_code_after_the_end_is_said() -> None:
    warned = '{"type":"error","severity":"warning","message":"Loop detected, stopping execution"}\n'
    verdict, notes, _ = read(BEGIN + WRITTEN + warned + END, 137)
    assert notes == ["Loop detected, stopping execution"]
    assert (verdict.claim, verdict.reason) == (Claim.DONE, "exit code 137 (SIGKILL) after its final event")


ENDS = [
    ("Quota exceeded.\nSuggested retry after 400s.", timedelta(seconds=400)),
    ("Quota exceeded. Please retry in 30.5s.\nSuggested retry after 2s.", timedelta(seconds=30.5)),
    ("Your quota will reset after 3h20m5s.", timedelta(hours=3, minutes=20, seconds=5)),
    ("You have exhausted your daily quota on this model.", timedelta(hours=16, minutes=30)),
    ("slow down", None),
    ("retry after the weekend", None),
    ("retry after 0s", None),
]


@pytest.mark.parametrize(("text", "after"), ENDS)
def test_the_end_of_a_limit_is_read_from_its_words(text: str, after: timedelta | None) -> None:
    assert limit_ends(text, NOW) == (NOW + after if after else None)


@pytest.mark.parametrize(
    ("text", "status", "limit"),
    [("x", 429, True), ("x", 529, True), ("x", 503, False), ("is overloaded", 503, True), ("x", None, False)],
)
def test_what_a_limit_is(text: str, status: int | None, limit: bool) -> None:
    assert is_limit(text, status) is limit


@pytest.mark.parametrize("value", [None, 3, [], "x", {"stats": 3}])
def test_fields_of_the_wrong_type_are_no_reason_to_stop(value: Any) -> None:
    names = ("session_id", "content", "tool_id", "tool_name", "error", "message", "stats", "status", "role")
    kinds = ("init", "message", "tool_use", "tool_result", "error", "result", "new")
    lines = [{**dict.fromkeys(names, value), "type": kind} for kind in kinds]
    assert isinstance(read("\n".join(map(json.dumps, lines)), 0)[0], Verdict)
    assert isinstance(read('{"type":"message","role":"assistant","content":3}\n', 0)[0], Verdict)
