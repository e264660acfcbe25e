"""What dead runs leave on disk: workspaces, branches, files and locks (W-6)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.store.layout import Layout
from maestro.testing.processes import until
from maestro.testing.repository import Repository, make_repository
from maestro.wiring.orphans.act import clear_orphans
from maestro.wiring.orphans.find import find_orphans
from maestro.wiring.orphans.kinds import Kind
from maestro.wiring.orphans.scene import Scene
from tests.integration.orphans.conftest import COMMIT, TOKEN, kinds, make, reasons, started, starting


@pytest.mark.parametrize("kind", ["worktree", "clone", "copy"])
def test_workspaces_of_every_kind_are_saved_and_removed(
    kind: str, repo: Repository, root: Path, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    write("dead", started(repo, "dead", "a", "b", "c"))
    for task, commands in (("a", "true"), ("b", COMMIT), ("c", "echo dirty > dirty")):
        make(repo, root, "dead", task, commands, kind)
    write("other", started(repo, "other", "a"), summary={"status": "completed", "tasks": {}})
    said = reasons(scene(), Kind.WORKSPACE)
    assert [line.rpartition("; ")[2] for line in said] == [
        "nothing is in it that is not on a branch",
        "its work has not landed and is saved first",
        "its work has not landed and is saved first",
    ]
    assert f"the {kind} of task b of run dead, whose coordinator died; " in said[1]
    result = clear_orphans(scene())
    assert (result.problems, result.spared) == ([], [])
    assert all(one.done for one in result.cleared)
    assert repo.show("refs/maestro/saved/dead/b", "x") == "x"
    assert repo.show("refs/maestro/saved/dead/c", "dirty") == "dirty"
    assert not (root / "dead").exists()
    assert kinds(scene()) == []


def test_other_roots_are_known_from_the_journal_and_from_what_the_run_was_told(
    repo: Repository, tmp_path: Path, blueprint_root: Path, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    write("dead", started(repo, "dead", "a", "b"), starting(repo, elsewhere, "dead", "a"))
    make(repo, elsewhere, "dead", "a", COMMIT)
    make(repo, blueprint_root, "dead", "b", COMMIT)
    clear_orphans(scene())
    assert repo.show("refs/maestro/saved/dead/a", "x") == "x"
    assert repo.show("refs/maestro/saved/dead/b", "x") == "x"
    assert not (elsewhere / "dead").exists()
    assert not (blueprint_root / "dead").exists()


def test_parked_and_half_removed_ones_go_but_not_another_repositorys(
    repo: Repository, root: Path, tmp_path: Path, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    write("dead", started(repo, "dead", "a"))
    parked = make(repo, root, "dead", "parked")
    marker = json.loads((parked.home / ".maestro-workspace.json").read_text())
    (parked.home / ".maestro-workspace.json").write_text(json.dumps({**marker, "parked": True}))
    half = root / "dead" / ".removing-task-a-0123"
    half.mkdir()
    (half / "left").write_text("x")
    assert sorted(kinds(scene())) == ["branch", "half_removed", "workspace"]
    theirs = make(make_repository(tmp_path / "other"), root, "dead", "theirs", COMMIT)
    assert sorted(kinds(scene())) == ["branch", "workspace"], "the folder may be the other repository's"
    clear_orphans(scene())
    assert sorted(one.name for one in (root / "dead").iterdir()) == [half.name, "task-theirs"]
    assert (theirs.repo / "x").exists()


def test_a_marker_that_cannot_be_read_is_named_and_its_folder_kept(
    repo: Repository, root: Path, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    write("dead", started(repo, "dead", "a", "b"))
    broken, sound = make(repo, root, "dead", "a", COMMIT), make(repo, root, "dead", "b", COMMIT)
    (broken.home / ".maestro-workspace.json").write_bytes(b"\xff{")
    result = clear_orphans(scene())
    (kept,) = [one for one in result.cleared if not one.done]
    assert (kept.orphan.place, kept.failed) == (str(broken.home), True)
    assert "cannot be read" in kept.why
    assert (broken.repo / "x").exists()
    assert not sound.home.exists()
    assert repo.show("refs/maestro/saved/dead/b", "x") == "x"


def test_what_cannot_be_saved_stays_and_the_rest_is_done(
    repo: Repository, root: Path, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    """As on a full disk: git cannot write the ref."""
    write("dead", started(repo, "dead", "a", "b"))
    unsaved, empty = make(repo, root, "dead", "a", COMMIT), make(repo, root, "dead", "b")
    refs = repo.path / ".git" / "refs" / "maestro"
    refs.write_text("in the way")
    result = clear_orphans(scene())
    kept = [one for one in result.cleared if not one.done]
    assert {one.orphan.place for one in kept} == {str(unsaved.home)}
    assert all(one.failed and one.why for one in kept)
    assert not empty.home.exists()
    refs.unlink()
    assert all(one.done for one in clear_orphans(scene()).cleared)
    assert repo.show("refs/maestro/saved/dead/a", "x") == "x"


def test_branches_go_but_those_of_the_user_and_of_integration(
    repo: Repository, write: Callable[..., Path], scene: Callable[[], Scene], tmp_path: Path
) -> None:
    for name in ("loose", "out"):
        repo.git("checkout", "-q", "-b", f"maestro/dead/{name}", "main")
        repo.commit({name: name})
    repo.git("checkout", "-q", "main")
    for name in ("maestro/dead/kept", "maestro/unknown/mine", "integration/dead"):
        repo.git("branch", name)
    repo.git("worktree", "add", "-q", str(tmp_path / "out"), "maestro/dead/out")
    write("dead", started(repo, "dead", "loose", "out", "kept"))
    assert find_orphans(scene()).problems == []
    said = reasons(scene(), Kind.BRANCH)
    assert said == [
        "branch maestro/dead/kept: made for a task of run dead, whose coordinator died; its commits are kept elsewhere",
        "branch maestro/dead/loose: made for a task of run dead, whose coordinator died; its commits are saved first",
    ]
    clear_orphans(scene())
    left = repo.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()
    assert left == ["integration/dead", "maestro/dead/out", "maestro/unknown/mine", "main"]
    assert repo.show("refs/maestro/saved/dead/loose", "loose") == "loose"


def test_a_disk_that_is_not_there_keeps_what_is_on_it(
    repo: Repository, root: Path, tmp_path: Path, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    """What is shown as going does go; the branch is still checked out in the worktree on that disk."""
    write("dead", started(repo, "dead", "a"))
    workspace = make(repo, root, "dead", "a", COMMIT)
    away = root.rename(tmp_path / "unmounted")
    root.mkdir()  # where it is mounted
    (orphan,) = find_orphans(scene()).orphans
    assert orphan.stays.startswith(f"it is checked out in {workspace.repo}, whose disk is not there")
    (kept,) = clear_orphans(scene()).cleared
    assert (kept.done, kept.failed, kept.why) == (False, True, orphan.stays)
    assert root.is_dir()
    assert repo.git("for-each-ref", "refs/maestro/saved") == ""
    root.rmdir()
    away.rename(root)
    assert all(one.done for one in clear_orphans(scene()).cleared)
    assert repo.show("refs/maestro/saved/dead/a", "x") == "x"


WRITES = """
import os, sys
from pathlib import Path
from maestro.store import atomic
os.replace = lambda *_: (print(flush=True), sys.stdin.read()) and os._exit(9)
atomic.write_atomically(Path(sys.argv[1]), b"new")
"""


def test_files_of_dead_writers_go_and_those_of_live_ones_stay(
    repo: Repository, layout: Layout, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    folder = write("dead", started(repo, "dead", "a"))
    group = layout.group("g")
    group.mkdir(parents=True)
    writers = []
    for target in (folder / "summary.json", group / "metadata.json"):
        argv = [sys.executable, "-c", WRITES, str(target)]
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        writers.append(child)
    (folder / ".notes.1-2.tmp").write_text("somebody's own")
    assert kinds(scene()) == []
    for child in writers:
        child.communicate()
    (layout.runs / ".gone.0123abcd.log").write_text("it began\n")
    said = reasons(scene(), Kind.TEMPORARY)
    assert [line.partition(": ")[2] for line in said] == [
        f"process {writers[0].pid} was writing it and is gone",
        f"process {writers[1].pid} was writing it and is gone",
        "what run gone said when it began in the background; no process has it open",
    ]
    assert all(one.done for one in clear_orphans(scene()).cleared)
    assert sorted(path.name for path in folder.iterdir()) == [".notes.1-2.tmp", "blueprint.json", "journal.jsonl"]
    assert kinds(scene()) == []


def test_what_a_coordinator_was_writing_beside_the_backlog(
    repo: Repository, write: Callable[..., Path], scene: Callable[[], Scene]
) -> None:
    begin = started(repo, "dead", "a", tracker="taskfile:plan/tasks.json").evolve(pid=2**22, pid_started=7.25)
    plan = repo.path / "plan"
    plan.mkdir()
    left = plan / f".tasks.json.{2**22}-725.abcd0123.tmp"
    others = [plan / f".tasks.json.{2**22}-726.abcd0123.tmp", plan / f".other.json.{2**22}-725.abcd0123.tmp"]
    for file in (left, *others):
        file.touch()
    write("dead", begin)
    assert [one.place for one in find_orphans(scene()).orphans] == [str(left)]
    clear_orphans(scene())
    assert sorted(plan.iterdir()) == sorted(others)


def test_locks_of_refs_of_a_git_that_was_killed_go(
    repo: Repository,
    write: Callable[..., Path],
    scene: Callable[[], Scene],
    sleeper: Callable[..., subprocess.Popen[bytes]],
) -> None:
    write("dead", started(repo, "dead", "a"))
    repo.git("update-ref", "refs/maestro/saved/dead/a", "HEAD")
    heads, saved = repo.path / ".git" / "refs" / "heads" / "integration", repo.path / ".git/refs/maestro/saved"
    heads.mkdir()
    stale = [heads / "dead.lock", heads / "level-2-dead.lock", saved / "dead" / "a.lock"]
    others = [heads / "not-dead.lock", saved / "b.lock"]
    for lock in (*stale, *others):
        lock.touch()
    agent = sleeper(MAESTRO_ATTEMPT=f"{TOKEN}/dead/a/1")
    until(lambda: kinds(scene()) == ["process"])  # it may be one of its processes that is at them
    agent.kill()
    agent.wait()
    with stale[0].open("w"):
        script = f"import sys; file = open({str(stale[1])!r}, 'a'); print(flush=True); sys.stdin.read()"
        holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        holder.stdout.readline()
        assert {one.place for one in find_orphans(scene()).orphans} == {str(stale[0]), str(stale[2])}
        holder.communicate()
    assert kinds(scene()) == ["git_lock"] * 3
    clear_orphans(scene())
    assert [lock.exists() for lock in (*stale, *others)] == [False] * 3 + [True] * 2
