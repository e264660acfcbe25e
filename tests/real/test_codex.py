"""The codex adapter against the real CLI and a scripted model on loopback: its outcomes as they truly are."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Claim
from maestro.agents.codex import CodexAgent, CodexOptions
from maestro.proc.family import command_line, members
from maestro.proc.request import MARKER, Exit
from maestro.testing.model_server import ModelServer
from tests.real.agent_lab import WORK, AgentLab, Steps, prompt
from tests.real.conftest import namespaces

pytestmark = [pytest.mark.real("codex"), pytest.mark.timeout(90)]


@pytest.fixture
def lab(tmp_path: Path, hermetic: Path, real: dict[str, Path], server: ModelServer) -> AgentLab:
    """Refused requests are not tried again unless said otherwise. The folder of the tests is below /tmp, which the
    sandbox would let it write."""
    fixed: dict[str, Any] = {"base_url": f"{server.url}/v1", "model": "scripted", "max_retries": 0}
    outside = {
        "sandbox_workspace_write.exclude_slash_tmp": True,
        "sandbox_workspace_write.exclude_tmpdir_env_var": True,
    }

    if not namespaces():  # what is no question of the sandbox is tried without it
        fixed["sandbox"] = "danger-full-access"

    def make(**options: Any) -> CodexAgent:
        return CodexAgent(CodexOptions(**{"config": outside, **fixed, **options}))

    return AgentLab(tmp_path, hermetic, real["codex"], make, {"OPENAI_API_KEY": "fake-key"})


def worktree(lab: AgentLab) -> Path:
    """The lab's workspace becomes a worktree, as in a run."""
    lab.cwd = lab.folder / "task" / "project"
    lab.repo.git("worktree", "add", "-q", "-b", "maestro/r/t", str(lab.cwd))
    return lab.repo.path / ".git"


@pytest.mark.needs_namespaces
def test_work_in_a_worktree_is_committed_from_inside_the_sandbox(lab: AgentLab, server: ModelServer) -> None:
    worktree(lab)
    lab.env |= {"CODEX_THREAD_ID": "9" * 36}
    ran = lab.run(WORK)
    assert (ran.verdict.claim, ran.verdict.reason, ran.verdict.summary) == (Claim.DONE, "", "all done")
    assert (ran.ended.code, ran.swept) == (0, 0)
    assert lab.repo.show("maestro/r/t", "a.txt") == "x"
    assert lab.repo.git("status", "--porcelain") == ""
    usage = ran.verdict.usage
    assert (usage.input_tokens, usage.output_tokens, usage.session_id) == (300, 60, lab.events()[0]["thread_id"])
    assert {(one.path, one.api_key, one.model) for one in server.requests} == {
        ("/v1/responses", "fake-key", "scripted")
    }


def test_work_in_a_clone_is_committed_too(lab: AgentLab) -> None:
    lab.cwd = lab.folder / "task" / "project"
    lab.repo.git("clone", "-q", "--shared", str(lab.repo.path), str(lab.cwd))
    assert lab.run(WORK).verdict.claim is Claim.DONE
    assert lab.repo.git("-C", str(lab.cwd), "log", "--format=%s", "-1") == "work"


@pytest.mark.needs_namespaces
def test_the_sandbox_opens_what_a_commit_writes_and_the_report_but_no_hooks(lab: AgentLab, server: ModelServer) -> None:
    git = worktree(lab)
    report, port = lab.folder / "1" / "report.json", server.url.rpartition(":")[2]
    tries = {
        f"echo x > {report}": 0,
        f"echo x > {git}/hooks/pre-commit": 1,
        f"echo x >> {git}/config": 1,
        f"echo x > {lab.home}/x": 1,
        f"echo x > {lab.folder}/task/x": 1,
        f"echo < /dev/tcp/127.0.0.1/{port}": 0,
    }
    steps = [*({"bash": f"({one}) 2>> said.txt; echo $? >> codes.txt"} for one in tries), {"say": "tried"}]
    assert lab.run(steps).verdict.claim is Claim.DONE
    codes = lab.cwd / "codes.txt"
    assert list(map(int, codes.read_text().split())) == list(tries.values()), (lab.cwd / "said.txt").read_text()
    assert report.read_text() == "x\n"
    codes.unlink()
    lab.run(steps[-2:], network=False)
    assert codes.read_text() == "1\n"


