"""What the CLIs say of a conversation that they were to go on with and cannot."""

from __future__ import annotations

import re

_REFUSED = re.compile(
    r"no conversation found with session id|session id \S+ is already in use"  # claude
    r"|no rollout found for thread|thread not found"  # codex
    r"|error resuming session"  # gemini
    r"|session not found",  # opencode
    re.IGNORECASE,
)


def is_session_refused(said: str) -> bool:
    """Whether the words mean that the conversation is not to be had; the same task can begin a new one."""
    return _REFUSED.search(said) is not None
