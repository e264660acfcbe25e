"""Runs with a pool of API keys: a key for each attempt, or a gateway that no agent sees through (A-6)."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.proc.family import census, identify
from maestro.proc.roles import COORDINATOR, GATEWAY
from maestro.testing.commandline import Said, maestro
from maestro.testing.key_limit import KeyLimit
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started
from tests.conftest import is_over

KEYS = {"KEY_A": "sk-ant-api03-aaaaaaaaaaaa", "KEY_B": "sk-ant-api03-bbbbbbbbbbbb", "KEY_C": "sk-ant-api03-cccccccccc"}
OTHERS = {"ANTHROPIC_API_KEY": "sk-ant-api03-yourown", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-yourown"}

ASKS = """
import json, os, pathlib, sys, time, urllib.request
folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
task = os.environ["MAESTRO_TASK_ID"]
def ask():
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}).encode()
    headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "content-type": "application/json"}
    request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", body, headers)
    assert json.load(urllib.request.urlopen(request))["type"] == "message"
for _ in range(count):
    ask()
(folder / ("asked-" + task)).touch()
end = time.monotonic() + 100  # whatever becomes of the test
while len(sys.argv) > 3 and not (folder / sys.argv[3]).exists() and time.monotonic() < end:
    time.sleep(0.01)
ask()
"""
"""An agent: so many requests, then a last one when the file is there that it waits for."""


@pytest.fixture
def asks(tmp_path: Path) -> Callable[..., str]:
    script = tmp_path / "asks.py"
    script.write_text(ASKS)
    return lambda *args: f'"{sys.executable}" "{script}" "{tmp_path}" {" ".join(args)} && {WRITES_ONE_FILE}'


def pool(**options: Any) -> dict[str, str]:
    given = {"from_env": list(KEYS), **options}
    return {**KEYS, **OTHERS, "MAESTRO_KEYS": json.dumps({"anthropic": given})}


def journal(repo: Repository) -> list[dict[str, Any]]:
    (file,) = (repo.path / ".flow" / "maestro" / "runs").glob("*/journal.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def of_type(repo: Repository, kind: str) -> list[dict[str, Any]]:
    return [event for event in journal(repo) if event.get("type") == kind]


def files_with_keys(*folders: Path) -> list[str]:
    """Files that hold a key; those of this test aside, there must be none."""
    keys = [key.encode() for key in KEYS.values()]
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and any(key in path.read_bytes() for key in keys)
    ]


def processes_with_keys(families: dict[str, list[Any]]) -> Iterator[str]:
    """Of the run's own families: their environment and arguments."""
    for marker, family in families.items():
        for one in family:
            for name in ("environ", "cmdline"):
                try:
                    data = Path(f"/proc/{one.pid}/{name}").read_bytes()
                except OSError:
                    continue
                if any(key.encode() in data for key in KEYS.values()):
                    yield f"{name} of {marker}"


def families_of(repo: Repository) -> dict[str, list[Any]]:
    run_id = journal(repo)[1]["run_id"]
    return {
        marker: family
        for marker, family in census().items()
        if f"/{run_id}/" in marker and f"/{COORDINATOR}/" not in marker
    }


def test_each_attempt_gets_one_key_and_no_other_variable(repo: Repository, run: Run, tmp_path: Path) -> None:
    agent = f'env > "{tmp_path}/env-$MAESTRO_TASK_ID" && {WRITES_ONE_FILE}'
    setup = {"MAESTRO_SETUP": f'env > "{tmp_path}/setup-$MAESTRO_TASK_ID"', "MAESTRO_ENV_ALLOW": "KEY_*,ANTHROPIC_*"}
    said = run(
        [{"id": name} for name in "abc"],
        "--max-parallel", "1", agent=agent, env={**pool(), **setup}, tests=f'env > "{tmp_path}/tests"',
    )  # fmt: skip
    assert said.code == 0, said.err
    seen = {}
    for name in "abc":
        variables = dict(
            line.split("=", 1) for line in (tmp_path / f"env-{name}").read_text().splitlines() if "=" in line
        )
        seen[name] = variables["ANTHROPIC_API_KEY"]
        assert not variables.keys() & {*KEYS, "CLAUDE_CODE_OAUTH_TOKEN"}
    assert sorted(seen.values()) == sorted(KEYS.values())  # the least used one each time
    for name in ("setup-a", "tests"):
        text = (tmp_path / name).read_text()
        assert not any(key in text for key in (*KEYS.values(), *OTHERS.values())), name
    assert files_with_keys(repo.path, Path(os.environ["HOME"])) == []


