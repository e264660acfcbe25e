"""The server without a transport of its own: what is listed, and how whatever goes wrong is told."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult

from maestro import __version__
from maestro.mcp import acts
from maestro.mcp.acts import ACTS
from maestro.mcp.place import Answer, Place
from maestro.mcp.server import make_server
from maestro.mcp.tools import TOOLS
from maestro.testing.repository import Repository


def call(directory: Path, name: str, arguments: dict[str, Any]) -> CallToolResult:
    async def go() -> CallToolResult:
        async with Client(make_server(Place(directory, dict(os.environ)))) as client:
            return await client.call_tool(name, arguments)

    return asyncio.run(go())


def error(result: CallToolResult) -> dict[str, str]:
    assert result.is_error
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    said: dict[str, str] = result.structured_content["error"]
    return said


def test_the_tools_are_listed_with_what_they_do(repo: Repository) -> None:
    async def go() -> None:
        async with Client(make_server(Place(repo.path, {}))) as client:
            listed = (await client.list_tools()).tools
            assert [tool.name for tool in listed] == ["plan", "run", "status", "wait", "note", "lock", "report"]
            for tool in listed:
                assert tool.description
                assert tool.input_schema == TOOLS[tool.name].schema
                assert tool.annotations is not None
                assert tool.annotations.read_only_hint is (tool.name in ("plan", "status", "wait"))
            assert client.server_info.version == __version__
            assert "`wait` until timed_out is false" in (client.instructions or "")

    asyncio.run(go())


def test_every_tool_does_something() -> None:
    assert list(ACTS) == list(TOOLS)


def test_an_unknown_tool(repo: Repository) -> None:
    said = error(call(repo.path, "unlock", {}))
    assert said == {
        "message": "There is no tool unlock.",
        "hint": "tools: plan, run, status, wait, note, lock, report.",
    }


def test_outside_of_a_repository_and_in_a_directory_that_is_none(tmp_path: Path) -> None:
    assert "is not inside a git repository" in error(call(tmp_path, "status", {}))["message"]
    assert "nowhere is not a directory." in error(call(tmp_path, "plan", {"repository": "nowhere"}))["message"]


def test_a_repository_of_another_place(repo: Repository, tmp_path: Path) -> None:
    for where in (str(repo.path), "project", "./project/../project"):
        result = call(tmp_path, "status", {"repository": where})
        assert result.structured_content == {"runs": [], "total_runs": 0}


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("wait", {}, "Nothing to wait for is named."),
        ("wait", {"run_id": "r", "group_id": "g"}, "run_id and group_id exclude each other."),
        ("wait", {"run_id": "r", "timeout": 51}, "timeout: input should be less than or equal to 50."),
        ("wait", {"run_id": "../x"}, "There is no run ../x in"),
        ("status", {"run_id": "r"}, "There is no run r in"),
        ("status", {"group_id": "g"}, "There is no group g in"),
        ("note", {}, "The argument text is missing."),
        ("note", {"text": "x"}, "No run is under way in"),
        ("report", {"status": "done"}, "Whose report is it."),
        ("report", {"status": "no_change", "task": "a"}, "no_change needs a reason."),
        ("run", {"tasks_file": "nope.json", "no_tests": True}, "nope.json does not exist."),
        ("run", {"todos": [{"content": "x"}], "run_id": "a b", "no_tests": True}, "'a b' cannot name a run."),
    ],
)
def test_what_is_refused(repo: Repository, name: str, arguments: dict[str, Any], words: str) -> None:
    assert error(call(repo.path, name, arguments))["message"].startswith(words)


def test_a_bug_met_by_one_call_is_told_and_written_down(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_place: Place, _given: Any) -> Answer:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setitem(acts.ACTS, "status", broken)
    with caplog.at_level(logging.ERROR):
        said = error(call(repo.path, "status", {}))
    assert said["message"] == "Maestro met a bug of its own (ZeroDivisionError: by zero)."
    assert "ZeroDivisionError" in caplog.text


def test_odd_settings_are_said_beside_the_plan(repo: Repository) -> None:
    config = repo.path / ".flow" / "maestro" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("max_paralel = 3\n")
    result = call(repo.path, "plan", {"todos": [{"content": "x", "status": "pending"}]})
    assert result.structured_content["total_tasks"] == 1
    assert result.content[1].text.startswith("Warning: ")  # type: ignore[union-attr]
    assert "max_paralel" in result.content[1].text  # type: ignore[union-attr]


def test_a_false_argument_is_stronger_than_the_configuration(repo: Repository) -> None:
    config = repo.path / ".flow" / "maestro" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("no_tests = true\n")
    said = error(call(repo.path, "run", {"todos": [{"content": "x"}], "agent_command": "true", "no_tests": False}))
    assert said["message"].startswith("No test command was found")


def test_an_agent_s_own_server_speaks_for_its_task(repo: Repository, tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    environ = {
        **os.environ,
        "MAESTRO_RUN_ID": "r",
        "MAESTRO_TASK_ID": "a",
        "MAESTRO_REPORT_FILE": str(report_file),
        "MAESTRO_REPOSITORY": str(repo.path),
    }

    async def go() -> None:
        async with Client(make_server(Place(tmp_path, environ))) as client:
            taken = await client.call_tool("report", {"status": "done", "summary": "it works", "notes": ["mind"]})
            assert taken.structured_content == {"run_id": "r", "task": "a", "status": "done"}
            refused = await client.call_tool("note", {"text": "x"})
            assert f"There is no run r in {repo.path}" in error(refused)["message"]

    asyncio.run(go())
    assert json.loads(report_file.read_text())["summary"] == "it works"
