"""OpenAI Codex, driven headless by `codex exec --json`.

Tried with codex 0.169.0. Its sandbox is kept, and opened as far as a task needs it: the workspace, what a commit in it
writes, and the folder of the report.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from maestro.agents.base import Availability, Invocation, Job, Login, Told
from maestro.agents.codex_events import CodexReader
from maestro.agents.codex_sandbox import git_folders
from maestro.agents.codex_servers import mcp_servers
from maestro.agents.login import LoginFile, look_for_login
from maestro.agents.version import ask_version
from maestro.clock import SystemClock
from maestro.model.record import Record
from maestro.proc.capture import capture

_QUIET = {
    "features.plugins": False,  # fetches plugins from the network at start
    "features.apps": False,
    "features.unbounded_connection_retries": False,  # else it waits for a network for ever
    "analytics.enabled": False,
}
_USAGE = 2  # a version that knows no such command
_THREAD = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

ConfigValue = str | bool | int | float | tuple[str, ...]


class CodexOptions(Record):
    """Options of `codex`.

    `network` lets commands reach ports and registries from inside the sandbox: leased ports and databases are of no
    use without. `base_url` makes a provider of its own, with the key in the variable `env_key`.
    """

    executable: str = "codex"
    model: str | None = None
    sandbox: Literal["read-only", "workspace-write", "danger-full-access"] = "workspace-write"
    network: bool = True
    writable: tuple[Path, ...] = ()  # folders beyond the workspace, such as caches
    base_url: str | None = None
    env_key: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Z][A-Z0-9_]+$")
    max_retries: int | None = Field(default=None, ge=0)  # of a refused request; of `base_url` only
    config: dict[str, ConfigValue] = Field(default_factory=dict)  # `-c key=value`
    extra_args: tuple[str, ...] = ()
    account: str = "openai"


class CodexAgent:
    """One `codex exec` per attempt, the prompt on its standard input."""

    name = "codex"
    streams = True
    resumes = True
    tells = frozenset({Told.TOKENS})
    bounds: frozenset[Told] = frozenset()

    def __init__(self, options: CodexOptions | None = None, *, now: Callable[[], datetime] | None = None) -> None:
        self._options = options or CodexOptions()
        self.account = self._options.account
        self._now = now or SystemClock().now

    def availability(self, env: Mapping[str, str]) -> Availability:
        """Asks it for its version, and runs nothing in its sandbox: where that fails, every command would, and codex
        would call the task done all the same."""
        found = ask_version(self._options.executable, env, hint="npm install -g @openai/codex")
        if not found.available or self._options.sandbox == "danger-full-access":
            return found
        tried = capture([self._options.executable, "sandbox", "true"], env=env, timeout_seconds=30)
        if tried.code in (0, _USAGE):
            return found
        said = tried.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {tried.code}"]
        return Availability(
            available=False,
            detail=f"codex's sandbox does not work here: {said[0]}",
            hint='inside a container that is a sandbox itself, set sandbox = "danger-full-access" in [agents.codex]',
        )

    def login(self, env: Mapping[str, str]) -> Login:
        """A key, or the file of a signed-in client. OPENAI_API_KEY alone is not used by codex itself."""
        if self._options.base_url is not None:
            return look_for_login(env, (self._options.env_key,), (), hint=f"set {self._options.env_key}")
        files = (LoginFile(f"{env.get('CODEX_HOME') or '~/.codex'}/auth.json"),)
        return look_for_login(env, ("CODEX_API_KEY",), files, hint="run `codex login`, or set CODEX_API_KEY")

    def env_names(self) -> tuple[str, ...]:
        """Its key and home; not CODEX_*, where a codex around us leaves the names of its own session."""
        names = ("CODEX_API_KEY", "CODEX_HOME", "CODEX_CA_CERTIFICATE", "OPENAI_*", "AZURE_OPENAI_API_KEY")
        return tuple(dict.fromkeys((*names, self._options.env_key)))

    def invocation(self, job: Job) -> Invocation:
        """Options come before `resume`, which knows only some of them. A name that is no thread's would begin a new
        conversation without a word."""
        options = self._options
        argv = [options.executable, "exec", "--json", "--skip-git-repo-check", "--sandbox", options.sandbox]
        if options.sandbox == "workspace-write":
            for folder in (job.state_dir, *git_folders(job.workspace), *options.writable):
                argv += ["--add-dir", str(folder.expanduser())]
        servers = mcp_servers(job.client_config)
        for name, value in {**self._config(job.base_url), **servers.config}.items():
            argv += ["-c", f"{name}={_toml(value)}"]
        if options.model is not None:
            argv += ["--model", options.model]
        argv += options.extra_args
        if job.resume_session is not None and _THREAD.fullmatch(job.resume_session):
            argv += ["resume", job.resume_session]
        return Invocation(argv=(*argv, "-"), env=servers.env, stdin_file=job.prompt_file)

    def _config(self, base_url: str | None) -> dict[str, ConfigValue]:
        options = self._options
        base_url = base_url or options.base_url
        config: dict[str, ConfigValue] = {**_QUIET, "approval_policy": "never"}
        if options.sandbox == "workspace-write":
            config["sandbox_workspace_write.network_access"] = options.network
        if base_url is not None:
            own = "model_providers.maestro"
            config |= {
                "model_provider": "maestro",
                f"{own}.name": "maestro",
                f"{own}.base_url": base_url,
                f"{own}.wire_api": "responses",
                f"{own}.env_key": options.env_key,
            }
            if options.max_retries is not None:
                config |= {f"{own}.{kind}_max_retries": options.max_retries for kind in ("request", "stream")}
        return config | options.config

    def reader(self) -> CodexReader:
        """A reader of its JSON lines."""
        return CodexReader(self._now)


def _toml(value: Any) -> str:
    """JSON's strings, numbers and lists of them are TOML too; its objects are not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
