"""Runs over real beads that broke off and are resumed, both eras: what bd says is what landed, and people's words stand
(E-6, T-1)."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.proc.family import census, members
from maestro.proc.roles import COORDINATOR
from maestro.testing.commandline import Said, command_line, maestro
from tests.acceptance.conftest import WRITES_ONE_FILE
from tests.acceptance.resuming import QUICK, Scene
from tests.acceptance.test_killed_coordinators import events, landed
from tests.real.beads_repository import Beads, make_beads

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def beads(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beads]:
    """A repository with an empty database, for each era; no process of its runs outlives the test."""
    del bd
    made = make_beads(tmp_path / "project", tmp_path_factory)
    yield made
    for marker in census():
        if "/it/" in marker:
            for one in members(marker):
                environ = Path(f"/proc/{one.pid}/environ").read_bytes() if Path(f"/proc/{one.pid}").exists() else b""
                if str(tmp_path).encode() in environ:
                    os.kill(one.pid, signal.SIGKILL)


def arguments(agent: str, *flags: str) -> list[str]:
    return ["run", "--run-id", "it", "--tracker", "beads", "--no-tests", "--json", "--agent-command", agent, *flags]


def waiting(tmp_path: Path) -> str:
    """An agent that says that it is here, and works when it is let go."""
    here = f'echo x >>"{tmp_path}/here-$MAESTRO_TASK_ID"'
    return f'{here}; until [ -e "{tmp_path}/go" ]; do sleep 0.05; done; {WRITES_ONE_FILE}'


def die(beads: Beads, tmp_path: Path, waits_for: tuple[str, ...], *flags: str) -> Scene:
    """A run whose coordinator is killed while the agents of some issues work."""
    scene = Scene(beads.repo, None, tmp_path)  # type: ignore[arg-type]  # it is started here
    started = subprocess.Popen(
        command_line(*arguments(waiting(tmp_path), *flags)),
        cwd=beads.repo.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        scene.until(lambda: set(waits_for) <= scene.pids().keys(), 60)
        scene.until(lambda: all((tmp_path / f"here-{task}").exists() for task in waits_for))
    finally:
        started.kill()
        started.wait()
    return scene


def resume(beads: Beads, *flags: str) -> Said:
    return maestro("resume", "--json", *flags, cwd=beads.repo.path, env=QUICK, timeout_seconds=200)


def test_an_epic_whose_coordinators_are_killed_is_closed_as_far_as_it_landed(beads: Beads, tmp_path: Path) -> None:
    seed = os.environ.get("MAESTRO_TEST_SEED", secrets.token_hex(4))
    print(f"seed {seed}")
    dice = random.Random(seed)
    epic = beads.create("The epic", "-t", "epic")
    first = [beads.create(f"Part {number}", "--parent", epic) for number in range(4)]
    last = [beads.create(f"After {task}", "--parent", epic, needs=task) for task in first[:2]]
    tasks = [*first, *last]
    run = command_line(*arguments(f"sleep 0.2; {WRITES_ONE_FILE}", "--epic", epic, "--max-parallel", "2"))
    again = command_line("resume", "--json")
    for _ in range(5):
        goal = len(landed(beads.repo, "it")) + dice.randint(0, 1)
        process = subprocess.Popen(
            again if events(beads.repo, "it") else run,
            cwd=beads.repo.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while len(landed(beads.repo, "it")) < goal and process.poll() is None:
            time.sleep(0.02)
        time.sleep(dice.uniform(0.2, 1.2))
        process.kill()
        process.wait()
        done = {id_ for id_, issue in beads.all().items() if issue["status"] == "closed"} - {epic}
        on_branch = {path for path in beads.repo.files("integration/it") if path.startswith("out-")} if done else set()
        assert {f"out-{task}.txt" for task in done} <= on_branch, "nothing is closed that has not landed"
    said = resume(beads, "--run-id", "it")
    assert (said.code, said.statuses()) == (0, dict.fromkeys(tasks, "landed")), said.err
    issues = beads.all()
    assert {issue["status"] for issue in issues.values()} == {"closed"}
    assert Counter(landed(beads.repo, "it")) == Counter(tasks)
    for task in tasks:
        shown = beads.show(task)
        assert shown["close_reason"].startswith("Landed")
        assert shown.get("notes", "").count("Landed") <= 1, "it was closed once"


def test_what_people_did_meanwhile_stands(beads: Beads, tmp_path: Path) -> None:
    """One closed what an agent worked on, one took what it worked on, one closed what had not begun."""
    mine, taken, closed = (beads.create(name, "--priority=1") for name in ("Mine", "Taken", "Closed"))
    later = beads.create("Later", "--priority=3")  # which of equals made in one second comes first is not known
    scene = die(beads, tmp_path, (mine, taken, closed), "--max-parallel", "3", "--keep-going")
    beads("close", closed, "--reason", "did it by hand")
    beads("update", taken, "--assignee", "alice")
    beads("close", later, "--reason", "not wanted any more")
    (tmp_path / "go").touch()
    scene.until(lambda: not [marker for marker in scene.markers() if f"/{COORDINATOR}/" not in marker])
    said = resume(beads)
    assert said.statuses() == {mine: "landed", taken: "blocked", closed: "blocked", later: "blocked"}, said.err
    assert said.code == 3
    assert {path for path in beads.repo.files("integration/it") if path.startswith("out-")} == {f"out-{mine}.txt"}
    assert beads.show(closed)["close_reason"] == "did it by hand"
    assert beads.show(later)["close_reason"] == "not wanted any more"
    assert (beads.show(taken)["status"], beads.show(taken)["assignee"]) == ("in_progress", "alice")
    assert f"out-{taken}.txt" in beads.repo.files(said.json["tasks"][taken]["saved_ref"])


def test_a_new_run_gives_nothing_back_that_agents_still_work_on(beads: Beads, tmp_path: Path) -> None:
    task = beads.create("Mine")
    die(beads, tmp_path, (task,))
    argv = [word for word in arguments(WRITES_ONE_FILE) if word not in ("--run-id", "it")]
    refused = maestro(*argv, cwd=beads.repo.path)
    assert refused.code == 3
    assert "still works" in refused.json["error"]["message"]
    issue = beads.show(task)
    assert (issue["status"], issue["assignee"]) == ("in_progress", "maestro/it")
    (tmp_path / "go").touch()
    said = resume(beads)
    assert (said.code, said.statuses()) == (0, {task: "landed"}), said.err
    assert beads.show(task)["status"] == "closed"


def test_work_that_was_given_back_is_claimed_again_unless_another_run_has_it(beads: Beads, tmp_path: Path) -> None:
    """A run in another clone may have taken up what seemed to be nobody's: it is not done twice."""
    free, theirs = beads.create("Free again"), beads.create("Theirs now")
    scene = die(beads, tmp_path, (free, theirs), "--max-parallel", "2")
    for task in (free, theirs):
        beads("update", task, "--status=open", "--assignee=")
    beads("update", theirs, "--status=in_progress", "--assignee=maestro/elsewhere")
    resumed = subprocess.Popen(
        command_line("resume", "--json"), cwd=beads.repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    scene.until(lambda: any(free in event["tasks"] for event in scene.events("tracker_claimed")[1:]), 60)
    assert beads.show(free)["assignee"] == "maestro/it"
    (tmp_path / "go").touch()
    out, err = resumed.communicate(timeout=120)
    said = Said(resumed.returncode, out, err)
    assert said.statuses() == {free: "landed", theirs: "blocked"}, err
    assert beads.show(free)["status"] == "closed"
    assert (beads.show(theirs)["status"], beads.show(theirs)["assignee"]) == ("in_progress", "maestro/elsewhere")
    assert (tmp_path / f"here-{theirs}").read_text() == "x\n"