def test_full_access_is_there_for_who_asks(lab: AgentLab) -> None:
    ran = lab.run([{"bash": f"echo x > {lab.folder}/x"}, *WORK], sandbox="danger-full-access")
    assert ran.verdict.claim is Claim.DONE
    assert (lab.folder / "x").exists()
    assert lab.repo.git("log", "--format=%s", "-1") == "work"


@pytest.mark.needs_namespaces
def test_a_sandbox_that_stops_everything_is_no_failure_to_codex(lab: AgentLab) -> None:
    """The lie: exit code 0, `turn.completed`, and often no item for what was stopped. The missing commit tells."""
    ran = lab.run(WORK, sandbox="read-only")
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.DONE)
    assert lab.repo.git("log", "--format=%s", "-1") == "start"
    assert not (lab.repo.path / "a.txt").exists()


def test_a_command_that_still_runs_at_the_end_is_named_and_gone(lab: AgentLab) -> None:
    ran = lab.run([{"tool": {"name": "exec_command", "input": {"cmd": "sleep 300", "yield_time_ms": 300}}}, *WORK])
    assert (ran.ended.code, ran.verdict.claim) == (0, Claim.DONE)
    assert "a command of its was still running" in ran.verdict.reason
    assert "sleep 300" in ran.verdict.reason
    assert members(lab.mark) == []


def test_a_patch_counts_as_work(lab: AgentLab) -> None:
    patch = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: p.txt\n+hello\n*** End Patch\nEOF"
    assert lab.run([{"bash": patch}, WORK[1], WORK[2]]).verdict.claim is Claim.DONE
    assert lab.repo.show("HEAD", "p.txt") == "hello"


def test_a_long_prompt_and_the_rules_of_the_repository_reach_the_model(lab: AgentLab, server: ModelServer) -> None:
    lab.repo.commit({"AGENTS.md": "Always whistle while you work.\n"}, "Rules")
    ran = lab.run("x" * 200_000 + "\n\n" + prompt([{"say": "read it all"}]))
    assert (ran.verdict.claim, ran.verdict.summary) == (Claim.DONE, "read it all")
    sent = json.dumps(server.requests[0].body["input"])
    assert "x" * 200_000 in sent
    assert "Always whistle" in sent


def usage_limit(**fields: Any) -> Steps:
    return [{"status": 429, "times": 0, "body": {"error": {"type": "usage_limit_reached", **fields}}}]


OUTCOMES: dict[str, tuple[Steps, Claim, str, bool]] = {
    "400": ([{"status": 400, "times": 0, "message": "odd"}], Claim.FAILED, "odd", True),
    "401": ([{"status": 401, "times": 0, "message": "bad key"}], Claim.FAILED, "401 Unauthorized: bad key", False),
    "403": ([{"status": 403, "times": 0}], Claim.FAILED, "403 Forbidden", False),
    "404": ([{"status": 404, "times": 0}], Claim.FAILED, "404 Not Found", False),
    "429": ([{"status": 429, "times": 0}], Claim.LIMIT, "last status: 429", True),
    "429 for long": ([{"status": 429, "times": 0, "retry_after": 3600}], Claim.LIMIT, "last status: 429", True),
    "529": ([{"status": 529, "times": 0}], Claim.LIMIT, "529", True),
    "500": ([{"status": 500, "times": 0}], Claim.FAILED, "high demand", True),
    "at capacity": (
        [{"status": 503, "times": 0, "body": {"error": {"code": "server_is_overloaded"}}}],
        Claim.LIMIT,
        "at capacity",
        True,
    ),
    "no credit": (
        [{"status": 429, "times": 0, "body": {"error": {"type": "insufficient_quota", "code": "insufficient_quota"}}}],
        Claim.LIMIT,
        "Quota exceeded",
        True,
    ),
    "usage limit": (usage_limit(), Claim.LIMIT, "hit your usage limit", True),
    "not in the plan": (
        [{"status": 429, "times": 0, "body": {"error": {"type": "usage_not_included"}}}],
        Claim.FAILED,
        "upgrade to Plus",
        False,
    ),
    "drop": ([{"drop": True, "times": 0}, {"say": "x"}], Claim.FAILED, "stream disconnected", True),
}


