"""Whole runs over real beads, both eras (T-1): what has landed is closed, what has not is open, and bd agrees."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.testing.commandline import Said, maestro
from tests.acceptance.conftest import WRITES_ONE_FILE, Started
from tests.real.beads_repository import Beads, make_beads

pytestmark = pytest.mark.timeout(240)

SCRIPT = Path(__file__).parents[2] / ".flow" / "maestro" / "scripts" / "parallel_coordinator.py"
AS_A_PERSON = "env BD_READONLY=false BEADS_NO_DAEMON=1 BD_NON_INTERACTIVE=1 BD_ACTOR=bob BEADS_ACTOR=bob bd"
"""How a person writes while an agent works; done by an agent here, whose own bd only reads."""


@pytest.fixture
def beads(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Beads:
    """A repository with an empty database, for each era."""
    del bd
    return make_beads(tmp_path / "project", tmp_path_factory)


def run(beads: Beads, *flags: str, agent: str = WRITES_ONE_FILE, cwd: Path | None = None, **env: str) -> Said:
    return maestro(*arguments(agent, *flags), cwd=cwd or beads.repo.path, env=env, timeout_seconds=200)


def arguments(agent: str, *flags: str) -> list[str]:
    return ["run", "--json", "--no-tests", "--attempts", "1", "--agent-command", agent, *flags]


def below(beads: Beads, parent: str, title: str, *needs: str, labels: str = "") -> str:
    """A new child of an issue."""
    flags = ["--parent", parent, *(["-l", labels] if labels else [])]
    return beads.create(title, *flags, needs=needs)


@contextlib.contextmanager
def under_way(argv: list[str], cwd: Path, env: dict[str, str] | None = None) -> Iterator[Started]:
    """A run that does not outlive the test."""
    started = Started(argv, cwd, env)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.communicate()


def an_epic(beads: Beads) -> dict[str, str]:
    """Twelve issues: two marker groups, some work before, between and after them, and a chain of dependencies."""
    epic = beads.create("The epic", "-t", "epic")
    made = {"epic": epic, "schema": below(beads, epic, "Make the schema"), "config": below(beads, epic, "Add a config")}
    for name in ("a1", "a2", "a3"):
        made[name] = below(beads, epic, f"[P:Group-api] part {name}", made["schema"])
    made["docs"] = below(beads, epic, "Write it down", made["config"])
    for name in ("u1", "u2", "u3"):
        made[name] = below(beads, epic, f"Screen {name}", labels="parallel:Group-ui")
    made["menu"] = below(beads, epic, "The menu", made["u2"])
    made["help"] = below(beads, epic, "Help for the menu", made["menu"])
    made["release"] = below(beads, epic, "Release", made["docs"])
    assert len(made) == 13
    return made


def test_an_epic_is_closed_as_far_as_it_landed_and_a_second_run_ends_it(beads: Beads) -> None:
    made = an_epic(beads)
    other = beads.create("Not of the epic")
    fails = f'case $MAESTRO_TASK_ID in {made["u2"]}) echo "the door creaks" >&2; exit 1;; esac; {WRITES_ONE_FILE}'
    flags = ("--tracker", "beads", "--epic", made["epic"], "--max-parallel", "4")
    said = run(beads, *flags, "--keep-going", "--run-id", "first", agent=fails)
    assert said.code == 1, said.err
    statuses = said.statuses()
    not_landed = {made[name] for name in ("u2", "menu", "help")}
    assert {task for task, status in statuses.items() if status != "landed"} == not_landed
    assert statuses[made["u2"]] == "failed"
    assert {statuses[made["menu"]], statuses[made["help"]]} == {"blocked"}
    assert said.json["tasks"][made["menu"]]["attempts"] == 0

    issues = beads.all()
    assert {id_ for id_, issue in issues.items() if issue["status"] == "closed"} == statuses.keys() - not_landed
    assert {issues[id_]["status"] for id_ in (*not_landed, made["epic"], other)} == {"open"}
    failed = beads.show(made["u2"])
    assert failed["status"] == "open"
    assert not failed.get("assignee")
    assert "maestro run first" in failed["notes"]
    assert "exit code 1" in failed["notes"]
    assert beads.ready() == {made["u2"], made["epic"], other}, "bd itself says what is next"
    landed = beads.show(made["a1"])
    commit = said.json["tasks"][made["a1"]]["commit"]
    assert landed["close_reason"].startswith("Landed")
    assert commit in landed["notes"]

    said = run(beads, *flags, "--integration-base-branch", "integration/first")
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.out
    assert said.json["tasks"][made["a1"]]["attempts"] == 0
    issues = beads.all()
    assert {id_ for id_, issue in issues.items() if issue["status"] != "closed"} == {other}
    files = beads.repo.files(said.json["integration_branch"])
    assert set(files) >= {f"out-{made[name]}.txt" for name in made if name != "epic"}


def test_the_script_takes_a_group_from_beads(beads: Beads) -> None:
    made = {name: beads.create(f"[P:Group-G] {name}") for name in ("one", "two")}
    other = beads.create("Another")
    done = subprocess.run(
        [
            sys.executable, str(SCRIPT), "execute", "--group-id", "G",
            "--no-tests", "--json", "--agent-command", WRITES_ONE_FILE,
        ],
        cwd=beads.repo.path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tasks"].keys() == set(made.values())
    assert {issue["status"] for id_, issue in beads.all().items() if id_ != other} == {"closed"}
    assert beads.show(other)["status"] == "open"


def test_labels_choose(beads: Beads) -> None:
    both = beads.create("Both", "-l", "night,ui")
    beads.create("One of them", "-l", "ui")
    said = run(beads, "--label", "night", "--label", "ui")
    assert (said.code, said.statuses()) == (0, {both: "landed"})


@pytest.mark.parametrize("size", [20, 100])
def test_no_more_than_four_calls_for_each_task_whatever_the_size(
    beads: Beads, bd: Path, tmp_path: Path, size: int
) -> None:
    count = 8
    many = tmp_path / "many.md"
    labels = ["mine"] * count + ["other"] * (size - count)
    many.write_text("".join(f"## Part {n}\n### Labels\n{label}\n" for n, label in enumerate(labels)))
    tasks = {one["id"] for one in json.loads(beads("create", "--file", str(many), "--json"))[:count]}
    beads("dep", "add", *sorted(tasks)[:2])
    log = tmp_path / "calls"
    real = bd.resolve()
    bd.unlink()
    bd.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexec "{real}" "$@"\n')
    bd.chmod(0o755)
    said = run(beads, "--label", "mine", "--max-parallel", "3")
    calls = log.read_text().splitlines()
    assert (said.code, said.statuses()) == (0, dict.fromkeys(tasks, "landed")), said.out
    assert len(calls) <= 4 * count, calls
    issues = beads.all()
    assert len(issues) == size
    assert {id_ for id_, issue in issues.items() if issue["status"] == "closed"} == tasks


def test_what_a_person_closes_while_it_runs_is_not_landed_over_their_heads(beads: Beads) -> None:
    mine, after, other = beads.create("Mine"), beads.create("After"), beads.create("Other")
    beads("dep", "add", after, mine)
    closes = f'case $MAESTRO_TASK_ID in {mine}) {AS_A_PERSON} close {mine} --reason "did it by hand" || exit 9;; esac'
    said = run(beads, agent=f"{closes}; {WRITES_ONE_FILE}")
    tasks = said.json["tasks"]
    assert (said.code, said.statuses()) == (3, {mine: "blocked", after: "blocked", other: "landed"}), said.err
    assert "did it by hand" in tasks[mine]["reason"]
    assert f"out-{mine}.txt" in beads.repo.files(tasks[mine]["saved_ref"])
    assert beads.repo.files(said.json["integration_branch"]) == ["README.md", f"out-{other}.txt"]
    issue = beads.show(mine)
    assert (issue["status"], issue["close_reason"]) == ("closed", "did it by hand")
    assert "maestro" not in issue.get("notes", "")


def test_an_agent_cannot_close_its_own_issue(beads: Beads) -> None:
    """Many are told to by their project's instructions: it is closed when it has landed, and not before."""
    task = beads.create("Mine")
    closes = 'BEADS_NO_DAEMON=1 bd close "$MAESTRO_TASK_ID" --reason "I am done" && exit 9'
    said = run(beads, agent=f"{closes}; {WRITES_ONE_FILE}")
    assert (said.code, said.statuses()) == (0, {task: "landed"}), said.err
    assert beads.show(task)["close_reason"].startswith("Landed as ")