def test_agents_behind_a_gateway_never_see_a_key(
    repo: Repository, start: Callable[..., Started], asks: Callable[..., str], tmp_path: Path
) -> None:
    with ModelServer(accepted_keys=list(KEYS.values())) as server:
        env = pool(gateway=True, upstream=server.url, per_minute=100)
        one = start([{"id": name} for name in "abc"], "--max-parallel", "3", agent=asks("6", "go"), env=env)
        one.until(*(tmp_path / f"asked-{name}" for name in "abc"))
        families = families_of(repo)
        assert {marker.rpartition("/")[0].rpartition("/")[2] for marker in families} == {"a", "b", "c", GATEWAY}
        assert list(processes_with_keys(families)) == []
        assert files_with_keys(repo.path.parent, Path(os.environ["HOME"])) == []
        (tmp_path / "go").touch()
        said = one.end()
        assert said.code == 0, said.err
        assert files_with_keys(repo.path.parent, Path(os.environ["HOME"])) == []
        keys = [seen.api_key for seen in server.requests]
        assert {key: keys.count(key) for key in KEYS.values()} == dict.fromkeys(KEYS.values(), 7)
    (started,) = of_type(repo, "gateway_started")
    assert not families_of(repo)
    assert is_over(started["pid"])
    (counted,) = (repo.path / ".flow/maestro/runs").glob("*/gateway/anthropic.json")
    assert sorted(spent["requests"] for spent in json.loads(counted.read_text())["attempts"].values()) == [7, 7, 7]


def test_no_agent_is_refused_where_keys_have_a_limit(repo: Repository, run: Run, asks: Callable[..., str]) -> None:
    """The gateway is told of no rate here: it learns from what the provider answers."""
    limit = KeyLimit(10, window_seconds=1.0)
    with ModelServer(limit=limit) as server:
        said = run([{"id": name} for name in "abcd"], agent=asks("14"), env=pool(gateway=True, upstream=server.url))
    assert said.code == 0, said.err
    assert limit.refused > 0
    assert of_type(repo, "account_held") == []


def test_a_killed_coordinators_gateway_serves_its_agents_and_is_taken_over(
    repo: Repository, start: Callable[..., Started], asks: Callable[..., str], tmp_path: Path
) -> None:
    with ModelServer(accepted_keys=list(KEYS.values())) as server:
        env = pool(gateway=True, upstream=server.url)
        one = start([{"id": "a"}, {"id": "b", "dependencies": ["a"]}], agent=asks("1", "go"), env=env)
        one.until(tmp_path / "asked-a")
        one.send(signal.SIGKILL)
        one.process.communicate()
        resumed = Started(["resume", "--json"], repo.path, env)
        deadline = time.monotonic() + 60
        while not of_type(repo, "run_resumed"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (tmp_path / "go").touch()
        said = resumed.end()
        assert said.code == 0, said.err
        assert said.statuses() == {"a": "landed", "b": "landed"}
        assert said.json["tasks"]["a"]["attempts"] == 1
        assert len(server.requests) == 4
    assert len(of_type(repo, "gateway_started")) == 1
    assert not families_of(repo)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"from_env": ["KEY_A", "NOT_THERE"]}, 2, "[keys.anthropic]: NOT_THERE is not set"),
        ({"from_env": ["CLAUDE_CODE_OAUTH_TOKEN"]}, 2, "holds the login of a subscription, not an API key"),
        ({"from_env": [KEYS["KEY_A"]]}, 2, "not the name of a variable"),
        ({"from_env": [], "command": "echo boom; exit 3"}, 2, "ended with exit code 3"),
    ],
)
def test_a_pool_that_cannot_work_is_refused_before_anything_starts(
    repo: Repository, run: Run, given: dict[str, Any], code: int, said: str
) -> None:
    ended = run([{"id": "a"}], env=pool(**given))
    assert ended.code == code
    assert said in ended.json["error"]["message"]
    assert ended.json["error"]["hint"]
    assert not any(key in ended.out + ended.err for key in (*KEYS.values(), *OTHERS.values()))
    assert not list((repo.path / ".flow" / "maestro").glob("runs/*/journal.jsonl"))


def test_the_doctor_shows_the_pool(repo: Repository, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.json"
    tasks.write_text('[{"id": "a"}]')

    def doctor(**options: Any) -> Said:
        return maestro(
            "doctor", "--tasks-file", str(tasks), "--agent-command", "true", "--no-tests", "--json",
            cwd=repo.path, env=pool(**options),
        )  # fmt: skip

    found = {check["detail"] for check in doctor(gateway=True, per_minute=50).json["checks"]}
    assert "anthropic: 3 keys (KEY_A, KEY_B, KEY_C), 150 requests a minute, behind a gateway" in found
    bad = doctor(from_env=["NOT_THERE"])
    assert bad.code != 0
    assert not any(key in bad.out for key in KEYS.values())


def test_what_a_dead_run_left_of_its_gateway_is_found_and_ended(
    repo: Repository, start: Callable[..., Started], asks: Callable[..., str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        one = start([{"id": "a"}], agent=asks("1", "go"), env=pool(gateway=True, upstream=server.url))
        one.until(tmp_path / "asked-a")
        one.send(signal.SIGKILL)
        one.process.communicate()
        (started,) = of_type(repo, "gateway_started")
        found = maestro("cleanup-orphans", "--dry-run", cwd=repo.path)
        assert "by the gateway of run" in found.out
        assert identify(started["pid"]) is not None
        cleaned = maestro("cleanup-orphans", "--force", cwd=repo.path)
        assert cleaned.code == 0, cleaned.err
    assert not families_of(repo)
    assert is_over(started["pid"])