@pytest.mark.parametrize("situation", OUTCOMES)
def test_what_is_refused_is_judged_by_its_kind(lab: AgentLab, situation: str) -> None:
    steps, claim, reason, retryable = OUTCOMES[situation]
    ran = lab.run(steps)
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (1, claim, retryable)
    assert reason in ran.verdict.reason
    assert "{" not in ran.verdict.reason
    assert ran.verdict.usage.session_id


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("seconds", [7200, 300_000])
def test_a_usage_limit_that_names_its_end(
    lab: AgentLab, monkeypatch: pytest.MonkeyPatch, zone: str, seconds: int
) -> None:
    """codex says the time in words of the machine's own clock, to the minute."""
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    lab.env["TZ"] = zone
    end = int(datetime.now(UTC).timestamp()) + seconds
    try:
        ran = lab.run(usage_limit(plan_type="plus", resets_at=end))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert ran.verdict.claim is Claim.LIMIT
    assert ran.verdict.reset_at is not None, ran.verdict.reason
    assert abs(ran.verdict.reset_at.timestamp() - end) < 60


def test_refusals_and_a_broken_stream_are_got_over_and_noted(lab: AgentLab, server: ModelServer) -> None:
    ran = lab.run([{"status": 500}, WORK[0], {"drop": True}, *WORK[1:]], max_retries=2)
    assert ran.verdict.claim is Claim.DONE
    assert any(note.startswith("Reconnecting... 1/2 (stream disconnected") for note in ran.notes)
    assert lab.repo.git("log", "--format=%s", "-1") == "work"
    assert sorted(one.status for one in server.requests) == [0, 200, 200, 200, 500]


def test_a_long_delay_that_the_provider_names_is_slept_without_a_word(lab: AgentLab) -> None:
    """Nothing bounds it but the clock for silence; what it was waiting for is in the reason."""
    agent = lab.make(max_retries=1)
    steps = prompt([{"status": 429, "times": 0, "retry_after": 3600}])

    async def main() -> Exit:
        child = await lab.start(steps, agent)
        while b"Reconnecting" not in (lab.files / "stdout").read_bytes():
            await asyncio.sleep(0.01)
        await child.stop("it is silent")
        return await child.wait()

    verdict = lab.read(agent, asyncio.run(main())).verdict
    assert verdict.claim is Claim.SILENT
    assert "trying again (Reconnecting... 1/1 (exceeded retry limit, last status: 429" in verdict.reason


def test_a_server_that_is_down_is_not_waited_for_for_ever(lab: AgentLab) -> None:
    ran = lab.run(WORK, base_url="http://127.0.0.1:9/v1", max_retries=1)
    assert (ran.ended.code, ran.verdict.claim, ran.verdict.retryable) == (1, Claim.FAILED, True)
    assert "Connection failed" in ran.verdict.reason


def test_what_it_refuses_before_it_begins(lab: AgentLab) -> None:
    ran = lab.run("")
    assert (ran.verdict.claim, ran.ended.code) == (Claim.FAILED, 1)
    assert "No prompt provided" in ran.verdict.reason
    ran = lab.run(WORK, extra_args=("--no-such-flag",))
    assert (ran.verdict.claim, ran.ended.code) == (Claim.FAILED, 2)
    ran = lab.run(WORK, executable="codex-that-is-not-there")
    assert (ran.ended.code, ran.verdict.retryable) == (127, False)
    del lab.env["OPENAI_API_KEY"]
    ran = lab.run(WORK)
    assert (ran.verdict.claim, ran.verdict.retryable) == (Claim.FAILED, False)
    assert "OPENAI_API_KEY" in ran.verdict.reason


@pytest.mark.needs_namespaces
def test_a_conversation_is_resumed_with_the_same_sandbox(lab: AgentLab, server: ModelServer) -> None:
    worktree(lab)
    first = lab.run([{"say": "half of it"}])
    again = lab.run(WORK, resume=first.verdict.usage.session_id)
    assert (again.verdict.claim, again.verdict.summary) == (Claim.DONE, "all done")
    assert again.verdict.usage.session_id == first.verdict.usage.session_id
    used = (first.verdict.usage.input_tokens, again.verdict.usage.input_tokens)
    assert used == (100, 400), "it counts the whole thread, not what is new"
    assert "half of it" in json.dumps(server.requests[-1].body["input"])
    assert lab.repo.show("maestro/r/t", "a.txt") == "x"
    unknown = lab.run(WORK, resume="97b26e7e-3277-453b-88e8-aab9e5c4b12b")
    assert unknown.verdict.claim is Claim.FAILED
    assert "no rollout found" in unknown.verdict.reason


