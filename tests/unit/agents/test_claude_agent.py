from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from maestro.agents.base import Job
from maestro.agents.claude import ClaudeAgent, ClaudeOptions

FAKE = """#!/bin/sh
echo "9.9.9 (Claude Code)"
"""


def job(folder: Path, **changes: object) -> Job:
    return Job(
        task_id="T1",
        prompt="p",
        prompt_file=folder / "prompt.md",
        workspace=folder,
        state_dir=folder / ".agent-state",
        client_config=folder / "client-config.json",
    ).evolve(**changes)


def flags(argv: tuple[str, ...]) -> dict[str, list[str]]:
    """Flags after `claude -p`, each with the words that follow it."""
    found: dict[str, list[str]] = {}
    name = ""
    for word in argv[argv.index("-p") :]:
        if word.startswith("-"):
            name = word
            found[name] = []
        else:
            found[name].append(word)
    return found


def test_the_command_line_as_it_is_without_options(tmp_path: Path) -> None:
    asked = ClaudeAgent(parent_env={}).invocation(job(tmp_path))
    assert asked.argv[0] == "env"
    assert asked.argv[asked.argv.index("-p") - 1] == "claude"
    found = flags(asked.argv)
    assert found["-p"] == []
    assert found["--output-format"] == ["stream-json"]
    assert found["--verbose"] == []
    assert found["--permission-mode"] == ["acceptEdits"]
    assert {"Bash", "Edit", "Write"} <= set(found["--allowedTools"])
    assert found["--disallowedTools"] == ["Bash(git push *)"]
    assert not {"--model", "--resume", "--mcp-config", "--max-turns", "--max-budget-usd"} & found.keys()
    assert asked.stdin_file == tmp_path / "prompt.md"
    assert asked.env == {
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def test_options_become_flags_and_the_lists_come_last(tmp_path: Path) -> None:
    options = ClaudeOptions(
        executable="/opt/claude",
        model="haiku",
        permission_mode="dontAsk",
        allowed_tools=("Bash(git *)",),
        disallowed_tools=(),
        max_turns=3,
        max_budget_usd=1.5,
        max_retries=0,
        extra_args=("--add-dir", "x"),
    )
    asked = ClaudeAgent(options, parent_env={"DISABLE_TELEMETRY": "0"}).invocation(job(tmp_path, resume_session="s"))
    found = flags(asked.argv)
    assert (found["--model"], found["--max-turns"], found["--max-budget-usd"]) == (["haiku"], ["3"], ["1.5"])
    assert (found["--resume"], found["--add-dir"]) == (["s"], ["x"])
    assert asked.argv[-2:] == ("--allowedTools", "Bash(git *)")
    assert "--disallowedTools" not in found
    assert asked.env["CLAUDE_CODE_MAX_RETRIES"] == "0"
    assert "DISABLE_TELEMETRY" not in asked.env, "what the parent says of it stands"


@pytest.mark.parametrize(
    ("own", "given", "smaller"), [(None, 0.25, "0.25"), (1.5, 0.25, "0.25"), (0.125, 0.25, "0.125")]
)
def test_of_its_own_budget_and_that_of_the_run_the_smaller_holds(
    tmp_path: Path, own: float | None, given: float, smaller: str
) -> None:
    agent = ClaudeAgent(ClaudeOptions(max_budget_usd=own), parent_env={})
    found = flags(agent.invocation(job(tmp_path, budget_usd=given)).argv)
    assert found["--max-budget-usd"] == [smaller]


def test_variables_of_a_session_around_us_are_taken_out(tmp_path: Path) -> None:
    argv = ClaudeAgent(parent_env={}).invocation(job(tmp_path)).argv
    taken = [argv[at + 1] for at, word in enumerate(argv) if word == "-u"]
    assert {"CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_ENTRYPOINT"} <= set(taken)
    assert "CLAUDE_CONFIG_DIR" not in taken


@pytest.mark.parametrize(
    ("content", "passed", "allowed"),
    [
        (None, False, []),
        ("{}", False, []),
        ('{"mcpServers": {}}', False, []),
        (json.dumps({"mcpServers": {"db": {"command": "x"}}}), True, ["mcp__db"]),
        ("broken", True, []),  # claude says what is wrong with it
    ],
)
def test_mcp_servers_are_passed_on_and_allowed(
    tmp_path: Path, content: str | None, passed: bool, allowed: list[str]
) -> None:
    if content is not None:
        (tmp_path / "client-config.json").write_text(content)
    invocation = ClaudeAgent(parent_env={}).invocation(job(tmp_path))
    assert ("MCP_CONNECTION_NONBLOCKING" in invocation.env) == bool(allowed), "it waits for those it can have"
    found = flags(invocation.argv)
    assert found.get("--mcp-config") == ([str(tmp_path / "client-config.json")] if passed else None)
    assert [one for one in found["--allowedTools"] if one.startswith("mcp__")] == allowed


def test_availability_says_what_is_there_or_missing(tmp_path: Path) -> None:
    agent = ClaudeAgent(ClaudeOptions(executable="claude"))
    env = {"PATH": str(tmp_path)}
    missing = agent.availability(env)
    assert (missing.available, missing.detail) == (False, "claude was not found on PATH")
    assert "npm install" in missing.hint
    fake = tmp_path / "claude"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    found = agent.availability(env)
    assert (found.available, found.detail) == (True, f"9.9.9 (Claude Code), {fake}")
    fake.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    assert agent.availability(env).detail == f"{fake} does not run: broken"


@pytest.mark.skipif(os.geteuid() != 0, reason="the rule is about root")
def test_what_claude_refuses_to_root_is_said_before_the_run(tmp_path: Path) -> None:
    fake = tmp_path / "claude"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    agent = ClaudeAgent(ClaudeOptions(permission_mode="bypassPermissions"))
    assert not agent.availability({"PATH": str(tmp_path)}).available
    assert agent.availability({"PATH": str(tmp_path), "IS_SANDBOX": "1"}).available
