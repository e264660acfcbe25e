"""Reads the stream-json events of `cursor-agent -p`, as its documentation shows them.

**Untried**: no `cursor-agent` could be had where this was written. As documented, a run that succeeded ends with one
`result`; one that failed ends with a bad exit code, a text on standard error and perhaps no result. Users report that
an untrusted directory ends it with exit code 0 and a question, so that a missing result is never taken for success.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from maestro.agents.base import Claim, Heard, Verdict
from maestro.agents.command import explain_exit
from maestro.agents.jsonlines import Event, JsonLines, as_dict, as_number, as_text
from maestro.agents.refusals import judge_refusal
from maestro.model.outcome import Usage

_SUMMARY_LENGTH = 4000
_LOOKING = frozenset(
    {"read", "grep", "glob", "ls", "semSearch", "readLints", "todo", "updateTodos", "webSearch", "fetch"}
)
"""Tools that change nothing: that they were allowed does not mean the agent could work."""
_DENIED = ("rejected", "permissionDenied")
_GIVEN = (
    "inputTokens",
    "cacheReadTokens",
    "cacheWriteTokens",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
)
_MADE = ("outputTokens", "output_tokens")


class CursorReader:
    """One attempt's events. `now` gives the present moment, for limits that name one."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.ended = False
        self.heard = Heard.NOTHING
        self._now = now
        self._lines = JsonLines()
        self._session: str | None = None
        self._result: Event | None = None
        self._denied: Counter[str] = Counter()
        self._acted = False
        self._text = ""

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Take more bytes; notes about tools that were denied."""
        return [note for event in self._lines.feed(chunk) for note in self._event(event)]

    def _event(self, event: Event) -> list[str]:
        self._session = as_text(event.get("session_id")) or self._session
        kind = event.get("type")
        self.ended = kind == "result"
        match kind:
            case "assistant":
                self.heard = Heard.ANSWER
                self._text = _said(event) or self._text
            case "tool_call" if event.get("subtype") == "completed":
                return self._called(as_dict(event.get("tool_call")))
            case "result":
                self._result = event
        return []

    def _called(self, call: Event) -> list[str]:
        """`{"writeToolCall": {"args": …, "result": {"success": …}}}`."""
        kind, content = next(iter(call.items()), ("?", None))
        tool = kind.removesuffix("ToolCall")
        result = as_dict(as_dict(content).get("result"))
        if any(word in result for word in _DENIED):
            self._denied[tool] += 1
            return [f"tool call denied by permissions: {tool}"]
        if "success" in result and tool not in _LOOKING:
            self._acted = True
        return []

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """The result, held against the exit code and what was denied."""
        for event in self._lines.rest():
            self._event(event)
        if self._result is None:
            verdict = self._without_result(exit_code, stderr_tail)
        else:
            verdict = self._ended(self._result, exit_code)
        return verdict.evolve(summary=self._text[:_SUMMARY_LENGTH], usage=self._usage())

    def _ended(self, result: Event, exit_code: int | None) -> Verdict:
        if result.get("is_error") or result.get("subtype") != "success":
            said = as_text(result.get("result")) or as_text(result.get("error")) or as_text(result.get("subtype"))
            return judge_refusal(said, self._now())
        if self._denied:
            denied = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in self._denied.items())
            claim = Claim.DONE if self._acted else Claim.DENIED
            return Verdict(claim=claim, reason=f"tool calls denied by permissions: {denied}")
        reason = "" if exit_code == 0 else f"{explain_exit(exit_code, '')} after its final event"
        return Verdict(claim=Claim.DONE, reason=reason)

    def _without_result(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        if "Workspace Trust Required" in stderr_tail:
            reason = "it asked whether the workspace is to be trusted (its option `trust` answers)"
            return Verdict(claim=Claim.FAILED, reason=reason, retryable=False)
        reason = explain_exit(exit_code, stderr_tail)
        if exit_code is not None and 0 < exit_code < 128:
            if exit_code in (126, 127):
                return Verdict(claim=Claim.FAILED, reason=reason, retryable=False)
            return judge_refusal(stderr_tail.strip()[-2000:], self._now()).evolve(reason=reason)
        if exit_code == 0:
            reason = "it ended with exit code 0"
        return Verdict(claim=Claim.SILENT, reason=f"{reason}, without a final event")

    def _usage(self) -> Usage:
        used = as_dict(as_dict(self._result).get("usage"))
        if not used:
            return Usage(session_id=self._session)
        given, made = (int(sum(as_number(used.get(name)) for name in names)) for names in (_GIVEN, _MADE))
        return Usage(input_tokens=given, output_tokens=made, session_id=self._session)


def _said(event: Event) -> str:
    content = as_dict(event.get("message")).get("content")
    parts = content if isinstance(content, list) else []
    return "".join(as_text(part.get("text")) for part in parts if isinstance(part, dict))
