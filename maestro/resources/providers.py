"""What the pools of keys know of each provider: its address, and the variables its clients look into."""

# no `from __future__ import annotations`: see maestro.model.record

from maestro.model.record import Record


class Provider(Record):
    """One provider of models."""

    name: str  # as in [keys.<name>]
    upstream: str  # as a client would be told it
    url_variable: str
    key_variables: tuple[str, ...]
    other_logins: tuple[str, ...] = ()  # variables that clients would use before or instead of the key
    key_header: str = "authorization"


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider(
            name="anthropic",
            upstream="https://api.anthropic.com",
            url_variable="ANTHROPIC_BASE_URL",
            key_variables=("ANTHROPIC_API_KEY",),
            other_logins=("ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
            key_header="x-api-key",
        ),
        Provider(
            name="openai",
            upstream="https://api.openai.com/v1",
            url_variable="OPENAI_BASE_URL",
            key_variables=("OPENAI_API_KEY", "CODEX_API_KEY"),
        ),
        Provider(
            name="gemini",
            upstream="https://generativelanguage.googleapis.com",
            url_variable="GOOGLE_GEMINI_BASE_URL",
            key_variables=("GEMINI_API_KEY",),
            other_logins=("GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
            key_header="x-goog-api-key",
        ),
    )
}
"""By the name that the configuration has for it."""

OF_AGENT = {"claude": "anthropic", "codex": "openai", "gemini": "gemini"}
"""The one provider of an agent; any other agent may use all."""
