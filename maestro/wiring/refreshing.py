"""The command whose answer becomes a group's context (E-2)."""

from __future__ import annotations

from maestro.config.settings import Settings

_COMMAND = "/flow:summary"


def refresh_argv(settings: Settings) -> tuple[str, ...] | None:
    """What is configured, `/flow:summary` where the agent is claude, else none: no model that the user did not choose.

    The command is one of the repository (`maestro init` writes it) or of the plugin that the user has installed.
    """
    if settings.refresh_command is not None:
        return ("sh", "-c", settings.refresh_command)
    if settings.agent != "claude":
        return None
    from maestro.agents.claude import outside_of_sessions  # the agent is claude: it is imported anyway

    options = settings.agents.get("claude", {})
    argv = [*outside_of_sessions(), str(options.get("executable", "claude")), "-p", _COMMAND, "--output-format", "json"]
    if options.get("model"):
        argv += ["--model", str(options["model"])]
    return tuple(argv)


def refresh_every_group(settings: Settings) -> bool:
    """A command of the user's is run for each group; a model is asked once in a run, unless they said otherwise."""
    if settings.refresh_every_group is not None:
        return settings.refresh_every_group
    return settings.refresh_command is not None
