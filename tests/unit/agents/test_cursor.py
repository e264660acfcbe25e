"""cursor from its documentation: events made by hand in the shape it shows, for the real one could not be had."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Claim, Job, Verdict
from maestro.agents.cursor import CursorAgent, CursorOptions
from maestro.agents.cursor_events import CursorReader

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
SESSION = "c6b62c6f-7ead-4fd6-9922-e952131177ff"


def event(kind: str, **more: Any) -> bytes:
    return json.dumps({"type": kind, "session_id": SESSION, **more}).encode() + b"\n"


def tool(name: str, **result: Any) -> bytes:
    started = event("tool_call", subtype="started", call_id="c", tool_call={f"{name}ToolCall": {"args": {}}})
    done = {f"{name}ToolCall": {"args": {}, "result": result}}
    return started + event("tool_call", subtype="completed", call_id="c", tool_call=done)


def said(text: str) -> bytes:
    return event("assistant", message={"role": "assistant", "content": [{"type": "text", "text": text}]})


def result(**more: Any) -> bytes:
    end = {"subtype": "success", "is_error": False, "duration_ms": 5234, "result": "all done", "request_id": "r"}
    return event("result", **{**end, **more})


INIT = event("system", subtype="init", apiKeySource="login", cwd="/x", model="M", permissionMode="default")
WORKED = INIT + tool("write", success={"path": "a.txt"}) + tool("shell", success={"exitCode": 0})
WHOLE = WORKED + said("all done") + result()


def read(output: bytes, code: int | None = 0, stderr: str = "") -> tuple[Verdict, list[str]]:
    reader = CursorReader(lambda: NOW)
    notes = [note for at in range(0, len(output), 61) for note in reader.feed(output[at : at + 61])]
    return reader.verdict(code, stderr), notes


def test_a_whole_conversation() -> None:
    verdict, notes = read(WHOLE)
    assert (verdict.claim, verdict.reason, verdict.summary, notes) == (Claim.DONE, "", "all done", [])
    assert (verdict.usage.session_id, verdict.usage.input_tokens) == (SESSION, None)
    usage = read(WORKED + result(usage={"inputTokens": 5, "cacheReadTokens": 3, "outputTokens": 2}))[0].usage
    assert (usage.input_tokens, usage.output_tokens) == (8, 2)


ENDINGS: dict[str, tuple[bytes, int | None, str, Claim, bool]] = {
    "nothing at all": (b"", 0, "", Claim.SILENT, True),
    "asked for trust": (b"", 0, "Workspace Trust Required\nPass --trust, --yolo, or -f", Claim.FAILED, False),
    "killed": (WORKED, 143, "", Claim.SILENT, True),
    "killed without a status": (WORKED, None, "", Claim.SILENT, True),
    "not logged in": (b"", 1, "Error: Authentication required. Please log in", Claim.FAILED, False),
    "a limit": (INIT, 1, "You've hit your usage limit, try again in 5 minutes", Claim.LIMIT, True),
    "something else": (INIT, 1, "Error: connection lost", Claim.FAILED, True),
    "not there": (b"", 127, "cursor-agent: not found", Claim.FAILED, False),
    "an error as its result": (WORKED + result(is_error=True, result="broken"), 1, "", Claim.FAILED, True),
    "a bad exit code after its end": (WHOLE, 1, "", Claim.DONE, True),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_how_it_can_end(name: str) -> None:
    output, code, stderr, claim, retryable = ENDINGS[name]
    verdict, _ = read(output, code, stderr)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert verdict.reason


def test_when_a_limit_ends() -> None:
    assert read(INIT, 1, "usage limit, try again in 5 minutes")[0].reset_at == NOW + timedelta(minutes=5)


def test_what_permissions_deny() -> None:
    denied = tool("shell", rejected={"command": "git push"}) + tool("shell", permissionDenied={})
    verdict, notes = read(INIT + denied + tool("read", success={}) + result())
    assert (verdict.claim, verdict.reason) == (Claim.DENIED, "tool calls denied by permissions: shell ×2")
    assert notes == ["tool call denied by permissions: shell"] * 2
    assert read(WORKED + denied + result())[0].claim is Claim.DONE


def job(folder: Path, **changes: object) -> Job:
    return Job(
        task_id="T1",
        prompt="p",
        prompt_file=folder / "prompt.md",
        workspace=folder,
        state_dir=folder,
        client_config=folder / "client-config.json",
    ).evolve(**changes)


def test_the_command_line(tmp_path: Path) -> None:
    asked = CursorAgent().invocation(job(tmp_path))
    assert asked.argv == ("cursor-agent", "--print", "--output-format", "stream-json", "--force", "--trust")
    assert (asked.stdin_file, asked.env) == (tmp_path / "prompt.md", {})
    options = CursorOptions(
        executable="agent", model="m", force=False, trust=False, sandbox="disabled", extra_args=("-x",)
    )
    asked = CursorAgent(options).invocation(job(tmp_path, resume_session="s"))
    assert asked.argv == (
        "agent", "--print", "--output-format", "stream-json", "--model", "m", "--sandbox", "disabled", "--resume", "s",
        "-x",
    )  # fmt: skip


def test_that_it_is_untried_is_said_wherever_it_is_looked_for(tmp_path: Path) -> None:
    missing = CursorAgent().availability({"PATH": str(tmp_path)})
    assert missing.detail == "cursor-agent was not found on PATH (untried: written from its documentation alone)"
    fake = tmp_path / "cursor-agent"
    fake.write_text("#!/bin/sh\necho 2026.09.02-c22c1a3\n")
    fake.chmod(0o755)
    found = CursorAgent().availability({"PATH": str(tmp_path)})
    assert found.available
    assert found.detail.startswith("2026.09.02-c22c1a3, ")
    assert "untried" in found.detail


def test_a_login_is_seen_without_being_read_out(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    assert not CursorAgent().login(env).found
    assert CursorAgent().login({**env, "CURSOR_API_KEY": "secret"}).detail == "CURSOR_API_KEY is set"
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor" / "cli-config.json").write_text('{"authInfo": {"email": "secret"}}')
    assert CursorAgent().login(env).detail == "logged in (~/.cursor/cli-config.json)"
