"""What dead runs leave at work, and what is held meanwhile: processes, claims, the tracker (W-6)."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import Busy
from maestro.model.events import (
    AttemptSpawned,
    Event,
    Landed,
    RunEnded,
    TrackerClaimed,
    TrackerClaiming,
)
from maestro.model.states import RunStatus
from maestro.proc.family import start_time
from maestro.proc.roles import COORDINATOR, GATE, REFRESH
from maestro.store.claims import claim, hold_dead
from maestro.store.layout import Layout
from maestro.testing.processes import until
from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import open_repository
from maestro.wiring.orphans.act import clear_orphans
from maestro.wiring.orphans.find import EVERYTHING, find_orphans
from maestro.wiring.orphans.kinds import Kind
from maestro.wiring.orphans.scene import Scene, Standing
from tests.integration.orphans.conftest import AT, COMMIT, TOKEN, kinds, make, reasons, started, starting


def test_a_git_of_the_coordinator_is_waited_for(
    repo: Repository, tmp_path: Path, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    write("dead", started(repo, "dead", "a"))
    done, go = tmp_path / "done", tmp_path / "go"
    env = {**os.environ, "MAESTRO_ATTEMPT": f"{TOKEN}/dead/{COORDINATOR}/1"}
    script = f"until [ -e '{go}' ]; do sleep 0.02; done; touch '{done}'"
    child = subprocess.Popen(["sh", "-c", script], env=env)
    until(lambda: any("by the coordinator itself of" in one for one in reasons(scene(), Kind.PROCESS)))
    threading.Timer(0.5, go.touch).start()
    assert all(one.done for one in clear_orphans(scene()).cleared)
    assert (child.wait(), done.exists()) == (0, True)


def test_claims_of_dead_runs_go(
    repo: Repository, layout: Layout, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    write("dead", started(repo, "dead", "a"))
    live = layout.locks / "live"
    live.mkdir(parents=True)
    for name in ("dead", "never-begun"):
        (live / f"{name}.json").write_text("{")
    held = claim(layout.locks, run_id="lives", since="now", backlog="b", tasks=["z"], groups=[])
    assert [one.run_id for one in find_orphans(scene()).orphans] == ["dead", "never-begun"]
    assert all(one.done for one in clear_orphans(scene()).cleared)
    assert [path.name for path in live.iterdir()] == ["lives.json"]
    held.release()


def test_an_empty_folder_of_a_run_goes(layout: Layout, scene: Callable[[], Scene]) -> None:
    layout.run("begun").mkdir(parents=True)
    assert kinds(scene()) == ["empty_folder"]
    clear_orphans(scene())
    assert not layout.run("begun").exists()


def test_a_run_that_is_resumed_in_this_moment_is_spared(
    repo: Repository, root: Path, layout: Layout, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    write("dead", started(repo, "dead", "a"))
    workspace = make(repo, root, "dead", "a", COMMIT)
    look = scene()
    assert look.facts("dead").standing is Standing.UNFINISHED
    assert [one.run_id for one in find_orphans(look).orphans][:1] == ["dead"]
    held = claim(layout.locks, run_id="dead", since="now", backlog="b", tasks=["a"], groups=[])
    assert kinds(scene()) == []
    assert clear_orphans(scene()).cleared == []
    held.release()
    cleaning = hold_dead(layout.locks, run_id="dead", since="now", backlog="none:x", tasks=["a"])
    with pytest.raises(Busy, match="run dead is being cleaned up"):
        claim(layout.locks, run_id="dead", since="now", backlog="b", tasks=["a"], groups=[])
    cleaning.release()
    assert (workspace.repo / "x").exists()


def test_resumed_between_the_look_and_the_act(
    repo: Repository, root: Path, layout: Layout, write: Callable[..., Path], scene: Callable[[], Scene], mocker: Any
) -> None:
    write("dead", started(repo, "dead", "a"))
    workspace = make(repo, root, "dead", "a", COMMIT)
    from maestro.wiring.orphans import act

    held = []

    def resumed_first(*args: Any, **kwargs: Any) -> Any:
        held.append(claim(layout.locks, run_id="dead", since="now", backlog="b", tasks=["a"], groups=[]))
        return hold_dead(*args, **kwargs)

    mocker.patch.object(act, "hold_dead", resumed_first)
    result = clear_orphans(scene())
    assert [line.partition(" (")[0] for line in result.spared] == ["run dead"]
    assert result.spared[0].endswith("is already under way: it was left alone")
    assert (result.cleared, result.problems) == ([], [])
    assert (workspace.repo / "x").exists()
    held[0].release()


@pytest.mark.parametrize("token_from", ["blueprint", "journal", "the repository it names"])
def test_whose_a_process_is(
    token_from: str,
    repo: Repository,
    root: Path,
    write: Callable[..., Path],
    scene: Callable[[], Scene],
    sleeper: Callable[..., subprocess.Popen[bytes]],
) -> None:
    events: list[Event] = [started(repo, "dead", "a")]
    if token_from == "journal":
        events.append(starting(repo, root, "dead", "a"))
    write("dead", *events, token=TOKEN if token_from == "blueprint" else None)
    named = {"MAESTRO_REPOSITORY": str(repo.path)} if token_from.startswith("the") else {}
    agent = sleeper(MAESTRO_ATTEMPT=f"{TOKEN}/dead/a/1", **named)
    gate = sleeper(MAESTRO_ATTEMPT=f"{TOKEN}/dead/{GATE}/3")
    refresh = sleeper(MAESTRO_ATTEMPT=f"{TOKEN}/dead/{REFRESH}/X")
    spared = [
        sleeper(),
        sleeper(MAESTRO_ATTEMPT="dead"),
        sleeper(MAESTRO_ATTEMPT=f"{TOKEN}/deadly/a/1"),
        sleeper(MAESTRO_ATTEMPT=f"{TOKEN}/../dead/a/1"),
        sleeper(MAESTRO_ATTEMPT="bbbb2222/dead/a/1", MAESTRO_REPOSITORY=f"{repo.path}-other"),
    ]
    look = scene()
    until(lambda: len({one.pid for one in find_orphans(scene()).orphans}) == 3)
    said = {one.pid: one.reason for one in find_orphans(scene()).orphans}
    assert said[agent.pid].endswith("by attempt 1 of task a of run dead, whose coordinator died")
    assert said[gate.pid].endswith("by run 3 of the tests of run dead, whose coordinator died")
    assert said[refresh.pid].endswith("by the refresh of group X of run dead, whose coordinator died")
    look.look_again()
    assert all(one.done for one in clear_orphans(look).cleared)
    assert [child.wait(5) for child in (agent, gate, refresh)] == [-2, -2, -2]
    assert [child.poll() for child in spared] == [None] * len(spared)


def test_runs_inside_of_workspaces_of_another_repository_or_of_the_users_are_not_ended(
    repo: Repository,
    root: Path,
    tmp_path: Path,
    write: Callable[..., Path],
    scene: Callable[[], Scene],
    sleeper: Callable[..., subprocess.Popen[bytes]],
) -> None:
    """Two repositories have a run of that name and one root; and somebody works in what the dead run left."""
    write("dead", started(repo, "dead", "a", "b"))
    ours, users = make(repo, root, "dead", "a"), make(repo, root, "dead", "b")
    theirs = make(make_repository(tmp_path / "other"), root, "dead", "theirs")
    held = claim(Layout(users.repo).locks, run_id="inner", since="now", backlog="b", tasks=["x"], groups=[])
    orphan, spared, also = (
        sleeper(MAESTRO_ATTEMPT=f"{secrets.token_hex(4)}/inner/x/1", MAESTRO_REPOSITORY=str(one.repo))
        for one in (ours, theirs, users)
    )
    until(lambda: {one.pid for one in find_orphans(scene()).orphans if one.kind is Kind.PROCESS} == {orphan.pid})
    clear_orphans(scene())
    assert (orphan.wait(5), spared.poll(), also.poll()) == (-2, None, None)
    held.release()


def test_nothing_is_ended_that_this_command_was_started_by(repo: Repository, write: Callable[..., Path]) -> None:
    write("dead", started(repo, "dead", "a"))
    env = {**os.environ, "MAESTRO_ATTEMPT": f"{TOKEN}/dead/a/1"}
    script = f"{sys.executable} -m maestro cleanup-orphans --force --json; echo alive >&2"
    done = subprocess.run(["sh", "-c", script], cwd=repo.path, env=env, capture_output=True, text=True, check=False)
    assert done.stderr.endswith("alive\n")
    (kept,) = json.loads(done.stdout)["orphans"]
    assert kept["why_it_stays"] == "this very command was started by it: call it from outside"


def test_what_ended_in_order_keeps_its_processes_no_longer_but_what_the_user_keeps(
    repo: Repository,
    root: Path,
    layout: Layout,
    write: Callable[..., Path],
    scene: Callable[[], Scene],
    sleeper: Callable[..., subprocess.Popen[bytes]],
) -> None:
    ended = RunEnded(at=AT, status=RunStatus.COMPLETED)
    write("ended", started(repo, "ended", "a"), ended, summary={"status": "completed", "tasks": {}})
    settings = {"version": 1, "token": TOKEN, "settings": {"keep_workspaces": True}}
    layout.blueprint("ended").write_text(json.dumps(settings))
    workspace = make(repo, root, "ended", "a", COMMIT)
    daemon = sleeper(MAESTRO_ATTEMPT=f"{TOKEN}/ended/a/1")
    until(lambda: [one.pid for one in find_orphans(scene()).orphans] == [daemon.pid])
    (orphan,) = find_orphans(scene()).orphans
    assert (orphan.cause, orphan.reason.endswith("of run ended, which has ended")) == ("run_ended", True)
    clear_orphans(scene())
    daemon.wait(5)
    assert (workspace.repo / "x").exists()
    assert repo.git("branch", "--list", "maestro/ended/a") != ""
    waits = {"status": "interrupted", "tasks": {}}
    write("waits", started(repo, "waits", "a"), summary=waits)
    make(repo, root, "waits", "a", COMMIT)
    assert kinds(scene()) == [], "`maestro resume` goes on in it"


def test_the_tracker_is_told_what_the_run_could_not_tell(
    repo: Repository, layout: Layout, scene: Callable[[], Scene], tmp_path: Path
) -> None:
    """A landing that was written down and not told; the tracker is the one that the run had."""
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps({"tasks": [{"id": "a"}, {"id": "b"}]}))
    from maestro.config.settings import Settings
    from maestro.store.blueprint import Blueprint, write_blueprint
    from maestro.wiring.backlog import plan_backlog

    settings = Settings(tasks_file=tasks, no_tests=True)
    backlog = plan_backlog(open_repository(repo.path), settings)
    layout.run("dead").mkdir(parents=True)
    blueprint = Blueprint(
        run_id="dead",
        token=TOKEN,
        settings=settings,
        plan=backlog.plan,
        base=repo.head,
        base_branch="main",
        root=tmp_path / "w" / "dead",
        tracker_kind=backlog.tracker.kind,
        tracker_identity=backlog.tracker.identity,
    )
    write_blueprint(layout.blueprint("dead"), blueprint)
    repo.git("branch", "integration/dead")
    events = [
        started(repo, "dead", "a", "b", tracker=backlog.tracker.identity),
        TrackerClaiming(at=AT, tasks=("b",)),
        TrackerClaimed(at=AT, tasks=("b",)),
        Landed(at=AT, task="a", commit=repo.head, branch="integration/dead"),
    ]
    lines = ['{"journal": "maestro", "version": 1}', *(event.model_dump_json() for event in events)]
    layout.journal("dead").write_text("\n".join(lines) + "\n")
    said = reasons(scene(), Kind.TRACKER)
    assert said == [
        "task a in the tracker: it landed in run dead, whose coordinator died, before the tracker was told",
        "task b in the tracker: held for run dead, whose coordinator died",
    ]
    assert all(one.done for one in clear_orphans(scene()).cleared)
    done = plan_backlog(open_repository(repo.path), settings).done_before
    assert done == {"a": repo.head}
    assert kinds(scene()) == []
    with layout.journal("dead").open("a") as journal:  # it was resumed since, and died again
        journal.write(TrackerClaiming(at=AT, tasks=("b",)).model_dump_json() + "\n")
    assert kinds(scene()) == ["tracker", "tracker"]
    tasks.unlink()
    result = clear_orphans(scene())
    assert {one.failed for one in result.cleared} == {True}
    assert all(one.why.endswith("the next `maestro run` over this backlog does it") for one in result.cleared)


def test_an_agent_of_another_users_is_named_and_left(
    repo: Repository, root: Path, write: Callable[..., Path], scene: Callable[[], Scene], mocker: Any
) -> None:
    """Its marker cannot be read; its pid and start time are those of the journal."""
    from maestro.wiring.orphans import processes

    child = subprocess.Popen(["sleep", "1000"])
    try:
        spawned = AttemptSpawned(
            at=AT,
            task="a",
            attempt_id=f"{TOKEN}/dead/a/1",
            pid=child.pid,
            pid_started=start_time(child.pid) or 0.0,
        )
        write("dead", started(repo, "dead", "a"), starting(repo, root, "dead", "a"), spawned)
        assert kinds(scene()) == [], "one that can be read and has no marker is not ours"
        mocker.patch.object(processes, "can_be_read", return_value=False)
        mocker.patch.object(processes, "owner", return_value="somebody")
        workspace = make(repo, root, "dead", "a", COMMIT)
        orphan, place = find_orphans(scene()).orphans
        assert orphan.stays == "it belongs to somebody and its marker cannot be read: end it as somebody"
        assert place.stays == f"process {child.pid} works in it, which nobody here can end"
        kept = clear_orphans(scene()).cleared
        assert [(one.done, one.failed) for one in kept] == [(False, True)] * 2
        assert (workspace.repo / "x").exists()
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_a_repository_and_a_root_with_odd_names(tmp_path: Path) -> None:
    odd = make_repository(tmp_path / os.fsdecode(b"a \xff\nb"))
    layout = Layout(odd.path)
    root = tmp_path / os.fsdecode(b"w \xfe")
    make(odd, root, "dead", "a", COMMIT)
    layout.run("dead").mkdir(parents=True)
    env = {**os.environb, b"MAESTRO_WORKSPACE_ROOT": os.fsencode(root)}
    argv = [sys.executable, "-m", "maestro", "cleanup-orphans"]
    for more in ([], ["--json"], ["--force", "--json"]):
        done = subprocess.run([*argv, *more], cwd=odd.path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "task-a" in done.stdout
        assert "Traceback" not in done.stderr
    assert odd.show("refs/maestro/saved/dead/a", "x") == "x"


BROKEN_OFF = """
import os, sys
from maestro.cli.main import main
from maestro.wiring.orphans import act

