"""Gemini CLI, driven headless in stream-json.

Tried with gemini 0.61.0. It waits for whatever a shell command left running in the background, and writes a report of
each API error into the folder for temporary files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from maestro.agents.base import Availability, Invocation, Job, Login, Told
from maestro.agents.gemini_events import GeminiReader
from maestro.agents.jsonlines import as_dict
from maestro.agents.login import LoginFile, look_for_login
from maestro.agents.version import ask_version
from maestro.clock import SystemClock
from maestro.model.record import Record
from maestro.store.atomic import write_atomically

_BASE_URL = "GOOGLE_GEMINI_BASE_URL"
_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_OTHER_LOGINS = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA")
_PRIVATE: dict[str, Any] = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
}


class GeminiOptions(Record):
    """Options of `gemini`, as its own flags name them.

    `private_home`: settings and sessions lie in the workspace's state folder instead of `~/.gemini`, with a key as the
    login, no usage statistics, the MCP servers of the configuration, and `settings` laid over. A `base_url` with a key
    needs it, or `security.auth.selectedType` in `~/.gemini/settings.json`: without, gemini refuses to start.
    """

    executable: str = "gemini"
    model: str | None = None
    approval_mode: Literal["default", "auto_edit", "yolo"] = "yolo"
    base_url: str | None = None
    private_home: bool = False
    settings: dict[str, Any] = Field(default_factory=dict)
    extra_args: tuple[str, ...] = ()
    account: str = "google"

    @model_validator(mode="after")
    def _settings_have_a_place(self) -> GeminiOptions:
        if self.settings and not self.private_home:
            raise ValueError("settings need private_home = true; without, ~/.gemini/settings.json counts")
        return self


class GeminiAgent:
    """One `gemini` per attempt, the prompt on its standard input."""

    name = "gemini"
    streams = True
    resumes = True
    tells = frozenset({Told.TOKENS})
    bounds: frozenset[Told] = frozenset()

    def __init__(
        self,
        options: GeminiOptions | None = None,
        *,
        parent_env: Mapping[str, str] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._options = options or GeminiOptions()
        self.account = self._options.account
        self._parent_env = os.environ if parent_env is None else parent_env
        self._now = now or SystemClock().now

    def availability(self, env: Mapping[str, str]) -> Availability:
        """Asks it for its version, and sees whether it would refuse the way it is asked to log in."""
        found = ask_version(self._options.executable, env, hint="npm install -g @google/gemini-cli")
        if found.available and self._wants_a_gateway(env):
            return Availability(
                available=False,
                detail="gemini refuses a base URL as long as its settings name no way to log in",
                hint="set private_home = true in [agents.gemini], or security.auth.selectedType in "
                "~/.gemini/settings.json",
            )
        return found

    def _wants_a_gateway(self, env: Mapping[str, str]) -> bool:
        if self._options.private_home or not (self._options.base_url or env.get(_BASE_URL)):
            return False
        if any(env.get(name) == "true" for name in _OTHER_LOGINS):
            return False
        home = env.get("GEMINI_CLI_HOME") or env.get("HOME")
        return home is None or not _selected_login(Path(home, ".gemini", "settings.json"))

    def login(self, env: Mapping[str, str]) -> Login:
        """A key, or the file of a signed-in client."""
        home = env.get("GEMINI_CLI_HOME") or "~"
        files = (LoginFile(f"{home}/.gemini/oauth_creds.json"), LoginFile(f"{home}/.gemini/.env"))
        hint = "run `gemini` once and sign in, or set GEMINI_API_KEY"
        return look_for_login(env, _KEYS, () if self._options.private_home else files, hint=hint)

    def env_names(self) -> tuple[str, ...]:
        """Its keys, projects and places; not GEMINI_CLI_*, where an editor around us leaves its own."""
        return (
            *_KEYS, *_OTHER_LOGINS, _BASE_URL, "GOOGLE_VERTEX_BASE_URL", "GOOGLE_GENAI_API_VERSION",
            "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_APPLICATION_CREDENTIALS",
            "GEMINI_MODEL", "GEMINI_SYSTEM_MD", "GEMINI_API_KEY_AUTH_MECHANISM", "GEMINI_CLI_HOME",
            "GEMINI_CLI_CUSTOM_HEADERS", "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
        )  # fmt: skip

    def invocation(self, job: Job) -> Invocation:
        """A folder that nobody has trusted is refused without `--skip-trust`; the report's folder is added, for its
        own tools write nowhere else."""
        options = self._options
        argv = [options.executable, "--output-format", "stream-json", "--approval-mode", options.approval_mode]
        argv += ["--skip-trust", "--include-directories", str(job.state_dir)]
        if options.model is not None:
            argv += ["--model", options.model]
        if job.resume_session is not None:
            argv += ["--resume", job.resume_session]
        env = {"GEMINI_CLI_NO_RELAUNCH": "true", "NO_BROWSER": "true", "GEMINI_TELEMETRY_ENABLED": "false"}
        if options.base_url is not None:
            env[_BASE_URL] = options.base_url
        if options.private_home:
            env["GEMINI_CLI_HOME"] = str(self._prepare_home(job))
        return Invocation(argv=(*argv, *options.extra_args), env=env, stdin_file=job.prompt_file)

    def _prepare_home(self, job: Job) -> Path:
        home = job.state_dir / "gemini-home"
        settings = _merged(_PRIVATE, self._options.settings)
        if servers := _mcp_servers(job.client_config):
            settings = _merged({"mcpServers": servers}, settings)
        write_atomically(home / ".gemini" / "settings.json", json.dumps(settings, indent=2).encode(), 0o600)
        return home

    def reader(self) -> GeminiReader:
        """A reader of stream-json."""
        return GeminiReader(self._now)


def _selected_login(settings: Path) -> bool:
    """Whether the settings name a way to log in. gemini's own reader allows comments; then they are left to it."""
    try:
        text = settings.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    try:
        auth = as_dict(as_dict(as_dict(json.loads(text)).get("security")).get("auth"))
    except (ValueError, RecursionError):
        return "selectedType" in text
    return bool(auth.get("selectedType"))


def _mcp_servers(client_config: Path) -> dict[str, Any]:
    try:
        return as_dict(as_dict(json.loads(client_config.read_bytes())).get("mcpServers"))
    except (OSError, ValueError, RecursionError):
        return {}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, table by table."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
