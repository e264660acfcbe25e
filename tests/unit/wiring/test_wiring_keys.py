"""`[keys.<provider>]`: what is taken, what is refused, and what an agent gets of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maestro.clock import SystemClock
from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.gateway.keys import GatewayKeys
from maestro.model.events import Event
from maestro.resources.keysource import KeyForEach, SeveralSources
from maestro.wiring import keys as wiring
from maestro.wiring.keys import Pool, open_pools, source_of, variables_of, withheld_from_run

ENVIRON = {"A": "sk-ant-api03-aaaa", "B": "sk-ant-api03-bbbb", "O": "sk-proj-oooooo", "G": "AIzaSyGGGGGG"}


def settings(agent: str = "claude", agents: dict[str, Any] | None = None, **pools: Any) -> Settings:
    return Settings.model_validate({"agent": agent, "agents": agents or {}, "keys": pools})


def opened(agent: str = "claude", agents: dict[str, Any] | None = None, **pools: Any) -> tuple[Pool, ...]:
    return open_pools(settings(agent, agents, **pools), ENVIRON)


def refused(**pools: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        opened(**pools)
    assert caught.value.hint
    return caught.value


def test_an_agent_gets_the_pool_of_its_provider() -> None:
    pools = {"anthropic": {"from_env": ["A", "B"]}, "openai": {"from_env": "O"}, "gemini": {"from_env": ["G"]}}
    assert [pool.provider.name for pool in opened(**pools)] == ["anthropic"]
    assert [pool.provider.name for pool in opened("codex", **pools)] == ["openai"]
    assert [pool.provider.name for pool in opened("command", **pools)] == ["anthropic", "openai", "gemini"]
    assert opened("delegate", **pools) == ()
    assert opened() == ()


def test_no_variable_of_any_pool_reaches_a_run() -> None:
    given = settings(anthropic={"from_env": ["A", "B"]}, openai={"from_env": ["O"]})
    withheld = withheld_from_run(given, open_pools(given, ENVIRON))
    assert {"A", "B", "O", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"} <= withheld
    assert "OPENAI_API_KEY" not in withheld  # claude has no pool of it


@pytest.mark.parametrize(
    ("given", "rates"),
    [({}, (None, None)), ({"per_minute": 9}, (9, 9)), ({"per_minute": [9, 8]}, (9, 8)), ({"per_minute": [7]}, (7, 7))],
)
def test_rates(given: dict[str, Any], rates: tuple[int | None, ...]) -> None:
    (pool,) = opened(anthropic={"from_env": ["A", "B"], **given})
    assert pool.rates == rates


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        ({"antropic": {"from_env": ["A"]}}, "there is no such provider"),
        ({"anthropic": {"from_env": ["A"], "sk-ant-api03-aaaa": 1}}, "has no option of that name"),
        ({"anthropic": {"from_env": ["A"], "gateway": "yes"}}, "gateway cannot be so"),
        ({"anthropic": {"from_env": ["A"], "per_minute": 0}}, "per_minute cannot be so"),
        ({"anthropic": {"from_env": ["A"], "per_minute": True}}, "per_minute cannot be so"),
        ({"anthropic": {"from_env": ["A"], "per_minute": [1, 2]}}, "per_minute has 2 numbers for 1 keys"),
        ({"anthropic": {"from_env": ["A"], "upstream": "api.anthropic.com"}}, "the upstream is no base URL"),
        ({"anthropic": {"from_env": ["A"], "upstream": "https://x.org/?key=1"}}, "the upstream is no base URL"),
        ({"anthropic": {"from_env": ["A"], "upstream": "https://me:pw@x.org"}}, "the upstream is no base URL"),
        ({"anthropic": {"from_env": ["A"], "upstream": "http://[x"}}, "the upstream is no base URL"),
        ({"anthropic": {"from_env": ["A", "MISSING"]}}, "MISSING is not set"),
        ({"anthropic": {}}, "names no key"),
        ({"anthropic": {"from_env": ["A"]}, "openai": {"nonsense": 1}}, "[keys.openai] has no option of that name"),
    ],
)
def test_what_is_refused(pools: dict[str, Any], said: str) -> None:
    error = refused(**pools)
    assert said in error.message
    assert ENVIRON["A"] not in f"{error.message} {error.hint}"


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "find_spec", lambda _name: None)
    error = refused(anthropic={"from_env": ["A"], "gateway": True})
    assert error.message == "the gateway needs the Python package aiohttp, which is not installed"
    assert "pip install 'flow-maestro[gateway]'" in error.hint
    assert opened(anthropic={"from_env": ["A"]})  # which needs it not


@pytest.mark.parametrize(
    ("agent", "own", "environ", "upstream"),
    [
        ("claude", {}, {}, "https://api.anthropic.com"),
        ("codex", {}, {}, "https://api.openai.com/v1"),
        ("gemini", {}, {}, "https://generativelanguage.googleapis.com"),
        ("claude", {}, {"ANTHROPIC_BASE_URL": "https://proxy.example/a/"}, "https://proxy.example/a"),
        ("codex", {"base_url": "https://x.example/v1"}, {"OPENAI_BASE_URL": "https://y"}, "https://x.example/v1"),
    ],
)
def test_where_requests_go(agent: str, own: dict[str, Any], environ: dict[str, str], upstream: str) -> None:
    names = {"claude": "anthropic", "codex": "openai", "gemini": "gemini"}
    given = settings(agent, {agent: own}, **{names[agent]: {"from_env": ["A"]}})
    (pool,) = open_pools(given, {**ENVIRON, **environ})
    assert pool.upstream == upstream
    (set_so,) = open_pools(
        settings(agent, {agent: own}, **{names[agent]: {"from_env": ["A"], "upstream": "http://127.0.0.1:9/v9"}}),
        {**ENVIRON, **environ},
    )
    assert set_so.upstream == "http://127.0.0.1:9/v9"


def test_the_variable_of_a_codex_with_a_provider_of_its_own_is_set_too() -> None:
    (pool,) = opened("codex", {"codex": {"env_key": "LAB_KEY"}}, openai={"from_env": ["O"]})
    assert pool.variables == ("OPENAI_API_KEY", "CODEX_API_KEY", "LAB_KEY")
    assert "LAB_KEY" in pool.withheld


def test_the_source_of_a_run(tmp_path: Path) -> None:
    async def record(_event: Event) -> None: ...

    def made(*pools: Pool) -> object:
        return source_of(pools, family="t/r/", folder=tmp_path, environ=ENVIRON, clock=SystemClock(), record=record)

    (plain,) = opened(anthropic={"from_env": ["A"]})
    (behind,) = opened(anthropic={"from_env": ["A"], "gateway": True})
    assert made() is None
    assert isinstance(made(plain), KeyForEach)
    assert isinstance(made(behind), GatewayKeys)
    assert isinstance(made(plain, behind), SeveralSources)
    (placed,) = opened(anthropic={"from_env": ["A"], "upstream": "http://127.0.0.1:9"})
    source = made(placed)
    assert isinstance(source, KeyForEach)
    assert source.base_url() == source.environment("t/r/a/1")["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"
    assert variables_of([plain]) == {"ANTHROPIC_API_KEY": "from the pool of keys"}
    assert variables_of([behind])["ANTHROPIC_BASE_URL"] == "http://127.0.0.1"
    assert ENVIRON["A"] not in repr(plain)