class Last:
    def __init__(self, kind):
        self.kind = kind
    def find(self, scene, run):
        return self.kind.find(scene, run)
    def runs(self, scene):
        return self.kind.runs(scene)
    def clear(self, scene, run):
        self.kind.clear(scene, run)
        os._exit(9)

kinds = list(act.EVERYTHING)
kinds[int(sys.argv[1])] = Last(kinds[int(sys.argv[1])])
act.EVERYTHING = tuple(kinds)
main(["cleanup-orphans", "--force"])
"""


@pytest.mark.parametrize("number", range(len(EVERYTHING)), ids=lambda number: type(EVERYTHING[number]).__name__)
def test_broken_off_after_each_kind_it_is_finished_by_the_next(
    number: int,
    repo: Repository,
    root: Path,
    layout: Layout,
    write: Callable[..., Path],
    scene: Callable[[], Scene],
    sleeper: Callable[..., subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAESTRO_WORKSPACE_ROOT", str(root))
    monkeypatch.setenv("MAESTRO_STOP_INTERRUPT_SECONDS", "0.3")
    folder = write("dead", started(repo, "dead", "a", "b"))
    for task, commands in (("a", COMMIT), ("b", "echo dirty > dirty")):
        make(repo, root, "dead", task, commands)
    (root / "dead" / ".removing-task-c-01").mkdir()
    (folder / ".summary.json.1-1.abcd0123.tmp").touch()
    (repo.path / ".git" / "refs" / "heads" / "maestro" / "dead" / "a.lock").touch()
    (layout.locks / "live").mkdir(parents=True)
    (layout.locks / "live" / "dead.json").write_text("{}")
    agent = sleeper(MAESTRO_ATTEMPT=f"{TOKEN}/dead/a/1")
    until(lambda: "process" in kinds(scene()))
    first = subprocess.run([sys.executable, "-c", BROKEN_OFF, str(number)], cwd=repo.path, check=False)
    assert first.returncode == 9
    assert all(one.done for one in clear_orphans(scene()).cleared)
    assert kinds(scene()) == []
    assert agent.wait(5) == -2
    assert repo.show("refs/maestro/saved/dead/a", "x") == "x"
    assert repo.show("refs/maestro/saved/dead/b", "dirty") == "dirty"
    assert repo.git("for-each-ref", "--format=%(refname)", "refs/heads", "refs/maestro").splitlines() == [
        "refs/heads/main",
        "refs/maestro/saved/dead/a",
        "refs/maestro/saved/dead/b",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["blueprint.json", "journal.jsonl"]
