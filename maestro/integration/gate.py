"""What has to pass before anything lands (M-4)."""

# no `from __future__ import annotations`: see maestro.model.record

from maestro.model.record import Record


class Gate(Record):
    """A check that must pass."""

    command: str | None = None  # for `sh -c`; None: found in the workspace, so that a task may bring the first tests
    timeout_seconds: float = 1800.0
    source: str = "explicit"  # "explicit", or where the command was found

    @property
    def title(self) -> str:
        """The command, as shown to people."""
        return self.command or "the project's test command"
