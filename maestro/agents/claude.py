"""Claude Code, driven headless in stream-json."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from pydantic import Field

from maestro.agents.base import Availability, Invocation, Job, Login, Told
from maestro.agents.claude_events import ClaudeReader
from maestro.agents.login import LoginFile, look_for_login
from maestro.agents.version import ask_version
from maestro.clock import SystemClock
from maestro.model.record import Record

_QUIET = ("DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")
_AWAIT_SERVERS = {"MCP_CONNECTION_NONBLOCKING": "0", "MCP_CONNECT_TIMEOUT_MS": "60000"}
"""Else it begins while its MCP servers still start, and its one turn does without their tools (2.1.197). One that
never answers is waited for as long as MCP_TIMEOUT says: 30 s if nothing does."""
_OF_THE_PARENT = (
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_ENV_FILE",
    "CLAUDE_PLUGIN_ROOT",
    "CLAUDE_PROJECT_DIR",
)
"""Variables that name the session maestro itself may run in; they must not reach the agents."""
_KEYS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
)


def outside_of_sessions() -> tuple[str, ...]:
    """What a command line of claude begins with, so that it knows nothing of a session around us."""
    return ("env", *(word for name in _OF_THE_PARENT for word in ("-u", name)))


class ClaudeOptions(Record):
    """Options of `claude`, as its own flags name them; None leaves the flag out.

    The default permissions let it edit and run any command but a push, without a question, also as root (where
    `bypassPermissions` is refused unless IS_SANDBOX=1). The rules are no fence: they match the text of a command.
    """

    executable: str = "claude"
    model: str | None = None
    permission_mode: str = "acceptEdits"
    allowed_tools: tuple[str, ...] = (
        "Bash", "Edit", "Write", "NotebookEdit", "Read", "Glob", "Grep", "Task", "Skill", "WebFetch", "WebSearch",
    )  # fmt: skip
    disallowed_tools: tuple[str, ...] = ("Bash(git push *)",)
    max_turns: int | None = Field(default=None, ge=1)
    max_budget_usd: float | None = Field(default=None, gt=0)
    max_retries: int | None = Field(default=None, ge=0)  # CLAUDE_CODE_MAX_RETRIES: of a refused request
    extra_args: tuple[str, ...] = ()
    account: str = "anthropic"


class ClaudeAgent:
    """One `claude -p` per attempt, the prompt on its standard input."""

    name = "claude"
    streams = True
    resumes = True
    tells = frozenset({Told.COST, Told.TOKENS})
    bounds = frozenset({Told.COST, Told.TOKENS})

    def __init__(
        self,
        options: ClaudeOptions | None = None,
        *,
        parent_env: Mapping[str, str] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._options = options or ClaudeOptions()
        self.account = self._options.account
        self._parent_env = os.environ if parent_env is None else parent_env
        self._now = now or SystemClock().now

    def availability(self, env: Mapping[str, str]) -> Availability:
        """Asks it for its version (a tenth of a second)."""
        options = self._options
        found = ask_version(options.executable, env, hint="npm install -g @anthropic-ai/claude-code")
        if not found.available:
            return found
        if options.permission_mode == "bypassPermissions" and os.geteuid() == 0 and env.get("IS_SANDBOX") != "1":
            return Availability(
                available=False,
                detail="claude refuses bypassPermissions as root",
                hint="use the default permission mode, another user, or set IS_SANDBOX=1 inside a real sandbox",
            )
        return found

    def login(self, env: Mapping[str, str]) -> Login:
        """A key, or the files of a signed-in client."""
        folder = env.get("CLAUDE_CONFIG_DIR")
        files = (
            LoginFile(f"{folder or '~/.claude'}/.credentials.json"),
            LoginFile(f"{folder or '~'}/.claude.json", ("oauthAccount", "primaryApiKey")),
            LoginFile(f"{folder or '~/.claude'}/settings.json", ("apiKeyHelper",)),
        )
        return look_for_login(env, _KEYS, files, hint="run `claude` once and sign in, or set ANTHROPIC_API_KEY")

    def env_names(self) -> tuple[str, ...]:
        """Its keys and settings, and what its network access may need."""
        servers = (*_AWAIT_SERVERS, "MCP_TIMEOUT", "MCP_TOOL_TIMEOUT")
        return ("ANTHROPIC_*", "CLAUDE_*", "IS_SANDBOX", "DISABLE_*", "NODE_EXTRA_CA_CERTS", *servers)

    def invocation(self, job: Job) -> Invocation:
        """`env -u` takes out what belongs to a session around us; the lists come last, for they take any number
        of words."""
        options = self._options
        argv = [*outside_of_sessions(), options.executable, "-p", "--output-format", "stream-json", "--verbose"]
        servers = _mcp_servers(job.client_config)
        for flag, value in (
            ("--permission-mode", options.permission_mode),
            ("--model", options.model),
            ("--max-turns", options.max_turns),
            ("--max-budget-usd", _smaller(options.max_budget_usd, job.budget_usd)),
            ("--resume", job.resume_session),
            ("--mcp-config", job.client_config if servers is not None else None),
        ):
            if value is not None:
                argv += [flag, str(value)]
        argv += options.extra_args
        if allowed := (*options.allowed_tools, *(f"mcp__{name}" for name in servers or ())):
            argv += ["--allowedTools", *allowed]
        if options.disallowed_tools:
            argv += ["--disallowedTools", *options.disallowed_tools]
        wanted = {**dict.fromkeys(_QUIET, "1"), **(_AWAIT_SERVERS if servers else {})}
        env = {name: value for name, value in wanted.items() if name not in self._parent_env}
        if options.max_retries is not None:
            env["CLAUDE_CODE_MAX_RETRIES"] = str(options.max_retries)
        return Invocation(argv=tuple(argv), env=env, stdin_file=job.prompt_file)

    def reader(self) -> ClaudeReader:
        """A reader of stream-json."""
        return ClaudeReader(self._now)


def _smaller(one: float | None, other: float | None) -> float | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _mcp_servers(client_config: Path) -> tuple[str, ...] | None:
    """Names of the MCP servers in the client configuration; None where there is none to pass on. A file that cannot
    be read is passed on: claude says what is wrong with it."""
    try:
        servers = json.loads(client_config.read_bytes()).get("mcpServers")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError):
        return ()
    return tuple(servers) if servers else None
