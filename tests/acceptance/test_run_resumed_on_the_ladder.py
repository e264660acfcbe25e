"""Coordinators that die while they stop an attempt: what it was stopped for is what it comes to (E-6, E-4, A-4)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.proc.family import members
from maestro.testing.repository import Repository
from tests.acceptance.conftest import Started
from tests.acceptance.resuming import Scene

SLOW = {"MAESTRO_STOP_INTERRUPT_SECONDS": "2", "MAESTRO_STOP_TERMINATE_SECONDS": "2"}

EATS = f"""exec {sys.executable} -S -E -c 'import signal, time
for one in (signal.SIGINT, signal.SIGTERM): signal.signal(one, signal.SIG_IGN)
b = bytearray(200 << 20)
for i in range(0, len(b), 4096): b[i] = 1
time.sleep(100)'"""

SITS = "trap '' INT TERM; while :; do sleep 0.1; done"

MEMORY = {"MAESTRO_ATTEMPT_MEMORY_MB": "100"}
TIME = {"MAESTRO_TASK_TIMEOUT": "5"}


@pytest.fixture
def scene(repo: Repository, start: Callable[..., Any], tmp_path: Path) -> Scene:
    return Scene(repo, start, tmp_path)


def killed_while_stopping(scene: Scene, agent: str, limit: dict[str, str]) -> None:
    agent = f'touch "{scene.folder}/here-$MAESTRO_TASK_ID"; {agent}'
    env = {**SLOW, **limit}
    _kill_while_stopping(scene, scene.begin([{"id": "a"}], "--attempts", "1", waits_for=("a",), agent=agent, env=env))


def _kill_while_stopping(scene: Scene, started: Started) -> None:
    scene.until(lambda: scene.events("attempt_stopping"))
    scene.kill(started)


def kill_the_agent(scene: Scene, *, shell_too: bool) -> None:
    """As somebody who loses patience does, or the kernel that has no memory left."""
    scene.until(lambda: len(scene.markers()) == 1)  # what git the dead coordinator had ends by itself
    (marker,) = scene.markers()
    wrapper = scene.pids()["a"]
    for one in members(marker):
        if shell_too or one.pid != wrapper:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
    scene.until(lambda: not scene.markers())


def outcome(scene: Scene) -> tuple[Any, Any]:
    (ended,) = scene.events("attempt_ended")
    return ended["outcome"]["kind"], ended["outcome"].get("failure")


def test_who_was_being_stopped_for_its_memory_failed_for_its_memory(scene: Scene) -> None:
    killed_while_stopping(scene, EATS, MEMORY)
    said = scene.resume()
    assert (said.code, said.statuses()) == (1, {"a": "failed"}), said.err
    assert outcome(scene) == ("failed", "memory")
    assert "the limit is 100 MiB" in said.json["tasks"]["a"]["reason"]
    assert not scene.markers()


@pytest.mark.parametrize("shell_too", [False, True])
@pytest.mark.parametrize(
    ("agent", "limit", "comes_to"),
    [(EATS, MEMORY, ("failed", "memory")), (SITS, TIME, ("timed_out", None))],
    ids=["memory", "time"],
)
def test_it_counts_also_where_nothing_is_left_to_stop(
    scene: Scene, agent: str, limit: dict[str, str], comes_to: tuple[Any, Any], shell_too: bool
) -> None:
    killed_while_stopping(scene, agent, limit)
    kill_the_agent(scene, shell_too=shell_too)
    said = scene.resume()
    assert (said.code, said.statuses()) == (1, {"a": "failed"}), said.err
    assert outcome(scene) == comes_to


@pytest.mark.parametrize(
    ("agent", "limit", "comes_to"),
    [(EATS, MEMORY, ("failed", "memory")), (SITS, TIME, ("timed_out", None))],
    ids=["memory", "time"],
)
def test_it_counts_also_where_the_next_coordinator_dies_there_as_well(
    scene: Scene, agent: str, limit: dict[str, str], comes_to: tuple[Any, Any]
) -> None:
    killed_while_stopping(scene, agent, limit)
    again = Started(["resume", "--json"], scene.repo.path, None)
    scene.until(lambda: len(scene.events("attempt_stopping")) == 2)
    scene.kill(again)
    said = scene.resume()
    assert (said.code, said.statuses()) == (1, {"a": "failed"}), said.err
    assert outcome(scene) == comes_to


@pytest.mark.parametrize(
    ("setup", "limit", "comes_to"),
    [(EATS, MEMORY, ("failed", "memory")), (SITS, {"MAESTRO_SETUP_TIMEOUT": "5"}, ("failed", "setup"))],
    ids=["memory", "time"],
)
def test_it_counts_for_setup_commands_as_well(
    scene: Scene, setup: str, limit: dict[str, str], comes_to: tuple[Any, Any]
) -> None:
    env = {**SLOW, **limit, "MAESTRO_SETUP": json.dumps([setup])}
    started = scene.begin([{"id": "a"}], "--attempts", "1", waits_for=(), env=env)
    _kill_while_stopping(scene, started)
    said = scene.resume()
    assert (said.code, said.statuses()) == (1, {"a": "failed"}), said.err
    assert outcome(scene) == comes_to
    assert scene.starts() == []
    assert not scene.markers()
