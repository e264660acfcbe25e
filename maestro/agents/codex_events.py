"""Reads the JSON lines of `codex exec --json`.

`turn.completed` with exit code 0 comes also where the sandbox stopped every command (often without an item for any)
or while a command is still running (the model did not wait, and it is killed). `error` items are warnings, and `error`
events come before each new try; only `turn.failed` is an end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime

from maestro.agents.base import Claim, Heard, Verdict
from maestro.agents.codex_limits import is_limit, limit_ends
from maestro.agents.command import explain_exit
from maestro.agents.jsonlines import Event, JsonLines, as_dict, as_number, as_text
from maestro.agents.sessions import is_session_refused
from maestro.model.outcome import Usage

_SUMMARY_LENGTH = 4000
_HOPELESS = re.compile(
    r"unexpected status 40[134]\b|missing environment variable|to use codex with your chatgpt plan", re.IGNORECASE
)


class CodexReader:
    """One attempt's events. `now` gives the present moment, for limits that name a time of day."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.ended = False
        self.heard = Heard.NOTHING
        self._now = now
        self._lines = JsonLines()
        self._session: str | None = None
        self._said = ""  # the last message of the agent
        self._trying = ""  # why it connects again
        self._failure: str | None = None
        self._completed: Event | None = None
        self._running: dict[str, str] = {}  # commands begun and not ended: item → command

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Take more bytes; notes about new tries and warnings."""
        return [note for event in self._lines.feed(chunk) for note in self._event(event)]

    def _event(self, event: Event) -> list[str]:
        match event.get("type"):
            case "thread.started":
                self._session = as_text(event.get("thread_id")) or self._session
            case "turn.started":
                self.ended = False
                self._failure = self._completed = None
            case "item.started" | "item.completed":
                return self._item(as_dict(event.get("item")), begun=event["type"] == "item.started")
            case "error":
                self._trying = _plain(event.get("message"))
                if not self._trying.startswith("Reconnecting"):
                    return []
                self.heard = Heard.LIMIT if is_limit(self._trying) else self.heard
                return [self._trying]
            case "turn.failed":
                self.ended = True
                self._failure = _plain(as_dict(event.get("error")).get("message")) or "an error without a text"
            case "turn.completed":
                self.ended = True
                self._completed = event
        return []

    def _item(self, item: Event, *, begun: bool) -> list[str]:
        self._trying = ""
        if item.get("type") != "error":
            self.heard = Heard.ANSWER
        name = as_text(item.get("id"))
        match item.get("type"):
            case "agent_message":
                self._said = as_text(item.get("text"))
            case "error":
                return [as_text(item.get("message"))[:500]]
            case "command_execution" if begun:
                self._running[name] = as_text(item.get("command"))
            case "command_execution":
                self._running.pop(name, None)
        return []

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """The end of the turn, held against what is known of its lies."""
        for event in self._lines.rest():
            self._event(event)
        verdict = Verdict(claim=Claim.DONE, summary=self._said[:_SUMMARY_LENGTH], usage=self._usage())
        if self._failure is not None:
            return self._failed(verdict, self._failure)
        if self._completed is None:
            return self._without_end(verdict, exit_code, stderr_tail)
        if exit_code != 0:
            after = f"{explain_exit(exit_code, '')} after its final event"
            return verdict.evolve(claim=Claim.FAILED if exit_code == 1 else Claim.DONE, reason=after)
        if self._running:
            left = "; ".join(self._running.values())[:300]
            return verdict.evolve(reason=f"it ended while a command of its was still running: {left}")
        return verdict

    def _failed(self, verdict: Verdict, failure: str) -> Verdict:
        verdict = verdict.evolve(claim=Claim.FAILED, reason=failure[:500])
        if is_limit(failure):
            return verdict.evolve(claim=Claim.LIMIT, reset_at=limit_ends(failure, self._now()))
        return verdict.evolve(retryable=not _HOPELESS.search(failure))  # a bad key or model stays bad

    def _without_end(self, verdict: Verdict, exit_code: int | None, stderr_tail: str) -> Verdict:
        reason = explain_exit(exit_code, stderr_tail)
        if self._session is None and exit_code is not None and 0 < exit_code < 128:
            # it refused to start: bad option, no such thread, not installed
            refused = is_session_refused(stderr_tail)
            retryable = exit_code not in (126, 127)
            return verdict.evolve(claim=Claim.FAILED, reason=reason, retryable=retryable, no_session=refused)
        if exit_code in (0, 1):  # 1: interrupted; what stands on standard error then has nothing to do with it
            reason = f"it ended with exit code {exit_code}"
        reason += ", without a final event"
        if self._trying:
            reason += f", while it was trying again ({self._trying})"
        return verdict.evolve(claim=Claim.SILENT, reason=reason)

    def _usage(self) -> Usage:
        """Of the whole thread: a resumed one counts what it used before again."""
        used = as_dict((self._completed or {}).get("usage"))
        if not used:
            return Usage(session_id=self._session)
        return Usage(
            input_tokens=int(as_number(used.get("input_tokens"))),
            output_tokens=int(as_number(used.get("output_tokens"))),
            session_id=self._session,
            whole_conversation=True,
        )


def _plain(message: object) -> str:
    """The words of an error; some are the provider's JSON as it came."""
    text = as_text(message)
    if text.startswith("{"):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return as_text(as_dict(as_dict(inner).get("error")).get("message")) or text
    return text
