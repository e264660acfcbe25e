"""The tool `lock`: who holds a resource, and commands that run while it is the client's (I-7, C-4)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.types import CallToolResult

from maestro.mcp.place import Place
from maestro.mcp.server import make_server
from maestro.proc.family import members
from maestro.resources.locks.acquire import acquire
from maestro.resources.locks.base import Resource, Who
from maestro.resources.locks.place import folder_of
from maestro.resources.locks.queue import Held
from maestro.resources.locks.status import status
from maestro.testing.commandline import command_line
from maestro.testing.processes import until
from maestro.testing.repository import Repository

pytestmark = pytest.mark.timeout(120)
TESTS = Resource("tests")


def served(repo: Repository, act: Callable[[Client], Awaitable[None]]) -> None:
    async def go() -> None:
        async with Client(make_server(Place(repo.path, dict(os.environ)))) as client:
            await act(client)

    asyncio.run(go())


async def lock(client: Client, **arguments: Any) -> dict[str, Any]:
    result: CallToolResult = await client.call_tool("lock", {"name": "tests", **arguments})
    assert not result.is_error, result.structured_content
    value: dict[str, Any] = result.structured_content
    return value


def hold(repo: Repository) -> Held:
    return asyncio.run(acquire(folder(repo), TESTS, Who(task="a")))


def folder(repo: Repository) -> Path:
    return folder_of(TESTS.scope, repo.path, None, os.environ)


def test_without_a_command_it_says_who_holds_it(repo: Repository) -> None:
    held = hold(repo)

    async def act(client: Client) -> None:
        said = await lock(client)
        assert (said["name"], said["capacity"], said["queue"]) == ("tests", 1, [])
        assert [(one["task"], one["pid"], one["token"]) for one in said["holders"]] == [("a", os.getpid(), held.token)]
        held.release()
        assert (await lock(client))["holders"] == []

    served(repo, act)


def test_a_command_runs_and_its_exit_code_and_output_are_told(repo: Repository) -> None:
    async def act(client: Client) -> None:
        said = await lock(client, command='echo out; echo err >&2; pwd; test -n "$MAESTRO_FENCING_TOKEN" && exit 3')
        assert (said["exit_code"], said["timed_out"]) == (3, False)
        assert said["output_tail"] == f"out\nerr\n{repo.path}\n"
        again = await lock(client, call=said["call"])
        assert again == said

    served(repo, act)


def test_a_command_that_takes_longer_than_a_call_is_waited_for_by_the_next(repo: Repository, tmp_path: Path) -> None:
    held, go_on = hold(repo), tmp_path / "go-on"

    async def act(client: Client) -> None:
        said = await lock(client, command=f"echo in; while [ ! -e {go_on} ]; do sleep 0.02; done", timeout=0)
        assert (said["exit_code"], said["timed_out"]) == (None, True)
        while not status(folder(repo), TESTS).queue:
            await asyncio.sleep(0.02)
        held.release()
        while "in" not in (said := await lock(client, call=said["call"], timeout=0.1))["output_tail"]:
            assert said["timed_out"]
        go_on.touch()
        said = await lock(client, call=said["call"], timeout=30)
        assert (said["exit_code"], said["timed_out"]) == (0, False)
        assert said["output_tail"].endswith("in\n")

    served(repo, act)


def test_the_time_to_wait_and_the_limit(repo: Repository) -> None:
    held = hold(repo)

    async def act(client: Client) -> None:
        said = await lock(client, command="true", wait=0.1)
        assert said["exit_code"] == 124
        assert "was not free within 0.1 s" in said["output_tail"]
        held.release()
        assert (await lock(client, command="sleep 60", limit=0.2))["exit_code"] == 124

    served(repo, act)


def test_a_cancelled_call_ends_its_command(repo: Repository, tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    async def act(client: Client) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: lock(client, command=f"touch {begun}; sleep 60"))
            while not begun.exists():
                await asyncio.sleep(0.02)
            group.cancel_scope.cancel()
        while status(folder(repo), TESTS).holders:
            await asyncio.sleep(0.02)
        assert (await lock(client, command="true"))["exit_code"] == 0

    served(repo, act)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_commands_end_with_the_server_however_it_ends(repo: Repository, tmp_path: Path, number: signal.Signals) -> None:
    import json
    import subprocess

    begun = tmp_path / "begun"
    server = subprocess.Popen(
        command_line("mcp"), cwd=repo.path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert server.stdin is not None
    about = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    arguments = {"name": "tests", "command": f"trap '' TERM; touch {begun}; sleep 60 & wait", "timeout": 0}
    for message in (
        {"id": 1, "method": "initialize", "params": about},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "lock", "arguments": arguments}},
    ):
        server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        server.stdin.flush()
    until(begun.exists)
    server.send_signal(number)
    server.wait()
    server.stdin.close()
    until(lambda: not status(folder(repo), TESTS).holders)
    until(
        lambda: not members(os.environ["MAESTRO_TEST_MARK"], "MAESTRO_TEST_MARK")
    )  # the shell around it, its guardian


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"command": "true", "call": "x"},
            "Command starts one and call waits for one that was started: give one of them.",
        ),
        ({"limit": 3}, "Limit and wait are for a command: give one."),
        ({"call": "x"}, "There is no call x of this server."),
        ({"scope": "redis"}, "scope: input should be 'run', 'repo' or 'machine'."),
        ({"scope": "run"}, "A lock of scope run belongs to a run, and this is none."),
    ],
)
def test_what_makes_no_sense(repo: Repository, arguments: dict[str, Any], message: str) -> None:
    async def act(client: Client) -> None:
        result = await client.call_tool("lock", {"name": "tests", **arguments})
        assert result.is_error
        assert result.structured_content["error"]["message"] == message

    served(repo, act)
