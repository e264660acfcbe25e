"""Real agents with a pool of keys: through the gateway, where nothing but it holds a key, and with a key each (A-6)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maestro.proc.family import census
from maestro.proc.roles import COORDINATOR, GATEWAY
from maestro.testing.commandline import Said, maestro
from maestro.testing.key_limit import KeyLimit
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.agent_lab import prompt

pytestmark = pytest.mark.timeout(240)
KEYS = {
    "POOL_A": "sk-ant-api03-aaaaaaaaaaaa",
    "POOL_B": "sk-ant-api03-bbbbbbbbbbbb",
    "POOL_C": "sk-ant-api03-ccccccccc",
}
PLACES = {
    "claude": ("anthropic", ""),
    "codex": ("openai", "/v1"),
    "gemini": ("gemini", ""),
    "opencode": ("anthropic", ""),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "gemini": {"private_home": True, "model": "gemini-2.5-pro"},
    "opencode": {
        "model": "pool/m1",
        "config": {
            "provider": {
                "pool": {
                    "npm": "@ai-sdk/anthropic",
                    "options": {"baseURL": "{env:ANTHROPIC_BASE_URL}/v1", "apiKey": "{env:ANTHROPIC_API_KEY}"},
                    "models": {"m1": {}},
                }
            }
        },
    },
}
AGENTS = [
    pytest.param("claude", marks=pytest.mark.real("claude")),
    pytest.param("codex", marks=[pytest.mark.real("codex"), pytest.mark.needs_namespaces]),
    pytest.param("gemini", marks=pytest.mark.real("gemini")),
    pytest.param("opencode", marks=pytest.mark.real("opencode")),
]


def works(name: str) -> str:
    return prompt(
        [
            {"write": {"path": f"{name}.txt", "content": f"{name}\n"}},
            # whole by itself: in a conversation gone on with, the refusal has taken the first step's turn
            {"bash": f"echo {name} > {name}.txt && git add -A && git commit -qm 'Add {name}'"},
            {"say": "done"},
        ]
    )


def run(
    repo: Repository, real: dict[str, Path], agent: str, upstream: str, tasks: list[dict[str, Any]], **pool: Any
) -> Said:
    backlog = repo.path.parent / "tasks.json"
    backlog.write_text(json.dumps(tasks))
    provider, path = PLACES[agent]
    given = {"from_env": list(KEYS), "upstream": upstream + path, **pool}
    env = {
        "PATH": f"{real[agent].parent}:{os.environ['PATH']}",
        "IS_SANDBOX": "1",
        "MAESTRO_AGENTS": json.dumps({agent: OPTIONS.get(agent, {})}),
        "MAESTRO_KEYS": json.dumps({provider: given}),
        **KEYS,
    }
    return maestro(
        "run", "--tasks-file", str(backlog), "--agent", agent, "--no-tests", "--max-parallel", "2", "--json",
        cwd=repo.path, env=env, timeout_seconds=200,
    )  # fmt: skip


@contextmanager
def watched(repo: Repository) -> Iterator[tuple[set[str], set[str]]]:
    """While it lasts, the environment and the arguments of every process that the run marks are read over and over:
    kinds of processes seen, and those that held a key."""
    seen: set[str] = set()
    leaks: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for marker, family in census().items():
                rest = marker.split("/", 2)[2:]
                if not rest or rest[0].startswith(f"{COORDINATOR}/"):
                    continue  # what maestro itself calls has the user's environment
                for one in family:
                    data = b""
                    for name in ("environ", "cmdline"):
                        try:
                            data += Path(f"/proc/{one.pid}/{name}").read_bytes()
                        except OSError:
                            continue
                    if str(repo.path).encode() in data or rest[0].startswith(f"{GATEWAY}/"):
                        seen.add(rest[0].partition("/")[0])
                        if any(key.encode() in data for key in KEYS.values()):
                            leaks.add(f"{one.pid} of {marker}")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen, leaks
    finally:
        over.set()
        thread.join()


def files_with_keys(*folders: Path) -> list[str]:
    keys = [key.encode() for key in KEYS.values()]
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and any(key in path.read_bytes() for key in keys)
    ]


@pytest.mark.parametrize("agent", AGENTS)
def test_work_through_the_gateway_lands_and_no_key_is_seen(
    agent: str, repo: Repository, real: dict[str, Path], hermetic: Path
) -> None:
    (hermetic / ".npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")  # opencode looks for plugins
    limit = KeyLimit(100)
    with ModelServer(accepted_keys=list(KEYS.values()), limit=limit) as server, watched(repo) as (seen, leaks):
        tasks = [{"id": name, "description": works(name)} for name in "abc"]
        said = run(repo, real, agent, server.url, tasks, gateway=True, per_minute=100)
        assert said.code == 0, said.err
        assert said.statuses() == dict.fromkeys("abc", "landed")
        assert {one.api_key for one in server.requests} == set(KEYS.values())
        assert {one.status for one in server.requests} == {200}
    assert {"a", "b", "c", GATEWAY} <= seen
    assert leaks == set()
    assert files_with_keys(repo.path.parent, hermetic) == []
    (counted,) = (repo.path / ".flow/maestro/runs").glob(f"*/gateway/{PLACES[agent][0]}.json")
    attempts = json.loads(counted.read_text())["attempts"]
    assert {name.split("/")[2] for name in attempts} == {"a", "b", "c"}
    assert all(spent["requests"] >= 3 and spent["output_tokens"] >= 60 for spent in attempts.values())


@pytest.mark.real("claude")
def test_a_gateway_killed_under_claude_comes_back_before_it_gives_up(repo: Repository, real: dict[str, Path]) -> None:
    journals = repo.path / ".flow/maestro/runs"

    def kill_it() -> None:
        while not (started := [*gateways(journals)]) or not server.requests:
            time.sleep(0.01)
        os.kill(started[0]["pid"], signal.SIGKILL)

    with ModelServer() as server:
        killing = threading.Thread(target=kill_it)
        killing.start()
        tasks = [{"id": name, "description": works(name)} for name in "abc"]
        said = run(repo, real, "claude", server.url, tasks, gateway=True)
        killing.join()
        assert said.code == 0, said.err
        assert {entry["attempts"] for entry in said.json["tasks"].values()} == {1}
    first, second = gateways(journals)
    assert (first["port"], first["pid"] == second["pid"]) == (second["port"], False)


def gateways(runs: Path) -> Iterator[dict[str, Any]]:
    """As the journal has them so far."""
    for journal in runs.glob("*/journal.jsonl"):
        for line in journal.read_text().splitlines():
            if line.endswith("}") and '"gateway_started"' in line:
                yield json.loads(line)


@pytest.mark.real("claude")
def test_a_limit_of_the_provider_is_not_seen_by_claude(repo: Repository, real: dict[str, Path]) -> None:
    """Each key bears a request in five seconds, which the pool is not told of: 9 requests need two windows."""
    limit = KeyLimit(1, window_seconds=5.0)
    began = time.monotonic()
    with ModelServer(limit=limit) as server:
        tasks = [{"id": name, "description": works(name)} for name in "abc"]
        said = run(repo, real, "claude", server.url, tasks, gateway=True)
        assert said.code == 0, said.err
    assert time.monotonic() - began >= 10.0
    assert limit.most == dict.fromkeys(KEYS.values(), 1)
    for stream in (repo.path / ".flow/maestro/runs").glob("*/attempts/*/*/stdout"):
        assert "api_retry" not in stream.read_text()


@pytest.mark.real("claude")
def test_without_a_gateway_a_limited_key_rests_and_the_others_do_the_work(
    repo: Repository, real: dict[str, Path]
) -> None:
    """One key bears nothing for an hour, for which claude does not wait: another one takes the attempt over."""
    bad = KEYS["POOL_A"]
    with _OneKeyLimited(bad) as server:
        tasks = [{"id": name, "description": works(name)} for name in "abcd"]
        said = run(repo, real, "claude", server.url, tasks)
        assert said.code == 0, said.err
        assert said.statuses() == dict.fromkeys("abcd", "landed")
        assert [one.status for one in server.requests if one.api_key == bad] == [429]
    (journal,) = (repo.path / ".flow/maestro/runs").glob("*/journal.jsonl")
    assert "account_held" not in journal.read_text()
    assert "another key takes over" in journal.read_text()
    assert sum(entry["attempts"] for entry in said.json["tasks"].values()) == 5


class _OneKeyLimited(ModelServer):
    """Refuses one key for an hour."""

    def __init__(self, key: str) -> None:
        super().__init__(limit=_Hour(key))


class _Hour(KeyLimit):
    def __init__(self, key: str) -> None:
        super().__init__(0, window_seconds=3600.0)
        self._free = KeyLimit(10_000)
        self._bad = key

    def count(self, key: str) -> Any:
        if key != self._bad:
            return self._free.count(key)
        accepted = self._free.count("elsewhere")._replace(accepted=False)
        return accepted._replace(headers={"retry-after": "3600"})
