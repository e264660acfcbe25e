"""Which headers go through a gateway: all but those of one connection, and never a key (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

_OF_ONE_CONNECTION = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""What an API is asked with. Not among them is TRACE, which is answered with its own headers, the key among them."""

_OF_LOGINS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})
_MADE_ANEW = frozenset({"host", "content-length", "accept-encoding", "expect"})

Headers = Iterable[tuple[str, str]]


def token_in(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """Wherever a client of any of the APIs puts its key; empty where there is none."""
    bearer = headers.get("authorization", "")
    bearer = bearer[7:] if bearer[:7].lower() == "bearer " else ""
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or bearer or query.get("key", "")


def to_provider(headers: Headers, key_header: str, key: str) -> list[tuple[str, str]]:
    """What the provider gets. Plain bytes are asked for, so that they can be passed on as they come and counted."""
    kept = _through(headers, _OF_LOGINS | _MADE_ANEW)
    value = f"Bearer {key}" if key_header == "authorization" else key
    return [*kept, ("accept-encoding", "identity"), (key_header, value)]


def to_client(headers: Headers) -> list[tuple[str, str]]:
    """What the agent gets: cookies of a session of ours are none of its business."""
    return _through(headers, frozenset({"set-cookie"}))


def _through(headers: Headers, without: frozenset[str]) -> list[tuple[str, str]]:
    given = [*headers]
    listed = {name.strip().lower() for key, value in given if key.lower() == "connection" for name in value.split(",")}
    left_out = _OF_ONE_CONNECTION | without | listed
    return [(name, value) for name, value in given if name.lower() not in left_out]


def target(upstream: str, raw_path: str) -> str | None:
    """The address at the provider for a request's path and query; None for what lies outside of the API.

    Agents are given the gateway's address with the path of the upstream, so that paths agree on both sides.
    """
    base = urlsplit(upstream)
    path, mark, query = raw_path.partition("?")
    inside = path == base.path.rstrip("/") or path.startswith(f"{base.path.rstrip('/')}/")
    if not path.startswith("/") or not inside or _leads_elsewhere(path):
        return None
    kept = "&".join(part for part in query.split("&") if part.partition("=")[0] != "key")
    return f"{base.scheme}://{base.netloc}{path}{mark if kept else ''}{kept}"


def _leads_elsewhere(path: str) -> bool:
    """Whether a step of it would go upwards at a provider that reads it generously: escaped, twice, or with a `;`."""
    plain = unquote(unquote(path)).replace("\\", "/")
    return any(step.partition(";")[0] in ("..", ".") for step in plain.split("/"))
