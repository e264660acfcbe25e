"""Reads the stream-json events of `gemini`.

Its exit code is the HTTP status modulo 256, so 145 is a bad key and no signal. One that is terminated ends with exit
code 0 and without a result, and one whose tools were all withheld ends with "success": neither is done.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from maestro.agents.base import Claim, Heard, Verdict
from maestro.agents.command import explain_exit
from maestro.agents.gemini_limits import is_limit, limit_ends
from maestro.agents.jsonlines import Event, JsonLines, as_dict, as_number, as_text
from maestro.agents.sessions import is_session_refused
from maestro.model.outcome import Usage

_SUMMARY_LENGTH = 4000
_STATUS_OF = {status % 256: status for status in (400, 401, 403, 404, 413, 429, 500, 502, 503, 504, 529)}
_HOPELESS_STATUS = frozenset({401, 403, 404})
_HOPELESS_EXIT = frozenset({41, 52, 55, 126, 127})  # no key, bad settings, a folder not trusted, not installed
_HOPELESS = re.compile(
    r"api key not valid|api_key_invalid|api key expired|permission_denied|unauthenticated"
    r"|is not found for api version|model.{0,80}not found",
    re.IGNORECASE,
)
_NEEDED = frozenset({"write_file", "replace", "run_shell_command"})
"""Tools that are always there unless they are withheld; another that is not there was only imagined."""
_LOOKING = frozenset(
    {"glob", "read_file", "read_many_files", "list_directory", "grep_search", "search_file_content", "web_fetch",
     "google_web_search", "write_todos"}
)  # fmt: skip
"""Tools that change nothing: that they were allowed does not mean the agent could work."""


class GeminiReader:
    """One attempt's events. `now` gives the present moment, for limits that name a delay."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.ended = False
        self.heard = Heard.NOTHING
        self._now = now
        self._lines = JsonLines()
        self._session: str | None = None
        self._said: list[str] = []  # the agent's words since its last tool call
        self._tools: dict[str, str] = {}  # running tool calls: id → name
        self._acted = False
        self._withheld: Counter[str] = Counter()
        self._result: Event | None = None

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Take more bytes; notes about errors on the way."""
        return [note for event in self._lines.feed(chunk) for note in self._event(event)]

    def _event(self, event: Event) -> list[str]:
        match event.get("type"):
            case "init":
                self._session = as_text(event.get("session_id")) or self._session
            case "message" if event.get("role") == "assistant":
                self.heard = Heard.ANSWER
                self._said.append(as_text(event.get("content")))
            case "tool_use":
                self.heard = Heard.ANSWER
                self._said.clear()
                self._tools[as_text(event.get("tool_id"))] = as_text(event.get("tool_name"))
            case "tool_result":
                self._tool_result(event)
            case "error":
                return [as_text(event.get("message"))[:500]] if event.get("message") else []
            case "result":
                self.ended = True
                self._result = event
        return []

    def _tool_result(self, event: Event) -> None:
        name = self._tools.pop(as_text(event.get("tool_id")), "")
        problem = as_dict(event.get("error")).get("type")
        if problem == "policy_violation" or (problem == "tool_not_registered" and name in _NEEDED):
            self._withheld[name or "?"] += 1
        elif event.get("status") == "success" and name not in _LOOKING:
            self._acted = True

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """The result, held against what is known of its lies."""
        for event in self._lines.rest():
            self._event(event)
        summary = "".join(self._said).strip()[:_SUMMARY_LENGTH]
        verdict = Verdict(claim=Claim.DONE, summary=summary, usage=self._usage())
        if self._result is None:
            return _without_result(verdict, exit_code, stderr_tail)
        if self._result.get("status") != "success":
            return self._failed(verdict, exit_code)
        if self._withheld and not self._acted:
            tools = ", ".join(f"{name} ×{n}" if n > 1 else name for name, n in self._withheld.items())
            return verdict.evolve(claim=Claim.DENIED, reason=f"tools that it may not use: {tools}")
        if exit_code != 0:
            return verdict.evolve(reason=f"{explain_exit(exit_code, '')} after its final event")
        return verdict

    def _failed(self, verdict: Verdict, exit_code: int | None) -> Verdict:
        said = as_text(as_dict((self._result or {}).get("error")).get("message"))
        status = _STATUS_OF.get(exit_code) if exit_code is not None else None
        reason = _plain(said) or "an error without a text"
        verdict = verdict.evolve(claim=Claim.FAILED, reason=(f"{status} {reason}" if status else reason)[:500])
        if is_limit(said, status):
            return verdict.evolve(claim=Claim.LIMIT, reset_at=limit_ends(said, self._now()))
        # a bad key or model stays bad
        return verdict.evolve(retryable=not (status in _HOPELESS_STATUS or _HOPELESS.search(said)))

    def _usage(self) -> Usage:
        stats = as_dict((self._result or {}).get("stats"))
        if not stats:
            return Usage(session_id=self._session)
        return Usage(
            input_tokens=int(as_number(stats.get("input_tokens"))),
            output_tokens=int(as_number(stats.get("output_tokens"))),
            session_id=self._session,
        )


def _without_result(verdict: Verdict, exit_code: int | None, stderr_tail: str) -> Verdict:
    reason = explain_exit(exit_code, stderr_tail)
    if exit_code is not None and 0 < exit_code < 128:
        # it refused to start: no key, bad option, no such session, not installed
        refused = is_session_refused(stderr_tail)
        retryable = exit_code not in _HOPELESS_EXIT
        return verdict.evolve(claim=Claim.FAILED, reason=reason, retryable=retryable, no_session=refused)
    reason = "it ended with exit code 0" if exit_code == 0 else reason
    return verdict.evolve(claim=Claim.SILENT, reason=f"{reason}, without a final event")


def _plain(said: str) -> str:
    """The words of "[API Error: …]"; some are the provider's JSON as it came."""
    text = said.removeprefix("[API Error: ").replace("]\n", "\n").removesuffix("]")
    try:
        inner = as_dict(json.loads(text)) if text.startswith("{") else {}
    except (ValueError, RecursionError):
        inner = {}
    return as_text(as_dict(inner.get("error")).get("message")) or " ".join(text.split())
