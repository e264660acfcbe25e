"""The life of a gateway: where its keys are, who takes it over, what brings it back, and when it ends (A-6)."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maestro.errors import WorkspaceError
from maestro.gateway.contract import SECRET, HeldKey, Told
from maestro.gateway.launch import ask, end_all, find, launch
from maestro.gateway.tokens import new_secret
from maestro.model.events import GatewayStarted, Warned
from maestro.proc.family import members, start_time
from maestro.proc.request import MARKER
from maestro.proc.roles import GATEWAY
from maestro.testing.gateway_lab import ASKED, KEYS, Lab, client
from maestro.testing.model_server import ModelServer


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


async def asks(source: object, attempt: str = "t/run/task/1") -> int:
    async with client(source, attempt) as session, session.post("/v1/messages", json=ASKED) as answer:  # type: ignore[arg-type]
        await answer.read()
        return answer.status


def started(lab: Lab) -> list[GatewayStarted]:
    return [event for event in lab.events if isinstance(event, GatewayStarted)]


def test_keys_are_in_its_memory_alone(server: ModelServer, tmp_path: Path) -> None:
    lab = Lab(tmp_path, server.url)

    async def main() -> None:
        async with lab.running() as source:
            assert await asks(source) == 200
            (event,) = started(lab)
            (one,) = members(f"{lab.family}{GATEWAY}/anthropic")
            assert (one.pid, one.started) == (event.pid, event.pid_started)
            seen = b"".join(Path(f"/proc/{one.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
            env = source.environment("t/run/task/1")
            texts = [str(env), *(event.model_dump_json() for event in lab.events)]
            files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
            for key in KEYS:
                assert key.encode() not in seen + files
                assert key not in "".join(texts)
            assert set(source.secrets()) == set(KEYS)

    asyncio.run(main())
    assert not members(f"{lab.family}{GATEWAY}/anthropic")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"gateway/anthropic.log", "gateway/anthropic.json"}
    assert not any(key in (tmp_path / file).read_text() for key in KEYS for file in files)


def test_a_resumed_run_takes_it_over(server: ModelServer, tmp_path: Path) -> None:
    lab = Lab(tmp_path, server.url)

    async def main() -> None:
        killed = lab.source()
        await killed.start()
        before = dict(killed.environment("t/run/task/1"))
        killed.forsake()
        resumed = lab.source()
        resumed.restore(lab.events)
        await resumed.start()
        assert resumed.environment("t/run/task/1") == before
        assert len(started(lab)) == 1
        assert await asks(resumed) == 200
        await resumed.close()

    asyncio.run(main())
    assert not members(f"{lab.family}{GATEWAY}/anthropic")


def test_other_keys_make_another_gateway_which_agents_do_not_notice(server: ModelServer, tmp_path: Path) -> None:
    lab = Lab(tmp_path, server.url, per_minute=None)

    async def main() -> None:
        killed = lab.source()
        await killed.start()
        before = dict(killed.environment("t/run/task/1"))
        killed.forsake()
        resumed = lab.source([HeldKey(value="sk-ant-api03-renewed", origin="KEY_0")])
        resumed.restore(lab.events)
        await resumed.start()
        assert resumed.environment("t/run/task/1") == before
        first, second = started(lab)
        assert (first.port, first.pid) != (second.port, second.pid)
        assert first.port == second.port
        assert await asks(resumed) == 200
        await resumed.close()

    asyncio.run(main())
    assert [seen.api_key for seen in server.requests] == ["sk-ant-api03-renewed"]


def test_one_that_has_ended_meanwhile_is_started_again_on_its_port(server: ModelServer, tmp_path: Path) -> None:
    lab = Lab(tmp_path, server.url, per_minute=None)

    async def main() -> None:
        killed = lab.source()
        await killed.start()
        killed.forsake()
        await asyncio.to_thread(end_all, f"{lab.family}{GATEWAY}/anthropic")
        resumed = lab.source()
        resumed.restore(lab.events)
        await resumed.start()
        first, second = started(lab)
        assert first.port == second.port
        assert await asks(resumed) == 200
        await resumed.close()

    asyncio.run(main())


def test_one_that_dies_under_the_run_is_started_again(server: ModelServer, tmp_path: Path) -> None:
    """On its port; and as it does not know what the keys have borne in the last minute, it lets requests wait."""
    lab = Lab(tmp_path, server.url, per_minute=5)

    async def main() -> None:
        async with lab.running() as source:
            before = dict(source.environment("t/run/task/1"))
            os.kill(started(lab)[0].pid, signal.SIGKILL)
            while len(started(lab)) < 2:
                await asyncio.sleep(0.01)
            first, second = started(lab)
            assert (first.port, first.pid == second.pid) == (second.port, False)
            assert source.environment("t/run/task/1") == before
            asking = asyncio.create_task(asks(source))
            while (report := await source.report()) is None or report.waiting == 0:
                assert not asking.done()
                await asyncio.sleep(0.01)
            asking.cancel()
            assert [event.message for event in lab.events if isinstance(event, Warned)] == [
                "the gateway for anthropic ended while it was needed, and is started again"
            ]

    asyncio.run(main())


def test_one_that_is_just_coming_back_does_not_outlive_the_run(server: ModelServer, tmp_path: Path) -> None:
    lab = Lab(tmp_path, server.url)

    async def main() -> None:
        async with lab.running():
            os.kill(started(lab)[0].pid, signal.SIGKILL)
            while not any(isinstance(event, Warned) for event in lab.events):
                await asyncio.sleep(0)

    asyncio.run(main())
    assert len(started(lab)) == 2
    assert not members(f"{lab.family}{GATEWAY}/anthropic")


def told(lab: Lab, coordinator: int, *, idle: float = 0.3) -> Told:
    return Told(
        provider="anthropic",
        upstream=lab.upstream,
        key_header="x-api-key",
        held=lab.keys,
        marker=f"{lab.family}{GATEWAY}/anthropic",
        family=lab.family,
        coordinator=(coordinator, start_time(coordinator) or 0.0),
        idle_seconds=idle,
        check_seconds=0.05,
    )


@contextmanager
def sleeper(**env: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1, env=env)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()  # it is what its environment says from here on
    try:
        yield child
    finally:
        child.communicate()


def test_it_ends_when_nobody_of_its_run_is_left(server: ModelServer, tmp_path: Path) -> None:
    lab = Lab(tmp_path, server.url)
    log = tmp_path / "log"
    with sleeper() as coordinator, sleeper(**{MARKER: f"{lab.family}task/1"}) as agent:
        running = launch(told(lab, coordinator.pid), new_secret(), dict(os.environ), log)
        pidfd = os.pidfd_open(running.process.pid)
        coordinator.communicate()  # killed, say; an agent goes on
        with pytest.raises(subprocess.TimeoutExpired):
            _ended(pidfd, 1.0)
        agent.communicate()
        _ended(pidfd, 10.0)
    os.close(pidfd)
    os.waitpid(running.process.pid, 0)
    assert "no process of the run is left" in log.read_text()


def _ended(pidfd: int, seconds: float) -> None:
    if not select.select([pidfd], [], [], seconds)[0]:
        raise subprocess.TimeoutExpired("gateway", seconds)


def test_a_process_with_its_number_is_not_it(server: ModelServer, tmp_path: Path) -> None:
    lab = Lab(tmp_path, server.url)
    marker = f"{lab.family}{GATEWAY}/anthropic"
    running = launch(told(lab, os.getpid()), new_secret(), dict(os.environ), tmp_path / "log")
    pid, begun = running.process
    try:
        assert find(pid, begun, running.port, marker) == running
        assert find(pid, begun + 1, running.port, marker) is None
        assert find(pid, begun, running.port, f"{marker}x") is None
        assert find(os.getpid(), start_time(os.getpid()) or 0, running.port, marker) is None
        assert ask(running) is not None
        assert ask(running._replace(secret="other")) is None
        assert f"{SECRET}={running.secret}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        end_all(marker)
    assert find(pid, begun, running.port, marker) is None
    assert ask(running) is None


def test_a_port_that_is_taken_is_said(server: ModelServer, tmp_path: Path) -> None:
    lab = Lab(tmp_path, server.url)
    taken = int(server.url.rpartition(":")[2])
    with pytest.raises(WorkspaceError) as caught:
        launch(told(lab, os.getpid()).evolve(port=taken), new_secret(), dict(os.environ), tmp_path / "log")
    assert "did not start" in caught.value.message
    assert not members(f"{lab.family}{GATEWAY}/anthropic")
    assert not any(key in (tmp_path / "log").read_text() for key in KEYS)