def test_a_folder_without_git_is_worked_in(lab: AgentLab) -> None:
    lab.cwd = lab.folder / "plain"
    lab.cwd.mkdir()
    assert lab.run([WORK[0], WORK[2]]).verdict.claim is Claim.DONE
    assert (lab.cwd / "a.txt").read_text() == "x\n"


SERVER = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    match asked["method"]:
        case "initialize":
            said = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                    "serverInfo": {"name": "notes", "version": "1"}}
        case "tools/list":
            said = {"tools": [{"name": "post", "description": "posts a note", "inputSchema": {"type": "object"}}]}
        case "tools/call":
            open(sys.argv[1], "w").write(os.environ["TOKEN"])
            said = {"content": [{"type": "text", "text": "posted"}]}
        case _:
            said = {}
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": said}), flush=True)
"""


def test_tools_of_the_configured_servers_can_be_called(lab: AgentLab, server: ModelServer) -> None:
    posted, program = lab.folder / "posted", lab.folder / "server.py"
    program.write_text(SERVER)
    notes = {"command": sys.executable, "args": [str(program), str(posted)], "env": {"TOKEN": "se'cret"}}
    lab.servers = {"notes": notes}
    ran = lab.run([{"tool": {"name": "mcp__notes__post", "input": {}}}, {"say": "told"}])
    assert (ran.verdict.claim, ran.verdict.summary) == (Claim.DONE, "told")
    assert posted.read_text() == "se'cret"


SLEEPER = prompt([{"bash": "echo > started; (setsid nohup sleep 300 &) ; sleep 300"}, {"say": "never"}])


def test_killing_the_wrapper_leaves_the_native_program_and_the_sweep_finds_it(lab: AgentLab) -> None:
    """`codex` from npm is a node script around the program; a SIGKILL is not passed on."""
    agent = lab.make()

    async def main() -> tuple[Exit, list[bytes], int]:
        child = await lab.start(SLEEPER, agent)
        await lab.file("started")
        for one in members(lab.mark):
            if command_line(one.pid).split(b"\0")[0].rpartition(b"/")[2] in (b"node", b"nodejs"):
                os.kill(one.pid, signal.SIGKILL)
        ended = await child.wait()
        left = [command_line(one.pid).split(b"\0")[0] for one in members(lab.mark)]
        return ended, left, await child.sweep()

    ended, left, swept = asyncio.run(main())
    assert ended.code == 128 + signal.SIGKILL
    assert any(one.endswith(b"/codex") for one in left), left
    assert swept >= 1
    assert members(lab.mark) == []
    ran = lab.read(agent, ended)
    assert ran.verdict.claim is Claim.SILENT
    assert ran.verdict.usage.session_id == lab.events()[0]["thread_id"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_one_is_silent(lab: AgentLab, number: signal.Signals) -> None:
    agent = lab.make()

    async def main() -> tuple[Exit, int]:
        child = await lab.start(SLEEPER, agent)
        await lab.file("started")
        for one in members(lab.mark):
            if b"codex" in command_line(one.pid).split(b"\0")[0].rpartition(b"/")[2]:
                with suppress(ProcessLookupError):
                    os.kill(one.pid, number)
        return await child.wait(), await child.sweep()

    ended, _ = asyncio.run(main())
    assert lab.read(agent, ended).verdict.claim is not Claim.DONE
    assert members(lab.mark) == []


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


@pytest.mark.needs_namespaces
def test_what_it_starts_carries_the_marker_also_inside_the_sandbox(lab: AgentLab) -> None:
    lab.run([{"bash": f"echo ${MARKER} > mark.txt"}, {"say": "x"}])
    assert (lab.repo.path / "mark.txt").read_text().strip() == lab.mark


@pytest.mark.needs_namespaces
def test_it_is_available_and_says_its_version(real: dict[str, Path]) -> None:
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR")}
    found = CodexAgent().availability({"PATH": f"{real['codex'].parent}:/usr/bin:/bin", **kept})
    assert found.available, found
    assert "codex-cli" in found.detail
