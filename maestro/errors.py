"""Errors a user can meet. A message says what is wrong, a hint what to do about it.

MaestroError
├── BadInput       the user gave something that cannot be used          (exit code 2)
├── Busy           another run holds what this one needs                 (exit code 3)
├── GitError       git said no where maestro could not go on             (exit code 1)
├── StateError     the state directory cannot be read or written         (exit code 1)
├── TrackerError   the tracker could not be read or written              (exit code 1)
└── WorkspaceError a workspace could not be made, saved or removed       (exit code 1)

Messages start lower-case without a full stop; `sentence` makes one of them for people.
"""

from __future__ import annotations


def sentence(clause: str) -> str:
    """A message as a sentence; a first word that is a name (a path, an option, a key) stays as it is."""
    clause = clause.strip()
    first, _, _ = clause.partition(" ")
    if first.isalpha() and first.islower():
        clause = clause[:1].upper() + clause[1:]
    return clause if not clause or clause.endswith((".", "!", "?", ":", "…")) else f"{clause}."


def error_object(message: str, hint: str) -> dict[str, dict[str, str]]:
    """An error as every door shows it that answers in JSON (C-1a)."""
    return {"error": {"message": sentence(message), "hint": sentence(hint)}}


class MaestroError(Exception):
    """Base of every expected error; `exit_code` is what the command line ends with."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(MaestroError):
    """The user gave something that cannot be used; nothing was started."""

    exit_code = 2


class Busy(MaestroError):
    """Another run holds what this one needs."""

    exit_code = 3


class GitError(MaestroError):
    """A git command failed; `output` is what it printed."""

    def __init__(self, message: str, *, hint: str = "", output: str = "", returncode: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.output = output
        self.returncode = returncode


class StateError(MaestroError):
    """The state directory cannot be read or written."""


class TrackerError(MaestroError):
    """A tracker could not be read or written; never treated as an empty one."""


class WorkspaceError(MaestroError):
    """A workspace could not be made, saved or removed."""
