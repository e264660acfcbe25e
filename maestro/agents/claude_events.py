"""Reads the stream-json events of `claude -p`.

Neither its exit code nor its "success" can be trusted alone (exit 0 with every tool denied, with an unknown slash
command, after an interrupt), and background work gives a second result event: the last one counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from maestro.agents.base import Claim, Heard, Verdict
from maestro.agents.claude_limits import reset_time, speaks_of_limit
from maestro.agents.command import explain_exit
from maestro.agents.jsonlines import Event, JsonLines, as_dict, as_number, as_text
from maestro.agents.sessions import is_session_refused
from maestro.model.outcome import Usage

_SUMMARY_LENGTH = 4000
_LOOKING = frozenset({"Read", "Glob", "Grep", "LS", "TodoWrite", "ToolSearch", "WebFetch", "WebSearch"})
"""Tools that change nothing: that they were allowed does not mean the agent could work."""
_LIMIT_STATUS = frozenset({429, 529})
_HOPELESS_STATUS = frozenset({401, 403, 404})
_LIMIT_ERRORS = frozenset({"rate_limit", "overloaded", "billing_error"})
_HOPELESS_ERRORS = frozenset({"authentication_failed", "model_not_found"})


class ClaudeReader:
    """One attempt's events. `now` gives the present moment, for limits that name a time of day."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.ended = False
        self.heard = Heard.NOTHING
        self._now = now
        self._lines = JsonLines()
        self._result: Event | None = None
        self._session: str | None = None
        self._error = ""  # the `error` of the last assistant event
        self._own_words = False  # the last assistant event is the client's own, not a model's
        self._retrying = ""
        self._reset: datetime | None = None
        self._command_error = ""  # what a slash command's own shell line said
        self._tools: dict[str, str] = {}  # running tool calls: id → name
        self._acted = False
        self._tokens: dict[str, tuple[int, int]] = {}  # message id → input, output

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Take more bytes; notes about retries, fallbacks, limits and denials."""
        return [note for event in self._lines.feed(chunk) for note in self._event(event)]

    def _event(self, event: Event) -> list[str]:
        self._session = as_text(event.get("session_id")) or self._session
        match event.get("type"):
            case "system":
                return self._system(event)
            case "assistant":
                self._assistant(event)
            case "user":
                self._user(event)
            case "rate_limit_event":
                return self._limited(as_dict(event.get("rate_limit_info")))
            case "stream_event":
                self.ended = False
            case "result":
                self.ended = True
                self._result = event
                denied = _denials(event)
                return [f"tool calls denied by permissions: {denied}"] if denied else []
        return []

    def _system(self, event: Event) -> list[str]:
        match event.get("subtype"):
            case "init":
                self.ended = False
            case "api_retry":
                status = event.get("error_status")
                error = as_text(event.get("error"))
                self._retrying = f"{status or 'connection'} {error}".strip()
                if status in _LIMIT_STATUS or error in _LIMIT_ERRORS:
                    self.heard = Heard.LIMIT
                delay = as_number(event.get("retry_delay_ms")) / 1000
                attempt, most = event.get("attempt"), event.get("max_retries")
                return [f"request refused ({self._retrying}); retry {attempt} of {most} in {delay:.1f} s"]
            case "model_fallback":
                return [
                    f"model {event.get('original_model')} is overloaded; goes on with {event.get('fallback_model')}"
                ]
        return []

    def _assistant(self, event: Event) -> None:
        self.ended = False
        message = as_dict(event.get("message"))
        self._error = as_text(event.get("error"))
        if not self._error:
            self._retrying = ""
        usage, message_id = as_dict(message.get("usage")), as_text(message.get("id"))
        self._own_words = message.get("model") == "<synthetic>"
        if not self._own_words and message_id:
            self.heard = Heard.ANSWER
            self._tokens[message_id] = (_input_tokens(usage), int(as_number(usage.get("output_tokens"))))
        for block in _blocks(message):
            if block.get("type") == "tool_use":
                self._tools[as_text(block.get("id"))] = as_text(block.get("name"))

    def _user(self, event: Event) -> None:
        self.ended = False
        message = as_dict(event.get("message"))
        content = message.get("content")
        if isinstance(content, str) and "<local-command-stderr>" in content:
            said = content.partition("<local-command-stderr>")[2].partition("</local-command-stderr>")[0]
            self._command_error = said.strip()
        for block in _blocks(message):
            if block.get("type") == "tool_result":
                name = self._tools.pop(as_text(block.get("tool_use_id")), "")
                if name and name not in _LOOKING and not block.get("is_error"):
                    self._acted = True

    def _limited(self, info: Event) -> list[str]:
        if info.get("status") != "rejected":
            return []
        self._error = self._error or "rate_limit"
        self.heard = Heard.LIMIT
        seconds = as_number(info.get("resetsAt"))
        if 0 < seconds < 1e11:
            self._reset = datetime.fromtimestamp(seconds, UTC)
            return [f"usage limit until {self._reset:%Y-%m-%d %H:%M} UTC"]
        return ["usage limit"]

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """The last result event, held against what is known of its lies."""
        for event in self._lines.rest():
            self._event(event)
        if self._result is None:
            return self._without_result(exit_code, stderr_tail)
        result, usage = self._result, self._usage(self._result)
        summary = as_text(result.get("result"))[:_SUMMARY_LENGTH]
        if result.get("is_error") or result.get("subtype") != "success":
            return self._error_verdict(result, usage, summary)
        if self._own_words and speaks_of_limit(summary):  # older versions do not call it an error
            return self._error_verdict(result, usage, summary)
        verdict = Verdict(claim=Claim.DONE, summary=summary, usage=usage)
        stopped = as_text(result.get("terminal_reason"))
        if not result.get("num_turns"):
            # an unknown slash command, or one whose shell line failed: no model was asked, nothing was done
            reason = self._command_error or summary or "no turn was taken"
            return verdict.evolve(claim=Claim.FAILED, reason=reason, retryable=False)
        if stopped == "hook_stopped" or stopped.startswith("aborted"):
            return verdict.evolve(claim=Claim.FAILED, reason=f"ended early: {stopped.replace('_', ' ')}")
        if denied := _denials(result):
            claim = Claim.DONE if self._acted else Claim.DENIED
            return verdict.evolve(claim=claim, reason=f"tool calls denied by permissions: {denied}")
        if exit_code:
            return verdict.evolve(reason=f"{explain_exit(exit_code, '')} after its final event")
        return verdict

    def _error_verdict(self, result: Event, usage: Usage, summary: str) -> Verdict:
        status = as_number(result.get("api_error_status"))
        errors = result.get("errors")
        said = "; ".join(map(str, errors)) if isinstance(errors, list) and errors else ""
        subtype = as_text(result.get("subtype"))
        reason = (said or summary or subtype.replace("_", " ") or "an error without a text")[:500]
        verdict = Verdict(claim=Claim.FAILED, reason=reason, summary=summary, usage=usage)
        own_words = self._error or self._own_words
        if status in _LIMIT_STATUS or self._error in _LIMIT_ERRORS or (own_words and speaks_of_limit(reason)):
            reset = self._reset or reset_time(reason, self._now())
            return verdict.evolve(claim=Claim.LIMIT, reset_at=reset)
        if subtype == "error_max_budget_usd":  # another attempt would spend the same budget again
            return verdict.evolve(claim=Claim.BUDGET, retryable=False)
        hopeless = status in _HOPELESS_STATUS or self._error in _HOPELESS_ERRORS  # a bad key or model stays bad
        return verdict.evolve(retryable=not hopeless, no_session=is_session_refused(reason))

    def _without_result(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        usage = self._usage({})
        reason = explain_exit(exit_code, stderr_tail)
        if exit_code is not None and 0 < exit_code < 128:
            # it refused to start: bad option, no such session, not installed
            refused = is_session_refused(stderr_tail)
            retryable = exit_code not in (126, 127)
            return Verdict(claim=Claim.FAILED, reason=reason, usage=usage, retryable=retryable, no_session=refused)
        if exit_code == 0:
            reason = "it ended with exit code 0"
        reason += ", without a final event"
        if self._retrying:
            reason += f", while it was retrying a refused request ({self._retrying})"
        return Verdict(claim=Claim.SILENT, reason=reason, usage=usage)

    def usage(self) -> Usage:
        """So far, by its messages: of a message under way, all that went in and little of what comes out."""
        return self._usage(self._result or {})

    def _usage(self, result: Event) -> Usage:
        """Of the whole process: totals per model where given, else what the messages said."""
        models = [as_dict(one) for one in as_dict(result.get("modelUsage")).values()]
        if models:
            names = ("inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens")
            given = int(sum(as_number(one.get(name)) for one in models for name in names))
            made = int(sum(as_number(one.get("outputTokens")) for one in models))
        else:
            given, made = (sum(each) for each in zip(*self._tokens.values(), strict=True)) if self._tokens else (0, 0)
        cost = result.get("total_cost_usd")
        return Usage(
            cost_usd=as_number(cost) if cost is not None else None,
            input_tokens=given,
            output_tokens=made,
            requests=len(self._tokens),
            session_id=self._session,
        )


def _denials(result: Event) -> str:
    """Denied tools with their counts, "Bash ×2, Write"; empty when none was."""
    denials = result.get("permission_denials")
    if not isinstance(denials, list):
        return ""
    counts = Counter(as_text(as_dict(one).get("tool_name")) or "?" for one in denials)
    return ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in counts.items())


def _input_tokens(usage: Event) -> int:
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return int(sum(as_number(usage.get(name)) for name in names))


def _blocks(message: Event) -> list[Event]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
