"""What is secret in this repository and for this user: the environment, and what the settings name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from maestro.config.settings import Settings
from maestro.model.redaction import Redactor, redactor_of
from maestro.model.secret_names import secrets_in_credentials, secrets_in_tree


def redactor_for(settings: Settings, environ: Mapping[str, str], more: Iterable[str] = ()) -> Redactor:
    """One that knows all of it, and `more`. A file that cannot be read holds nothing that anybody could print."""
    return redactor_of(environ, (*secrets_in_settings(settings), *more))


def secrets_in_settings(settings: Settings) -> Iterator[str]:
    """Of git's credentials, of MCP servers, of the options of agents."""
    yield from secrets_in_tree(settings.mcp_servers)
    yield from secrets_in_tree(settings.agents)
    if settings.git_credentials is not None:
        try:
            yield from secrets_in_credentials(settings.git_credentials.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return
