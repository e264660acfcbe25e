"""A gateway that dies again and again is said to be gone: whoever looks at the run sees why its agents fail."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from maestro.errors import WorkspaceError
from maestro.gateway import keys
from maestro.model.events import GatewayStarted, Warned
from maestro.testing.gateway_lab import Lab


def said(lab: Lab) -> list[str]:
    return [event.message for event in lab.events if isinstance(event, Warned)]


def kill_last(lab: Lab) -> None:
    *_, last = (event for event in lab.events if isinstance(event, GatewayStarted))
    os.kill(last.pid, signal.SIGKILL)


async def until_said(lab: Lab, count: int) -> None:
    while len(said(lab)) < count:
        await asyncio.sleep(0.01)


def test_after_some_times_it_is_left_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "RESTARTS", 1)
    lab = Lab(tmp_path, "http://127.0.0.1:9")

    async def main() -> None:
        async with lab.running():
            kill_last(lab)
            while sum(isinstance(event, GatewayStarted) for event in lab.events) < 2:
                await asyncio.sleep(0.01)
            kill_last(lab)
            await until_said(lab, 2)

    asyncio.run(main())
    assert said(lab)[1] == (
        "the gateway for anthropic ended while it was needed, 2 times now: agents cannot reach anthropic any more"
    )


def test_one_that_cannot_be_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(tmp_path, "http://127.0.0.1:9")

    def fails(*_: object) -> None:
        raise WorkspaceError("the gateway for anthropic did not start", hint="")

    async def main() -> None:
        async with lab.running():
            monkeypatch.setattr(keys, "launch", fails)
            kill_last(lab)
            await until_said(lab, 2)

    asyncio.run(main())
    assert "cannot be started again: the gateway for anthropic did not start; see " in said(lab)[1]
