"""The agents by name; used by wiring only. An adapter is imported when it is chosen: a run has one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from maestro.agents.base import Agent
from maestro.errors import BadInput


def _claude(options: Mapping[str, Any]) -> Agent:
    from maestro.agents.claude import ClaudeAgent, ClaudeOptions

    return ClaudeAgent(ClaudeOptions.model_validate(dict(options)))


def _codex(options: Mapping[str, Any]) -> Agent:
    from maestro.agents.codex import CodexAgent, CodexOptions

    return CodexAgent(CodexOptions.model_validate(dict(options)))


def _command(options: Mapping[str, Any]) -> Agent:
    from maestro.agents.command import CommandAgent, CommandOptions

    if "command" not in options:
        raise BadInput("the agent `command` needs a command line", hint="give one with --agent-command 'CMD'")
    return CommandAgent(CommandOptions.model_validate(dict(options)))


def _cursor(options: Mapping[str, Any]) -> Agent:
    from maestro.agents.cursor import CursorAgent, CursorOptions

    return CursorAgent(CursorOptions.model_validate(dict(options)))


def _delegate(options: Mapping[str, Any]) -> Agent:
    from maestro.agents.delegate import DelegateAgent, DelegateOptions

    return DelegateAgent(DelegateOptions.model_validate(dict(options)))


def _droid(options: Mapping[str, Any]) -> Agent:
    from maestro.agents.droid import DroidAgent, DroidOptions

    return DroidAgent(DroidOptions.model_validate(dict(options)))


def _gemini(options: Mapping[str, Any]) -> Agent:
    from maestro.agents.gemini import GeminiAgent, GeminiOptions

    return GeminiAgent(GeminiOptions.model_validate(dict(options)))


def _opencode(options: Mapping[str, Any]) -> Agent:
    from maestro.agents.opencode import OpencodeAgent, OpencodeOptions

    return OpencodeAgent(OpencodeOptions.model_validate(dict(options)))


AGENTS: dict[str, Callable[[Mapping[str, Any]], Agent]] = {
    "claude": _claude,
    "codex": _codex,
    "command": _command,
    "cursor": _cursor,
    "delegate": _delegate,
    "droid": _droid,
    "gemini": _gemini,
    "opencode": _opencode,
}

OF_THE_RUN = frozenset({"home"})
"""Options that stand among those of an adapter, and are carried out by the run: which HOME it has."""


def make_agent(name: str, options: Mapping[str, Any]) -> Agent:
    """The agent with its options checked; BadInput for an unknown name or option."""
    if name not in AGENTS:
        raise BadInput(f"there is no agent named {name!r}", hint=f"known agents: {', '.join(sorted(AGENTS))}")
    try:
        return AGENTS[name]({key: value for key, value in options.items() if key not in OF_THE_RUN})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"option {where!r} of the agent {name!r}: {first['msg'].lower()}") from error
