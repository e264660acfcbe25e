"""Reads the JSON events of `opencode run --format json`.

There is no final event: the reason of the last `step_finish` and the exit code decide together, and neither is enough.
A permission that nobody is there to give is refused, the conversation ends there and then, and the exit code is 0; a
broken answer is a step that ended for the reason "unknown". While it retries a refused request, it prints nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from maestro.agents.base import Claim, Heard, Verdict
from maestro.agents.command import explain_exit
from maestro.agents.jsonlines import Event, JsonLines, as_dict, as_number, as_text
from maestro.agents.refusals import judge_refusal
from maestro.agents.sessions import is_session_refused
from maestro.model.outcome import Usage

_SUMMARY_LENGTH = 4000
_GOING_ON = frozenset({"tool-calls", "unknown"})
"""Reasons after which a healthy conversation takes another step."""
_ENDS = {
    "length": "its last answer was cut off at the model's limit",
    "content-filter": "its last answer was stopped by the provider's filter",
    "error": "its last answer ended with an error",
    "unknown": "its last answer broke off",
}
_LOOKING = frozenset(
    {"read", "glob", "grep", "list", "todowrite", "todoread", "webfetch", "websearch", "skill", "invalid"}
)
"""Tools that change nothing: that they were allowed does not mean the agent could work."""
_HOPELESS_ERRORS = frozenset({"ProviderAuthError", "ProviderModelNotFoundError"})
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class OpencodeReader:
    """One attempt's events. `now` gives the present moment, for limits that name one."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.ended = False
        self.heard = Heard.NOTHING
        self._now = now
        self._lines = JsonLines()
        self._session: str | None = None
        self._reason: str | None = None  # of the last step
        self._error: Event | None = None
        self._refused: Counter[str] = Counter()  # tools that permissions or rules refused
        self._rejected = False  # a permission was asked for and nobody was there
        self._acted = False
        self._text = ""
        self._cost = 0.0
        self._given = 0
        self._made = 0
        self._steps = 0

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Take more bytes; notes about tools that were refused."""
        return [note for event in self._lines.feed(chunk) for note in self._event(event)]

    def _event(self, event: Event) -> list[str]:
        self._session = as_text(event.get("sessionID")) or self._session
        part = as_dict(event.get("part"))
        match event.get("type"):
            case "step_start":
                self.ended = False
            case "text":
                self.heard = Heard.ANSWER
                self._text = as_text(part.get("text")) or self._text
            case "tool_use":
                self.heard = Heard.ANSWER
                return self._tool(as_text(part.get("tool")) or "?", as_dict(part.get("state")))
            case "step_finish":
                self._step(part)
            case "error":
                self.ended = True
                self._error = as_dict(event.get("error"))
        return []

    def _tool(self, tool: str, state: Event) -> list[str]:
        if state.get("status") == "completed":
            self._acted = self._acted or tool not in _LOOKING
            return []
        error = as_text(state.get("error"))
        rejected = "rejected permission" in error
        if not rejected and "a rule which prevents" not in error:
            return []
        self._rejected = self._rejected or rejected
        self._refused[tool] += 1
        what = as_dict(state.get("input"))
        said = as_text(what.get("command")) or as_text(what.get("filePath"))
        return [f"tool call refused by permissions: {tool} {said[:200]}".rstrip()]

    def _step(self, part: Event) -> None:
        self._error = None  # a step that went well after it
        self._reason = as_text(part.get("reason")) or "unknown"
        self.ended = self._reason not in _GOING_ON
        self._steps += 1
        self._cost += as_number(part.get("cost"))
        tokens = as_dict(part.get("tokens"))
        cache = as_dict(tokens.get("cache"))
        self._given += int(sum(map(as_number, (tokens.get("input"), cache.get("read"), cache.get("write")))))
        self._made += int(as_number(tokens.get("output")) + as_number(tokens.get("reasoning")))

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """The last error, else the last step held against the exit code."""
        for event in self._lines.rest():
            self._event(event)
        said = _COLOUR.sub("", stderr_tail)
        verdict = self._ending(exit_code, said) if self._error is None else self._refusal(self._error)
        return verdict.evolve(summary=self._text[:_SUMMARY_LENGTH], usage=self.usage())

    def _refusal(self, error: Event) -> Verdict:
        data = as_dict(error.get("data"))
        headers = {name.lower(): as_text(value) for name, value in as_dict(data.get("responseHeaders")).items()}
        after = f"retry after {headers['retry-after']} seconds" if headers.get("retry-after", "").isdigit() else ""
        status = int(as_number(data.get("statusCode"))) or None
        message = as_text(data.get("message")) or as_text(error.get("name"))
        verdict = judge_refusal(message, self._now(), status, after)
        if error.get("name") in _HOPELESS_ERRORS:
            return verdict.evolve(retryable=False)
        if error.get("name") == "UnknownError":
            return verdict.evolve(reason=f"{verdict.reason} (it also says so of a model that is not configured)")
        return verdict

    def _ending(self, exit_code: int | None, said: str) -> Verdict:
        if exit_code is None or exit_code >= 128:
            reason = f"{explain_exit(exit_code, said)}, before its last step had ended"
            return Verdict(claim=Claim.SILENT, reason=reason)
        if exit_code == 1 and "Failed query" in said:
            reason = "its database could not be set up or read, as happens when several start at once after an update"
            return Verdict(claim=Claim.FAILED, reason=f"exit code 1: {reason}")
        if exit_code:
            retryable = exit_code not in (126, 127)
            reason = explain_exit(exit_code, said)
            gone = is_session_refused(said)
            return Verdict(claim=Claim.FAILED, reason=reason, retryable=retryable, no_session=gone)
        refused = f"tool calls refused by permissions: {_counted(self._refused)}" if self._refused else ""
        if self._reason == "stop":
            claim = Claim.DENIED if refused and not self._acted else Claim.DONE
            return Verdict(claim=claim, reason=refused)
        if self._reason is None:
            return Verdict(claim=Claim.SILENT, reason="it ended with exit code 0, without taking a step")
        if self._rejected:
            reason = "it ended with exit code 0 where a permission was asked for and nobody could answer"
            return Verdict(claim=Claim.DENIED, reason=f"{reason}; {refused}")
        reason = _ENDS.get(self._reason, f"it ended in the middle of its work (last step: {self._reason})")
        claim = Claim.SILENT if self._reason in _GOING_ON else Claim.FAILED
        return Verdict(
            claim=claim, reason=f"it ended with exit code 0, but {reason}" if claim is Claim.SILENT else reason
        )

    def usage(self) -> Usage:
        """Of the steps so far."""
        if not self._steps:
            return Usage(session_id=self._session)
        return Usage(
            cost_usd=self._cost or None,  # 0 for a model that its table has no price of
            input_tokens=self._given,
            output_tokens=self._made,
            requests=self._steps,
            session_id=self._session,
        )


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in counts.items())
