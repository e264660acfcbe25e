"""The opencode adapter against the real CLI and a scripted model on loopback. Each start costs 5 s of a core."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Claim
from maestro.agents.opencode import OpencodeAgent, OpencodeOptions
from maestro.proc.family import members
from maestro.proc.request import MARKER, Exit
from maestro.testing.model_server import ModelServer
from tests.real.agent_lab import WORK, AgentLab, Steps, prompt, signal_named

pytestmark = [pytest.mark.real("opencode"), pytest.mark.timeout(300)]

NPM_ASKS_NOBODY = "registry=http://127.0.0.1:9/\nfetch-retries=0\n"
"""opencode fetches a package for plugins at every start in a new HOME; it works without."""


def provider(url: str) -> dict[str, Any]:
    options = {"baseURL": f"{url}/v1", "apiKey": "{env:LAB_KEY}"}
    return {"provider": {"lab": {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"m1": {}}}}}


@pytest.fixture
def lab(tmp_path: Path, hermetic: Path, real: dict[str, Path], server: ModelServer) -> AgentLab:
    (hermetic / ".npmrc").write_text(NPM_ASKS_NOBODY)

    env = {"LAB_KEY": "fake-key", "OPENCODE_DB": str(tmp_path / "opencode.db")}

    def make(**options: Any) -> OpencodeAgent:
        chosen = {"model": "lab/m1", "config": provider(server.url), **options}
        return OpencodeAgent(OpencodeOptions(**chosen), parent_env=env)

    return AgentLab(tmp_path, hermetic, real["opencode"], make, env)


def test_work_is_done_and_committed_and_a_push_is_refused(lab: AgentLab, server: ModelServer) -> None:
    outside = lab.folder / "outside.txt"
    look: Steps = [{"bash": "git push origin main"}, {"bash": f"env > env.txt; cat {outside}"}]
    report: Steps = [{"write": {"path": str(outside), "content": "told"}}]
    ran = lab.run([*look, *report, *WORK])
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.summary) == (0, Claim.DONE, "all done")
    assert ran.notes == ["tool call refused by permissions: bash git push origin main"]
    assert lab.repo.show("HEAD", "a.txt") == "x"
    assert f"{MARKER}=" in lab.repo.show("HEAD", "env.txt"), "what it starts carries the marker"
    assert outside.read_text() == "told", "a report file lies beside the repository"
    usage = ran.verdict.usage
    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (600, 120, 6)
    assert usage.session_id == lab.events()[0]["sessionID"]
    asked = {(one.path, one.api_key, one.model) for one in server.requests}
    assert asked == {("/v1/chat/completions", "fake-key", "m1")}
    assert len(server.requests) == 6, "no request makes up a title"
    assert lab.events()[-1]["type"] == "step_finish", "there is no final event"


def test_a_long_prompt_arrives_as_it_is_and_its_conversation_is_resumed(lab: AgentLab, server: ModelServer) -> None:
    words = 'say "it" and $HOME ' * 11_000
    first = lab.run(f"{words}\n{prompt([{'say': 'first'}])}")
    assert (first.verdict.claim, first.verdict.summary) == (Claim.DONE, "first")
    (said,) = (one for one in server.requests[-1].body["messages"] if one["role"] == "user")
    assert str(said["content"]).startswith(words), "whole, and without quotes around it"
    again = lab.run([{"say": "went on"}], resume=first.verdict.usage.session_id)
    assert (again.verdict.claim, again.verdict.summary) == (Claim.DONE, "went on")
    assert again.verdict.usage.input_tokens == 100, "what is new, not the whole conversation"
    assert again.verdict.usage.session_id == first.verdict.usage.session_id
    assert "first" in [one["content"] for one in server.requests[-1].body["messages"] if one["role"] == "assistant"]


def test_a_conversation_it_does_not_know(lab: AgentLab) -> None:
    ran = lab.run(WORK, resume="ses_e0138fc72fferxDKKchoIFN3ZZ")
    assert (ran.ended.code, ran.verdict.claim) == (1, Claim.FAILED)
    assert ran.verdict.reason == "exit code 1: Error: Session not found"


def refused(status: int, message: str, **more: Any) -> Steps:
    return [{"status": status, "times": 0, "message": message, "headers": {"retry-after-ms": "1"}, **more}]


QUOTA = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
REFUSALS: dict[str, tuple[Steps, Claim, str, bool]] = {
    "400": (refused(400, "odd"), Claim.FAILED, "odd", True),
    "401": (refused(401, "bad key"), Claim.FAILED, "bad key", False),
    "429": (refused(429, "slow down"), Claim.LIMIT, "slow down", True),
    "quota": (refused(429, "", body=QUOTA), Claim.LIMIT, "exceeded your current quota", True),
}


@pytest.mark.parametrize("situation", REFUSALS)
def test_what_is_refused_is_judged_by_its_kind(lab: AgentLab, situation: str) -> None:
    steps, claim, reason, retryable = REFUSALS[situation]
    ran = lab.run(steps)
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (1, claim, retryable)
    assert reason in ran.verdict.reason
    assert ran.verdict.usage.session_id


def test_a_permission_that_nobody_gives_ends_it_in_the_middle_with_exit_code_0(lab: AgentLab) -> None:
    """What `--auto` is for."""
    outside = lab.folder / "outside.txt"
    ran = lab.run([{"write": {"path": str(outside), "content": "x"}}, *WORK], auto=False)
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.DENIED)
    assert "nobody could answer" in ran.verdict.reason
    assert "auto-rejecting" in ran.stderr
    assert lab.repo.git("log", "--format=%s", "-1") != "work"
    assert not outside.exists()


def test_a_broken_answer_is_got_over(lab: AgentLab) -> None:
    """What came before the break may stay in the conversation as a turn, or be asked for again: a step that matters to
    nothing stands in its place."""
    ran = lab.run([{"drop": True}, {"bash": "true"}, *WORK])
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.DONE)
    assert lab.repo.git("log", "--format=%s", "-1") == "work"


def test_a_model_that_is_not_configured(lab: AgentLab) -> None:
    ran = lab.run(WORK, model="lab/other")
    assert (ran.ended.code, ran.verdict.claim) == (1, Claim.FAILED)
    assert ran.verdict.reason.endswith("(it also says so of a model that is not configured)")


def test_a_killed_one_is_silent_and_what_it_left_is_swept(lab: AgentLab) -> None:
    agent = lab.make()
    steps = prompt([{"bash": "echo > started; sleep 300"}, {"say": "never"}])

    async def main() -> tuple[Exit, int]:
        child = await lab.start(steps, agent)
        await lab.file("started")
        signal_named(lab.mark, "opencode", signal.SIGTERM)
        return await child.wait(), await child.sweep()

    ran = lab.read(agent, *asyncio.run(main()))
    assert (ran.ended.code, ran.verdict.claim) == (128 + signal.SIGTERM, Claim.SILENT)
    assert "SIGTERM" in ran.verdict.reason
    assert ran.swept >= 1, "its shell children outlive it"


def test_a_model_that_never_answers_leaves_it_without_a_word_and_the_ladder_ends_it(
    lab: AgentLab, server: ModelServer
) -> None:
    agent = lab.make()

    async def main() -> Exit:
        child = await lab.start(prompt([{"hang": True, "times": 0}]), agent)
        while not server.requests:
            await asyncio.sleep(0.05)
        await child.stop("a test")
        ended = await child.wait()
        await child.sweep()
        return ended

    ran = lab.read(agent, asyncio.run(main()))
    assert lab.events() == [], "so that only the clock of silence can tell"
    assert ran.verdict.claim is Claim.SILENT
    assert members(lab.mark) == []


def test_it_is_available_and_says_its_version(real: dict[str, Path]) -> None:
    env = {"PATH": f"{real['opencode'].parent}:/usr/bin:/bin", "HOME": os.environ["HOME"]}
    found = OpencodeAgent().availability(env)
    assert found.available, found
    assert found.detail[0].isdigit()
