"""The outcome table of `claude -p`, on event streams as 2.1.197 printed them (shortened)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maestro.agents.base import Claim, Verdict
from maestro.agents.claude_events import ClaudeReader
from maestro.model.outcome import Usage

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
SESSION = "97b26e7e-3277-453b-88e8-aab9e5c4b12a"
Event = dict[str, Any]

INIT: Event = {
    "type": "system",
    "subtype": "init",
    "session_id": SESSION,
    "tools": ["Bash"],
    "permissionMode": "default",
}


def assistant(*content: Event, number: int = 1, error: str | None = None, model: str = "claude-opus-4-8") -> Event:
    message = {
        "id": f"msg_{number}",
        "role": "assistant",
        "model": "<synthetic>" if error else model,
        "content": list(content),
        "usage": {"input_tokens": 90, "cache_read_input_tokens": 10, "output_tokens": 20},
    }
    return {"type": "assistant", "message": message, "session_id": SESSION} | ({"error": error} if error else {})


def text(words: str) -> Event:
    return {"type": "text", "text": words}


def use(tool: str, number: int = 1) -> Event:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": {}}


def answer(number: int = 1, *, is_error: bool | None = None) -> Event:
    block: Event = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": "x"}
    if is_error is not None:
        block["is_error"] = is_error
    return {"type": "user", "message": {"role": "user", "content": [block]}, "session_id": SESSION}


def result(words: str | None = "done", **changes: Any) -> Event:
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "api_error_status": None,
        "num_turns": 2,
        "duration_api_ms": 40,
        "result": words,
        "session_id": SESSION,
        "total_cost_usd": 0.25,
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "modelUsage": {
            "a": {"inputTokens": 100, "outputTokens": 30, "cacheReadInputTokens": 7, "cacheCreationInputTokens": 3},
            "b": {"inputTokens": 10, "outputTokens": 3},
        },
        "permission_denials": [],
        "terminal_reason": "completed",
    } | changes


def denied(*tools: str) -> list[Event]:
    return [{"tool_name": tool, "tool_use_id": "t", "tool_input": {}} for tool in tools]


def refused(status: int | None, said: str, error: str) -> list[Event]:
    """The end of a run whose request was refused for good."""
    failure = result(said, is_error=True, api_error_status=status, num_turns=1, total_cost_usd=0, modelUsage={})
    return [INIT, assistant(text(said), error=error), failure]


def read(events: list[Event], exit_code: int | None = 0, stderr: str = "") -> Verdict:
    reader = ClaudeReader(lambda: NOW)
    for event in events:
        reader.feed(json.dumps(event).encode() + b"\n")
    return reader.verdict(exit_code, stderr)


COMMAND_STDERR = {
    "type": "user",
    "message": {"role": "user", "content": "<local-command-stderr>Error: Shell command failed</local-command-stderr>"},
}
RETRY: Event = {
    "type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10,
    "retry_delay_ms": 528.7, "error_status": 429, "error": "rate_limit",
}  # fmt: skip
WORK = [INIT, assistant(use("Bash")), answer(is_error=False)]

TABLE: dict[str, tuple[list[Event], int | None, str, Claim, str, bool]] = {
    # situation: events, exit code, stderr, claim, reason holds, retryable
    "done": ([*WORK, assistant(text("done"), number=2), result()], 0, "", Claim.DONE, "", True),
    "all tools denied": (
        [
            INIT,
            assistant(use("Write")),
            answer(is_error=True),
            result("no", permission_denials=denied("Write", "Bash", "Write")),
        ],
        0,
        "",
        Claim.DENIED,
        "denied by permissions: Write ×2, Bash",
        True,
    ),
    "looking was allowed, working denied": (
        [INIT, assistant(use("Read")), answer(), result("no", permission_denials=denied("Write"))],
        0,
        "",
        Claim.DENIED,
        "denied by permissions: Write",
        True,
    ),
    "one push denied": (
        [*WORK, result(permission_denials=denied("Bash"))],
        0,
        "",
        Claim.DONE,
        "denied by permissions: Bash",
        True,
    ),
    "a failing command is not a denial": (
        [INIT, assistant(use("Bash")), answer(is_error=True), result()],
        0,
        "",
        Claim.DONE,
        "",
        True,
    ),
    "unknown slash command": (
        [INIT, assistant(text("Unknown command: /x")), result("Unknown command: /x", num_turns=0, duration_api_ms=0)],
        0,
        "",
        Claim.FAILED,
        "Unknown command: /x",
        False,
    ),
    "shell line of a slash command failed": (
        [INIT, COMMAND_STDERR, result("", num_turns=0)],
        0,
        "",
        Claim.FAILED,
        "Error: Shell command failed",
        False,
    ),
    "max turns": (
        [*WORK, result(None, subtype="error_max_turns", is_error=True, errors=["Reached maximum number of turns (1)"])],
        1,
        "",
        Claim.FAILED,
        "Reached maximum number of turns (1)",
        True,
    ),
    "budget": (
        [*WORK, result(None, subtype="error_max_budget_usd", is_error=True, errors=["Reached maximum budget ($0.1)"])],
        1,
        "",
        Claim.BUDGET,
        "Reached maximum budget ($0.1)",
        False,
    ),
    "400": (refused(400, "API Error: 400 bad", "unknown"), 1, "", Claim.FAILED, "API Error: 400 bad", True),
    "400, no credit": (
        refused(400, "Credit balance is too low", "billing_error"),
        1,
        "",
        Claim.LIMIT,
        "Credit balance",
        True,
    ),
    "401": (refused(401, "Invalid API key", "authentication_failed"), 1, "", Claim.FAILED, "Invalid API key", False),
    "403": (
        refused(403, "Failed to authenticate", "authentication_failed"),
        1,
        "",
        Claim.FAILED,
        "Failed to auth",
        False,
    ),
    "404": (
        refused(404, "There's an issue with the model", "model_not_found"),
        1,
        "",
        Claim.FAILED,
        "issue with",
        False,
    ),
    "413": (refused(413, "Request too large", "invalid_request"), 1, "", Claim.FAILED, "Request too large", True),
    "429": (
        refused(429, "API Error: Request rejected (429)", "rate_limit"),
        1,
        "",
        Claim.LIMIT,
        "rejected (429)",
        True,
    ),
    "529": (refused(529, "API Error: 529 overloaded", "server_error"), 1, "", Claim.LIMIT, "529", True),
    "500": (refused(500, "API Error: 500 oops", "server_error"), 1, "", Claim.FAILED, "500 oops", True),
    "server down": (
        refused(None, "API Error: Unable to connect", "unknown"),
        1,
        "",
        Claim.FAILED,
        "Unable to connect",
        True,
    ),
    "no key": (
        refused(None, "Not logged in · Please run /login", "authentication_failed"),
        1,
        "",
        Claim.FAILED,
        "Not logged in",
        False,
    ),
    "interrupted": (
        [*WORK, result(None, subtype="error_during_execution", is_error=True, terminal_reason="aborted_tools")],
        0,
        "",
        Claim.FAILED,
        "error during execution",
        True,
    ),
    "stopped by a hook": ([*WORK, result(terminal_reason="hook_stopped")], 0, "", Claim.FAILED, "hook stopped", True),
    "unknown session": (
        [
            result(
                None,
                subtype="error_during_execution",
                is_error=True,
                num_turns=0,
                errors=["No conversation found with session ID: x"],
            )
        ],
        1,
        "No conversation found",
        Claim.FAILED,
        "No conversation found with session ID: x",
        True,
    ),
    "structured output": (
        [*WORK, result(subtype="error_max_structured_output_retries", is_error=True)],
        1,
        "",
        Claim.FAILED,
        "done",
        True,
    ),
    "killed after its final event": (
        [*WORK, result()],
        143,
        "",
        Claim.DONE,
        "exit code 143 (SIGTERM) after its final event",
        True,
    ),
    "SIGTERM": (WORK, 143, "", Claim.SILENT, "exit code 143 (SIGTERM), without a final event", True),
    "SIGHUP": (WORK, 129, "", Claim.SILENT, "exit code 129 (SIGHUP), without a final event", True),
    "SIGKILL": (WORK, 137, "", Claim.SILENT, "exit code 137 (SIGKILL), without a final event", True),
    "wrapper killed": (WORK, None, "", Claim.SILENT, "killed before an exit status could be recorded, without", True),
    "exit 0 without a result": (WORK, 0, "", Claim.SILENT, "exit code 0, without a final event", True),
    "nothing at all": ([], 0, "", Claim.SILENT, "exit code 0, without a final event", True),
    "killed while it retried": (
        [INIT, RETRY],
        143,
        "",
        Claim.SILENT,
        "retrying a refused request (429 rate_limit)",
        True,
    ),
    "not installed": (
        [],
        127,
        "env: 'claude': No such file or directory\n",
        Claim.FAILED,
        "command not found: env: 'claude'",
        False,
    ),
    "no prompt": (
        [],
        1,
        "Error: Input must be provided either through stdin …\n",
        Claim.FAILED,
        "Input must be provided",
        True,
    ),
    "bad flag": ([], 1, "error: unknown option '--x'\n", Claim.FAILED, "unknown option '--x'", True),
    "root": (
        [],
        1,
        "--dangerously-skip-permissions cannot be used with root",
        Claim.FAILED,
        "cannot be used with root",
        True,
    ),
}


@pytest.mark.parametrize("situation", TABLE)
def test_the_outcome_table(situation: str) -> None:
    events, exit_code, stderr, claim, reason, retryable = TABLE[situation]
    verdict = read(events, exit_code, stderr)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert reason in verdict.reason
    assert bool(verdict.reason) == bool(reason)


def test_usage_and_last_words_are_kept() -> None:
    verdict = read([*WORK, assistant(text("bye"), number=2), result("bye")])
    assert verdict.summary == "bye"
    assert verdict.usage == Usage(cost_usd=0.25, input_tokens=120, output_tokens=33, requests=2, session_id=SESSION)


def test_without_a_result_usage_is_counted_from_the_messages_once_each() -> None:
    events = [INIT, assistant(text("a")), assistant(use("Bash")), assistant(text("b"), number=2)]
    assert read(events, 143).usage == Usage(input_tokens=200, output_tokens=40, requests=2, session_id=SESSION)


def test_usage_is_known_while_it_works_though_not_the_cost() -> None:
    reader = ClaudeReader(lambda: NOW)
    seen = []
    for event in (INIT, assistant(text("a")), assistant(use("Bash")), assistant(text("b"), number=2), result("bye")):
        reader.feed(json.dumps(event).encode() + b"\n")
        usage = reader.usage()
        seen.append((usage.input_tokens, usage.output_tokens, usage.cost_usd))
    assert seen == [(0, 0, None), (100, 20, None), (100, 20, None), (200, 40, None), (120, 33, 0.25)]


def test_of_two_results_the_last_counts_and_an_event_between_them_takes_back_the_end() -> None:
    reader = ClaudeReader(lambda: NOW)

    def feed(event: Event) -> bool:
        reader.feed(json.dumps(event).encode() + b"\n")
        return reader.ended

    assert [feed(event) for event in WORK] == [False, False, False]
    assert feed(result("first", total_cost_usd=1))
    assert feed({"type": "system", "subtype": "hook_response"}), "hooks run after the end"
    assert not feed(INIT)
    assert not feed(assistant(text("more"), number=2))
    assert feed(result("second", total_cost_usd=2, origin={"kind": "task-notification"}))
    verdict = reader.verdict(0, "")
    assert (verdict.summary, verdict.usage.cost_usd) == ("second", 2)


def test_notes_for_people() -> None:
    reader = ClaudeReader(lambda: NOW)

    def notes(event: Event) -> list[str]:
        return list(reader.feed(json.dumps(event).encode() + b"\n"))

    assert notes(INIT) == []
    assert notes(RETRY) == ["request refused (429 rate_limit); retry 1 of 10 in 0.5 s"]
    assert notes({**RETRY, "error_status": None, "error": "unknown"}) == [
        "request refused (connection unknown); retry 1 of 10 in 0.5 s"
    ]
    fallback = {"type": "system", "subtype": "model_fallback", "original_model": "a", "fallback_model": "b"}
    assert notes(fallback) == ["model a is overloaded; goes on with b"]
    assert notes(assistant(text("hi"))) == []
    assert notes(result(permission_denials=denied("Bash"))) == ["tool calls denied by permissions: Bash"]
    assert notes(result()) == []


def test_the_reset_time_comes_from_the_event_or_the_text() -> None:
    event = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1795000000}}
    verdict = read([*WORK, event, *refused(429, "limit", "rate_limit")], 1)
    assert verdict.reset_at == datetime.fromtimestamp(1795000000, UTC)
    said = "You've hit your session limit · resets 3pm (UTC)"
    assert read(refused(None, said, "rate_limit"), 1).reset_at == datetime(2026, 11, 21, 15, tzinfo=UTC)
    assert read(refused(429, "slow down", "rate_limit"), 1).reset_at is None
    allowed = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "resetsAt": 1795000000}}
    assert read([allowed, *refused(429, "slow down", "rate_limit")], 1).reset_at is None


def test_the_client_s_own_words_about_a_limit_are_one_though_it_calls_them_success() -> None:
    said = f"Claude AI usage limit reached|{int(NOW.timestamp()) + 60}"
    own = assistant(text(said), model="<synthetic>")
    verdict = read([INIT, own, result(said, num_turns=1)])
    assert (verdict.claim, verdict.reset_at) == (Claim.LIMIT, NOW + timedelta(seconds=60))


def test_words_about_limits_in_finished_work_are_no_limit() -> None:
    assert read([*WORK, result("Added a rate limit: usage limit reached|1795000000")]).claim is Claim.DONE


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_may_be_split_anywhere(size: int) -> None:
    events = [*WORK, assistant(text("ünï 💥"), number=2), result("ünï 💥")]
    data = b"\n".join(json.dumps(event, ensure_ascii=False).encode() for event in events)  # the last line is not ended
    reader = ClaudeReader(lambda: NOW)
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    assert reader.verdict(0, "") == read(events)


JUNK = [
    b"plain words", b"", b"{", b"[1]", b"null", b'"x"', b"\xff\xfe\x00", b"{}", b'{"type": 3}', b'{"type": "result"',
    b'{"type": "assistant", "message": "x"}', b'{"type": "assistant", "message": {"content": [1, null], "usage": 3}}',
    b'{"type": "assistant", "message": {"content": [{"type": "tool_use", "id": [], "name": {}}]}}',
    b'{"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": 5}]}}', b'{"type": "user"}',
    b'{"type": "system", "subtype": "api_retry", "retry_delay_ms": "soon"}', b'{"type": "system"}',
    b'{"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1e308}}',
    b'{"type": "rate_limit_event", "rate_limit_info": 1}', b'{"session_id": 5}', b'{"a":' * 50_000,
    b'{"type": "x", "n": ' + b"9" * 5000 + b"}", b'{"type": "stream_event", "event": NaN}',
]  # fmt: skip


def test_odd_bytes_are_passed_over() -> None:
    reader = ClaudeReader(lambda: NOW)
    for event in WORK:
        for junk in JUNK:
            reader.feed(junk + b"\r\n")
        reader.feed(json.dumps(event).encode() + b"\n")
    reader.feed(json.dumps(result()).encode() + b"\n")
    assert reader.verdict(0, "").claim in (Claim.DONE, Claim.LIMIT)


@pytest.mark.parametrize(
    "changes",
    [
        {"permission_denials": "x"}, {"permission_denials": [1]}, {"errors": 3, "is_error": True}, {"result": 5},
        {"modelUsage": [1]}, {"modelUsage": {"a": 1}}, {"total_cost_usd": "x"}, {"total_cost_usd": None},
        {"num_turns": "x"}, {"terminal_reason": None}, {"api_error_status": [], "is_error": True}, {"subtype": {}},
        {"modelUsage": {"a": {"inputTokens": float("inf")}}},
    ],
)  # fmt: skip
def test_a_result_of_odd_shape_is_still_judged(changes: Event) -> None:
    assert read([*WORK, result(**changes)]).claim in Claim


def test_ten_megabytes_on_one_line_are_read_and_far_more_is_dropped() -> None:
    reader = ClaudeReader(lambda: NOW)
    big = json.dumps(answer() | {"tool_use_result": "x" * 10_000_000}).encode()
    reader.feed(json.dumps(assistant(use("Bash"))).encode() + b"\n")
    for start in range(0, len(big), 65536):
        reader.feed(big[start : start + 65536])
    reader.feed(b"\n")
    for _ in range(70):
        reader.feed(b"y" * 2**20)
    assert sum(map(len, reader._lines._parts)) <= 2**26
    reader.feed(b"\n" + json.dumps(result(permission_denials=denied("Bash"))).encode() + b"\n")
    assert reader.ended
    assert reader.verdict(0, "").claim is Claim.DONE, "the answer in the long line was seen"
