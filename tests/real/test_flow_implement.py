"""/flow:implement in the real claude, with a scripted model that plays the session and its subagents (C-3)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.cli.hooks.ending import REPORTED_FOR_IT
from maestro.cli.hooks.staying import LIMIT
from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.conftest import processes_with
from tests.real.played_session import PlayedSession
from tests.real.session_lab import CHECKOUT, Session, statuses

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]

COMMANDS = ("implement", "summary", "plan", "status", "cleanup")


@pytest.fixture
def session(tmp_path: Path, repo: Repository, real: dict[str, Path]) -> Iterator[Session]:
    model = PlayedSession()
    with ModelServer(default=model) as server:
        yield Session(repo, tmp_path, real["claude"], server.url, model)


def test_three_subagents_start_in_one_message_and_all_they_do_lands(session: Session) -> None:
    before = session.repo.git("status", "--porcelain"), session.repo.git("rev-parse", "HEAD")
    stands = session.implement("--tasks-file", str(session.tasks(a="plain", b="plain", c="plain")), "--no-tests")
    assert statuses(stands) == {"a": "landed", "b": "landed", "c": "landed"}, stands
    assert stands["status"] == "completed"
    assert [len(launch) for launch in session.model.launches] == [3]
    assert {"a.txt", "b.txt", "c.txt"} <= set(session.repo.files(stands["integration_branch"]))
    assert (session.repo.git("status", "--porcelain"), session.repo.git("rev-parse", "HEAD")) == before
    assert "completed" in stands["said"]
    journal = session.journal(stands["run_id"])
    assert all(f"made {name}" in journal for name in "abc"), "each has reported with its own words"
    assert REPORTED_FOR_IT not in journal


def test_what_depends_on_another_is_launched_when_that_has_landed(session: Session) -> None:
    path = session.tasks(a="plain", b="plain")
    tasks = [*json.loads(path.read_text()), {"id": "c", "description": "behaves: plain", "dependencies": ["a", "b"]}]
    path.write_text(json.dumps(tasks))
    stands = session.implement("--tasks-file", str(path), "--no-tests")
    assert statuses(stands) == {"a": "landed", "b": "landed", "c": "landed"}
    assert [len(launch) for launch in session.model.launches] == [2, 1]


def test_one_that_dies_fails_and_one_that_forgets_to_report_lands(session: Session) -> None:
    tasks = session.tasks(good="plain", gone="dies", mute="forgets")
    stands = session.implement("--tasks-file", str(tasks), "--no-tests", "--attempts", "1")
    assert statuses(stands) == {"good": "landed", "gone": "failed", "mute": "landed"}
    assert stands["status"] == "failed"
    assert session.journal(stands["run_id"]).count(REPORTED_FOR_IT) == 1
    assert "API Error: 400 odd" in stands["tasks"]["gone"]["reason"]
    assert [len(launch) for launch in session.model.launches] == [3]
    assert "gone.txt" not in session.repo.files(stands["integration_branch"])
    saved = session.repo.git("for-each-ref", "refs/maestro/saved", "--format=%(refname)")
    assert saved.endswith("/gone"), "what it had written is kept"


def test_one_without_work_is_sent_back_once(session: Session) -> None:
    tasks = session.tasks(slow="lazy", never="idle")
    stands = session.implement("--tasks-file", str(tasks), "--no-tests", "--attempts", "1")
    assert statuses(stands) == {"slow": "landed", "never": "failed"}
    assert "without a report and without work" in stands["tasks"]["never"]["reason"]


def test_a_failed_one_is_launched_again(session: Session) -> None:
    stands = session.implement("--tasks-file", str(session.tasks(gone="dies")), "--no-tests", "--attempts", "2")
    assert stands["tasks"]["gone"]["attempts"] == 2
    assert len(session.model.launches) == 2


def test_a_write_into_the_users_checkout_is_denied_and_made_where_it_belongs(session: Session) -> None:
    stands = session.implement("--tasks-file", str(session.tasks(a="strays")), "--no-tests")
    assert statuses(stands) == {"a": "landed"}
    assert not (session.repo.path / "a.txt").exists()
    assert "a.txt" in session.repo.files(stands["integration_branch"])


def test_a_session_that_wants_to_end_too_early_is_kept(session: Session) -> None:
    session.model.hasty = True
    path = session.tasks(a="plain")
    path.write_text(json.dumps([*json.loads(path.read_text()), {"id": "b", "dependencies": ["a"]}]))
    stands = session.implement("--tasks-file", str(path), "--no-tests")
    assert statuses(stands) == {"a": "landed", "b": "landed"}
    assert len(session.model.kept) == 1
    assert f"maestro delegate next --run-id {stands['run_id']}" in session.model.kept[0]


@pytest.mark.parametrize("hasty", [False, True])
def test_a_session_whose_subagents_work_in_the_background_is_kept_for_them(session: Session, hasty: bool) -> None:
    session.model.background, session.model.hasty = True, hasty
    path = session.tasks(a="plain", mute="forgets")
    path.write_text(json.dumps([*json.loads(path.read_text()), {"id": "b", "dependencies": ["a"]}]))
    stands = session.implement("--tasks-file", str(path), "--no-tests")
    assert statuses(stands) == {"a": "landed", "b": "landed", "mute": "landed"}
    assert len(session.model.launches) == 2


def test_one_that_will_not_go_on_is_let_go_and_the_run_ends_with_it(session: Session) -> None:
    path = session.tasks(a="plain")
    session.model.stubborn = True
    session.claude(f"/flow:implement --tasks-file {path} --no-tests", "--plugin-dir", str(CHECKOUT))
    (run,) = maestro("status", "--json", cwd=session.repo.path).json["runs"]
    ended = maestro("wait", "--run-id", run["run_id"], "--timeout", "60", cwd=session.repo.path)
    assert ended.code == 130, ended
    until(lambda: not processes_with(f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}"))
    assert len(session.model.kept) == LIMIT


def test_headless_agents_of_maestros_own_do_the_work(session: Session) -> None:
    agent = "'echo x > $MAESTRO_TASK_ID.txt; git add -A; git commit -qm x'"
    tasks = session.tasks(a="plain", b="plain")
    words = f"--headless --tasks-file {tasks} --no-tests --agent-command {agent}"
    stands = session.implement(words)
    assert statuses(stands) == {"a": "landed", "b": "landed"}
    assert session.model.launches == []
    assert "completed" in stands["said"]


def test_the_commands_that_init_writes_do_the_same_without_the_plugin(session: Session) -> None:
    maestro("init", "--hooks", cwd=session.repo.path)
    session.repo.git("add", "-A")
    session.repo.git("commit", "-q", "-m", "Set maestro up")
    tasks = session.tasks(a="plain", mute="forgets")
    stands = session.implement("--tasks-file", str(tasks), "--no-tests", plugin=False)
    assert statuses(stands) == {"a": "landed", "mute": "landed"}


def test_without_maestro_on_the_path_that_of_the_plugin_is_used(session: Session, real: dict[str, Path]) -> None:
    folder = session.folder / "path"
    folder.mkdir()
    (folder / "claude").symlink_to(real["claude"])
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    session.env["PATH"] = f"{folder}:/usr/bin:/bin"
    stands = session.implement("--tasks-file", str(session.tasks(a="plain")), "--no-tests")
    assert statuses(stands) == {"a": "landed"}
    assert REPORTED_FOR_IT not in session.journal(stands["run_id"])


def test_a_refusal_is_told_to_the_user_and_starts_nothing(session: Session) -> None:
    events = session.claude(
        f"/flow:implement --tasks-file {session.folder}/none.json --no-tests", "--plugin-dir", str(CHECKOUT)
    )
    assert "none.json" in events[-1]["result"]
    assert session.model.launches == []


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("/flow:plan --tasks-file TASKS", "Total tasks: 2"),
        ("/flow:status", "No run yet."),
        ("/flow:cleanup", "Nothing is left of runs that died."),
        ("/flow:plan --tasks-file none.json", "none.json does not exist"),
    ],
)
def test_the_other_commands_do_what_they_say_without_a_question(session: Session, command: str, answer: str) -> None:
    tasks = session.tasks(a="plain", b="plain")
    events = session.claude(command.replace("TASKS", str(tasks)), "--plugin-dir", str(CHECKOUT))
    assert events[-1]["permission_denials"] == []
    assert answer in events[-1]["result"]


def test_the_plugin_is_valid_and_brings_its_five_commands(session: Session) -> None:
    for manifest in (".", ".claude-plugin/plugin.json", ".claude-plugin/marketplace.json"):
        done = subprocess.run(
            ["claude", "plugin", "validate", "--strict", manifest],
            cwd=CHECKOUT,
            env=session.env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    start = next(one for one in session.claude("hi", "--plugin-dir", str(CHECKOUT)) if one.get("subtype") == "init")
    assert start["plugins"][0]["name"] == "flow"
    assert "plugin_errors" not in start
    assert {f"flow:{name}" for name in COMMANDS} <= set(start["slash_commands"])


def test_it_is_installed_from_a_checkout_as_a_marketplace(session: Session) -> None:
    checkout = session.folder / "maestro"
    for part in (".claude-plugin", ".claude", "hooks", "bin"):  # claude copies all of it, and here are tools of tests
        shutil.copytree(CHECKOUT / part, checkout / part)
    for words in (["marketplace", "add", str(checkout)], ["install", "flow@flow-maestro"]):
        done = subprocess.run(
            ["claude", "plugin", *words], cwd=session.repo.path, env=session.env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    start = next(one for one in session.claude("hi") if one.get("subtype") == "init")
    assert {f"flow:{name}" for name in COMMANDS} <= set(start["slash_commands"])
