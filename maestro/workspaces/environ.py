"""The files beside a workspace's repository (W-2), and the variables that make git inside it safe.

<home>/                  0700
    <repo-name>/         the files
    .gitconfig           GIT_CONFIG_GLOBAL: the user's own included, then identity, safe.directory, no signing, no hooks
    .gitignore           core.excludesFile: the user's own patterns, and what maestro itself puts into the files
    .git-credentials     0600, only where credentials were given
    .agent-state/        the agent's own
    client-config.json   MCP client configuration
    env                  the variables of the workspace, as shell lines
    .hooks/              empty: core.hooksPath
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from maestro.workspaces.base import WorkspaceSpec
from maestro.workspaces.site import Site

OWN_PATTERNS = (
    "/.agent-state/",
    "/.flow/maestro/runs/",
    "/.flow/maestro/parallel_groups/",
    "/.flow/maestro/progress/",
    "/.flow/maestro/locks/",
)
"""What a maestro or an agent inside the workspace keeps for itself: never part of the work."""


def excludes_file(home: Path) -> Path:
    """The ignore patterns of a workspace."""
    return home / ".gitignore"


def git_settings(site: Site, home: Path) -> dict[str, str]:
    """Settings that must win even over those of the repository itself."""
    return {
        "core.hooksPath": f"{home}/.hooks",
        "core.excludesFile": str(excludes_file(home)),
        "commit.gpgSign": "false",
        "tag.gpgSign": "false",
        "tag.forceSignAnnotated": "false",
        "push.gpgSign": "false",
        "core.fsmonitor": "false",
        "gc.auto": "0",
        "maintenance.auto": "false",
        **site.config,
    }


def write_layout(site: Site, spec: WorkspaceSpec, home: Path, repo: Path) -> dict[str, str]:
    """Make everything beside the repository; the variables of the workspace. OSError where the disk says no."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / ".agent-state").mkdir(exist_ok=True)
    (home / ".hooks").mkdir(exist_ok=True)
    settings = git_settings(site, home)
    _write(f"{home}/.gitignore", "\n".join((site.user_excludes, *OWN_PATTERNS, *site.keep.lines)) + "\n")
    if site.credentials is not None:
        _write_secret(f"{home}/.git-credentials", site.credentials)
    _write(f"{home}/.gitconfig", _gitconfig(site, home, repo, settings))
    # servers are started with keys
    _write_secret(f"{home}/client-config.json", json.dumps({"mcpServers": dict(site.client_servers)}, indent=1))
    env = _variables(home, repo, settings)
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in env.items()]
    lines += [f"MAESTRO_RUN_ID={shlex.quote(spec.run_id)}\n", f"MAESTRO_TASK_ID={shlex.quote(spec.task_id)}\n"]
    _write(f"{home}/env", "".join(lines))
    return env


def exclude_paths(home: Path, paths: Iterable[str]) -> None:
    """Keep what setup brought in out of the agent's commits."""
    lines = [f"/{_escaped_pattern(path)}\n" for path in paths]
    if lines:
        with excludes_file(home).open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(lines)


def _variables(home: Path, repo: Path, settings: Mapping[str, str]) -> dict[str, str]:
    env = {
        "GIT_CONFIG_GLOBAL": f"{home}/.gitconfig",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "true",
        "GIT_SEQUENCE_EDITOR": "true",
        "MAESTRO_WORKSPACE_DIR": str(repo),
    }
    if ":" not in str(repo.parent):  # the variable is a list, and a colon cannot be escaped in it
        env["GIT_CEILING_DIRECTORIES"] = str(repo.parent)
    env["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings.items()):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env


def _gitconfig(site: Site, home: Path, repo: Path, settings: Mapping[str, str]) -> str:
    lines: list[tuple[str, str]] = [("include.path", str(path)) for path in site.user_config]
    lines += [
        ("user.name", site.identity.name),
        ("user.email", site.identity.email),
        ("safe.directory", str(repo)),
        ("safe.directory", str(site.top)),
        ("safe.directory", str(site.common_dir)),
        ("credential.helper", ""),  # an empty one forgets those above: they might open a window
    ]
    if site.credentials is not None:
        store = f"store --file={shlex.quote(str(home / '.git-credentials'))}"
        lines.append(("credential.helper", store))
    lines += settings.items()
    return "".join(_config_lines(lines))


def _config_lines(settings: Iterable[tuple[str, str]]) -> Iterable[str]:
    for key, value in settings:
        section, _, name = key.rpartition(".")
        outer, _, inner = section.partition(".")
        header = f'[{outer} "{inner}"]' if inner else f"[{outer}]"
        yield f"{header}\n\t{name} = {_quoted(value)}\n"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _escaped_pattern(path: str) -> str:
    """A path as a gitignore pattern that matches only itself."""
    escaped = "".join(f"\\{letter}" if letter in "\\*?[" else letter for letter in path)
    return escaped[:-1] + "\\ " if escaped.endswith(" ") else escaped


def _write(path: str, text: str) -> None:
    with open(path, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def _write_secret(path: str, text: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text if text.endswith("\n") else text + "\n")


def environment_of(site: Site, home: Path, repo: Path) -> Mapping[str, str]:
    """The variables of a workspace that exists already."""
    return _variables(home, repo, git_settings(site, home))
