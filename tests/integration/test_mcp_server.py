"""`maestro mcp` as a process of its own, with the package's own client and with a raw one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from maestro.mcp.place import Place
from maestro.mcp.server import make_server
from maestro.store.claims import live_runs
from maestro.store.endings import Looks
from maestro.store.layout import Layout
from maestro.testing.commandline import command_line, maestro
from maestro.testing.processes import Gate, until
from maestro.testing.repository import Repository
from tests.conftest import processes_with

pytestmark = pytest.mark.timeout(120)

WORK = 'echo "$MAESTRO_TASK_ID" > "$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm work'
TASKS = [{"id": "a"}, {"id": "b", "dependencies": ["a"]}, {"id": "c"}]


@pytest.fixture
def tasks_file(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(TASKS))
    return path


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()


def served(repo: Repository, act: Callable[[Client], Awaitable[None]]) -> None:
    """Connect as any client does, act, and let everything that was started end."""
    command, *args = command_line("mcp")

    async def go() -> None:
        server = StdioServerParameters(command=command, args=args, cwd=str(repo.path), env=dict(os.environ))
        async with Client(server) as client:
            await act(client)

    asyncio.run(go())
    nothing_runs()


def nothing_runs() -> None:
    mark = f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}"
    until(lambda: not processes_with(mark), seconds=60)


async def value(client: Client, tool: str, **arguments: Any) -> Any:
    """The object of a tool that must succeed."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.structured_content
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    return result.structured_content


async def error(client: Client, tool: str, **arguments: Any) -> Any:
    """The error object of one that must not."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return result.structured_content


def test_a_backlog_is_planned_run_and_landed_by_tools_alone(repo: Repository, tasks_file: Path, gate: Gate) -> None:
    agent = f'test "$MAESTRO_TASK_ID" != a || read _ < {gate.path}; {WORK}'

    async def act(client: Client) -> None:
        plan = await value(client, "plan", tasks_file=str(tasks_file))
        assert plan == maestro("plan", "--tasks-file", str(tasks_file), "--json", cwd=repo.path).json
        run = await value(client, "run", tasks_file=str(tasks_file), agent_command=agent, no_tests=True, run_id="r1")
        assert (run["run_id"], run["status"], run["alive"]) == ("r1", "running", True)
        early = await value(client, "wait", run_id="r1", timeout=0)
        assert early == {"run_id": "r1", "status": "running", "reason": "", "timed_out": True}
        note = await value(client, "note", text="mind the gap", to_task="b")
        assert (note["run_id"], note["to_task"], note["from_task"]) == ("r1", "b", None)
        assert (await value(client, "status"))["runs"][0]["run_id"] == "r1"
        gate.let_through()
        ended = await value(client, "wait", run_id="r1", timeout=50)
        assert ended == {"run_id": "r1", "status": "completed", "reason": "", "timed_out": False}
        status = await value(client, "status", run_id="r1")
        assert status == maestro("status", "--run-id", "r1", "--json", cwd=repo.path).json
        assert {task: one["status"] for task, one in status["tasks"].items()} == dict.fromkeys("abc", "landed")

    served(repo, act)
    assert {"a.txt", "b.txt", "c.txt"} <= set(repo.files("integration/r1"))
    prompt = Layout(repo.path).attempt("r1", "b", 1) / "prompt.md"
    assert "- From a person, to you: mind the gap" in prompt.read_text()
    assert repo.git("status", "--porcelain") == ""


def test_a_failure_is_told_with_its_reason_and_todos_are_a_backlog(repo: Repository) -> None:
    async def act(client: Client) -> None:
        todos = [{"content": "Add the form", "status": "pending"}, {"content": "Was done", "status": "completed"}]
        planned = await value(client, "plan", todos=todos)
        assert planned["total_tasks"] == 1
        run = await value(client, "run", todos=todos, agent_command="exit 3", no_tests=True, attempts=1)
        ended = await value(client, "wait", run_id=run["run_id"], timeout=50)
        assert (ended["status"], ended["timed_out"]) == ("failed", False)
        status = await value(client, "status", run_id=run["run_id"])
        assert [one["reason"] for one in status["tasks"].values() if one["status"] == "failed"] == ["exit code 3"]

    served(repo, act)


def test_errors_are_those_of_the_command_line(repo: Repository, tasks_file: Path, tmp_path: Path) -> None:
    (tmp_path / "circle.json").write_text('[{"id": "a", "dependencies": ["a"]}]')
    cases: list[tuple[str, dict[str, Any]]] = [
        ("plan", {"tasks_file": "nope.json"}),
        ("run", {"tasks_file": "../circle.json", "agent_command": "true", "no_tests": True}),
        ("run", {"tasks_file": "../tasks.json", "agent_command": "true", "test_command": "t", "no_tests": True}),
        ("wait", {"run_id": "nope"}),
        ("report", {"task": "a", "status": "done"}),
    ]

    async def go() -> None:
        async with Client(make_server(Place(repo.path, dict(os.environ)))) as client:
            for tool, arguments in cases:
                words: list[str] = []
                for key, given in arguments.items():
                    words += ["--" + key.replace("_", "-"), *([] if given is True else [str(given)])]
                said = maestro(tool, *words, "--json", cwd=repo.path)
                assert await error(client, tool, **arguments) == said.json, (tool, arguments)
                assert said.json["error"]["message"]

    asyncio.run(go())
    assert list(Layout(repo.path).runs.glob("*/")) == []


def test_one_server_answers_several_calls_at_once(repo: Repository, tasks_file: Path, gate: Gate) -> None:
    async def act(client: Client) -> None:
        run = await value(
            client,
            "run",
            tasks_file=str(tasks_file),
            agent_command=f"read _ < {gate.path}; {WORK}",
            no_tests=True,
            max_parallel=1,
        )
        waiting = [asyncio.create_task(value(client, "wait", run_id=run["run_id"], timeout=50)) for _ in range(3)]
        started = time.monotonic()
        assert (await value(client, "status", run_id=run["run_id"]))["alive"]
        assert time.monotonic() - started < 20
        assert not any(one.done() for one in waiting)
        again = await error(client, "run", tasks_file=str(tasks_file), agent_command="true", no_tests=True)
        assert "held by run" in again["error"]["message"]
        gate.let_through(len(TASKS))
        assert [one["status"] for one in await asyncio.gather(*waiting)] == ["completed"] * 3

    served(repo, act)


class Raw:
    """A client that speaks the protocol line by line, so that nothing on standard output goes unseen."""

    def __init__(self, repo: Repository) -> None:
        self.process = subprocess.Popen(
            command_line("mcp"), cwd=repo.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        answer = self.ask("initialize", hello)
        assert answer["serverInfo"]["name"] == "maestro"
        self.send({"method": "notifications/initialized"})

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        self.send({"id": 1, "method": method, "params": params})
        assert self.process.stdout is not None
        answer = json.loads(self.process.stdout.readline())
        assert (answer["jsonrpc"], answer["id"]) == ("2.0", 1)
        return answer["result"]

    def call(self, tool: str, **arguments: Any) -> Any:
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result
        return result["structuredContent"]

    def end(self) -> int:
        """Close its standard input; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.stdout is not None
        assert self.process.stdout.read() == ""
        return self.process.wait(timeout=20)


