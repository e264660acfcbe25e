"""The command whose answer becomes a group's context (E-2)."""

from __future__ import annotations

from pathlib import Path

from maestro.agents.claude import outside_of_sessions
from maestro.config.settings import Settings
from maestro.store.shipped import COMMANDS, plugin_root

_COMMAND = "/flow:summary"


def refresh_argv(settings: Settings, repository: Path) -> tuple[str, ...] | None:
    """What is configured, `/flow:summary` where the agent is claude, else none: no model that the user did not choose.

    A repository that has no such command of its own is lent that of our plugin: to claude an unknown one is no error.
    """
    if settings.refresh_command is not None:
        return ("sh", "-c", settings.refresh_command)
    if settings.agent != "claude":
        return None
    options = settings.agents.get("claude", {})
    argv = [*outside_of_sessions(), str(options.get("executable", "claude")), "-p", _COMMAND, "--output-format", "json"]
    if options.get("model"):
        argv += ["--model", str(options["model"])]
    if not (repository / COMMANDS / "summary.md").is_file():
        argv += ["--plugin-dir", str(plugin_root())]
    return tuple(argv)


def refresh_every_group(settings: Settings) -> bool:
    """A command of the user's is run for each group; a model is asked once in a run, unless they said otherwise."""
    if settings.refresh_every_group is not None:
        return settings.refresh_every_group
    return settings.refresh_command is not None
