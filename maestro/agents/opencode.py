"""opencode, driven headless with JSON events."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from maestro.agents.base import Availability, Invocation, Job, Login, Told
from maestro.agents.login import LoginFile, look_for_login
from maestro.agents.opencode_events import OpencodeReader
from maestro.agents.version import ask_version
from maestro.clock import SystemClock
from maestro.model.record import Record

_QUIET = ("OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_MODELS_FETCH")
_KEYS = (
    "OPENCODE_API_KEY",
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "OPENROUTER_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_GENERATIVE_AI_API_KEY",
    "DEEPSEEK_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "XAI_API_KEY",
)
_SETTINGS = (
    "OPENCODE_AUTH_CONTENT",
    "OPENCODE_CONFIG*",
    "OPENCODE_DB",
    "OPENCODE_DISABLE_*",
    "OPENCODE_ENABLE_*",
    "OPENCODE_EXPERIMENTAL*",
    "OPENCODE_MODELS_*",
    "OPENCODE_PERMISSION",
    "OPENCODE_PURE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)
_NO_PUSH = {"bash": {"git push*": "deny"}, "doom_loop": "deny"}


class OpencodeOptions(Record):
    """Options of `opencode run`, as its own flags name them; None leaves the flag out.

    `auto` gives every permission that no rule denies: a question that nobody answers would end the conversation.
    `permission` is laid over the user's own rules and `config` over the user's whole configuration, for these runs
    only (OPENCODE_PERMISSION, OPENCODE_CONFIG_CONTENT): there a provider can be named that is known nowhere else.
    """

    executable: str = "opencode"
    model: str | None = None  # provider/model
    agent: str | None = None
    variant: str | None = None
    auto: bool = True
    permission: dict[str, Any] = Field(default_factory=lambda: dict(_NO_PUSH))
    config: dict[str, Any] = Field(default_factory=dict)
    extra_args: tuple[str, ...] = ()
    account: str = "opencode"


class OpencodeAgent:
    """One `opencode run` per attempt, the prompt on its standard input (as an argument it would get quotes)."""

    name = "opencode"
    streams = True
    resumes = True
    tells = frozenset({Told.COST, Told.TOKENS})
    bounds = frozenset({Told.COST, Told.TOKENS})

    def __init__(
        self,
        options: OpencodeOptions | None = None,
        *,
        parent_env: Mapping[str, str] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._options = options or OpencodeOptions()
        self.account = self._options.account
        self._parent_env = os.environ if parent_env is None else parent_env
        self._now = now or SystemClock().now

    def availability(self, env: Mapping[str, str]) -> Availability:
        """Asks it for its version."""
        return ask_version(self._options.executable, env, hint="npm install -g opencode-ai")

    def login(self, env: Mapping[str, str]) -> Login:
        """A key of a provider's, or what `opencode auth login` keeps."""
        data = env.get("XDG_DATA_HOME") or "~/.local/share"
        files = (LoginFile(f"{data}/opencode/auth.json"),)
        return look_for_login(env, _KEYS, files, hint="run `opencode auth login`, or set the key of your provider")

    def env_names(self) -> tuple[str, ...]:
        """Its settings, where its files are, and the keys of the usual providers; nothing that names a session which
        maestro itself may run in."""
        return (*_SETTINGS, *_KEYS)

    def invocation(self, job: Job) -> Invocation:
        """The title spares the request that would make one up."""
        options = self._options
        argv = [options.executable, "run", "--format", "json", "--title", f"maestro: {job.task_id}"]
        for flag, value in (
            ("--model", options.model),
            ("--agent", options.agent),
            ("--variant", options.variant),
            ("--session", job.resume_session),
        ):
            if value is not None:
                argv += [flag, value]
        if options.auto:
            argv.append("--auto")
        argv += options.extra_args
        env = {name: "1" for name in _QUIET if name not in self._parent_env}
        if not self._has_run_here():
            env["OPENCODE_DB"] = str(job.state_dir / "opencode.db")
        if options.permission:
            env["OPENCODE_PERMISSION"] = json.dumps(options.permission)
        config = {**options.config}
        if servers := _mcp_servers(job.client_config):
            config["mcp"] = {**servers, **config.get("mcp", {})}
        if config:
            env["OPENCODE_CONFIG_CONTENT"] = json.dumps(config)
        return Invocation(argv=tuple(argv), env=env, stdin_file=job.prompt_file)

    def _has_run_here(self) -> bool:
        """Whether its database is there, with logins perhaps. Where it is not, several first starts at once would fail
        over making it, so that each workspace gets its own."""
        env = self._parent_env
        if env.get("OPENCODE_DB"):
            return True
        data = Path(env.get("XDG_DATA_HOME") or f"{env.get('HOME', '')}/.local/share")
        return (data / "opencode" / "opencode.db").exists()

    def reader(self) -> OpencodeReader:
        """A reader of its events."""
        return OpencodeReader(self._now)


def _mcp_servers(client_config: Path) -> dict[str, Any]:
    """The MCP servers of the client configuration in opencode's words; empty where there is none to read."""
    try:
        servers = json.loads(client_config.read_bytes())["mcpServers"]
        return {name: _mcp_server(server) for name, server in servers.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _mcp_server(server: Mapping[str, Any]) -> dict[str, Any]:
    if "url" in server:
        return {"type": "remote", "url": server["url"], "headers": server.get("headers", {})}
    command = [server["command"], *server.get("args", ())]
    return {"type": "local", "command": command, "environment": server.get("env", {})}