@pytest.fixture
def raw(repo: Repository) -> Iterator[Raw]:
    client = Raw(repo)
    with client.process:  # closes its pipes
        yield client
        client.process.kill()


def started(raw: Raw, tasks_file: Path, gate: Gate) -> None:
    agent = f'test "$MAESTRO_TASK_ID" != a || read _ < {gate.path}; {WORK}'
    raw.call("run", tasks_file=str(tasks_file), agent_command=agent, no_tests=True, run_id="r1")


def landed(repo: Repository, gate: Gate) -> None:
    """Let the run go on, and see it land."""
    assert live_runs(Layout(repo.path).locks) == {"r1"}
    gate.let_through()
    looks = Looks(Layout(repo.path), run_id="r1")
    until(lambda: not looks.look()["timed_out"], seconds=60)
    assert looks.look()["status"] == "completed"
    nothing_runs()


def test_an_old_client_that_closes_standard_input_ends_the_server(raw: Raw) -> None:
    tools = raw.ask("tools/list", {})["tools"]
    assert [tool["name"] for tool in tools] == ["plan", "run", "status", "wait", "note", "lock", "report"]
    assert raw.end() == 0


def test_a_client_that_goes_away_in_the_middle_of_a_wait_leaves_the_run_alone(
    repo: Repository, raw: Raw, tasks_file: Path, gate: Gate
) -> None:
    started(raw, tasks_file, gate)
    raw.send({"id": 2, "method": "tools/call", "params": {"name": "wait", "arguments": {"run_id": "r1"}}})
    began = time.monotonic()
    assert raw.process.stdin is not None
    raw.process.stdin.close()
    assert raw.process.wait(timeout=20) == 0
    assert time.monotonic() - began < 20, "it did not wait for the end of the call"
    landed(repo, gate)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_ended_leaves_the_run_alone(
    repo: Repository, raw: Raw, tasks_file: Path, gate: Gate, number: signal.Signals
) -> None:
    started(raw, tasks_file, gate)
    raw.process.send_signal(number)
    assert raw.process.wait(timeout=20) == -number
    landed(repo, gate)


def test_without_the_package_or_with_an_old_one_the_hint_says_what_to_install(repo: Repository, tmp_path: Path) -> None:
    for version, words in (
        ("", "which is not installed"),
        ("1.27.0", "version 2 of the Python package mcp, not 1.27.0"),
    ):
        code = (
            "import importlib.metadata as m, sys\n"
            "def version(name):\n"
            f"    if not {version!r}: raise m.PackageNotFoundError(name)\n"
            f"    return {version!r}\n"
            "m.version = version\n"
            "from maestro.cli.main import main\nsys.exit(main())"
        )
        argv = [sys.executable, "-c", code, "mcp", "--json"]
        done = subprocess.run(argv, cwd=repo.path, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        said = json.loads(done.stdout)["error"]
        assert (done.returncode, words in said["message"]) == (2, True)
        assert "pip install 'flow-maestro[mcp]'" in said["hint"]
