"""The real claude CLI drives maestro by its MCP server; a scripted model says which tool is called when (C-4)."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from maestro.mcp.tools import TOOLS
from maestro.testing.commandline import command_line, maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.conftest import processes_with

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]

# claude -p takes its first turn without the tools of a server that is still starting
WAIT_FOR_SERVERS = {"MCP_CONNECTION_NONBLOCKING": "0", "MCP_CONNECT_TIMEOUT_MS": "60000", "MCP_TIMEOUT": "60000"}
WORK = 'echo "$MAESTRO_TASK_ID" > "$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm work'


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": {"name": f"mcp__maestro__{name}", "input": arguments}}


def say(repo: Repository, claude: Path, server: ModelServer, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run claude on a script; its events."""
    config = repo.path.parent / "mcp.json"
    command, *args = command_line("mcp")
    config.write_text(json.dumps({"mcpServers": {"maestro": {"command": command, "args": args}}}))
    prompt = f"Run the backlog.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"
    argv = [
        claude, "-p", prompt, "--mcp-config", config, "--strict-mcp-config",
        "--allowedTools", ",".join(f"mcp__maestro__{name}" for name in TOOLS),
        "--output-format", "stream-json", "--verbose",
    ]  # fmt: skip
    env = {
        **os.environ,
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "fake-key",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",
        **WAIT_FOR_SERVERS,
    }
    done = subprocess.run(
        argv, cwd=repo.path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def answers(events: list[dict[str, Any]]) -> list[tuple[bool, Any]]:
    """What the tools gave, as the model is told: whether it is an error, and the object."""
    found = []
    for event in events:
        for block in event["message"]["content"] if event["type"] == "user" else ():
            if block["type"] == "tool_result":
                content = block["content"]
                text = content if isinstance(content, str) else "".join(part["text"] for part in content)
                found.append((bool(block.get("is_error")), json.loads(text)))
    return found


def test_claude_plans_runs_waits_and_reads_what_landed(repo: Repository, real: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text('[{"id": "a"}, {"id": "b", "dependencies": ["a"]}]')
    steps = [
        tool("plan", tasks_file="../tasks.json"),
        tool("run", tasks_file="../tasks.json", agent_command=WORK, no_tests=True, run_id="r1"),
        tool("wait", run_id="r1", timeout=50),
        tool("status", run_id="r1"),
        tool("note", text="too late", run_id="r1"),
        {"say": "All landed."},
    ]
    with ModelServer() as server:
        events = say(repo, real["claude"], server, steps)
        offered = {one["name"]: one for one in server.requests[0].body["tools"]}
    (started,) = (event for event in events if event.get("subtype") == "init")
    assert started["mcp_servers"] == [{"name": "maestro", "status": "connected"}]
    for name, known in TOOLS.items():
        assert offered[f"mcp__maestro__{name}"]["description"] == known.description
    (plan, run, wait, status, note) = answers(events)
    assert (plan[0], plan[1]["levels"]) == (False, [["a"], ["b"]])
    assert (run[0], run[1]["run_id"], run[1]["status"]) == (False, "r1", "running")
    assert wait == (False, {"run_id": "r1", "status": "completed", "reason": "", "timed_out": False})
    assert {task: one["status"] for task, one in status[1]["tasks"].items()} == {"a": "landed", "b": "landed"}
    assert note[0]
    assert note[1]["error"]["message"] == "Run r1 has ended: nobody would read the note."
    assert events[-1]["result"] == "All landed."
    assert {"a.txt", "b.txt"} <= set(repo.files("integration/r1"))
    mark = f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}"
    until(lambda: not processes_with(mark), seconds=20)  # the server ends with its client


def test_a_run_goes_on_when_the_session_ends(repo: Repository, real: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text('[{"id": "a"}]')
    gate = tmp_path / "gate"
    steps = [
        tool(
            "run",
            tasks_file="../tasks.json",
            agent_command=f"while ! test -e {gate}; do sleep 0.1; done; {WORK}",
            no_tests=True,
            run_id="r1",
        ),
        {"say": "It runs."},
    ]
    with ModelServer() as server:
        events = say(repo, real["claude"], server, steps)
    assert events[-1]["result"] == "It runs."
    assert repo.git("rev-parse", "--verify", "--quiet", "integration/r1") == repo.head, "nothing has landed yet"
    gate.touch()
    mark = f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}"
    until(lambda: not processes_with(mark), seconds=30)
    assert "a.txt" in repo.files("integration/r1")


def test_an_agent_of_a_run_leaves_a_note_by_the_server_in_its_own_client_configuration(
    repo: Repository, real: dict[str, Path], tmp_path: Path
) -> None:
    """Also where the server takes longer to start than claude."""
    late = ["-c", f"sleep 3; exec {shlex.join(command_line('mcp'))}"]
    config = repo.path / ".flow" / "maestro" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[mcp_servers.maestro]\ncommand = "/bin/sh"\nargs = {json.dumps(late)}\n')
    steps = [tool("note", text="the table is called people"), {"bash": WORK}, {"say": "done"}]
    tasks = [
        {"id": "a", "description": f"Do it.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"},
        {
            "id": "b",
            "dependencies": ["a"],
            "description": f"Do it.\n\n```maestro-script\n{json.dumps(steps[1:])}\n```\n",
        },
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    with ModelServer() as server:
        said = maestro(
            "run", "--tasks-file", "../tasks.json", "--agent", "claude", "--no-tests", "--json", "--run-id", "r1",
            cwd=repo.path,
            env={
                "PATH": f"{real['claude'].parent}:{os.environ['PATH']}",
                "ANTHROPIC_BASE_URL": server.url,
                "ANTHROPIC_API_KEY": "fake-key",
                "IS_SANDBOX": "1",
            },
            timeout_seconds=150,
        )  # fmt: skip
    assert said.code == 0, said.err
    notes = maestro("notes", "--run-id", "r1", "--json", cwd=repo.path).json["notes"]
    assert [(note["from_task"], note["to_task"], note["text"]) for note in notes] == [
        ("a", None, "the table is called people")
    ]
    prompt = repo.path / ".flow" / "maestro" / "runs" / "r1" / "attempts" / "b" / "1" / "prompt.md"
    assert "- From task a: the table is called people" in prompt.read_text()
