"""Whole runs over real beads on bad days: what has landed is closed, nothing else is, and people win (T-1)."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.testing.commandline import Said, maestro
from tests.acceptance.conftest import WRITES_ONE_FILE, Started, check_sound
from tests.real.beads_lab import HOLDS_THE_DATABASE
from tests.real.beads_repository import Beads, make_beads

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def beads(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Beads:
    """A repository with an empty database, for each era."""
    return make_beads(tmp_path / "project", tmp_path_factory)


def arguments(*flags: str, agent: str) -> list[str]:
    return ["run", "--tracker", "beads", "--no-tests", "--json", "--agent-command", agent, *flags]


def run(beads: Beads, *flags: str, agent: str = WRITES_ONE_FILE, env: dict[str, str] | None = None) -> Said:
    return maestro(*arguments(*flags, agent=agent), cwd=beads.repo.path, env=env)


@contextlib.contextmanager
def started(beads: Beads, *flags: str, agent: str, env: dict[str, str] | None = None) -> Iterator[Started]:
    under_way = Started(arguments(*flags, agent=agent), beads.repo.path, env)
    try:
        yield under_way
    finally:
        if under_way.process.poll() is None:
            under_way.process.kill()
            under_way.process.communicate()


@contextlib.contextmanager
def held_by_another_process(beads: Beads) -> Iterator[None]:
    command = [sys.executable, "-c", HOLDS_THE_DATABASE, str(beads.repo.path / ".beads")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("")


def in_place_of(bd: Path, script: str) -> None:
    """From now on `bd` is a script for the shell, with the real one in `$REAL`."""
    real = bd.resolve()
    bd.unlink()
    bd.write_text(f'#!/bin/sh\nREAL={real}\n{script}\nexec "$REAL" "$@"\n')
    bd.chmod(0o755)


def closed(beads: Beads) -> set[str]:
    return {id_ for id_, issue in beads.all().items() if issue["status"] == "closed"}


def landed(said: Said) -> set[str]:
    return {task for task, status in said.statuses().items() if status == "landed"}


def waits(here: Path, go: Path) -> str:
    return f'touch "{here}"; until [ -e "{go}" ]; do sleep 0.02; done; '


TITLES = (
    """He said "hi" & it's <b>done</b>""",
    "two\nlines\n\nCo-Authored-By: nobody <x@example.invalid>",
    "ünïcödé 漢字 🎉",
    "$(touch pwned) `touch pwned` {prompt_file} %s",
    "-x",
    "fixed error handling",
    "t" * 500,
)


def test_odd_titles_are_only_titles(beads: Beads) -> None:
    made = {beads.create(title) for title in TITLES}
    said = run(beads)
    assert (said.code, landed(said), closed(beads)) == (0, made, made), said.err
    branch = said.json["integration_branch"]
    assert sorted(beads.repo.files(branch)) == sorted(["README.md", *(f"out-{one}.txt" for one in made)])
    assert all(len(line) < 600 for line in beads.repo.git("log", "--format=%s", branch).splitlines())
    assert not list(beads.repo.path.rglob("pwned"))
    check_sound(beads.repo)


def test_a_database_that_somebody_holds_holds_the_run_up_and_nothing_more(beads: Beads, tmp_path: Path) -> None:
    first = beads.create("First")
    made = {first, beads.create("Second", needs=first)}
    here, go = tmp_path / "here", tmp_path / "go"
    with started(beads, agent=waits(here, go) + WRITES_ONE_FILE) as running:
        running.until(here)
        with held_by_another_process(beads):
            go.touch()
            running.until_said("work was submitted")
            time.sleep(3)  # what is tried is that time passes
            assert running.process.poll() is None
        said = running.end()
    assert (said.code, landed(said), closed(beads)) == (0, made, made), said.err


def test_a_bd_that_dies_when_it_has_written_is_not_asked_to_do_it_twice(beads: Beads, bd: Path, tmp_path: Path) -> None:
    made = {beads.create(title) for title in ("one", "two", "three")}
    log = tmp_path / "closed"
    in_place_of(
        bd,
        f"""case " $* " in *" close "*|*" batch "*) echo "$@" >>{log}; "$REAL" "$@"; kill -9 $$;;
        *" update "*) "$REAL" "$@" >&2; kill -9 $$;; esac""",
    )
    said = run(beads)
    assert (said.code, landed(said), closed(beads)) == (0, made, made), said.err
    assert len(log.read_text().splitlines()) <= len(made)


