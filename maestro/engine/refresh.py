"""Reads what a refresh command answered (E-2): its text, or why it counts as not completed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from maestro.model.outcome import Usage
from maestro.model.record import Record


class Refreshed(Record):
    """The answer of the refresh command."""

    completed: bool
    text: str = ""
    reason: str = ""
    usage: Usage = Usage()  # where the command says what its model used


def shortened(text: str, most: int) -> str:
    """The beginning of a text, in whole lines where they are short enough, with a word on what was left out."""
    if len(text) <= most:
        return text
    kept = text[:most]
    at_a_line = kept.rpartition("\n")[0]
    kept = at_a_line if len(at_a_line) > most // 2 else kept
    return f"{kept.rstrip()}\n[… {len(text) - len(kept.rstrip())} more characters left out]"


def read_refresh(code: int | None, stdout: str, stderr: str) -> Refreshed:
    """Text of the answer; `claude --output-format json` is understood, anything else is taken as plain text.

    `claude` ends with 0 and `num_turns` 0 for a slash command it does not know, so that is looked for.
    """
    answer = _result_in(stdout)
    usage = _usage(answer or {})
    if code != 0:
        said = (stderr or stdout).strip().splitlines()
        return Refreshed(completed=False, reason=said[-1] if said else f"exit code {code}", usage=usage)
    if answer is None:
        text = stdout.strip()
        return Refreshed(completed=bool(text), text=text, reason="" if text else "it printed nothing")
    text = str(answer.get("result") or "").strip()
    if answer.get("is_error") or answer.get("num_turns") == 0 or not text:
        unknown = " (`maestro init` writes it, and the plugin brings it)" if text.startswith("Unknown command") else ""
        return Refreshed(completed=False, reason=f"{text}{unknown}" or "it answered nothing", usage=usage)
    return Refreshed(completed=True, text=text, usage=usage)


def _result_in(stdout: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(stdout)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and answer.get("type") == "result" else None


def _usage(answer: Mapping[str, Any]) -> Usage:
    """Cost and tokens as `claude` says them; what is odd about them is no reason not to use the answer."""
    said = answer.get("usage")
    used: Mapping[str, Any] = said if isinstance(said, dict) else {}
    given = [used.get(name) for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")]
    try:
        return Usage(
            cost_usd=answer.get("total_cost_usd"),
            input_tokens=sum(one or 0 for one in given) if used else None,
            output_tokens=used.get("output_tokens"),
        )
    except (TypeError, ValueError):
        return Usage()
