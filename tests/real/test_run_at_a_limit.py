"""Whole runs at a provider's limit, with the real CLIs: nothing is lost, nothing counts, and all go on (A-5).

The model is answered until each task has written its first file; then the account is at its limit for some seconds,
with a `retry-after` that no client waits for. What a task was at is in its conversation, and in its workspace.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from maestro.model.events import AccountHeld, AccountReleased, AttemptEnded, AttemptNoted, AttemptStarting, Event
from maestro.model.outcome import LimitHit, Succeeded
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.testing.commandline import Said, maestro
from maestro.testing.model_script import Step
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository

pytestmark = pytest.mark.timeout(240)

TASKS = [f"t{number}" for number in range(1, 7)]


class Asked(NamedTuple):
    """One request."""

    at: float
    task: str
    refused: bool
    body: str


class Limited:
    """A provider whose limit is met once all tasks have had one answer; it ends `seconds` later."""

    def __init__(self, seconds: float, words: str) -> None:
        self._seconds = seconds
        self._words = words
        self._lock = threading.Lock()
        self._all_begun = threading.Event()
        self._begun: set[str] = set()
        self.began: float | None = None
        self.asked: list[Asked] = []

    @property
    def ends(self) -> float:
        assert self.began is not None
        return self.began + self._seconds

    def __call__(self, prompt: str, body: dict[str, Any]) -> Sequence[Step]:
        said = json.dumps(body)
        found = re.search(r"## Task (t\d)", said)
        assert found is not None, prompt
        task = found[1]
        if f"first of {task}" in said:
            self._all_begun.wait(90)  # so that all are in the middle of their work when the limit begins
        with self._lock:
            now = time.time()
            refused = self.began is not None and now < self.ends
            self._begun.add(task)
            if self._begun == set(TASKS) and self.began is None:
                self.began = now
                self._all_begun.set()
            self.asked.append(Asked(now, task, refused, said))
            until = int(self.ends) + 1 if self.began is not None else 0
        words = self._words.format(until=until)
        fault: Step = {"status": 429, "times": 0, "retry_after": 3600, "message": words}
        step = _next(task, said)
        return [*([fault] if refused else []), step] * 99  # a client may say something of its own when it goes on


def _next(task: str, said: str) -> Step:
    """What the task needs next, by what the conversation holds."""
    if f"first of {task}" not in said:
        return {"write": {"path": f"{task}-1.txt", "content": f"first of {task}\n"}}
    if f"second of {task}" not in said:
        return {"write": {"path": f"{task}-2.txt", "content": f"second of {task}\n"}}
    if "git commit -qm work" not in said:
        return {"bash": "git add -A && git commit -qm work"}
    return {"say": "all done"}


def go(repo: Repository, server: ModelServer, tmp_path: Path, agent: str, env: dict[str, str], **more: str) -> Said:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"id": task, "title": f"Write the files of {task}"} for task in TASKS]))
    return maestro(
        "run", "--tasks-file", str(path), "--agent", agent, "--no-tests", "--max-parallel", "6", "--attempts", "1",
        "--run-id", "r", "--json",
        cwd=repo.path, env={**env, **more, "MAESTRO_MAX_LOAD": "0"}, timeout_seconds=200,
    )  # fmt: skip


def events_of(repo: Repository) -> tuple[Event, ...]:
    return read_journal(Layout(repo.path).journal("r")).events


def check(repo: Repository, said: Said, limited: Limited, times: Sequence[int] = (1,)) -> None:
    """All landed, nothing failed, a rest for all, and after it one by one, each where it had stopped."""
    assert said.code == 0, said.err
    assert said.statuses() == dict.fromkeys(TASKS, "landed")
    assert limited.began is not None
    events = events_of(repo)
    outcomes = [event.outcome for event in events if isinstance(event, AttemptEnded)]
    hits = [one for one in outcomes if isinstance(one, LimitHit)]
    assert len(hits) >= 4, "several met it at once"
    assert len([one for one in outcomes if isinstance(one, Succeeded)]) == len(TASKS)
    assert len(outcomes) == len(hits) + len(TASKS), "nothing counted as failed"
    held = [event for event in events if isinstance(event, AccountHeld)]
    assert tuple(dict.fromkeys(event.times for event in held)) == tuple(times)
    last = max(event.until for event in held).timestamp()
    (released,) = [event.at.timestamp() for event in events if isinstance(event, AccountReleased)]
    starts = [one.at.timestamp() for one in events if isinstance(one, AttemptStarting)]
    starts = [start for start in starts if start > limited.began + 1 and start >= last]
    assert [start for start in starts if start < released] == starts[:1], "one went first"
    assert min(later - before for before, later in itertools.pairwise(starts)) > 0.9
    after = [one for one in limited.asked if one.at >= limited.ends]
    assert not any(one.refused for one in after)
    went_on = {one.task: one for one in reversed(after)}.values()  # the first request of each
    assert len(went_on) >= 3
    for one in went_on:
        assert f"first of {one.task}" in one.body, "what was said before is in it"
        assert f"cut off in the middle of task {one.task}" in one.body
    for task in TASKS:
        assert repo.show(said.json["integration_branch"], f"{task}-1.txt") == f"first of {task}"
        assert repo.show(said.json["integration_branch"], f"{task}-2.txt") == f"second of {task}"


def claude(real: dict[str, Path], server: ModelServer, **options: Any) -> dict[str, str]:
    return {
        "PATH": f"{real['claude'].parent}:{os.environ['PATH']}",
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "fake-key",
        "IS_SANDBOX": "1",
        "MAESTRO_AGENTS": json.dumps({"claude": options}),
    }


@pytest.mark.real("claude")
def test_six_claudes_at_a_usage_limit_that_names_its_end(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    limited = server.default = Limited(12, "Claude AI usage limit reached|{until}")
    said = go(repo, server, tmp_path, "claude", claude(real, server, max_retries=0))
    check(repo, said, limited)


@pytest.mark.real("claude")
def test_six_claudes_at_an_overload_whose_end_nobody_knows_the_rest_grows(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    limited = server.default = Limited(14, "overloaded")
    said = go(repo, server, tmp_path, "claude", claude(real, server, max_retries=0), MAESTRO_HOLD_SECONDS="6")
    check(repo, said, limited, times=(1, 2))


@pytest.mark.real("codex")
def test_six_codexes_at_a_usage_limit(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    limited = server.default = Limited(12, "slow down")
    options = {
        "base_url": f"{server.url}/v1",
        "env_key": "LAB_KEY",
        "model": "scripted",
        "max_retries": 0,
        "sandbox": "danger-full-access",
    }
    env = {
        "PATH": f"{real['codex'].parent}:{os.environ['PATH']}",
        "LAB_KEY": "fake-key",
        "MAESTRO_AGENTS": json.dumps({"codex": options}),
    }
    said = go(repo, server, tmp_path, "codex", env, MAESTRO_HOLD_SECONDS="12")
    check(repo, said, limited)


@pytest.mark.real("codex")
def test_a_codex_that_sleeps_at_a_limit_is_stopped_by_its_clock_and_goes_on_later(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    options = {
        "base_url": f"{server.url}/v1",
        "env_key": "LAB_KEY",
        "model": "scripted",
        "sandbox": "danger-full-access",
    }
    env = {
        "PATH": f"{real['codex'].parent}:{os.environ['PATH']}",
        "LAB_KEY": "fake-key",
        "MAESTRO_AGENTS": json.dumps({"codex": options}),
        "MAESTRO_SILENT_TIMEOUT": "6",
        "MAESTRO_HOLD_SECONDS": "1",
        "MAESTRO_MAX_LOAD": "0",
    }
    steps: list[Step] = [
        {"bash": "echo half of it > a.txt"},
        {"status": 429, "retry_after": 3600},
        {"bash": "git add -A && git commit -qm work"},
        {"say": "done"},
    ]
    path = tmp_path / "tasks.json"
    path.write_text(
        json.dumps([{"id": "t1", "description": f"Do it.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"}])
    )
    said = maestro(
        "run", "--tasks-file", str(path), "--agent", "codex", "--no-tests", "--attempts", "1", "--run-id", "r",
        "--json", cwd=repo.path, env=env, timeout_seconds=120,
    )  # fmt: skip
    assert said.code == 0, said.err
    hit, done = (one.outcome for one in events_of(repo) if isinstance(one, AttemptEnded))
    assert isinstance(hit, LimitHit)
    assert hit.reason == "no output for 6 s, while it was trying again at a limit"
    assert isinstance(done, Succeeded)
    assert hit.usage.session_id == done.usage.session_id is not None


@pytest.mark.real("claude")
def test_while_one_claude_tries_again_by_itself_no_other_starts(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    def steps(task: str, *before: Step) -> str:
        work = [*before, {"bash": f"echo {task} > {task}.txt && git add -A && git commit -qm work"}, {"say": "done"}]
        return f"Do it.\n\n```maestro-script\n{json.dumps(work)}\n```\n"

    tasks = [
        {"id": "refused", "description": steps("refused", {"status": 429, "retry_after": 20})},
        {"id": "quick", "description": steps("quick", {"sleep": 5})},
        {"id": "later", "description": steps("later")},
    ]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(tasks))
    said = maestro(
        "run", "--tasks-file", str(path), "--agent", "claude", "--no-tests", "--max-parallel", "2", "--run-id", "r",
        "--json", cwd=repo.path, env={**claude(real, server), "MAESTRO_MAX_LOAD": "0"}, timeout_seconds=120,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert set(said.statuses().values()) == {"landed"}
    events = events_of(repo)
    starts = {one.task: one.at for one in events if isinstance(one, AttemptStarting)}
    ends = {one.task: one.at for one in events if isinstance(one, AttemptEnded)}
    (noted,) = (one for one in events if isinstance(one, AttemptNoted))
    assert "request refused (429 rate_limit); retry 1 of 10" in noted.note
    assert noted.at < ends["quick"], "a slot was free"
    assert (starts["later"] - noted.at).total_seconds() > 6, "and it waited for the answer"
    assert not [one for one in events if isinstance(one, AccountHeld)]
