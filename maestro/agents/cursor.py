"""Cursor's command line agent, driven headless in stream-json.

**Untried**: written from its documentation (cursor.com/docs/cli), for it is on no package registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from maestro.agents.base import Availability, Invocation, Job, Login, Told
from maestro.agents.cursor_events import CursorReader
from maestro.agents.login import LoginFile, look_for_login
from maestro.agents.version import ask_version
from maestro.clock import SystemClock
from maestro.model.record import Record

_UNTRIED = "untried: written from its documentation alone"


class CursorOptions(Record):
    """Options of `cursor-agent`, as its own flags name them; None or false leaves the flag out.

    Without `force` it may not run commands, and so not commit; `trust` answers the question that it asks in every
    directory it has not seen (versions before 2026 do not know the flag).
    """

    executable: str = "cursor-agent"
    model: str | None = None
    force: bool = True
    trust: bool = True
    sandbox: str | None = None  # enabled, disabled
    extra_args: tuple[str, ...] = ()
    account: str = "cursor"


class CursorAgent:
    """One `cursor-agent -p` per attempt, the prompt on its standard input."""

    name = "cursor"
    streams = True
    resumes = True
    tells = frozenset({Told.TOKENS})
    bounds: frozenset[Told] = frozenset()

    def __init__(
        self,
        options: CursorOptions | None = None,
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._options = options or CursorOptions()
        self.account = self._options.account
        self._now = now or SystemClock().now

    def availability(self, env: Mapping[str, str]) -> Availability:
        """Asks it for its version, and says that it is untried."""
        hint = "see https://cursor.com/docs/cli for how to install it"
        found = ask_version(self._options.executable, env, hint=hint)
        return found.evolve(detail=f"{found.detail} ({_UNTRIED})")

    def login(self, env: Mapping[str, str]) -> Login:
        """A key, or what `cursor-agent login` keeps."""
        config = env.get("XDG_CONFIG_HOME") or "~/.config"
        files = (LoginFile(f"{config}/cursor/auth.json"), LoginFile("~/.cursor/cli-config.json", ("authInfo",)))
        return look_for_login(env, ("CURSOR_API_KEY",), files, hint="run `cursor-agent login`, or set CURSOR_API_KEY")

    def env_names(self) -> tuple[str, ...]:
        """Its key and where its files are."""
        return ("CURSOR_API_KEY", "CURSOR_CONFIG_DIR", "XDG_CONFIG_HOME")

    def invocation(self, job: Job) -> Invocation:
        """Print mode, which reads the prompt from standard input where no argument gives one."""
        options = self._options
        argv = [options.executable, "--print", "--output-format", "stream-json"]
        argv += [flag for flag, given in (("--force", options.force), ("--trust", options.trust)) if given]
        for flag, value in (
            ("--model", options.model),
            ("--sandbox", options.sandbox),
            ("--resume", job.resume_session),
        ):
            if value is not None:
                argv += [flag, value]
        return Invocation(argv=(*argv, *options.extra_args), stdin_file=job.prompt_file)

    def reader(self) -> CursorReader:
        """A reader of stream-json."""
        return CursorReader(self._now)
