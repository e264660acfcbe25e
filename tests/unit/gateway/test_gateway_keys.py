"""What an attempt gets of a gateway, and when the account rests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maestro.gateway.contract import HeldKey
from maestro.gateway.keys import GatewayKeys
from maestro.gateway.launch import Running
from maestro.gateway.tokens import attempt_of
from maestro.model.events import Event
from maestro.proc.family import ProcessId
from maestro.resources.providers import PROVIDERS

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Clock:
    at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


def source(folder: Path, provider: str = "anthropic", upstream: str = "", **environ: str) -> GatewayKeys:
    async def record(_event: Event) -> None: ...

    made = GatewayKeys(
        PROVIDERS[provider],
        [HeldKey(value="sk-real", origin="K")],
        upstream=upstream or PROVIDERS[provider].upstream,
        variables=PROVIDERS[provider].key_variables,
        withheld=["K"],
        family="t/r/",
        folder=folder,
        environ=environ,
        clock=Clock(),
        record=record,
    )
    assert made.base_url() is None
    made._running = Running(ProcessId(1, 1.0), 4711, "secret")
    return made


@pytest.mark.parametrize(
    ("provider", "url", "names"),
    [
        ("anthropic", "http://127.0.0.1:4711", {"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"}),
        ("openai", "http://127.0.0.1:4711/v1", {"OPENAI_API_KEY", "CODEX_API_KEY", "OPENAI_BASE_URL"}),
        ("gemini", "http://127.0.0.1:4711", {"GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"}),
    ],
)
def test_a_place_and_a_token(provider: str, url: str, names: set[str], tmp_path: Path) -> None:
    made = source(tmp_path, provider)
    env = made.environment("t/r/a/1")
    assert set(env) == names
    assert env[PROVIDERS[provider].url_variable] == made.base_url() == url
    assert {attempt_of("secret", env[name]) for name in PROVIDERS[provider].key_variables} == {"t/r/a/1"}
    assert env == made.environment("t/r/a/1") != made.environment("t/r/a/2")


def test_no_proxy_stands_between_an_agent_and_this_machine(tmp_path: Path) -> None:
    def proxies(env: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in env.items() if "proxy" in name.lower()}

    assert proxies(source(tmp_path).environment("a")) == {}
    behind = source(tmp_path, HTTP_PROXY="http://proxy:3128", no_proxy="intern.example")
    assert proxies(behind.environment("a")) == dict.fromkeys(("no_proxy", "NO_PROXY"), "intern.example,127.0.0.1")


def test_a_limit_that_came_through_is_one_of_all_keys(tmp_path: Path) -> None:
    made = source(tmp_path)
    made.ended("a", None)
    assert made.rests_until() is None
    made.ended("b", NOW + timedelta(minutes=9))
    made.ended("c", NOW + timedelta(minutes=5))
    assert made.rests_until() == NOW + timedelta(minutes=9)
    Clock.at = NOW + timedelta(minutes=9)
    try:
        assert made.rests_until() is None
    finally:
        Clock.at = NOW
