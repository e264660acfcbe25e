"""A conversation that a limit cut off is gone on with, whatever happens to the coordinator meanwhile (A-5, E-6)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from maestro.model.events import AccountHeld, AttemptEnded, AttemptStarting, Event, TaskRequeued
from maestro.model.outcome import Failed, FailureKind, LimitHit, Succeeded
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.model_script import Step
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]


class Limited:
    """A model that writes a file and then is at its limit for so many seconds."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self.until = 0
        self.bodies: list[str] = []

    def __call__(self, _prompt: str, body: dict[str, Any]) -> Sequence[Step]:
        said = json.dumps(body)
        self.bodies.append(said)
        if "half of it" not in said and "second half" not in said:
            return [{"write": {"path": "a.txt", "content": "half of it\n"}}] * 99
        self.until = self.until or int(time.time()) + self._seconds
        if time.time() < self.until:
            words = f"Claude AI usage limit reached|{self.until}"
            return [{"status": 429, "times": 0, "message": words}, {"say": "x"}] * 99
        if "git commit -qm work" not in said:
            return [{"bash": "echo second half >> a.txt && git add -A && git commit -qm work"}] * 99
        return [{"say": "done"}] * 99


class Lab:
    """A run of one task that waits for the end of a limit."""

    def __init__(self, repo: Repository, server: ModelServer, claude: Path, tasks: Path) -> None:
        self.repo = repo
        self.env = {
            "PATH": f"{claude.parent}:{os.environ['PATH']}",
            "ANTHROPIC_BASE_URL": server.url,
            "ANTHROPIC_API_KEY": "fake-key",
            "IS_SANDBOX": "1",
            "MAESTRO_AGENTS": json.dumps({"claude": {"max_retries": 0}}),
            "MAESTRO_MAX_LOAD": "0",
        }
        tasks.write_text(json.dumps([{"id": "t1", "title": "Write a.txt"}]))
        self.process = subprocess.Popen(
            command_line(
                "run", "--tasks-file", str(tasks), "--agent", "claude", "--no-tests", "--attempts", "1",
                "--run-id", "r", "--json",
            ),
            cwd=repo.path, env={**os.environ, **self.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def events(self) -> list[Event]:
        path = Layout(self.repo.path).journal("r")
        return list(read_journal(path).events) if path.exists() else []

    def when(self, met: Callable[[list[Event]], bool]) -> list[Event]:
        """The events as soon as they are as wanted."""
        end = time.monotonic() + 60
        while not met(events := self.events()):
            assert time.monotonic() < end, events
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        return events

    def held(self) -> list[Event]:
        return self.when(lambda events: any(isinstance(event, TaskRequeued) for event in events))

    def end(self) -> Said:
        out, err = self.process.communicate(timeout=90)
        return Said(self.process.returncode, out, err)

    def resume(self) -> Said:
        return maestro("resume", "--run-id", "r", "--json", cwd=self.repo.path, env=self.env, timeout_seconds=120)

    def check_landed(self, said: Said) -> None:
        assert said.code == 0, said.err
        assert said.statuses() == {"t1": "landed"}
        assert self.repo.show(said.json["integration_branch"], "a.txt") == "half of it\nsecond half"
        events = self.events()
        (until,) = {event.until for event in events if isinstance(event, AccountHeld)}
        later = [event for event in events if isinstance(event, AttemptStarting)][1:]
        assert later
        assert min(event.at for event in later) >= until, "the rest held"
        assert {event.workspace for event in later} == {str(self.workspace)}

    @property
    def workspace(self) -> Path:
        return Path(next(event.workspace for event in self.events() if isinstance(event, AttemptStarting)))


@pytest.fixture
def lab(repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(repo, server, real["claude"], tmp_path / "tasks.json")
    yield lab
    if lab.process.poll() is None:
        lab.process.kill()
        lab.process.communicate()


def outcomes(events: list[Event]) -> list[type]:
    return [type(event.outcome) for event in events if isinstance(event, AttemptEnded)]


def went_on(limited: Limited) -> bool:
    return any("half of it" in body and "You were cut off in the middle of task t1" in body for body in limited.bodies)


@pytest.fixture
def limited(server: ModelServer) -> Limited:
    server.default = limited = Limited(20)
    return limited


def test_kill_9_while_the_account_rests_changes_nothing(limited: Limited, lab: Lab) -> None:
    lab.held()
    lab.process.send_signal(signal.SIGKILL)
    lab.process.communicate()
    assert (lab.workspace / "project" / "a.txt").read_text() == "half of it\n"
    lab.check_landed(lab.resume())
    assert outcomes(lab.events()) == [LimitHit, Succeeded]
    assert went_on(limited)


def test_an_interrupted_run_saves_what_waits_and_leaves_it_for_resume(limited: Limited, lab: Lab) -> None:
    lab.held()
    lab.process.send_signal(signal.SIGINT)
    said = lab.end()
    assert said.code == 130, said.err
    assert time.time() < limited.until, "it does not wait for the limit"
    assert lab.repo.show("refs/maestro/saved/r/t1", "a.txt") == "half of it"
    lab.check_landed(lab.resume())
    assert outcomes(lab.events()) == [LimitHit, Succeeded]
    assert went_on(limited)


def test_where_the_conversation_is_gone_a_new_one_goes_on_in_the_same_workspace(limited: Limited, lab: Lab) -> None:
    lab.held()
    shutil.rmtree(Path(os.environ["HOME"], ".claude", "projects"))
    said = lab.end()
    lab.check_landed(said)
    events = lab.events()
    assert outcomes(events) == [LimitHit, Failed, Succeeded]
    (refused,) = (one.outcome for one in events if isinstance(one, AttemptEnded) and isinstance(one.outcome, Failed))
    assert refused.failure is FailureKind.SESSION
    assert "No conversation found with session ID" in refused.reason
    assert not went_on(limited)
    assert "What it has done is in this directory" in limited.bodies[-1]
