"""What every agent adapter keeps to, whatever it drives."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from maestro.agents.base import Agent, Claim, Heard, Job, TellsUsage, Told, Verdict
from maestro.agents.registry import AGENTS, make_agent

OPTIONS: dict[str, dict[str, str]] = {"command": {"command": "my-agent {prompt_file} {workspace} {task_id}"}}
EXITS = (0, 1, 2, 126, 127, 129, 130, 137, 143, 255, None)


@pytest.fixture(params=sorted(AGENTS))
def agent(request: pytest.FixtureRequest) -> Agent:
    return make_agent(request.param, OPTIONS.get(request.param, {}))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = tmp_path / 'it\'s a "work space" $(touch pwned)'
    folder.mkdir()
    (folder / "prompt.md").write_text("do it")
    return Job(
        task_id="a/b c:d'; touch pwned; '",
        prompt="do it",
        prompt_file=folder / "prompt.md",
        workspace=folder,
        state_dir=folder,
        client_config=folder / "client-config.json",
    )


def test_it_has_a_name_and_an_account(agent: Agent) -> None:
    assert AGENTS[agent.name]
    assert agent.account
    assert isinstance(agent.streams, bool)


def test_an_attempt_is_held_only_to_what_is_told(agent: Agent, job: Job) -> None:
    """What it is to be stopped at comes from its stream while it works, or is kept by the program itself."""
    assert agent.bounds <= agent.tells
    streamed = agent.streams and isinstance(agent.reader(), TellsUsage)
    kept = agent.invocation(job.evolve(budget_usd=0.125)).argv != agent.invocation(job).argv
    assert bool(agent.bounds) is streamed
    assert Told.COST not in agent.bounds or streamed or kept


def test_env_names_are_names_or_prefixes_and_never_everything(agent: Agent) -> None:
    for name in agent.env_names():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+\*?", name), name


def test_the_invocation_can_be_run_and_hides_no_prompt_in_its_arguments(agent: Agent, job: Job) -> None:
    asked = agent.invocation(job)
    assert asked.argv
    assert all("\0" not in word for word in (*asked.argv, *asked.env, *asked.env.values()))
    assert asked.stdin_file in (None, job.prompt_file)
    long = job.evolve(prompt="x" * 1_000_000)
    assert sum(map(len, agent.invocation(long).argv)) < 100_000, "a long prompt goes by stdin or file"
    assert agent.invocation(job) == asked


def test_availability_never_raises_and_explains_itself(agent: Agent, tmp_path: Path) -> None:
    for env in (dict(os.environ), {"PATH": str(tmp_path)}, {}):
        found = agent.availability(env)
        assert found.detail
        assert found.available or found.hint


def test_nothing_said_is_never_an_exception_and_only_exit_0_can_be_done(agent: Agent) -> None:
    for code in EXITS:
        verdict = agent.reader().verdict(code, "")
        assert isinstance(verdict, Verdict)
        assert code == 0 or verdict.claim is not Claim.DONE
        assert verdict.claim is Claim.DONE or verdict.reason


def test_readers_take_any_bytes_in_any_pieces(agent: Agent) -> None:
    junk = bytes(range(256)) * 50 + b'\n{"type":"result"}\n{\n\xff\xfe\n' + b"[" * 5000
    for size in (1, 3, 4096):
        reader = agent.reader()
        for start in range(0, len(junk), size):
            assert all(isinstance(note, str) for note in reader.feed(junk[start : start + size]))
        assert isinstance(reader.ended, bool)
        assert reader.verdict(1, "\x00odd\n").reason


def test_readers_do_not_share_what_they_read(agent: Agent) -> None:
    first, second = agent.reader(), agent.reader()
    first.feed(b'{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"x"}\n')
    assert not second.ended


def test_a_conversation_is_asked_for_by_its_name_exactly_where_it_can_be_gone_on_with(agent: Agent, job: Job) -> None:
    session = "97b26e7e-3277-453b-88e8-aab9e5c4b12b"
    assert (session in agent.invocation(job.evolve(resume_session=session)).argv) is agent.resumes
    assert session not in agent.invocation(job).argv


def test_nothing_is_heard_of_a_provider_before_it_is_said(agent: Agent) -> None:
    reader = agent.reader()
    assert reader.heard is Heard.NOTHING
    reader.feed(b"hello\n{}\n")
    assert reader.heard is Heard.NOTHING


def test_a_missing_command_is_not_tried_again(agent: Agent) -> None:
    verdict = agent.reader().verdict(127, "sh: 1: thing: not found")
    assert (verdict.claim, verdict.retryable) == (Claim.FAILED, False)
    assert "not found" in verdict.reason
