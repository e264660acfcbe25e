"""Which `bd` this is: two eras are understood, all else is refused with a sentence."""

from __future__ import annotations

import re
from enum import StrEnum

from maestro.errors import BadInput
from maestro.model.record import Record

SUPPORTED = "0.47 to 0.49, and 1.x"


class Era(StrEnum):
    """The storage behind the command line, which decides what the commands can do."""

    SQLITE = "sqlite"  # 0.47 … 0.49: beads.db, issues.jsonl
    DOLT = "dolt"  # 1.x: embedded Dolt, or a server


class Version(Record):
    """A version of bd that maestro works with."""

    text: str
    era: Era

    @property
    def appends_notes(self) -> bool:
        """`--append-notes`; before it, `--notes` replaces what is there."""
        return self.era is Era.DOLT

    @property
    def minds_children(self) -> bool:
        """It closes no epic that has an open child."""
        return self.era is Era.DOLT

    @property
    def has_batch(self) -> bool:
        """`bd batch`: one transaction for many changes, at a quarter of their price."""
        return self.era is Era.DOLT

    @property
    def global_flags(self) -> tuple[str, ...]:
        """Flags for every call. The daemon is also switched off by a variable, but only the flag keeps 0.4x from
        its sandbox mode, whose lock timeout is 0.1 s; 1.x would refuse the flag."""
        return ("--no-daemon",) if self.era is Era.SQLITE else ()


def judge(said: object, program: str) -> Version:
    """The version of `bd version --json`; BadInput for one that maestro does not know."""
    text = said.get("version") if isinstance(said, dict) else None
    match = re.match(r"v?(\d+)\.(\d+)", text) if isinstance(text, str) else None
    if match is None or not isinstance(text, str):
        raise BadInput(
            f"the `{program}` on PATH does not say which version of beads it is",
            hint=f"maestro works with beads {SUPPORTED}; see `{program} version`",
        )
    major, minor = int(match[1]), int(match[2])
    if major == 0 and 47 <= minor <= 49:
        return Version(text=text, era=Era.SQLITE)
    if major == 1:
        return Version(text=text, era=Era.DOLT)
    raise BadInput(
        f"the `{program}` on PATH is beads {text}, which maestro does not know",
        hint=f"install one of beads {SUPPORTED}",
    )