def test_two_clones_share_one_database_and_no_task_is_done_twice(beads: Beads, tmp_path: Path) -> None:
    tasks = {beads.create(f"Part {number}") for number in range(6)}
    times = tmp_path / "times"
    times.mkdir()
    agent = f'echo run >> "{times}/$MAESTRO_TASK_ID"; sleep 0.5; {WRITES_ONE_FILE}'
    shared = {"BEADS_DIR": str(beads.repo.path / ".beads")}
    flags = ("--tracker", "beads", "--max-parallel", "2", "--run-id")
    with contextlib.ExitStack() as stack:
        runs = []
        for name in ("one", "two"):
            subprocess.run(["git", "clone", "-q", str(beads.repo.path), str(tmp_path / name)], check=True)
            runs.append(stack.enter_context(under_way(arguments(agent, *flags, name), tmp_path / name, shared)))
        ended = [one.end(200) for one in runs]
    landed = [{task for task, status in said.statuses().items() if status == "landed"} for said in ended]
    assert landed[0] | landed[1] == tasks, [said.err for said in ended]
    assert not landed[0] & landed[1]
    assert {path.name: path.read_text() for path in times.iterdir()} == dict.fromkeys(tasks, "run\n")
    assert {issue["status"] for issue in beads.all().values()} == {"closed"}


