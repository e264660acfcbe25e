"""`maestro resume`: a run that broke off goes on as if nothing had happened (E-6)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Started, check_sound, checkout_of
from tests.acceptance.resuming import QUICK, Scene


@pytest.fixture
def scene(repo: Repository, start: Callable[..., Started], tmp_path: Path) -> Iterator[Scene]:
    before = checkout_of(repo)
    yield Scene(repo, start, tmp_path)
    assert checkout_of(repo) == before
    check_sound(repo)


# --- agents that live on, have ended, or went with their machine ---


def test_an_agent_that_lives_is_adopted_and_not_started_again(scene: Scene) -> None:
    scene.dead([{"id": "a"}, {"id": "b", "dependencies": ["a"]}], waits_for=("a",))
    before = scene.pids()
    scene.let_go()
    said = scene.resume()
    assert (said.code, said.statuses()) == (0, {"a": "landed", "b": "landed"}), said.err
    assert scene.starts() == ["a", "b"]
    assert scene.pids()["a"] == before["a"]
    assert said.json["tasks"]["a"]["attempts"] == 1
    assert [event["task"] for event in scene.events("attempt_starting")] == ["a", "b"]
    assert scene.landed() == ["a", "b"]


def test_an_agent_that_ended_unwatched_is_judged_by_what_it_left(scene: Scene) -> None:
    """One committed, one left its work uncommitted, one failed: as if the coordinator had looked on."""
    work = f"case $MAESTRO_TASK_ID in lazy) echo lazy >out-lazy.txt;; bad) exit 7;; *) {WRITES_ONE_FILE};; esac"
    tasks = [{"id": "good"}, {"id": "lazy"}, {"id": "bad"}]
    scene.dead(
        tasks, "--attempts", "1", "--max-parallel", "3",
        waits_for=("good", "lazy", "bad"), agent=scene.agent(work),
    )  # fmt: skip
    scene.let_go()
    scene.until(lambda: not scene.markers())
    said = scene.resume()
    assert (said.code, said.statuses()) == (1, {"good": "landed", "lazy": "landed", "bad": "failed"}), said.err
    assert "exit code 7" in said.json["tasks"]["bad"]["reason"]
    assert sorted(scene.starts()) == ["bad", "good", "lazy"]
    assert scene.on_branch() == {"out-good.txt", "out-lazy.txt"}


def test_the_clock_of_an_adopted_attempt_goes_on(scene: Scene) -> None:
    """It was started before the kill: its limit counts from there, and ends it."""
    tasks = [{"id": "a"}]
    scene.dead(tasks, "--attempts", "1", "--task-timeout", "6", waits_for=("a",), env=QUICK)
    scene.until(lambda: time.time() - scene.journal.stat().st_mtime > 2.5)
    said = scene.resume()
    (starting,) = scene.events("attempt_starting")
    took = time.time() - datetime.fromisoformat(starting["at"]).timestamp()
    assert (said.code, said.statuses()) == (1, {"a": "failed"}), said.err
    assert "6 s" in said.json["tasks"]["a"]["reason"]
    (ended,) = scene.events("attempt_ended")
    assert ended["outcome"]["limit_seconds"] == 6
    assert 6 <= ended["seconds"] < took
    assert scene.starts() == ["a"]


def test_a_reboot_loses_attempts_that_are_not_counted_three_times(scene: Scene) -> None:
    """Lost is not failed: with one attempt allowed it is tried again, until the task itself is suspect."""
    scene.dead([{"id": "a"}], "--attempts", "1", waits_for=("a",))
    for number in range(2, 5):
        scene.reboot()
        resumed = Started(["resume", "--json"], scene.repo.path, None)
        scene.until(lambda number=number: len(scene.events("attempt_spawned")) == number)  # type: ignore[misc]
        scene.until(lambda number=number: len(scene.starts()) == number)  # type: ignore[misc]
        scene.kill(resumed)
    scene.reboot()
    said = scene.resume()
    assert (said.code, said.statuses()) == (1, {"a": "failed"}), said.err
    assert said.json["tasks"]["a"]["attempts"] == 4
    assert "exit status" in said.json["tasks"]["a"]["reason"]
    assert scene.starts() == ["a"] * 4
    assert [event["outcome"]["kind"] for event in scene.events("attempt_ended")] == ["lost"] * 4


def test_what_a_lost_attempt_left_is_saved_and_shown_to_the_next(scene: Scene) -> None:
    half = f'if grep -q refs/maestro/saved "$MAESTRO_PROMPT_FILE"; then {WRITES_ONE_FILE}; else echo half >half.txt;'
    agent = f'{half} touch "{scene.folder}/half"; sleep 100; fi'
    started = scene.begin([{"id": "a"}], "--attempts", "1", waits_for=(), agent=agent)
    started.until(scene.folder / "half")
    scene.kill(started)
    scene.reboot()
    said = scene.resume()
    assert (said.code, said.statuses()) == (0, {"a": "landed"}), said.err
    saved = scene.repo.git("for-each-ref", "--format=%(refname)", "refs/maestro/saved/it").split()
    assert [ref for ref in saved if "half.txt" in scene.repo.files(ref)]


def test_a_coordinator_killed_on_its_stop_ladder_leaves_a_time_out(scene: Scene) -> None:
    """The limit was met before it died: that counts, not that nobody watched the end."""
    stubborn = f"trap '' INT TERM; touch '{scene.folder}/here-a'; while :; do sleep 0.1; done"
    slow = {"MAESTRO_STOP_INTERRUPT_SECONDS": "20", "MAESTRO_STOP_TERMINATE_SECONDS": "20"}
    started = scene.begin(
        [{"id": "a"}], "--attempts", "1", "--task-timeout", "5", waits_for=("a",), agent=stubborn, env=slow
    )
    scene.until(lambda: scene.events("attempt_stopping"))
    scene.kill(started)
    said = scene.resume()
    # the graces are those of the run's start, so the second coordinator climbs down as slowly: 20 s would be too long
    assert (said.code, said.statuses()) == (1, {"a": "failed"}), said.err
    assert scene.events("attempt_ended")[0]["outcome"]["kind"] == "timed_out"
    assert scene.starts() == []
    assert not scene.markers()


# --- schedules, kinds of workspaces, the end ---


@pytest.mark.parametrize("schedule", ["levels", "stages"])
def test_a_failure_in_an_earlier_stage_does_not_hinder_what_runs_in_a_later(scene: Scene, schedule: str) -> None:
    """With --keep-going a later level is at work although something before it failed."""
    work = f"case $MAESTRO_TASK_ID in bad) exit 3;; esac; {WRITES_ONE_FILE}"
    tasks: list[dict[str, Any]] = [
        {"id": "bad", "title": "[P:Group-1]"}, {"id": "ok", "title": "[P:Group-1]"},
        {"id": "later", "dependencies": ["ok"]}, {"id": "last", "dependencies": ["later"]},
    ]  # fmt: skip
    scene.let_go("bad", "ok")
    scene.dead(
        tasks, "--schedule", schedule, "--keep-going", "--attempts", "1", waits_for=("later",),
        agent=scene.agent(work),
    )  # fmt: skip
    scene.let_go()
    said = scene.resume()
    assert said.code == 1, said.err
    assert said.statuses() == {"bad": "failed", "ok": "landed", "later": "landed", "last": "landed"}
    assert sorted(scene.starts()) == ["bad", "last", "later", "ok"]


@pytest.mark.parametrize("schedule", ["levels", "stages"])
def test_levels_and_stages_go_on_where_they_were(scene: Scene, schedule: str) -> None:
    tasks: list[dict[str, Any]] = [
        {"id": "a", "title": "[P:Group-1]"}, {"id": "b", "title": "[P:Group-1]"},
        {"id": "c", "title": "[P:Group-2]", "dependencies": ["a"]}, {"id": "d", "dependencies": ["c"]},
    ]  # fmt: skip
    scene.let_go("a", "b")
    scene.dead(tasks, "--schedule", schedule, waits_for=("c",))
    scene.let_go()
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert sorted(scene.starts()) == ["a", "b", "c", "d"]
    branch = said.json["integration_branch"]
    assert branch == ("integration/level-2-it" if schedule == "levels" else "integration/it")
    assert scene.on_branch(branch) == {f"out-{task}.txt" for task in "abcd"}


@pytest.mark.parametrize("kind", ["none", "clone", "copy"])
def test_workspaces_of_other_kinds_are_adopted(scene: Scene, kind: str) -> None:
    scene.dead([{"id": "a"}, {"id": "b", "dependencies": ["a"]}], "--workspace", kind, waits_for=("a",))
    scene.let_go()
    said = scene.resume()
    assert (said.code, said.statuses()) == (0, {"a": "landed", "b": "landed"}), said.err
    assert scene.starts() == ["a", "b"]
    assert scene.on_branch() == {"out-a.txt", "out-b.txt"}


def test_a_reboot_while_it_worked_in_place_leaves_the_checkout_as_it_was(scene: Scene) -> None:
    half = f'[ -e "{scene.folder}/go" ] || {{ echo half >half.txt; touch "{scene.folder}/half"; sleep 100; }}'
    started = scene.begin([{"id": "a"}], "--workspace", "none", waits_for=(), agent=f"{half}; {WRITES_ONE_FILE}")
    started.until(scene.folder / "half")
    scene.kill(started)
    scene.reboot()
    scene.let_go()
    said = scene.resume()
    assert (said.code, said.statuses()) == (0, {"a": "landed"}), said.err
    saved = scene.repo.git("for-each-ref", "--format=%(refname)", "refs/maestro/saved/it").split()
    assert [ref for ref in saved if "half.txt" in scene.repo.files(ref)]


def test_the_result_reaches_the_base_as_was_asked_for(scene: Scene) -> None:
    scene.repo.git("checkout", "-q", "--detach")
    try:
        scene.dead([{"id": "a"}], "--land-on-base", waits_for=("a",))
        scene.let_go()
        said = scene.resume()
        assert (said.code, said.statuses()) == (0, {"a": "landed"}), said.err
        assert "out-a.txt" in scene.repo.files("main")
        again = scene.resume("--run-id", "it")
        assert (again.code, again.json) == (0, said.json)
    finally:
        scene.repo.git("checkout", "-q", "--detach", "HEAD")
        scene.repo.git("update-ref", "refs/heads/main", "HEAD")
        scene.repo.git("checkout", "-q", "main")


def test_todos_of_a_dead_session_are_gone_on_with(scene: Scene) -> None:
    todos = json.dumps([{"content": "First", "id": "a"}, {"content": "Second", "id": "b", "dependencies": ["a"]}])
    agent = scene.agent()
    argv = ["run", "--todos", str(scene.folder / "todos"), "--run-id", "it", "--no-tests", "--agent-command", agent]
    (scene.folder / "todos").write_text(todos)
    started = Started(argv, scene.repo.path, None)
    started.until(scene.folder / "here-a")
    scene.until(scene.pids)
    scene.kill(started)
    scene.let_go()
    said = scene.resume()
    assert (said.code, said.statuses()) == (0, {"a": "landed", "b": "landed"}), said.err


def test_the_context_of_a_group_is_not_asked_for_again(scene: Scene) -> None:
    asked, lab = scene.folder / "asked", scene.folder
    (scene.state).mkdir(parents=True, exist_ok=True)
    env = {"MAESTRO_REFRESH_COMMAND": f"echo x >>{asked}; echo the context they share"}
    agent = f'cat "$MAESTRO_PROMPT_FILE" >"{lab}/prompt-$MAESTRO_TASK_ID"; {scene.agent()}'
    tasks: list[dict[str, Any]] = [
        {"id": "a", "title": "[P:Group-X]"},
        {"id": "b", "title": "[P:Group-X]", "dependencies": ["a"]},
    ]
    scene.dead(tasks, "--schedule", "dataflow", waits_for=("a",), agent=agent, env=env)
    scene.let_go()
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert asked.read_text() == "x\n"
    assert "the context they share" in (lab / "prompt-b").read_text()
    metadata = json.loads((scene.state / "parallel_groups/X/metadata.json").read_text())
    assert metadata["status"] == "completed"
    assert metadata["pre_group_refresh_completed"] is True
    assert {one["task_id"]: one["status"] for one in metadata["results"]} == {"a": "completed", "b": "completed"}
