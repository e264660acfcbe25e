"""droid (Factory), driven headless in stream-json."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from maestro.agents.base import Availability, Invocation, Job, Login, Told
from maestro.agents.droid_events import DroidReader
from maestro.agents.login import LoginFile, look_for_login
from maestro.agents.version import ask_version
from maestro.clock import SystemClock
from maestro.model.record import Record

_NO_UPDATE = "FACTORY_DROID_AUTO_UPDATE_ENABLED"


class DroidOptions(Record):
    """Options of `droid exec`, as its own flags name them; None leaves the flag out.

    `settings` is a file in the shape of `~/.factory/settings.json`, laid over it for these runs only: models of one's
    own (`customModels`) can be named there, and `model` picks one (`custom:…`). `auto` is the level of autonomy: below
    `medium` it may not commit, and it is no fence, for it goes by the risk that the model itself gives a command.
    """

    executable: str = "droid"
    model: str | None = None
    auto: Literal["low", "medium", "high"] = "medium"
    reasoning_effort: str | None = None
    settings: Path | None = None
    extra_args: tuple[str, ...] = ()
    account: str = "factory"


class DroidAgent:
    """One `droid exec` per attempt, the prompt on its standard input."""

    name = "droid"
    streams = True
    resumes = True
    tells = frozenset({Told.TOKENS})
    bounds: frozenset[Told] = frozenset()

    def __init__(
        self,
        options: DroidOptions | None = None,
        *,
        parent_env: Mapping[str, str] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._options = options or DroidOptions()
        self.account = self._options.account
        self._parent_env = os.environ if parent_env is None else parent_env
        self._now = now or SystemClock().now

    def availability(self, env: Mapping[str, str]) -> Availability:
        """Asks it for its version."""
        return ask_version(self._options.executable, env, hint="npm install -g droid")

    def login(self, env: Mapping[str, str]) -> Login:
        """A key, what `/login` keeps, or models with keys of one's own."""
        home = f"{env.get('FACTORY_HOME_OVERRIDE') or '~'}/.factory"
        settings = self._options.settings
        files = (
            LoginFile(f"{home}/auth.v2.file"),
            LoginFile(f"{home}/auth.v2.keyring"),
            LoginFile(f"{home}/auth.json"),
            LoginFile(f"{home}/settings.json", ("customModels",)),
            *((LoginFile(str(settings), ("customModels",)),) if settings else ()),
        )
        return look_for_login(env, ("FACTORY_API_KEY",), files, hint="run `droid` and /login, or set FACTORY_API_KEY")

    def env_names(self) -> tuple[str, ...]:
        """Its key and settings."""
        return (
            "FACTORY_API_*",
            "FACTORY_HOME_OVERRIDE",
            "FACTORY_AIRGAP_ENABLED",
            "FACTORY_EXTRA_CA_CERTS",
            _NO_UPDATE,
        )

    def invocation(self, job: Job) -> Invocation:
        """A conversation is gone on with by a fork of it: `--session-id` asks Factory for it, and works only when
        logged in there."""
        options = self._options
        argv = [options.executable]
        if options.settings is not None:
            argv += ["--settings", str(options.settings.expanduser())]
        argv += ["exec", "--output-format", "stream-json", "--auto", options.auto]
        for flag, value in (
            ("--model", options.model),
            ("--reasoning-effort", options.reasoning_effort),
            ("--fork", job.resume_session),
        ):
            if value is not None:
                argv += [flag, value]
        argv += options.extra_args
        env = {} if _NO_UPDATE in self._parent_env else {_NO_UPDATE: "false"}
        return Invocation(argv=tuple(argv), env=env, stdin_file=job.prompt_file)

    def reader(self) -> DroidReader:
        """A reader of stream-json."""
        return DroidReader(self._now)
