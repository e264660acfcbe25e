"""What becomes of tasks, in beads for real: what landed is closed, what did not is open again, and people win (T-1)."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import TrackerError
from maestro.model.report import Discovery
from maestro.model.task import Progress
from maestro.trackers.base import Note, Writing
from maestro.trackers.beads.tracker import Beads as Tracker
from tests.real.beads_lab import EPIC, FAILED, LANDED, NOTE, RUN, Lab, make_lab

pytestmark = pytest.mark.timeout(180)

FAILURE_WORDS = ("failed", "rejected", "wontfix", "cancel", "abandon", "blocked", "error", "timeout", "aborted")


@pytest.fixture
def lab(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(bd, tmp_path, tmp_path_factory)


def writes(progress: Progress, note: Note, *names: str) -> list[Writing]:
    return [Writing(task=name, progress=progress, note=note) for name in names]


def claimed(lab: Lab, *names: str) -> Tracker:
    tracker = lab.tracker()
    tracker.load()
    assert tracker.claim_many(dict.fromkeys(names, NOTE)) == {}
    lab.calls()
    return tracker


def found(lab: Lab, *names: str) -> list[dict[str, Any]]:
    issues = {one["id"]: one for one in json.loads(lab.bd("show", *names, "--json"))}
    return [issues[name] for name in names]


def test_landed_is_closed_noted_and_beads_agrees(lab: Lab) -> None:
    first = lab.bd.create("first")
    second = lab.bd.create("second", needs=first)
    tracker = claimed(lab, first)
    assert tracker.write_many(writes(Progress.DONE, LANDED, first)) == {}
    [issue] = found(lab, first)
    assert (issue["status"], issue["close_reason"]) == ("closed", f"Landed as {LANDED.commit}")
    assert not any(word in issue["close_reason"].lower() for word in FAILURE_WORDS)
    assert all(text in issue["notes"] for text in (RUN, str(LANDED.commit), str(LANDED.branch)))
    assert lab.bd.ready() == {second}


def test_an_epic_is_closed_with_its_last_issue_and_its_own_epic_in_turn(lab: Lab) -> None:
    top = lab.bd.create("top", *EPIC)
    epic = lab.bd.create("epic", *EPIC, "--parent", top)
    first, second = (lab.bd.create(name, "--parent", epic) for name in ("first", "second"))
    tracker = claimed(lab, first, second)
    tracker.write(first, Progress.DONE, LANDED)
    assert [one["status"] for one in found(lab, top, epic)] == ["open", "open"]
    tracker.write(second, Progress.DONE, LANDED)
    assert [one["status"] for one in found(lab, top, epic)] == ["closed", "closed"]
    tracker.write(second, Progress.OPEN, FAILED)  # rolled back
    assert [one["status"] for one in found(lab, top, epic, second)] == ["open", "open", "open"]


def test_an_epic_that_gets_one_more_child_while_its_last_is_closed_stays_open(lab: Lab) -> None:
    epic = lab.bd.create("epic", *EPIC)
    only = lab.bd.create("only", "--parent", epic)
    tracker = claimed(lab, only)
    lab.hook_once("update", lab.a_person("create", "--title=one more", "--description=x", "--parent", epic))
    tracker.write(only, Progress.DONE, LANDED)
    assert len(lab.bd.all()) == 3
    assert [one["status"] for one in found(lab, epic, only)] == ["open", "closed"]


@pytest.mark.parametrize(
    ("progress", "status"), [(Progress.OPEN, "open"), (Progress.BLOCKED, "blocked"), (Progress.CANCELLED, "open")]
)
def test_what_did_not_land_is_nobodys_and_says_why(lab: Lab, progress: Progress, status: str) -> None:
    first, second = lab.bd.create("first"), lab.bd.create("second")
    tracker = claimed(lab, first, second)
    assert tracker.write_many(writes(progress, FAILED, first, second)) == {}
    assert lab.calls() == ["update", "list"]
    for issue in found(lab, first, second):
        assert (issue["status"], issue.get("assignee")) == (status, None)
        assert all(text in issue["notes"] for text in (RUN, FAILED.reason, str(FAILED.saved_ref), str(FAILED.branch)))


def test_notes_that_were_there_stay(lab: Lab) -> None:
    noted, bare = lab.bd.create("noted"), lab.bd.create("bare")
    lab.bd("update", noted, "--notes", "mind the gap\nand the step")
    tracker = claimed(lab, noted, bare)
    assert tracker.write_many(writes(Progress.OPEN, FAILED, noted, bare)) == {}
    assert tracker.claim_many(dict.fromkeys([noted, bare], NOTE)) == {}
    lab.bd("update", bare, "--notes", "seen to", actor="alice")  # while it runs
    assert tracker.write_many(writes(Progress.DONE, LANDED, noted, bare)) == {}
    first, second = found(lab, noted, bare)
    assert first["notes"].startswith("mind the gap\nand the step\n")
    assert FAILED.reason in first["notes"]
    assert str(LANDED.commit) in first["notes"]
    assert second["notes"].startswith("seen to\n")
    assert str(LANDED.commit) in second["notes"]


def test_what_a_person_did_meanwhile_stands(lab: Lab) -> None:
    closed, taken, mine, gone = (lab.bd.create(name) for name in ("closed", "taken", "mine", "gone"))
    tracker = claimed(lab, closed, taken, mine, gone)
    assert tracker.taken([closed, taken, mine, gone]) == {}
    assert lab.calls() == []  # nothing has changed, so nobody was asked
    lab.bd("close", closed, "--reason", "done by hand", actor="alice")
    lab.bd("update", taken, "--assignee", "bob", actor="bob")
    lab.bd("delete", gone, "--force")
    before = found(lab, closed, taken)
    why = {
        closed: "it was closed meanwhile (done by hand)",
        taken: "it is assigned to bob",
        gone: f"beads has no task {gone!r}",
    }
    assert tracker.taken([closed, taken, mine, gone]) == why
    assert len(lab.calls()) == 1
    assert tracker.write_many(writes(Progress.DONE, LANDED, closed, taken, mine, gone)) == why
    assert tracker.write_many(writes(Progress.OPEN, FAILED, closed, taken)) == {
        key: why[key] for key in (closed, taken)
    }
    assert found(lab, closed, taken) == before
    assert found(lab, mine)[0]["status"] == "closed"


def test_what_a_person_set_aside_while_it_ran_stays_aside_and_is_nobodys(lab: Lab) -> None:
    names = [lab.bd.create(title) for title in ("deferred", "blocked", "mine", "landed")]
    deferred, blocked, mine, landed = names
    tracker = claimed(lab, *names)
    lab.bd("defer", deferred, actor="alice")
    lab.bd("defer", landed, actor="alice")
    lab.bd("update", blocked, "--status", "blocked", actor="alice")
    for _ in range(2):
        assert tracker.write_many(writes(Progress.OPEN, FAILED, deferred, blocked, mine)) == {}
        issues = found(lab, deferred, blocked, mine)
        assert [(one["status"], one.get("assignee")) for one in issues] == [
            ("deferred", None), ("blocked", None), ("open", None)
        ]  # fmt: skip
        assert [one["notes"].count(f"maestro run {RUN}: ") for one in issues] == [1, 1, 1]
    assert tracker.write_many(writes(Progress.DONE, LANDED, landed)) == {}
    assert found(lab, landed)[0]["status"] == "closed"


def test_four_calls_for_each_task_written_one_by_one_and_fewer_together(lab: Lab) -> None:
    names = [lab.bd.create(f"T{number}") for number in range(6)]
    more = [lab.bd.create(f"M{number}") for number in range(4)]
    tracker = lab.tracker()
    tracker.load()
    assert lab.calls() == ["version", "where", "export"]
    for name in names[:2]:
        tracker.claim(name, NOTE)
        assert tracker.taken([name]) == {}
        tracker.write(name, Progress.DONE, LANDED)
    assert len(lab.calls()) <= 2 * 4
    tracker.claim(names[2], NOTE)
    tracker.write(names[2], Progress.OPEN, FAILED)
    assert len(lab.calls()) <= 4
    tracker.claim_many(dict.fromkeys(names[3:], NOTE))
    tracker.write_many(writes(Progress.DONE, LANDED, *names[3:]))
    assert len(lab.calls()) == 4
    tracker.claim(more[0], NOTE)
    lab.calls()
    for name, following in pairwise(more):  # as one ends, the next begins
        tracker.claim(following, NOTE)
        assert tracker.taken([name, following]) == {}
        tracker.write(name, Progress.DONE, LANDED)
        assert len(lab.calls()) <= 4
    assert {one["status"] for one in found(lab, *names[3:])} == {"closed"}


@pytest.mark.parametrize(
    "answer",
    [
        'echo \'Error: unknown command "batch" for "bd"\' >&2; exit 1',
        "exit 0",
        "echo '{}'; exit 0",
        """echo '{"results": ["closed"]}'; exit 0""",
    ],
)
def test_where_a_batch_does_not_work_each_is_closed_singly(lab: Lab, answer: str) -> None:
    first, second = lab.bd.create("first"), lab.bd.create("second")
    tracker = claimed(lab, first, second)
    lab.hook(f'[ "$verb" = batch ] && {{ {answer}; }}')
    assert tracker.write_many(writes(Progress.DONE, LANDED, first, second)) == {}
    assert {one["status"] for one in found(lab, first, second)} == {"closed"}


def test_each_is_closed_with_its_own_commit_where_that_costs_nothing(lab: Lab) -> None:
    first = lab.bd.create("first")
    second = lab.bd.create("second", needs=first)
    tracker = claimed(lab, first, second)
    other = LANDED.evolve(commit="d" * 40)
    both = [*writes(Progress.DONE, LANDED, first), *writes(Progress.DONE, other, second)]
    assert tracker.write_many(both) == {}
    reasons = [one["close_reason"] for one in found(lab, first, second)]
    several = ["Landed, as the notes say"] * 2
    assert reasons == (several if lab.is_sqlite else [f"Landed as {LANDED.commit}", f"Landed as {other.commit}"])
    assert all(f"{second} landed as {other.commit}" in one["notes"] for one in found(lab, first, second))
    assert tracker.write_many(both) == {}
    assert lab.tracker().write_many(both) == {}
    assert [one["close_reason"] for one in found(lab, first, second)] == reasons


def test_what_beads_does_not_close_is_said_and_not_done_again(lab: Lab) -> None:
    blocker = lab.bd.create("blocker")
    mine, other = lab.bd.create("mine", needs=blocker), lab.bd.create("other")
    tracker = claimed(lab, mine, other)
    refused = tracker.write_many(writes(Progress.DONE, LANDED, mine, other))
    assert list(refused) == [mine]
    assert blocker in refused[mine]
    first, second = found(lab, mine, other)
    assert (first["status"], first.get("assignee"), second["status"]) == ("blocked", None, "closed")
    assert str(LANDED.commit) in first["notes"]
    lab.bd("close", blocker, "--reason", "over")
    assert tracker.write_many(writes(Progress.DONE, LANDED, mine)) == {}  # as the next run does it
    assert found(lab, mine)[0]["status"] == "closed"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_bd_that_is_killed_while_closing_is_read_back(lab: Lab, moment: str) -> None:
    first, second = lab.bd.create("first"), lab.bd.create("second")
    tracker = claimed(lab, first, second)
    done = '"$REAL" "$@" >/dev/null; ' if moment == "after" else ""
    lab.hook_once("close" if lab.is_sqlite else "batch", f"{done}kill -9 $$")
    assert tracker.write_many(writes(Progress.DONE, LANDED, first, second)) == {}
    calls = lab.calls()
    assert calls[1] == "list"  # before anything else
    assert (calls.count("close") > 1 if lab.is_sqlite else "close" in calls) == (moment == "before")
    assert {one["status"] for one in found(lab, first, second)} == {"closed"}
    assert all(str(LANDED.commit) in one["notes"] for one in found(lab, first, second))
    lab.hook_once("update", f"{done}kill -9 $$")
    assert tracker.write_many(writes(Progress.OPEN, FAILED, first, second)) == {}
    assert {one["status"] for one in found(lab, first, second)} == {"open"}


def test_git_sees_nothing_of_maestro_where_the_issues_are_tracked(lab: Lab) -> None:
    name = lab.bd.create("T")
    (lab.path / ".git" / "info" / "exclude").write_text("")
    lab.bd.repo.git("add", "-A")
    lab.bd.repo.git("commit", "-q", "-m", "track the issues")
    tracker = claimed(lab, name)
    tracker.write(name, Progress.DONE, LANDED)
    changed = {line[3:] for line in lab.bd.repo.git("status", "--porcelain").splitlines()}
    assert changed <= {".beads/issues.jsonl", ".beads/interactions.jsonl"}  # bd's own
    assert "maestro" not in " ".join(path.name for path in (lab.path / ".beads").iterdir())


def test_discovered_work_is_made_once_and_linked(lab: Lab) -> None:
    epic = lab.bd.create("epic", *EPIC)
    task = lab.bd.create("task", "--parent", epic)
    tracker = claimed(lab, task)
    bug = Discovery(title='-f "it"\nleaks ✓ <b>', description="On every\ncall", kind="bug", priority=0)
    more = Discovery(title="Tidy up", kind="widget")
    ids = tracker.discover(task, [bug, more], LANDED)
    assert len(set(ids)) == 2
    assert tracker.discover(task, [more, bug], Note(run_id="another")) == ids[::-1]
    assert lab.tracker().discover(task, [bug], LANDED) == ids[:1]
    first, second = found(lab, *ids)
    assert (first["title"], first["issue_type"], first["priority"]) == ('-f "it" leaks ✓ <b>', "bug", 0)
    assert first["description"].startswith("On every\ncall\n")
    assert (second["issue_type"], second["priority"]) == ("task", 2)
    for one in (first, second):
        assert [(link["id"], link["dependency_type"]) for link in one["dependencies"]] == [(task, "discovered-from")]
    made = {name: one for name, one in lab.bd.all().items() if name not in (epic, task)}
    assert set(made) == set(ids)
    with pytest.raises(TrackerError, match="no task 'demo-none'"):
        tracker.discover("demo-none", [bug], LANDED)


@pytest.mark.parametrize("left", ["nothing", "no link", "all of it"])
def test_a_bd_that_is_killed_while_creating_leaves_one_issue_with_its_link(lab: Lab, left: str) -> None:
    task = lab.bd.create("task")
    tracker = claimed(lab, task)
    made = {
        "nothing": "",
        "no link": 'for a in "$@"; do case $a in --deps=*) ;; *) set -- "$@" "$a" ;; esac; shift; done; "$REAL" "$@"; ',
        "all of it": '"$REAL" "$@" >/dev/null; ',
    }[left]
    lab.hook_once("create", f"{made}kill -9 $$")
    [name] = tracker.discover(task, [Discovery(title="Found")], LANDED)
    assert set(lab.bd.all()) == {task, name}
    [issue] = found(lab, name)
    assert [one["id"] for one in issue["dependencies"]] == [task]