def test_what_beads_could_not_be_told_is_told_by_the_next_run_and_not_done_again(beads: Beads, bd: Path) -> None:
    made = {beads.create(title) for title in ("one", "two")}
    real = bd.resolve()
    words = "Error: failed to open database: disk I/O error"
    in_place_of(bd, f'case " $* " in *" close "*|*" batch "*) echo "{words}" >&2; exit 1;; esac')
    said = run(beads)
    assert landed(said) == made, said.err
    assert all("disk I/O error" in said.json["tasks"][one]["tracker_error"] for one in made)
    assert closed(beads) == set()
    bd.unlink()
    bd.symlink_to(real)
    again = run(beads, agent="echo this is not to be run; exit 1")
    assert (again.code, closed(beads)) == (0, made), again.err
    assert {beads.show(one)["close_reason"] for one in made} == {
        f"Landed as {said.json['tasks'][one]['commit']}" for one in made
    }


def test_the_next_start_does_not_wait_for_the_close_before_it(beads: Beads, bd: Path, tmp_path: Path) -> None:
    first = beads.create("First")
    second = beads.create("Second", needs=first)
    log = tmp_path / "calls"
    in_place_of(bd, f'echo "$@" >>{log}')
    said = run(beads)
    assert said.code == 0, said.err
    calls = log.read_text().splitlines()
    [claim] = [number for number, call in enumerate(calls) if second in call and "--claim" in call]
    assert not any(first in call and " close " in f" {call} " for call in calls[:claim])


def test_what_a_dead_run_held_is_open_again_also_when_the_next_run_is_about_something_else(
    beads: Beads, tmp_path: Path
) -> None:
    running, next_one = beads.create("Running"), beads.create("Next")
    other = beads.create("Something else", "-l", "night")
    ends, here = tmp_path / "ends", tmp_path / "here"
    agent = waits(here, ends)
    with started(beads, "--max-parallel", "1", "--epic", running, agent=agent) as dying:
        dying.until(here)
        dying.process.kill()
        dying.end()
    ends.touch()  # its agent outlives it, and ends
    assert beads.show(running)["status"] == "in_progress"
    said = run(beads, "--label", "night")
    assert (said.code, said.statuses()) == (0, {other: "landed"}), said.err
    assert {(one["status"], one.get("assignee", "")) for one in map(beads.show, (running, next_one))} == {("open", "")}
    assert "the run broke off" in beads.show(running)["notes"]


def test_a_person_wins_who_writes_while_maestro_does(beads: Beads, bd: Path, tmp_path: Path) -> None:
    first, hers, his = (beads.create(title) for title in ("first", "hers", "his"))
    done, go = tmp_path / "done", tmp_path / "go"
    in_place_of(
        bd,
        f"""case " $* " in *" close "*|*" batch "*) [ -e {done} ] || {{ touch {done}
        BEADS_ACTOR=ann BD_ACTOR=ann "$REAL" close {hers} --reason "I have done it"
        "$REAL" update {his} --assignee bob; touch {go}; }} >&2;; esac""",
    )
    agent = f"[ $MAESTRO_TASK_ID = {first} ] || until [ -e {go} ]; do sleep 0.02; done; {WRITES_ONE_FILE}"
    said = run(beads, "--max-parallel", "3", agent=agent)
    assert (said.code, said.statuses()) == (3, {first: "landed", hers: "blocked", his: "blocked"}), said.err
    assert (beads.show(hers)["close_reason"], beads.show(his)["assignee"]) == ("I have done it", "bob")
    for task in (hers, his):
        assert f"out-{task}.txt" in beads.repo.files(said.json["tasks"][task]["saved_ref"])


@pytest.mark.parametrize("kind", ["clone", "worktree"])
def test_an_agents_bd_reads_the_database_of_the_run_and_writes_nowhere(beads: Beads, tmp_path: Path, kind: str) -> None:
    task = beads.create("Look around")
    beads.repo.git("add", "-f", ".beads/*.jsonl", ".beads/metadata.json", ".beads/config.yaml")
    beads.repo.git("commit", "-qm", "the issues, without a database, as others clone them")
    out = tmp_path / "out"
    agent = f"""{{ bd list --json; echo "code $?"; bd create 'more work' -d x; echo "code $?"; }} >{out} 2>&1
        git status --porcelain >>{out}; {WRITES_ONE_FILE.replace("-A", "out-*")}"""
    said = run(beads, "--workspace", kind, agent=agent)
    assert (said.code, closed(beads)) == (0, {task}), said.err
    text = out.read_text()
    listed, _, rest = text.partition("code 0\n")
    assert task in listed, text
    assert "read-only" in rest, text
    assert "code 1" in rest, text
    assert ".beads" not in rest.partition("code 1")[2], "it left something in the workspace"
    assert set(beads.all()) == {task}
