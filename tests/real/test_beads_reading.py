"""Reading beads for real: what becomes a task, which database is meant, and what is refused (T-1)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress
from maestro.testing.repository import Repository
from maestro.trackers.beads.tracker import Beads as Tracker
from maestro.trackers.detect import detect
from maestro.trackers.registry import open_tracker
from tests.real.beads_lab import EPIC, NOTE, Lab, make_lab

pytestmark = pytest.mark.timeout(180)

ODD = "a \"quoted\" 'title'\nwith a line, 😀 <b> & ünïcode"


@pytest.fixture
def lab(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(bd, tmp_path, tmp_path_factory)


def test_dependencies_that_hold_back_and_those_that_do_not(lab: Lab) -> None:
    first, other = lab.bd.create(ODD), lab.bd.create("other")
    epic = lab.bd.create("epic", *EPIC)
    child, second = lab.bd.create("child", "--parent", epic), lab.bd.create("second", "--parent", epic, needs=first)
    related = lab.bd.create("related")
    lab.bd("dep", "add", related, first, "-t", "related")
    lab.bd("dep", "add", other, first, "-t", "conditional-blocks")
    lab.bd("create", "--title=found", "--description=x", f"--deps=discovered-from:{first}", "--silent")
    tasks = {task.title: task for task in lab.tracker().load()}
    made = [ODD, "other", "child", "second", "related", "found"]  # the epic is worked on through its own
    # within a second, 1.x knows only of the children of one parent which was made first
    assert list(tasks) == made if lab.is_sqlite else sorted(tasks) == sorted(made)
    assert list(tasks).index("child") < list(tasks).index("second")
    assert {title: task.dependencies for title, task in tasks.items() if task.dependencies} == {
        "other": (first,),
        "second": (first,),
    }
    assert tasks["child"].id == child
    assert tasks["second"].id == second
    assert tasks["child"].context["part_of"] == f"{epic} epic"


def test_waiting_for_an_epic_is_waiting_for_all_below_it(lab: Lab) -> None:
    """1.x lets only an epic wait for an epic; what that epic is made of then waits."""
    blocker, blocked = lab.bd.create("blocker", *EPIC), lab.bd.create("blocked", *EPIC)
    first, second = (lab.bd.create(name, "--parent", blocker) for name in ("first", "second"))
    waiting = lab.bd.create("waiting", "--parent", blocked)
    lab.bd("dep", "add", blocked, blocker)
    tasks = {task.id: task for task in lab.tracker().load()}
    assert set(tasks[waiting].dependencies) == {first, second}
    if lab.is_sqlite:
        lab.bd("dep", "add", lab.bd.create("direct"), blocker)
        assert {"direct": {first, second}}.items() <= {
            task.title: set(task.dependencies) for task in lab.tracker().load()
        }.items()


def test_states_and_who_holds_what(lab: Lab) -> None:
    names = {
        word: lab.bd.create(word) for word in ("open", "blocked", "deferred", "closed", "pinned", "worked", "gone")
    }
    for word in ("blocked", "deferred"):
        lab.bd("update", names[word], "--status", word)
    lab.bd("close", names["closed"])
    if not lab.is_sqlite:  # 0.47 makes `hooked` of it
        lab.bd("update", names["pinned"], "--status", "pinned")
    lab.bd("update", names["worked"], "--status", "in_progress")
    lab.bd("delete", names["gone"], "--force")
    gate = lab.bd.create("a gate", "-t", "gate")
    behind = lab.bd.create("behind the gate", needs=gate)
    lab.bd.create("a lonely gate", "-t", "gate")
    tasks = {task.title: task for task in lab.tracker().load()}
    assert {title: task.progress for title, task in tasks.items()} == {
        "open": Progress.OPEN,
        "blocked": Progress.BLOCKED,
        "deferred": Progress.DEFERRED,
        "closed": Progress.DONE,
        "pinned": Progress.OPEN if lab.is_sqlite else Progress.DONE,
        "worked": Progress.IN_PROGRESS,
        "a gate": Progress.OPEN,
        "behind the gate": Progress.OPEN,
    }
    assert "nobody is named" in tasks["worked"].set_aside
    assert tasks["a gate"].set_aside == "is a gate of beads, not work for an agent"
    assert tasks["behind the gate"].dependencies == (gate,)
    assert behind in lab.tracker_loaded().selected(None, [])
    assert gate not in lab.tracker_loaded().selected(None, [])


def test_texts_labels_and_who_does_it(lab: Lab) -> None:
    details = '{"subagent_type": "test-automator", "fallback_agents": ["python-pro"], "files": ["tests/a.py"]}'
    text = f"Do it.\n\n```json\n{details}\n```\n"
    flags = ["--acceptance", "it works", "--design", "small steps", "-l", "api,parallel:Group-7", "-p", "0"]
    lab.bd("create", "--title=T", f"--description={text}", *flags, "--silent")
    if not lab.is_sqlite:
        lab.bd("create", "--title=M", "--description=x", "--metadata", details, "--silent")
    tasks = {task.title: task for task in lab.tracker().load()}
    for task in tasks.values():
        assert task.subagent_type == "test-automator"
        assert (task.fallback_agents, task.files) == (("python-pro",), ("tests/a.py",))
    task = tasks["T"]
    assert (task.acceptance, task.context["design"], task.priority) == ("it works", "small steps", 0)
    assert set(task.labels) == {"api", "parallel:Group-7"}


def test_selection(lab: Lab) -> None:
    epic, other = lab.bd.create("epic", *EPIC), lab.bd.create("other", *EPIC)
    inner = lab.bd.create("inner", *EPIC, "--parent", epic)
    deep, flat = lab.bd.create("deep", "--parent", inner, "-l", "x,y"), lab.bd.create("flat", "--parent", epic)
    lone = lab.bd.create("lone", "-l", "x")
    tracker = lab.tracker_loaded()
    lab.calls()
    assert tracker.selected(epic, []) == {deep, flat}
    assert tracker.selected(inner, []) == {deep}
    assert tracker.selected(None, ["x"]) == {deep, lone}
    assert tracker.selected(epic, ["x", "y"]) == {deep}
    assert tracker.selected(other, []) == {other}  # without children it is a task
    assert lab.calls() == []
    with pytest.raises(BadInput, match="there is no issue 'demo'"):  # bd would take it for one of them
        tracker.selected("demo", [])


def test_two_hundred_issues_by_one_call(lab: Lab, tmp_path: Path) -> None:
    at = "2026-01-01T00:00:00Z"
    issues = [
        {"id": f"demo-{number:03d}", "title": f"T{number}", "status": "open", "priority": 2, "issue_type": "task",
         "created_at": at, "updated_at": at}
        for number in range(210)
    ]  # fmt: skip
    (tmp_path / "issues.jsonl").write_text("\n".join(map(json.dumps, issues)))
    lab.bd("import", *(["-i"] if lab.is_sqlite else []), str(tmp_path / "issues.jsonl"))
    tracker = lab.tracker()
    assert [task.id for task in tracker.load()] == [issue["id"] for issue in issues]
    assert lab.calls() == ["version", "where", "export"]


def test_an_empty_database_is_read_as_empty_only_where_beads_says_so(lab: Lab) -> None:
    assert lab.tracker().load() == []
    lab.bd.create("T")
    lab.hook('[ "$verb" = export ] && exit 0')
    with pytest.raises(TrackerError, match="`bd export` gave nothing"):
        lab.tracker().load()
    lab.hook('[ "$verb" = export ] || [ "$verb" = list ] && exit 0')
    with pytest.raises(TrackerError, match="`bd list` gave an empty answer"):
        lab.tracker().load()


def test_notices_before_the_json_and_an_envelope_around_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.bd.create("T")
    monkeypatch.setenv("BD_JSON_ENVELOPE", "1")
    monkeypatch.setenv("BD_AGENT_MODE", "1")
    lab.hook('echo "[notice] a new version of bd is there: {1.9}"; echo "* see the changelog"')
    tracker = lab.tracker()
    [task] = tracker.load()
    tracker.claim(task.id, NOTE)
    tracker.write(task.id, Progress.DONE, NOTE)
    lab.hook("export BD_JSON_ENVELOPE=1")  # as if bd had it in a configuration of its own
    [task] = lab.tracker().load()
    assert task.progress is Progress.DONE


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ('echo \'{"version": "0.55.1"}\'', "the `bd` on PATH is beads 0.55.1, which maestro does not know"),
        ('echo \'{"version": "2.0.0"}\'', "the `bd` on PATH is beads 2.0.0, which maestro does not know"),
        ('echo \'{"version": "dev"}\'', "the `bd` on PATH does not say which version of beads it is"),
        ("echo 0.47.1", "`bd version` gave no JSON: 0.47.1"),
        ("true", "`bd version` gave an empty answer"),
        ("echo 'Error: broken' >&2; exit 3", "`bd version` failed: broken"),
    ],
)
def test_a_bd_that_is_not_known_is_refused(lab: Lab, version: str, said: str) -> None:
    lab.hook(f"{version}; exit 0")
    with pytest.raises(BadInput) as caught:
        lab.tracker().load()
    assert caught.value.message == said
    assert caught.value.hint


def test_no_bd_at_all(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(str(shutil.which("git")))
    with pytest.raises(BadInput, match="there is no `bd` on PATH") as caught:
        Tracker(lab.path, None, {**os.environ, "PATH": str(tmp_path / "bin")}).load()
    assert "--tasks-file" in caught.value.hint


def test_a_linked_worktree_uses_the_database_of_the_main_checkout(lab: Lab, tmp_path: Path) -> None:
    name = lab.bd.create("T")
    worktree = tmp_path / "worktree"
    lab.bd.repo.git("worktree", "add", "-q", str(worktree))
    assert [one.kind for one in detect(worktree)] == ["beads"]
    tracker = open_tracker("auto", repository=worktree, environ=os.environ)
    assert tracker.identity == f"beads:{(lab.path / '.beads').resolve()}"
    assert [task.id for task in tracker.load()] == [name]
    assert not (worktree / ".beads").exists()


def test_a_clone_gets_no_database_of_its_own(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.47 would build one out of the tracked issues, and nobody would see the difference."""
    name = lab.bd.create("T")
    (lab.path / ".git" / "info" / "exclude").write_text("")
    lab.bd.repo.git("add", "-A")
    lab.bd.repo.git("commit", "-q", "-m", "track the issues")
    clone = tmp_path / "clone"
    Repository(tmp_path).git("clone", "-q", str(lab.path), str(clone))
    before = sorted((clone / ".beads").rglob("*"))
    with pytest.raises(BadInput, match="has no database, only what git keeps of one") as caught:
        open_tracker("beads", repository=clone, environ=os.environ)
    assert "BEADS_DIR" in caught.value.hint
    assert sorted((clone / ".beads").rglob("*")) == before
    (clone / ".beads" / "redirect").write_text(f"{lab.path / '.beads'}\n")
    assert [task.id for task in open_tracker("beads", repository=clone, environ=os.environ).load()] == [name]
    (clone / ".beads" / "redirect").unlink()
    monkeypatch.setenv("BEADS_DIR", str(lab.path / ".beads"))
    tracker = open_tracker("beads", repository=clone, environ=os.environ)
    assert [task.id for task in tracker.load()] == [name]
    assert tracker.identity == lab.tracker().identity


