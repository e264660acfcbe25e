"""The one door to `bd`: builds every command line and environment, and waits no longer than it says.

A call that was ended because it overran, or that died, has an *unknown outcome*: it may have written. Only what reads
back can tell, so `Answer` says so and nobody here tries a write again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from maestro.errors import BadInput, TrackerError, WorkspaceError
from maestro.model.record import Record
from maestro.proc.capture import capture
from maestro.trackers.beads import answers, place
from maestro.trackers.beads.versions import SUPPORTED, Version, judge

PROGRAM = "bd"
READER = "maestro"
"""The actor of calls that change nothing."""

_REMOVED = ("CLAUDE_CODE", "BD_AGENT_MODE", "BD_JSON_ENVELOPE", "BEADS_DB", "BD_DB", "BD_SOCKET", "BD_NO_DB")
"""Variables of the caller's that would change limits, shapes or the database."""

_PAUSES_SECONDS = (0.1, 0.3, 1.0, 3.0, 5.0)


class Answer(Record):
    """How a call ended."""

    code: int
    stdout: str
    stderr: str
    timed_out: bool

    @property
    def known(self) -> bool:
        """False: it overran or died, and may or may not have written."""
        return not self.timed_out and self.code <= 128

    @property
    def ok(self) -> bool:
        """Whether it claims success; its output is still to be held against what was asked."""
        return self.known and self.code == 0 and bool(self.stdout.strip())

    @property
    def error(self) -> str:
        """What went wrong, in its own words."""
        return answers.error_in(self.stdout, self.stderr)


class Bd:
    """`bd` on one database."""

    def __init__(
        self,
        folder: Path,
        checkout: Path,
        environ: Mapping[str, str],
        *,
        timeout_seconds: float,
        lock_seconds: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder = folder
        self._checkout = checkout
        self._environ = environ
        self._timeout_seconds = timeout_seconds
        self._lock_seconds = lock_seconds
        self._pause = pause
        self._version: Version | None = None

    @property
    def version(self) -> Version:
        """Which bd this is, probed once, together with which database it really uses."""
        if self._version is None:
            version = self._probe()
            place.check_era(self.folder, version)
            self._check_place(version)
            self._version = version
        return self._version

    def read(self, *args: str) -> str:
        """The output of a call that only reads; TrackerError where it fails."""
        flags = self.version.global_flags
        answer = self._patiently((*flags, *args), READER)
        if not answer.known or answer.code != 0:
            raise self._failed(args, answer)
        return answer.stdout

    def write(self, *args: str, actor: str, stdin: str = "") -> Answer:
        """A call that changes something; made again only where somebody's lock kept it from doing anything."""
        return self._patiently((*self.version.global_flags, *args), actor, stdin)

    def _patiently(self, args: Sequence[str], actor: str, stdin: str = "") -> Answer:
        """Call; where the database is locked, again after growing pauses within the limit."""
        until = time.monotonic() + self._lock_seconds
        tries = 0
        while True:
            answer = self._call(args, actor, stdin)
            was_locked = answer.known and not answer.stdout.strip() and answers.is_locked(answer.stderr)
            pause = _PAUSES_SECONDS[min(tries, len(_PAUSES_SECONDS) - 1)]
            if not was_locked or time.monotonic() + pause > until:
                return answer
            tries += 1
            self._pause(pause)

    def _call(self, args: Sequence[str], actor: str, stdin: str = "") -> Answer:
        try:
            done = capture(
                [self._program(), *args],
                cwd=self._checkout,
                env=self.environment(actor),
                stdin=stdin.encode(),
                timeout_seconds=self._timeout_seconds,
            )
        except WorkspaceError as error:
            raise TrackerError(f"{PROGRAM} cannot be started: {error.message}") from error
        return Answer(
            code=done.code,
            stdout=done.stdout.decode("utf-8", "replace"),
            stderr=done.stderr.decode("utf-8", "replace"),
            timed_out=done.timed_out,
        )

    def environment(self, actor: str) -> dict[str, str]:
        """The caller's environment, with the database and the actor settled and nothing that changes the output."""
        return {name: value for name, value in self._environ.items() if name not in _REMOVED} | {
            "BEADS_DIR": str(self.folder),
            "BEADS_ACTOR": actor,
            "BD_ACTOR": actor,
            "BEADS_NO_DAEMON": "1",
            "BD_NON_INTERACTIVE": "1",
            "BD_NO_PAGER": "1",
        }

    def _program(self) -> str:
        found = shutil.which(PROGRAM, path=self._environ.get("PATH"))
        if found is None:
            raise BadInput(
                f"beads was not found: there is no `{PROGRAM}` on PATH",
                hint=f"install beads ({SUPPORTED}), or give the backlog as a file with --tasks-file",
            )
        return found

    def _probe(self) -> Version:
        args = ("version", "--json")
        answer = self._call(args, READER)
        if not answer.known:
            raise self._failed(args, answer)
        if answer.code != 0:
            raise BadInput(
                f"`{PROGRAM} version` failed: {answer.error or f'exit code {answer.code}'}",
                hint=f"maestro works with beads {SUPPORTED}",
            )
        try:
            said = answers.value_in(answer.stdout, f"`{PROGRAM} version`")
        except TrackerError as error:
            raise BadInput(error.message, hint=f"maestro works with beads {SUPPORTED}") from error
        return judge(said, PROGRAM)

    def _check_place(self, version: Version) -> None:
        """bd silently ignores a BEADS_DIR that it does not like, and uses what it finds from the current directory."""
        args = (*version.global_flags, "where", "--json")
        answer = self._patiently(args, READER)
        if not answer.ok:
            raise self._failed(args, answer)
        said = answers.value_in(answer.stdout, f"`{PROGRAM} where`")
        path = said.get("path") if isinstance(said, dict) else None
        if not isinstance(path, str) or Path(path).resolve() != self.folder:
            raise BadInput(
                f"{PROGRAM} uses the database in {path}, not the one in {self.folder}",
                hint="set BEADS_DIR to the .beads folder that is meant",
            )

    def _failed(self, args: Sequence[str], answer: Answer) -> TrackerError:
        verb = next((arg for arg in args if not arg.startswith("-")), "")
        if answer.timed_out:
            return TrackerError(
                f"`{PROGRAM} {verb}` did not end within {self._timeout_seconds:g} s and was stopped",
                hint="another process may hold the database; try again when it has ended",
            )
        if not answer.known:
            return TrackerError(f"`{PROGRAM} {verb}` died of signal {answer.code - 128}")
        was_locked = answers.is_locked(answer.stderr)
        hint = "it is locked by another process; try again when that has ended" if was_locked else ""
        return TrackerError(f"`{PROGRAM} {verb}` failed: {answer.error or f'exit code {answer.code}'}", hint=hint)
