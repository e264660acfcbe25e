"""Which headers and addresses go through."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from maestro.gateway.passing import target, to_client, to_provider, token_in


def test_headers_of_one_connection_and_of_logins_stay_here() -> None:
    given = [
        ("Host", "127.0.0.1:1"), ("Connection", "keep-alive, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"), ("TE", "trailers"), ("Upgrade", "h2c"), ("Content-Length", "3"),
        ("Expect", "100-continue"), ("Accept-Encoding", "gzip, br"), ("Proxy-Authorization", "Basic x"),
        ("Authorization", "Bearer maestro-x"), ("X-Api-Key", "maestro-x"), ("X-Goog-Api-Key", "maestro-x"),
        ("Cookie", "a=b"), ("Anthropic-Version", "2023-06-01"), ("Anthropic-Beta", "a"), ("Anthropic-Beta", "b"),
    ]  # fmt: skip
    kept = [("Anthropic-Version", "2023-06-01"), ("Anthropic-Beta", "a"), ("Anthropic-Beta", "b")]
    plain = ("accept-encoding", "identity")
    assert to_provider(given, "x-api-key", "K") == [*kept, plain, ("x-api-key", "K")]
    assert to_provider(given, "authorization", "K") == [*kept, plain, ("authorization", "Bearer K")]


def test_what_the_client_gets() -> None:
    given = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"), ("Set-Cookie", "s=1"),
             ("Connection", "close"), ("Retry-After", "3"), ("request-id", "r")]  # fmt: skip
    assert to_client(given) == [("Content-Type", "text/event-stream"), ("Retry-After", "3"), ("request-id", "r")]


@pytest.mark.parametrize(
    ("headers", "query", "token"),
    [
        ({"X-Api-Key": "t"}, {}, "t"),
        ({"x-goog-api-key": "t"}, {}, "t"),
        ({"Authorization": "bearer t"}, {}, "t"),
        ({"Authorization": "Basic t"}, {}, ""),
        ({}, {"key": "t"}, "t"),
        ({}, {}, ""),
    ],
)
def test_where_the_token_is(headers: dict[str, str], query: dict[str, str], token: str) -> None:
    assert token_in(CIMultiDict(headers), query) == token


@pytest.mark.parametrize(
    ("upstream", "path", "address"),
    [
        ("https://api.a.com", "/v1/messages?beta=true", "https://api.a.com/v1/messages?beta=true"),
        ("https://api.o.com/v1", "/v1/responses", "https://api.o.com/v1/responses"),
        ("https://api.o.com/v1/", "/v1/responses", "https://api.o.com/v1/responses"),
        ("https://g.com", "/v1beta/m:gen?alt=sse&key=secret", "https://g.com/v1beta/m:gen?alt=sse"),
        ("https://g.com", "/v1beta/m:gen?key=secret", "https://g.com/v1beta/m:gen"),
        ("https://g.com", "/a%2Fb%20c?x=%26", "https://g.com/a%2Fb%20c?x=%26"),
        ("https://api.o.com/v1", "/v2/files", None),
        ("https://api.o.com/v1", "/v1x", None),
        ("https://api.o.com/v1", "/v1/../admin", None),
        ("https://api.o.com/v1", "/v1/%2e%2E/admin", None),
        ("https://api.o.com/v1", "/v1/..%2fadmin", None),
        ("https://api.o.com/v1", "/v1/%252e%252e/admin", None),
        ("https://api.o.com/v1", "/v1/..\\admin", None),
        ("https://api.o.com/v1", "/v1/..;x/admin", None),
        ("https://api.o.com/v1", "/v1/a..b/...", "https://api.o.com/v1/a..b/..."),
        ("https://api.a.com", "http://elsewhere.com/v1/messages", None),
        ("https://api.a.com", "@elsewhere.com/", None),
    ],
)
def test_the_address_at_the_provider(upstream: str, path: str, address: str | None) -> None:
    assert target(upstream, path) == address
