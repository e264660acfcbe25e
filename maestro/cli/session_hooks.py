"""The hooks of the plugin as entries of `.claude/settings.json`, for a repository that has no plugin (C-3).

Merging only ever adds: entries of others stay in their place, and what is there already is not added again. Pure.
"""

from __future__ import annotations

import json
from typing import Any

from maestro.errors import BadInput

_OF_THE_PLUGIN = '"${CLAUDE_PLUGIN_ROOT}/bin/maestro"'


def merged(settings: str, plugin_hooks: str) -> str:
    """The text of a settings file with our hooks in it; the same text where they are.

    BadInput where it is not the JSON that Claude Code expects: nothing is guessed about a file we would write.
    """
    wanted: dict[str, list[Any]] = json.loads(plugin_hooks.replace(json.dumps(_OF_THE_PLUGIN)[1:-1], "maestro"))[
        "hooks"
    ]
    try:
        found = json.loads(settings) if settings.strip() else {}
    except ValueError as error:
        raise _odd(f"is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _odd("holds no JSON object")
    hooks = found.setdefault("hooks", {})
    if not isinstance(hooks, dict) or not all(isinstance(entries, list) for entries in hooks.values()):
        raise _odd('has "hooks" that are not lists by event')
    added = False
    for event, entries in wanted.items():
        there = hooks.setdefault(event, [])
        missing = [entry for entry in entries if entry not in there]
        there += missing
        added = added or bool(missing)
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n" if added else settings


def _odd(what: str) -> BadInput:
    return BadInput(
        f".claude/settings.json {what}", hint="mend it, or leave --hooks away and use the plugin, which brings them"
    )
