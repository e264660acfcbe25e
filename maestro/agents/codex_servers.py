"""MCP servers of the client configuration, as codex takes them on its command line.

Other users of the machine can read a command line, so values of variables and headers, where keys stand, go through
the environment, under names of their own: a server's PATH must not become the agent's.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from maestro.agents.jsonlines import as_dict, as_text

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Servers(NamedTuple):
    """`config`: key → value for `-c`; `env`: the variables these name."""

    config: dict[str, dict[str, Any]]
    env: dict[str, str]


def mcp_servers(client_config: Path) -> Servers:
    """The servers that codex can have: those with a plain name, and a command or an address."""
    try:
        given = as_dict(as_dict(json.loads(client_config.read_bytes())).get("mcpServers"))
    except (OSError, ValueError, RecursionError):
        given = {}
    servers = Servers({}, {})
    for name, server in given.items():
        if _NAME.fullmatch(name) and isinstance(server, dict):
            table = _by_command(server, servers.env) or _by_address(server, servers.env)
            if table:
                # nobody is there to be asked, and what is asked for is refused
                servers.config[f"mcp_servers.{name}"] = {**table, "default_tools_approval_mode": "approve"}
    return servers


def _by_command(server: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    command = as_text(server.get("command"))
    if not command:
        return {}
    words = [command, *(str(one) for one in server.get("args") or ())]
    variables = {name: value for name, value in as_dict(server.get("env")).items() if _VARIABLE.fullmatch(name)}
    if not variables:
        return {"command": words[0], "args": words[1:]}
    kept = {name: _keep(str(value), env) for name, value in variables.items()}
    exports = "".join(f'export {name}="${alias}"; ' for name, alias in kept.items())
    line = f"{exports}unset {' '.join(kept.values())}; exec {shlex.join(words)}"
    return {"command": "/bin/sh", "args": ["-c", line], "env_vars": list(kept.values())}


def _by_address(server: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    url = as_text(server.get("url"))
    headers = {name: _keep(str(value), env) for name, value in as_dict(server.get("headers")).items()} if url else {}
    return {"url": url, **({"env_http_headers": headers} if headers else {})} if url else {}


def _keep(value: str, env: dict[str, str]) -> str:
    name = f"MAESTRO_MCP_{len(env)}"
    env[name] = value
    return name
