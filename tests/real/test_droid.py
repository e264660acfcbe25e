"""The droid adapter against the real CLI and a scripted model on loopback.

In its airgap mode it asks for nothing but the models of one's own that its settings name.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Claim
from maestro.agents.droid import DroidAgent, DroidOptions
from maestro.proc.family import members
from maestro.proc.request import MARKER, Exit
from maestro.testing.model_server import ModelServer
from tests.real.agent_lab import WORK, AgentLab, prompt, signal_named

pytestmark = [pytest.mark.real("droid"), pytest.mark.timeout(300)]


def own_model(url: str) -> dict[str, Any]:
    """What `~/.factory/settings.json` holds for a model of one's own."""
    named = {"model": "m1", "id": "custom:lab-0", "index": 0, "displayName": "lab"}
    where = {"baseUrl": f"{url}/v1", "apiKey": "fake-key", "provider": "generic-chat-completion-api"}
    return {"customModels": [{**named, **where, "maxOutputTokens": 8000}]}


@pytest.fixture
def lab(tmp_path: Path, hermetic: Path, real: dict[str, Path], server: ModelServer) -> AgentLab:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(own_model(server.url)))

    def make(**options: Any) -> DroidAgent:
        return DroidAgent(DroidOptions(**{"model": "custom:lab-0", "settings": settings, **options}), parent_env={})

    return AgentLab(tmp_path, hermetic, real["droid"], make, {"FACTORY_AIRGAP_ENABLED": "1"})


def test_work_is_done_and_committed_without_a_login(lab: AgentLab, server: ModelServer) -> None:
    ran = lab.run([{"bash": "env > env.txt"}, *WORK])
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.reason) == (0, Claim.DONE, "")
    assert ran.verdict.summary == "all done"
    assert lab.repo.show("HEAD", "a.txt") == "x"
    assert f"{MARKER}=" in lab.repo.show("HEAD", "env.txt"), "what it starts carries the marker"
    usage = ran.verdict.usage
    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (400, 80, 4)
    assert usage.session_id == lab.events()[0]["session_id"]
    assert lab.events()[-1]["type"] == "completion"
    asked = {(one.path, one.api_key, one.model) for one in server.requests}
    assert asked == {("/v1/chat/completions", "fake-key", "m1")}
    assert not (lab.home / ".factory" / "settings.json").exists(), "the user's own settings are left alone"


def test_a_long_prompt_arrives_as_it_is_and_its_conversation_is_gone_on_with(
    lab: AgentLab, server: ModelServer
) -> None:
    words = 'say "it" and $HOME ' * 11_000
    first = lab.run(f"{words}\n{prompt([{'say': 'first'}])}")
    assert (first.verdict.claim, first.verdict.summary) == (Claim.DONE, "first")
    assert words in json.dumps(server.requests[-1].body, ensure_ascii=False).replace('\\"', '"')
    again = lab.run([{"say": "went on"}], resume=first.verdict.usage.session_id)
    assert (again.verdict.claim, again.verdict.summary) == (Claim.DONE, "went on")
    assert again.verdict.usage.input_tokens == 100, "what is new, not the whole conversation"
    assert again.verdict.usage.session_id not in (None, first.verdict.usage.session_id), "a fork of it"
    assert "first" in [one["content"] for one in server.requests[-1].body["messages"] if one["role"] == "assistant"]


def test_a_conversation_it_does_not_know_ends_it_without_a_word(lab: AgentLab) -> None:
    ran = lab.run(WORK, resume="97b26e7e-3277-453b-88e8-aab9e5c4b12b")
    assert (ran.ended.code, ran.verdict.claim, ran.stderr) == (1, Claim.FAILED, "")
    assert "not one word (it does so for a session it does not know" in ran.verdict.reason


REFUSALS: dict[str, tuple[int, str, Claim, bool]] = {
    "400": (400, "odd", Claim.FAILED, True),
    "401": (401, "bad key", Claim.FAILED, False),
    "402": (402, "pay first", Claim.LIMIT, True),
}