@pytest.mark.parametrize("wrong", ["missing", "the project", "relative"])
def test_a_wrong_beads_dir_is_refused(lab: Lab, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """bd itself ignores it without a word, and uses what it finds from the current directory."""
    path = {"missing": lab.path / "nowhere", "the project": lab.path, "relative": Path(".beads")}[wrong]
    monkeypatch.setenv("BEADS_DIR", str(path))
    with pytest.raises(BadInput, match="BEADS_DIR"):
        lab.tracker()


def test_a_bd_that_uses_another_database_is_refused(lab: Lab) -> None:
    lab.hook('[ "$verb" = where ] && { echo \'{"path": "/elsewhere/.beads"}\'; exit 0; }')
    with pytest.raises(BadInput, match=r"bd uses the database in /elsewhere/\.beads, not the one in"):
        lab.tracker().load()


def test_a_database_of_the_other_era_is_said_to_be_one(lab: Lab) -> None:
    """bd would only say that there is none."""
    folder = lab.path / ".beads"
    shutil.rmtree(folder)
    folder.mkdir()
    if lab.is_sqlite:
        (folder / "embeddeddolt").mkdir()
        (folder / "metadata.json").write_text('{"database": "dolt", "backend": "dolt", "dolt_mode": "embedded"}')
    else:
        (folder / "beads.db").write_text("SQLite")
    of = "1.x (Dolt)" if lab.is_sqlite else "0.4x (SQLite)"
    with pytest.raises(BadInput) as caught:
        lab.tracker().load()
    assert f"is one of beads {of}, and bd here is" in caught.value.message


def test_issues_that_conflict_in_git_are_refused(lab: Lab) -> None:
    lab.bd.create("T")
    (lab.path / ".beads" / "issues.jsonl").write_text(
        '{"id": "demo-1"}\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n'
    )
    with pytest.raises(BadInput, match=r"issues\.jsonl has conflict markers of git \(line 2\)"):
        lab.tracker().load()


def test_a_cycle_is_left_for_planning_to_refuse(lab: Lab) -> None:
    """bd refuses to make one, so it takes another tool."""
    first = lab.bd.create("first")
    second = lab.bd.create("second", needs=first)
    with pytest.raises(AssertionError, match="cycle"):
        lab.bd("dep", "add", first, second)
    if lab.is_sqlite:
        lab.sql(
            "INSERT INTO dependencies (issue_id, depends_on_id, type, created_at, created_by)"
            f" VALUES ('{first}', '{second}', 'blocks', '2026-01-01', 'x')"
        )
        assert [task.dependencies for task in lab.tracker().load()] == [(second,), (first,)]