def test_an_interrupt_leaves_no_issue_in_progress(beads: Beads, tmp_path: Path) -> None:
    tasks = [beads.create(f"Part {number}") for number in range(6)]
    agent = f'touch "{tmp_path}/$MAESTRO_TASK_ID"; sleep 100'
    env = {"MAESTRO_STOP_INTERRUPT_SECONDS": "0.2", "MAESTRO_STOP_TERMINATE_SECONDS": "0.2"}
    with under_way(arguments(agent, "--tracker", "beads", "--max-parallel", "2"), beads.repo.path, env) as started:
        wait_for(started, beads, in_progress=4)
        started.send(signal.SIGINT)
        started.until_said("^C again stops it")
        started.send(signal.SIGINT)
        said = started.end(100)
    assert said.code == 130, said.err
    issues = beads.all()
    assert {issues[task]["status"] for task in tasks} == {"open"}
    assert not any(issues[task].get("assignee") for task in tasks)
    assert beads.ready() == set(tasks)


def wait_for(started: Started, beads: Beads, *, in_progress: int) -> None:
    """Until so many issues are claimed, the ones that run and the ones that start next."""
    while sum(issue["status"] == "in_progress" for issue in beads.all().values()) < in_progress:
        assert started.process.poll() is None, started.process.communicate()


def test_what_an_agent_discovers_becomes_an_issue(beads: Beads) -> None:
    task = beads.create("Mine")
    report = {
        "status": "done",
        "discovered": [{"title": "The door creaks", "description": "in src/door.py", "kind": "bug", "priority": 1}],
    }
    said = run(beads, agent=f"printf '%s' '{json.dumps(report)}' > \"$MAESTRO_REPORT_FILE\"; {WRITES_ONE_FILE}")
    (made,) = said.json["tasks"][task]["discovered"]
    issue = beads.show(made)
    assert (issue["title"], issue["status"], issue["issue_type"], issue["priority"]) == (
        "The door creaks",
        "open",
        "bug",
        1,
    )
    (link,) = issue["dependencies"]
    assert (link["id"], link["dependency_type"]) == (task, "discovered-from")
    assert f"what it discovered is now {made}" in said.err
    assert made in beads.ready()


