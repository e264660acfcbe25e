"""The gemini adapter against the real CLI and a scripted model on loopback: its outcomes as they truly are."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Claim
from maestro.agents.gemini import GeminiAgent, GeminiOptions
from maestro.proc.family import command_line, members
from maestro.proc.request import MARKER, Exit
from maestro.testing.model_server import ModelServer
from tests.real.agent_lab import WORK, AgentLab, Steps, named, prompt

pytestmark = [pytest.mark.real("gemini"), pytest.mark.timeout(120)]


@pytest.fixture
def lab(tmp_path: Path, hermetic: Path, real: dict[str, Path], server: ModelServer) -> AgentLab:
    """Refused requests are not tried again unless said otherwise."""

    def make(**options: Any) -> GeminiAgent:
        private = {"private_home": True, "settings": {"general": {"maxAttempts": 1}}}
        return GeminiAgent(GeminiOptions(**{"model": "gemini-2.5-pro", "base_url": server.url, **private, **options}))

    # it leaves a report of each error among the temporary files
    return AgentLab(tmp_path, hermetic, real["gemini"], make, {"GEMINI_API_KEY": "fake-key", "TMPDIR": str(tmp_path)})


def test_work_is_done_and_committed_without_a_question(lab: AgentLab, server: ModelServer) -> None:
    lab.repo.commit({"GEMINI.md": "Always whistle while you work.\n"}, "Rules")
    report = lab.folder / "1" / "report.json"
    steps = [{"write": {"path": str(report), "content": "{}"}}, {"bash": f"echo ${MARKER} > mark.txt"}, *WORK]
    ran = lab.run(steps)
    assert (ran.verdict.claim, ran.verdict.reason, ran.verdict.summary) == (Claim.DONE, "", "all done")
    assert (ran.ended.code, ran.swept) == (0, 0)
    assert lab.repo.show("HEAD", "a.txt") == "x"
    assert lab.repo.show("HEAD", "mark.txt") == lab.mark
    assert report.read_text() == "{}"
    usage = ran.verdict.usage
    assert (usage.input_tokens, usage.output_tokens, usage.session_id) == (500, 100, lab.events()[0]["session_id"])
    assert {(one.path.partition(":")[2], one.api_key, one.model) for one in server.requests} == {
        ("streamGenerateContent?alt=sse", "fake-key", "gemini-2.5-pro")
    }
    assert "Always whistle" in json.dumps(server.requests[0].body)
    assert not (lab.home / ".gemini").exists(), "nothing of the user's is touched"


def test_the_user_s_own_settings_and_sessions_are_used_where_they_are_wanted(
    lab: AgentLab, server: ModelServer
) -> None:
    plain: dict[str, Any] = {"private_home": False, "settings": {}}
    ran = lab.run([{"say": "x"}], **plain)
    assert (ran.verdict.claim, ran.ended.code, ran.verdict.retryable) == (Claim.FAILED, 41, False)
    assert "Invalid auth method" in ran.verdict.reason
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (lab.home / ".gemini").mkdir(exist_ok=True)
    (lab.home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    first = lab.run([{"say": "half of it"}], **plain)
    assert first.verdict.claim is Claim.DONE, first
    again = lab.run(WORK, resume=first.verdict.usage.session_id, **plain)
    assert (again.verdict.claim, again.verdict.summary) == (Claim.DONE, "all done")
    assert again.verdict.usage.session_id == first.verdict.usage.session_id
    assert again.verdict.usage.input_tokens == 300, "what is new, not the whole conversation"
    assert "half of it" in json.dumps(server.requests[-1].body)
    unknown = lab.run(WORK, resume="97b26e7e-3277-453b-88e8-aab9e5c4b12b", **plain)
    assert (unknown.verdict.claim, unknown.ended.code) == (Claim.FAILED, 42)


def test_withheld_tools_are_not_done_whatever_the_exit_code_says(lab: AgentLab) -> None:
    ran = lab.run(
        [{"tool": {"name": "write_file", "input": {"file_path": "a.txt", "content": "x"}}}, WORK[2]],
        approval_mode="default",
    )
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.DENIED)
    assert "write_file" in ran.verdict.reason
    tools: Steps = [WORK[0], {"tool": {"name": "run_shell_command", "input": {"command": "git add -A"}}}, WORK[2]]
    ran = lab.run(tools, approval_mode="auto_edit")
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.DONE), "it could write, and only the commit is missing"
    assert lab.repo.git("log", "--format=%s", "-1") == "start"


def test_a_long_prompt_reaches_the_model(lab: AgentLab, server: ModelServer) -> None:
    ran = lab.run("x" * 200_000 + "\n\n" + prompt([{"say": "read it all"}]))
    assert (ran.verdict.claim, ran.verdict.summary) == (Claim.DONE, "read it all")
    assert "x" * 200_000 in json.dumps(server.requests[0].body)


def test_a_slash_command_of_the_repository_runs_from_standard_input(lab: AgentLab) -> None:
    body = json.dumps(f"Sum up {{{{args}}}}.\n\n{prompt([{'say': 'summed up'}])}")
    lab.repo.write({".gemini/commands/flow/summary.toml": f"prompt = {body}\n"})
    assert lab.run("/flow:summary phase 2").verdict.summary == "summed up"


def quota(kind: str, delay: str) -> Steps:
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": kind}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    error = {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": details}
    return [{"status": 429, "times": 0, "body": {"error": error}}]


OUTCOMES: dict[str, tuple[Steps, int, Claim, str, bool]] = {
    "400": ([{"status": 400, "times": 0, "message": "odd"}], 144, Claim.FAILED, "400 odd", True),
    "bad key": (
        [{"status": 400, "times": 0, "message": "API key not valid. Please pass a valid API key."}],
        144,
        Claim.FAILED,
        "API key not valid",
        False,
    ),
    "401": ([{"status": 401, "times": 0, "message": "who?"}], 145, Claim.FAILED, "401 who?", False),
    "403": ([{"status": 403, "times": 0, "message": "no"}], 147, Claim.FAILED, "403 no", False),
    "404": (
        [{"status": 404, "times": 0, "message": "models/x is not found for API version v1beta"}],
        1,
        Claim.FAILED,
        "is not found",
        False,
    ),
    "429": ([{"status": 429, "times": 0, "message": "slow down"}], 173, Claim.LIMIT, "429 slow down", True),
    "500": ([{"status": 500, "times": 0, "message": "oops"}], 244, Claim.FAILED, "500 oops", True),
    "503": (
        [{"status": 503, "times": 0, "message": "The model is overloaded. Please try again later."}],
        247,
        Claim.LIMIT,
        "overloaded",
        True,
    ),
    "529": ([{"status": 529, "times": 0, "message": "busy"}], 17, Claim.LIMIT, "529 busy", True),
    "drop": ([WORK[0], {"drop": True, "times": 0}, {"say": "x"}], 1, Claim.FAILED, "terminated", True),
}


@pytest.mark.parametrize("situation", OUTCOMES)
def test_what_is_refused_is_judged_by_its_kind(lab: AgentLab, situation: str) -> None:
    steps, code, claim, reason, retryable = OUTCOMES[situation]
    ran = lab.run(steps)
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (code, claim, retryable), ran
    assert reason in ran.verdict.reason
    assert ran.verdict.usage.session_id


def test_limits_that_name_their_end(lab: AgentLab) -> None:
    ran = lab.run(quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "400s"))
    now = datetime.now(UTC)
    assert ran.verdict.claim is Claim.LIMIT
    assert ran.verdict.reset_at is not None
    assert timedelta(seconds=390) < ran.verdict.reset_at - now <= timedelta(seconds=400)
    ran = lab.run(quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "45000s"))
    assert ran.verdict.claim is Claim.LIMIT
    assert ran.verdict.reset_at is not None, ran.verdict.reason
    assert ran.verdict.reset_at.astimezone(UTC).hour in (7, 8), "midnight Pacific"


def test_a_refusal_is_got_over(lab: AgentLab, server: ModelServer) -> None:
    ran = lab.run([{"status": 500}, *WORK], settings={"general": {"maxAttempts": 2}})
    assert ran.verdict.claim is Claim.DONE
    assert sorted(one.status for one in server.requests) == [200, 200, 200, 500]


def test_a_server_that_is_down(lab: AgentLab) -> None:
    ran = lab.run(WORK, base_url="http://127.0.0.1:9")
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (1, Claim.FAILED, True)
    assert "fetch failed" in ran.verdict.reason


def test_what_it_refuses_before_it_begins(lab: AgentLab) -> None:
    ran = lab.run("")
    assert (ran.verdict.claim, ran.ended.code, ran.verdict.retryable) == (Claim.FAILED, 42, True)
    ran = lab.run(WORK, executable="gemini-that-is-not-there")
    assert (ran.ended.code, ran.verdict.retryable) == (127, False)
    del lab.env["GEMINI_API_KEY"]
    ran = lab.run(WORK)
    assert (ran.verdict.claim, ran.ended.code, ran.verdict.retryable) == (Claim.FAILED, 41, False)


SLEEPER = prompt(
    [{"bash": "echo > started; (setsid nohup sleep 300 > /dev/null 2>&1 &) ; sleep 300"}, {"say": "never"}]
)


def test_a_terminated_one_ends_with_exit_code_0_and_is_silent_all_the_same(lab: AgentLab) -> None:
    agent = lab.make()

    async def main() -> tuple[Exit, int]:
        child = await lab.start(SLEEPER, agent)
        await lab.file("started")
        for one in members(lab.mark):
            if any(b"gemini" in word for word in command_line(one.pid).split(b"\0")[1:2]):
                with suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGTERM)
        return await child.wait(), await child.sweep()

    ended, swept = asyncio.run(main())
    ran = lab.read(agent, ended)
    assert (ended.code, ran.verdict.claim) == (0, Claim.SILENT)
    assert "exit code 0, without a final event" in ran.verdict.reason
    assert ran.verdict.usage.session_id == lab.events()[0]["session_id"]
    assert swept >= 1, "the shell's children outlive it"
    assert members(lab.mark) == []


def test_it_waits_for_what_a_command_left_in_the_background(lab: AgentLab) -> None:
    agent = lab.make()
    steps = prompt([{"bash": "sleep 300 & echo $! > pid; mv pid started"}, {"say": "went on"}])

    async def main() -> Exit:
        child = await lab.start(steps, agent)
        sleeper = int((await lab.file("started")).read_text())
        while named(lab.mark, "bash"):
            await asyncio.sleep(0.01)
        os.kill(sleeper, signal.SIGKILL)
        return await child.wait()

    ran = lab.read(agent, asyncio.run(main()))
    assert (ran.verdict.claim, ran.verdict.summary) == (Claim.DONE, "went on")


def test_the_ladder_ends_it_with_all_its_children(lab: AgentLab) -> None:
    agent = lab.make()

    async def main() -> tuple[Exit, int, int]:
        child = await lab.start(SLEEPER, agent)
        await lab.file("started")
        memory = child.resident_bytes()
        await child.stop("a test")
        return await child.wait(), await child.sweep(), memory

    ended, swept, memory = asyncio.run(main())
    assert (swept, members(lab.mark)) == (0, [])
    assert memory > 50 * 2**20
    assert lab.read(agent, ended).verdict.claim is not Claim.DONE


def test_it_is_available_and_says_its_version_and_what_it_would_refuse(real: dict[str, Path], hermetic: Path) -> None:
    env = {"PATH": f"{real['gemini'].parent}:{os.environ['PATH']}", "HOME": str(hermetic)}
    found = GeminiAgent().availability(env)
    assert found.available, found
    assert found.detail[0].isdigit()
    refused = GeminiAgent(GeminiOptions(base_url="http://127.0.0.1:9")).availability(env)
    assert not refused.available
    assert "private_home" in refused.hint
