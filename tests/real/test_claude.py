"""The claude adapter against the real CLI and a scripted model on loopback: AGENTS' outcomes as they truly are."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Claim
from maestro.agents.claude import ClaudeAgent, ClaudeOptions
from maestro.proc.family import members
from maestro.proc.request import MARKER, Exit
from maestro.testing.model_server import ModelServer
from tests.real.agent_lab import WORK, AgentLab, Steps, prompt, signal_named

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(90)]


@pytest.fixture
def lab(tmp_path: Path, hermetic: Path, real: dict[str, Path], server: ModelServer) -> AgentLab:
    """Refused requests are tried once more unless said otherwise."""
    env = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "fake-key", "IS_SANDBOX": "1"}

    def make(**options: Any) -> ClaudeAgent:
        return ClaudeAgent(ClaudeOptions(**{"max_retries": 1, **options}), parent_env=env)

    return AgentLab(tmp_path, hermetic, real["claude"], make, env)


def test_work_is_done_and_committed_without_a_question(lab: AgentLab, server: ModelServer) -> None:
    del lab.env["IS_SANDBOX"]  # the default permissions need none, also as root
    lab.env |= {"CLAUDE_CODE_SESSION_ID": "9" * 36, "CLAUDECODE": "1", "CLAUDE_CODE_ENTRYPOINT": "cli"}
    ran = lab.run([{"bash": "env > env.txt; make --version > /dev/null; python3 -c 1"}, *WORK])
    assert ran.verdict.claim is Claim.DONE
    assert (ran.verdict.reason, ran.verdict.summary, ran.ended.code) == ("", "all done", 0)
    assert ran.stderr == ""
    assert lab.repo.show("HEAD", "a.txt") == "x"
    usage = ran.verdict.usage
    assert usage.session_id == lab.events()[0]["session_id"] != "9" * 36
    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (400, 80, 4)
    assert usage.cost_usd
    assert "9" * 36 not in lab.repo.show("HEAD", "env.txt")
    assert f"{MARKER}=" in lab.repo.show("HEAD", "env.txt"), "what it starts carries the marker"
    assert {(one.path, one.api_key) for one in server.requests} == {("/v1/messages?beta=true", "fake-key")}


def test_a_push_is_denied_and_said_while_the_rest_is_done(lab: AgentLab) -> None:
    ran = lab.run([{"bash": "git push origin main"}, {"bash": "git push"}, *WORK])
    assert ran.verdict.claim is Claim.DONE
    assert ran.notes == ["tool calls denied by permissions: Bash ×2"]
    assert lab.repo.git("log", "--format=%s", "-1") == "work"


def test_everything_denied_is_not_done_whatever_the_exit_code_says(lab: AgentLab) -> None:
    ran = lab.run(WORK, permission_mode="default", allowed_tools=())
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.DENIED)
    assert ran.verdict.reason == "tool calls denied by permissions: Write, Bash"


def test_an_unknown_slash_command_and_one_whose_shell_line_fails(lab: AgentLab) -> None:
    ran = lab.run("/no-such-command now")
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (0, Claim.FAILED, False)
    assert "Unknown command: /no-such-command" in ran.verdict.reason
    lab.repo.write({".claude/commands/bad.md": "Look: !`false`\n"})
    ran = lab.run("/bad")
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.FAILED)
    assert "Shell command failed" in ran.verdict.reason


def test_a_slash_command_runs_from_standard_input(lab: AgentLab) -> None:
    lab.repo.write({".claude/commands/flow/summary.md": f"Sum up $ARGUMENTS.\n\n{prompt([{'say': 'summed up'}])}"})
    assert lab.run("/flow:summary phase 2").verdict.summary == "summed up"


BIG: Steps = [{"bash": "echo 1"}, {"bash": "echo 2"}, {"bash": "echo 3"}]
OUTCOMES: dict[str, tuple[Steps, dict[str, Any], Claim, str, bool]] = {
    "turns": (BIG, {"max_turns": 1}, Claim.FAILED, "Reached maximum number of turns (1)", True),
    "budget": (BIG, {"max_budget_usd": 0.0011}, Claim.BUDGET, "Reached maximum budget", False),
    "400": ([{"status": 400, "times": 0, "message": "odd"}], {}, Claim.FAILED, "400 odd", True),
    "no credit": (
        [{"status": 400, "times": 0, "message": "Your credit balance is too low to access the Anthropic API."}],
        {},
        Claim.LIMIT,
        "Credit balance is too low",
        True,
    ),
    "401": (
        [{"status": 401, "times": 0, "message": "invalid x-api-key"}],
        {"max_retries": 0},
        Claim.FAILED,
        "Invalid API key",
        False,
    ),
    "403": ([{"status": 403, "times": 0}], {}, Claim.FAILED, "Failed to authenticate", False),
    "404": ([{"status": 404, "times": 0}], {"model": "nope"}, Claim.FAILED, "selected model (nope)", False),
    "413": ([{"status": 413, "times": 0}], {}, Claim.FAILED, "Request too large", True),
    "429": ([{"status": 429, "times": 0}], {"max_retries": 0}, Claim.LIMIT, "rejected (429)", True),
    "429 for long": ([{"status": 429, "times": 0, "retry_after": 3600}], {}, Claim.LIMIT, "rejected (429)", True),
    "529": ([{"status": 529, "times": 0}], {"max_retries": 0}, Claim.LIMIT, "529", True),
    "500": ([{"status": 500, "times": 0}], {"max_retries": 0}, Claim.FAILED, "500", True),
}


@pytest.mark.parametrize("situation", OUTCOMES)
def test_what_is_refused_is_judged_by_its_kind(lab: AgentLab, situation: str) -> None:
    steps, options, claim, reason, retryable = OUTCOMES[situation]
    ran = lab.run(steps, **options)
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (1, claim, retryable)
    assert reason in ran.verdict.reason
    assert ran.verdict.usage.session_id


def test_a_limit_that_names_its_end(lab: AgentLab) -> None:
    ran = lab.run([{"status": 429, "times": 0, "message": "usage limit reached|1900000000"}], max_retries=0)
    assert ran.verdict.claim is Claim.LIMIT
    assert ran.verdict.reset_at is not None
    assert ran.verdict.reset_at.timestamp() == 1900000000


def test_refusals_and_a_broken_stream_are_got_over_and_noted(lab: AgentLab, server: ModelServer) -> None:
    ran = lab.run([{"status": 429, "retry_after": 0}, WORK[0], {"drop": True}, *WORK[1:]], max_retries=3)
    assert ran.verdict.claim is Claim.DONE
    assert any("request refused (429 rate_limit); retry 1 of 3" in note for note in ran.notes)
    assert lab.repo.git("log", "--format=%s", "-1") == "work"
    assert sorted(one.status for one in server.requests) == [0, 200, 200, 200, 429]


def test_a_server_that_is_down(lab: AgentLab) -> None:
    lab.env["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:9"
    ran = lab.run(WORK, max_retries=0)
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (1, Claim.FAILED, True)


def test_what_it_refuses_before_it_begins(lab: AgentLab) -> None:
    ran = lab.run("")
    assert (ran.verdict.claim, ran.ended.code) == (Claim.FAILED, 1)
    assert "Input must be provided" in ran.verdict.reason
    ran = lab.run(WORK, extra_args=("--no-such-flag",))
    assert "unknown option '--no-such-flag'" in ran.verdict.reason
    ran = lab.run(WORK, executable="claude-that-is-not-there")
    assert (ran.ended.code, ran.verdict.retryable) == (127, False)
    del lab.env["ANTHROPIC_API_KEY"]
    ran = lab.run(WORK)
    assert (ran.verdict.claim, ran.verdict.retryable) == (Claim.FAILED, False)
    assert "Not logged in" in ran.verdict.reason


def test_a_conversation_is_resumed(lab: AgentLab, server: ModelServer) -> None:
    first = lab.run(WORK)
    again = lab.run([{"say": "went on"}], resume=first.verdict.usage.session_id)
    assert (again.verdict.claim, again.verdict.summary) == (Claim.DONE, "went on")
    assert again.verdict.usage.input_tokens == 100, "what is new, not the whole conversation"
    assert again.verdict.usage.session_id == first.verdict.usage.session_id
    assert "all done" in json.dumps(server.requests[-1].body["messages"])
    unknown = lab.run(WORK, resume="97b26e7e-3277-453b-88e8-aab9e5c4b12b")
    assert unknown.verdict.claim is Claim.FAILED
    assert "No conversation found" in unknown.verdict.reason


def test_a_sub_agent_works_too(lab: AgentLab) -> None:
    inner = {
        "description": "d",
        "subagent_type": "general-purpose",
        "prompt": prompt([WORK[0], WORK[1], {"say": "in"}]),
    }
    ran = lab.run([{"tool": {"name": "Agent", "input": inner}}, {"say": "delegated"}])
    assert (ran.verdict.claim, ran.verdict.summary) == (Claim.DONE, "delegated")
    assert lab.repo.show("HEAD", "a.txt") == "x"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_one_is_silent_and_what_it_left_is_swept(lab: AgentLab, number: signal.Signals) -> None:
    """Its shell children live in a session of their own, and outlive it."""
    agent = lab.make()
    steps = prompt([{"bash": "echo > started; sleep 300"}, {"say": "never"}])

    async def main() -> tuple[Exit, int]:
        child = await lab.start(steps, agent)
        await lab.file("started")
        signal_named(lab.mark, "claude", number)
        return await child.wait(), await child.sweep()

    ended, swept = asyncio.run(main())
    ran = lab.read(agent, ended)
    assert ran.verdict.claim is Claim.SILENT
    assert ended.code == 128 + number
    assert number.name in ran.verdict.reason
    assert ran.verdict.usage.session_id == lab.events()[0]["session_id"]
    assert swept >= 1


def test_the_ladder_ends_it_with_all_its_children(lab: AgentLab) -> None:
    agent = lab.make()
    steps = prompt([{"bash": "echo > started; (setsid nohup sleep 300 &) ; sleep 300"}, {"say": "never"}])

    async def main() -> tuple[Exit, int, int]:
        child = await lab.start(steps, agent)
        await lab.file("started")
        memory = child.resident_bytes()
        await child.stop("a test")
        return await child.wait(), await child.sweep(), memory

    ended, swept, memory = asyncio.run(main())
    assert swept == 0
    assert members(lab.mark) == []
    assert ended.code is not None
    assert memory > 50 * 2**20
    assert lab.read(agent, ended).verdict.claim in (Claim.SILENT, Claim.FAILED)


def test_it_is_available_and_says_its_version(real: dict[str, Path]) -> None:
    found = ClaudeAgent().availability(
        {"PATH": str(real["claude"].parent) + ":/usr/bin:/bin", "HOME": os.environ["HOME"]}
    )
    assert found.available, found
    assert "(Claude Code)" in found.detail
