"""Reads the stream-json events of `droid exec`.

Its final event is `completion` or `error`. A completion proves little: it also follows an answer that broke off, and a
SIGTERM in the middle of a tool call, with exit code 0. Some refusals end it with exit code 1 and not one word (a
session it does not know, no prompt). While it retries a refused request, it prints nothing, for more than a minute.
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
_LOOKING = frozenset({"Read", "LS", "Grep", "Glob", "TodoWrite", "WebSearch", "FetchUrl", "ToolSearch", "Skill"})
"""Tools that change nothing: that they were allowed does not mean the agent could work."""
_DENIALS = ("is not permitted in this exec session", "insufficient permission to proceed")


class DroidReader:
    """One attempt's events. `now` gives the present moment, for limits that name one."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.ended = False
        self.heard = Heard.NOTHING
        self._now = now
        self._lines = JsonLines()
        self._session: str | None = None
        self._completion: Event | None = None
        self._errors: list[str] = []
        self._tools: dict[str, str] = {}  # running tool calls: id → name
        self._denied: Counter[str] = Counter()
        self._acted = False
        self._text = ""

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Take more bytes; notes about tools that were denied."""
        return [note for event in self._lines.feed(chunk) for note in self._event(event)]

    def _event(self, event: Event) -> list[str]:
        self._session = as_text(event.get("session_id")) or self._session
        kind = event.get("type")
        self.ended = kind in ("completion", "error")
        match kind:
            case "message" if event.get("role") == "assistant":
                self.heard = Heard.ANSWER
                self._text = as_text(event.get("text")) or self._text
            case "tool_call":
                self.heard = Heard.ANSWER
                self._tools[as_text(event.get("id"))] = as_text(event.get("toolName"))
            case "tool_result":
                return self._result(event)
            case "completion":
                self._completion = event
                self._errors.clear()
            case "error":
                self._errors.append(as_text(event.get("message")))
        return []

    def _result(self, event: Event) -> list[str]:
        tool = self._tools.pop(as_text(event.get("id")), "") or as_text(event.get("toolName")) or "?"
        if not event.get("isError"):
            self._acted = self._acted or tool not in _LOOKING
            return []
        said = as_text(as_dict(event.get("error")).get("message"))
        if not any(words in said for words in _DENIALS):
            return []
        self._denied[tool] += 1
        return [f"tool call denied by its level of autonomy: {tool}"]

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """The last final event, held against what is known of its lies."""
        for event in self._lines.rest():
            self._event(event)
        if self._errors:
            verdict = self._error_verdict(self._errors)
        elif self._completion is None:
            verdict = _without_end(exit_code, stderr_tail)
        else:
            verdict = self._completed(exit_code)
        return verdict.evolve(summary=self._text[:_SUMMARY_LENGTH], usage=self._usage())

    def _completed(self, exit_code: int | None) -> Verdict:
        if self._denied:
            denied = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in self._denied.items())
            claim = Claim.DONE if self._acted else Claim.DENIED
            return Verdict(claim=claim, reason=f"tool calls denied by its level of autonomy: {denied}")
        if exit_code == 0:
            return Verdict(claim=Claim.DONE)
        return Verdict(claim=Claim.DONE, reason=f"{explain_exit(exit_code, '')} after its final event")

    def _error_verdict(self, errors: Sequence[str]) -> Verdict:
        """The first error says what happened, those after it only that it ended."""
        if any(words in error for error in errors for words in _DENIALS):
            return Verdict(claim=Claim.DENIED, reason=errors[0][:500])
        return judge_refusal(errors[0], self._now())

    def _usage(self) -> Usage:
        end = self._completion
        if end is None:
            return Usage(session_id=self._session)
        used = as_dict(end.get("usage"))
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        return Usage(
            input_tokens=int(sum(as_number(used.get(name)) for name in names)),
            output_tokens=int(as_number(used.get("output_tokens"))),
            requests=int(as_number(end.get("numTurns"))),
            session_id=self._session,
        )


def _without_end(exit_code: int | None, stderr_tail: str) -> Verdict:
    reason = explain_exit(exit_code, stderr_tail)
    if exit_code is not None and 0 < exit_code < 128:
        silent = not stderr_tail.strip() and exit_code not in (126, 127)
        if silent:
            reason += " and not one word (it does so for a session it does not know, and without a login it needs)"
        retryable = exit_code not in (126, 127)
        return Verdict(claim=Claim.FAILED, reason=reason, retryable=retryable, no_session=silent)
    if exit_code == 0:
        reason = "it ended with exit code 0"
    return Verdict(claim=Claim.SILENT, reason=f"{reason}, without a final event")