def test_what_beads_writes_in_the_checkout_is_no_agents_leak(beads: Beads) -> None:
    task = beads.create("Mine")
    beads.repo.git("add", "-f", *(str(path) for path in (beads.repo.path / ".beads").glob("*.jsonl")))
    beads.repo.git("commit", "-qm", "track what beads exports")
    said = run(beads)
    assert (said.code, said.statuses()) == (0, {task: "landed"})
    assert said.json["warnings"] == []


def test_a_run_that_died_left_nothing_that_cannot_be_had(beads: Beads, tmp_path: Path) -> None:
    """What it landed and did not tell is closed; what it left in progress is done."""
    tasks = [beads.create(f"Part {number}") for number in range(3)]
    agent = f'case $MAESTRO_TASK_ID in {tasks[0]});; *) touch "{tmp_path}/$MAESTRO_TASK_ID"; sleep 100;; esac'
    flags = ("--tracker", "beads", "--max-parallel", "2", "--run-id", "dead")
    with under_way(arguments(f"{agent}; {WRITES_ONE_FILE}", *flags), beads.repo.path) as started:
        started.until(tmp_path / tasks[1], tmp_path / tasks[2])
        started.send(signal.SIGKILL)
        started.end()
    reap("dead")
    said = run(beads, "--integration-base-branch", "integration/dead")
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert {issue["status"] for issue in beads.all().values()} == {"closed"}


def reap(run_id: str) -> None:
    """Agents outlive a coordinator that was killed; these are not waited for."""
    wanted = f"MAESTRO_RUN_ID={run_id}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def test_what_a_run_in_another_clone_landed_counts_only_where_its_commit_is_in_the_base(
    beads: Beads, tmp_path: Path
) -> None:
    first, other = beads.create("First"), beads.create("Other")
    by_hand = beads.create("By hand")
    theirs = tmp_path / "theirs"
    beads.repo.git("clone", "-q", str(beads.repo.path), str(theirs))
    database = {"BEADS_DIR": str(beads.repo.path / ".beads")}
    said = run(beads, "--tracker", "beads", "--run-id", "there", "--epic", first, cwd=theirs, **database)
    assert (said.code, said.statuses()) == (0, {first: "landed"}), said.err
    run(beads, "--tracker", "beads", "--run-id", "also", "--epic", other, cwd=theirs, **database)
    beads("close", by_hand, "--reason", "done")
    second, third = beads.create("Second", needs=first), beads.create("Third", needs=by_hand)

    said = run(beads, "--tracker", "beads")
    assert (said.code, said.statuses()[second], said.statuses()[third]) == (3, "blocked", "landed"), said.err
    assert said.json["tasks"][second]["reason"] == (
        f"depends on '{first}': {first} landed on integration/there (run there), which is not in main; fetch it from "
        "the clone that it landed in, and start from there with --integration-base-branch integration/there"
    )

    fourth = beads.create("Fourth", needs=other)
    for closed_by_hand in (False, True):
        if closed_by_hand:  # the work went into main by another way
            beads("close", other, "--reason", "squashed by hand")
        plan = maestro("plan", "--tracker", "beads", "--json", cwd=theirs, env=database).json
        assert (fourth in {one["task"] for one in plan["blocked"]}) is not closed_by_hand
    beads("close", fourth, "--reason", "not needed")

    beads.repo.git("fetch", "-q", str(theirs), "integration/there:integration/there")
    said = run(beads, "--tracker", "beads", "--integration-base-branch", "integration/there")
    assert (said.code, said.statuses()[second]) == (0, "landed"), said.err
    assert {f"out-{first}.txt", f"out-{second}.txt"} <= set(beads.repo.files(said.json["integration_branch"]))