@pytest.mark.parametrize("situation", REFUSALS)
def test_what_is_refused_is_judged_by_its_kind(lab: AgentLab, situation: str) -> None:
    status, message, claim, retryable = REFUSALS[situation]
    ran = lab.run([{"status": status, "times": 0, "message": message}])
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (1, claim, retryable)
    assert message in ran.verdict.reason
    assert ran.verdict.usage.session_id


def test_while_it_retries_at_a_limit_it_says_nothing(lab: AgentLab, server: ModelServer) -> None:
    """For a minute and a half; then it ends with an error that begins with 429."""
    agent = lab.make()

    async def main() -> Exit:
        child = await lab.start(prompt([{"status": 429, "times": 0}]), agent)
        while len(server.requests) < 2:
            await asyncio.sleep(0.05)
        await child.stop("a test")
        return await child.wait()

    ran = lab.read(agent, asyncio.run(main()))
    assert [event["type"] for event in lab.events()][:2] == ["system", "message"]
    assert ran.notes == []
    assert {one.status for one in server.requests} == {429}


def test_a_server_that_is_down(lab: AgentLab) -> None:
    (lab.folder / "settings.json").write_text(json.dumps(own_model("http://127.0.0.1:9")))
    ran = lab.run(WORK)
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (1, Claim.FAILED, True)
    assert ran.verdict.reason == "Connection error."


def test_a_model_that_is_not_configured(lab: AgentLab) -> None:
    ran = lab.run(WORK, model="custom:other")
    assert (ran.ended.code, ran.verdict.claim) == (1, Claim.FAILED)
    assert "Invalid model: custom:other" in ran.stderr


def test_below_medium_autonomy_it_may_not_commit(lab: AgentLab) -> None:
    risky = {"command": "git add -A && git commit -qm work", "summary": "Commit the work now", "riskLevel": "medium"}
    commit = {"tool": {"name": "Execute", "input": {**risky, "riskLevelReason": "It changes the repository."}}}
    ran = lab.run([commit, {"say": "committed"}], auto="low")
    assert (ran.ended.code, ran.verdict.claim) == (1, Claim.DENIED)
    assert "insufficient permission to proceed" in ran.verdict.reason
    assert ran.notes == ["tool call denied by its level of autonomy: Execute"]


def test_a_connection_that_breaks_is_got_over(lab: AgentLab) -> None:
    ran = lab.run([{"drop": True}, {"bash": "true"}, *WORK])
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.DONE)
    assert lab.repo.git("log", "--format=%s", "-1") == "work"


def test_a_stopped_one_goes_on_and_says_it_is_complete_and_what_it_left_is_swept(lab: AgentLab) -> None:
    """So that one which was told to stop is judged by who stopped it, whatever it says."""
    agent = lab.make()
    steps = prompt([{"bash": "(setsid sleep 300 &) ; echo > started; sleep 300"}, {"say": "complete"}])

    async def main() -> tuple[Exit, int]:
        child = await lab.start(steps, agent)
        await lab.file("started")
        signal_named(lab.mark, "droid", signal.SIGTERM)
        return await child.wait(), await child.sweep()

    ran = lab.read(agent, *asyncio.run(main()))
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.summary) == (0, Claim.DONE, "complete")
    assert ran.swept >= 1, "what its shell left in a session of its own outlives it"
    assert members(lab.mark) == []


def test_the_ladder_ends_it_with_all_its_children(lab: AgentLab) -> None:
    agent = lab.make()
    steps = prompt([{"bash": "(setsid sleep 300 &) ; echo > started; sleep 300"}, {"hang": True, "times": 0}])

    async def main() -> Exit:
        child = await lab.start(steps, agent)
        await lab.file("started")
        await child.stop("a test")
        return await child.wait()

    assert asyncio.run(main()).code is not None
    assert members(lab.mark) == []


def test_it_is_available_and_says_its_version(real: dict[str, Path]) -> None:
    env = {"PATH": f"{real['droid'].parent}:/usr/bin:/bin", "HOME": os.environ["HOME"]}
    found = DroidAgent().availability(env)
    assert found.available, found
    assert found.detail[0].isdigit()
