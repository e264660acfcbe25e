"""Reads what a refresh command answered (E-2): its text, or why it counts as not completed."""

from __future__ import annotations

import json

from maestro.model.record import Record


class Refreshed(Record):
    """The answer of the refresh command."""

    completed: bool
    text: str = ""
    reason: str = ""


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
    if code != 0:
        said = (stderr or stdout).strip().splitlines()
        return Refreshed(completed=False, reason=said[-1] if said else f"exit code {code}")
    try:
        answer = json.loads(stdout)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or answer.get("type") != "result":
        text = stdout.strip()
        return Refreshed(completed=bool(text), text=text, reason="" if text else "it printed nothing")
    text = str(answer.get("result") or "").strip()
    if answer.get("is_error") or answer.get("num_turns") == 0 or not text:
        unknown = " (`maestro init` writes it, and the plugin brings it)" if text.startswith("Unknown command") else ""
        return Refreshed(completed=False, reason=f"{text}{unknown}" or "it answered nothing")
    return Refreshed(completed=True, text=text)
