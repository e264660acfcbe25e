"""Delegate mode from the command line: offers given out once, reports taken once, the same landing (C-3)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import command_line, maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import checkout_of
from tests.acceptance.delegating import (
    Session,
    by_task,
    is_coordinator,
    report_command,
    session_named_claude,
    start_words,
    subagent,
    until,
    work_all,
)

pytestmark = pytest.mark.usefixtures("unharmed")


@pytest.fixture
def session(repo: Repository, tmp_path: Path) -> Iterator[Session]:
    made = Session(repo, tmp_path)
    yield made
    made.stop()


def names(launches: list[dict[str, Any]]) -> list[str]:
    return [one["task"] for one in launches]


def test_a_session_does_a_backlog_from_start_to_end(session: Session) -> None:
    before = checkout_of(session.repo)
    said = session.start([{"id": "a", "title": "Add it"}, {"id": "b"}, {"id": "c", "dependencies": ["a", "b"]}])
    assert said.code == 0, said.err
    first = said.json
    run = first["run_id"]
    first["launch"] = by_task(first["launch"])
    assert (first["status"], names(first["launch"]), first["running"]) == ("running", ["a", "b"], [])
    assert first["waiting"] == ["c"]
    assert first["tasks"]["a"] == {"status": "pending", "state": "given out", "reason": ""}
    assert first["launch"][0]["description"] == "a: Add it"
    assert f"--run-id {run}" in first["next"]
    again = session.next(wait=0).json
    assert (again["launch"], sorted(again["running"])) == ([], ["a", "b"])
    work_all(first["launch"])
    second = session.next("--run-id", run).json
    assert names(second["launch"]) == ["c"]
    assert second["tasks"]["a"]["status"] == "landed"
    work_all(second["launch"])
    ended = session.wait(run)
    assert (ended.code, ended.json["status"]) == (0, "completed")
    assert session.statuses(run) == {"a": "landed", "b": "landed", "c": "landed"}
    over = session.next("--run-id", run).json
    assert (over["status"], over["launch"], over["running"]) == ("completed", [], [])
    assert "3 of 3 tasks landed" in over["next"]
    assert "what you did" in session.repo.git("log", "--format=%B", f"integration/{run}")
    assert checkout_of(session.repo) == before
    until(lambda: not is_coordinator(session.coordinator(run)))


def test_the_prompt_stands_on_its_own(session: Session) -> None:
    """Whoever reads it knows the task, where to work and how to end, with no variable of maestro's set."""
    task = {"id": "it's odd/ü", "title": "Do", "description": "the thing", "subagent_type": "builder"}
    said = session.start([task], "--agents", "builder, reviewer").json
    (launch,) = said["launch"]
    lines = launch["prompt"].splitlines()
    assert lines[0] == f"maestro-task: {said['run_id']} it's odd/ü 1"
    assert "the thing" in launch["prompt"]
    assert f"`{launch['workspace']}`" in launch["prompt"]
    assert "MAESTRO_REPORT_FILE" not in launch["prompt"]
    assert Path(launch["workspace"], "README.md").is_file()
    assert (launch["subagent_type"], launch["wanted_subagent"]) == ("builder", "builder")
    work_all([launch])
    assert session.wait(said["run_id"]).code == 0


def test_a_report_from_inside_the_workspace_finds_its_run(session: Session) -> None:
    said = session.start([{"id": "a"}]).json
    workspace = Path(said["launch"][0]["workspace"])
    (workspace / "sub").mkdir()
    (workspace / "sub" / "new.txt").write_text("new")
    reported = session.report("--task", "a", "--status", "done", cwd=workspace / "sub")
    assert reported.code == 0, reported.err
    assert session.wait(said["run_id"]).code == 0


def test_uncommitted_work_counts_and_is_committed_by_maestro(session: Session) -> None:
    said = session.start([{"id": "a"}]).json
    work_all(said["launch"], "echo left > left.txt")
    assert session.wait(said["run_id"]).code == 0
    assert session.repo.show(f"integration/{said['run_id']}", "left.txt") == "left"
    assert "committed by maestro" in session.repo.git("log", "--format=%B", f"integration/{said['run_id']}")


def test_done_without_work_is_no_success(session: Session) -> None:
    said = session.start([{"id": "a"}], "--attempts", "1").json
    work_all(said["launch"], "true")
    assert session.wait(said["run_id"]).code == 1
    assert "without a new commit" in session.result(said["run_id"])["tasks"]["a"]["reason"]


def test_no_change_lands_with_its_reason_and_blocked_asks_a_person(session: Session) -> None:
    said = session.start([{"id": "same"}, {"id": "stuck"}]).json
    same, stuck = by_task(said["launch"])
    work_all([same], "true", "no_change")
    work_all([stuck], "true", "blocked")
    assert session.wait(said["run_id"]).code == 3
    assert session.statuses(said["run_id"]) == {"same": "landed", "stuck": "blocked"}


def test_a_failed_task_is_offered_again_and_told_what_failed(session: Session) -> None:
    said = session.start([{"id": "a"}]).json
    (first,) = said["launch"]
    reported = session.report("--task", "a", "--status", "failed", "--summary", "the api is missing")
    assert reported.code == 0, reported.err
    (second,) = session.next().json["launch"]
    assert (second["task"], second["attempt"]) == ("a", 2)
    assert "the api is missing" in second["prompt"]
    stray = subprocess.run(
        ["sh", "-c", report_command(first)], cwd=session.repo.path, capture_output=True, text=True, check=False
    )
    assert stray.returncode == 2
    assert "Attempt 1 at task a is over" in stray.stderr
    work_all([second])
    assert session.wait(said["run_id"]).code == 0


def test_a_subagent_that_never_reports_runs_into_the_limit(session: Session) -> None:
    said = session.start(
        [{"id": "a"}, {"id": "b", "dependencies": ["a"]}], "--task-timeout", "10", "--attempts", "1"
    ).json
    run = said["run_id"]
    Path(said["launch"][0]["workspace"], "half.txt").write_text("half")
    assert session.wait(run).code == 1
    assert session.statuses(run) == {"a": "failed", "b": "blocked"}
    assert "half.txt" in session.repo.files(session.result(run)["tasks"]["a"]["saved_ref"])
    late = session.report("--run-id", run, "--task", "a", "--status", "done")
    assert late.code == 2
    assert "is over" in late.err


def test_a_report_that_cannot_be_taken_is_refused_with_a_sentence(session: Session) -> None:
    said = session.start([{"id": "a"}, {"id": "later", "dependencies": ["a"]}]).json
    refusals = {
        ("--task", "nobody", "--status", "done"): "task nobody was not given out",
        ("--task", "later", "--status", "done"): "task later was not given out",
        ("--task", "a", "--status", "done", "--run-id", "no-such-run"): "there is no run no-such-run",
        ("--task", "a", "--status", "done", "--run-id", "../.."): "there is no run",
        ("--task", "a", "--status", "done", "--attempt", "7"): "attempt 7 at task a was not given out",
        ("--task", "a", "--status", "no_change"): "no_change needs a reason",
        ("--task", "a", "--status", "done", "--confidence", "2"): "confidence",
        ("--task", "a", "--status", "done", "--confidence", "nan"): "confidence",
        ("--task", "a", "--status", "done", "--discovered", "{"): "--discovered is not json",
        ("--task", "a", "--status", "done", "--discovered", '{"name": "x"}'): "discovered",
        ("--task", "a", "--status", "perfect"): "invalid value for '--status'",
        ("--status", "done"): "whose report is it",
    }
    for words, sentence in refusals.items():
        refused = session.report(*words)
        assert refused.code == 2, words
        assert sentence in refused.err.lower()
        assert "traceback" not in refused.err.lower()
    work_all(said["launch"])  # and the task is as it was
    work_all(session.next().json["launch"])
    assert session.wait(said["run_id"]).code == 0


def test_the_first_report_counts(session: Session, tmp_path: Path) -> None:
    go = tmp_path / "go"
    said = session.start([{"id": "a"}], "--test-command", f'until [ -e "{go}" ]; do sleep 0.02; done').json
    work_all(said["launch"])
    second = session.report("--task", "a", "--status", "failed")
    assert second.code == 2
    assert "already" in second.err or "is over" in second.err
    go.touch()
    assert session.wait(said["run_id"]).code == 0


def test_many_reports_at_once_make_one(session: Session) -> None:
    said = session.start([{"id": "a"}], "--attempts", "1").json
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: session.report("--task", "a", "--status", "blocked").code, range(4)))
    assert sorted(codes) == [0, 2, 2, 2]
    assert session.wait(said["run_id"]).code == 3


def test_what_nobody_works_on_is_given_out_again(session: Session) -> None:
    first = session.start([{"id": "a"}, {"id": "b"}]).json
    once_more = session.next("--again", "b").json
    assert once_more["launch"] == by_task(first["launch"])[1:]
    assert once_more["running"] == ["a"]
    for words in (["--again", "nobody"], ["--again", "a", "--again", "nobody"]):
        assert session.next(*words).code == 2
    work_all(first["launch"])
    assert session.next("--run-id", first["run_id"], "--again", "a").code == 2
    assert session.wait(first["run_id"]).code == 0


def test_two_callers_never_get_the_same_offer(session: Session) -> None:
    """Twenty tasks, ten at once; four ask for them all the time."""
    said = session.start([{"id": f"t{number}"} for number in range(20)]).json
    run = said["run_id"]
    assert len(said["launch"]) == 10
    launched = list(said["launch"])

    def serve(_: int) -> list[dict[str, Any]]:
        mine = []
        while (got := session.next("--run-id", run, wait=2).json)["status"] == "running":
            mine += got["launch"]
            work_all(got["launch"])
        return mine

    with ThreadPoolExecutor(4) as pool:
        others = pool.map(serve, range(3))
        work_all(said["launch"])
        for got in others:
            launched += got
    assert sorted(names(launched)) == sorted(f"t{number}" for number in range(20))
    assert session.wait(run).code == 0
    assert set(session.statuses(run).values()) == {"landed"}


def test_twenty_at_once_are_given_out_in_one_answer(session: Session) -> None:
    said = session.start([{"id": f"t{number}"} for number in range(20)], "--max-parallel", "20").json
    assert len({one["workspace"] for one in said["launch"]}) == 20
    work_all(said["launch"])
    assert session.wait(said["run_id"]).code == 0


def test_odd_names_go_there_and_back(session: Session) -> None:
    odd = ["a b", "x/y", "Größe 😀", "--flag", "quote'\"$(touch pwned)", "A", "a"]
    said = session.start([{"id": name} for name in odd]).json
    assert sorted(names(said["launch"])) == sorted(odd)
    work_all(said["launch"])
    assert session.wait(said["run_id"]).code == 0
    assert session.statuses(said["run_id"]) == dict.fromkeys(odd, "landed")


def test_a_second_session_is_refused_what_the_first_holds(session: Session) -> None:
    tasks = [{"id": "a", "title": "[P:Group-X] one"}, {"id": "b", "title": "[P:Group-X] two"}]
    first = session.start(tasks, "--group-id", "X").json
    second = session.start(tasks, "--group-id", "X")
    assert second.code == 3
    assert f"held by run {first['run_id']}" in second.json["error"]["message"]
    assert "since" in second.json["error"]["message"]
    assert [path.name for path in session.runs.iterdir() if path.is_dir()] == [first["run_id"]]
    work_all(first["launch"])
    assert session.wait(first["run_id"]).code == 0


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (["--group-id", "nowhere"], 2, "nowhere"),
        (["--agent", "claude"], 2, "--agent names another agent"),
        (["--agent-command", "true"], 2, "--agent-command names another agent"),
        (["--run-id", "a b"], 2, "'a b' cannot name a run"),
        (["--workspace", "moon"], 2, "moon"),
    ],
)
def test_what_run_refuses_is_refused_and_leaves_nothing(
    session: Session, flags: list[str], code: int, sentence: str
) -> None:
    said = session.start([{"id": "a"}], *flags)
    assert said.code == code
    assert sentence in said.json["error"]["message"]
    assert "Traceback" not in said.err
    assert not [path for path in session.runs.glob("*") if path.is_dir()]


def test_a_backlog_that_is_done_needs_no_subagent(session: Session) -> None:
    said = session.start([{"id": "a", "status": "done"}])
    assert said.code == 0
    assert (said.json["status"], said.json["launch"]) == ("completed", [])


def test_nothing_is_under_way(session: Session) -> None:
    for words in (["delegate", "next"], ["report", "--task", "a", "--status", "done"]):
        said = maestro(*words, "--json", cwd=session.repo.path)
        assert said.code == 2
        assert "waits for a session" in said.json["error"]["message"]


def test_a_run_in_the_foreground_offers_the_same(session: Session) -> None:
    argv = ["--agent", "delegate", "--no-tests", "--run-id", "here", "--json"]
    words = command_line("run", "--tasks-file", str(session.tasks_file([{"id": "a"}])), *argv)
    with subprocess.Popen(words, cwd=session.repo.path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        until((session.delegate_folder("here") / "settled").exists)
        work_all(session.next().json["launch"])
        out, _ = run.communicate(timeout=60)
    assert run.returncode == 0
    assert json.loads(out)["tasks"]["a"]["status"] == "landed"


def test_work_in_place_is_offered_one_at_a_time(session: Session) -> None:
    """Where the user wants it in the checkout itself, the prompt does not forbid it."""
    said = session.start([{"id": "a"}, {"id": "b"}], "--workspace", "none").json
    (launch,) = said["launch"]
    assert launch["workspace"] == str(session.repo.path)
    assert "Do not touch" not in launch["prompt"]
    work_all([launch])
    (second,) = session.next().json["launch"]
    work_all([second])
    assert session.wait(said["run_id"]).code == 0


def test_a_plain_run_takes_no_offers_but_its_agents_may_report(session: Session, tmp_path: Path) -> None:
    agent = "echo x > x.txt && maestro report --status done --summary 'all well' && ! maestro report --status failed"
    ran = maestro(
        *("run", "--tasks-file", str(session.tasks_file([{"id": "a"}])), "--no-tests", "--json", "--run-id", "plain"),
        *("--agent-command", agent.replace("maestro", shlex.join(start_words(tmp_path)[:3]))),
        cwd=session.repo.path,
    )
    assert ran.code == 0, ran.err
    assert "all well" in session.repo.git("log", "--format=%B", "integration/plain")
    said = session.next("--run-id", "plain")
    assert said.code == 2
    assert "offers nothing" in said.json["error"]["message"]


def test_a_session_that_dies_frees_what_it_held(session: Session, tmp_path: Path) -> None:
    """What is reported lands, what is not is saved and open again, and the next session may have it."""
    tasks_file = session.tasks_file([{"id": "a"}, {"id": "b"}])
    start = shlex.join(start_words(tasks_file, "--run-id", "first"))
    claude = session_named_claude(
        f"{start} > {tmp_path}/said.tmp; mv {tmp_path}/said.tmp {tmp_path}/said", session.repo.path
    )
    try:
        until((tmp_path / "said").exists)
        first, second = by_task(json.loads((tmp_path / "said").read_text())["launch"])
        known = json.loads((session.delegate_folder("first") / "session.json").read_text())
        assert known["pid"] == claude.pid
        Path(second["workspace"], "half.txt").write_text("half")
        work_all([first])
        until(lambda: "task a: landed" in session.log("first"))
    finally:
        claude.kill()
        claude.communicate()
    ended = session.wait("first")
    assert (ended.code, ended.json["status"]) == (130, "interrupted")
    result = session.result("first")
    assert session.statuses("first") == {"a": "landed", "b": "cancelled"}
    assert result["reason"] == result["tasks"]["b"]["reason"] == "the session that worked on it has ended"
    assert "half.txt" in session.repo.files(result["tasks"]["b"]["saved_ref"])
    until(lambda: not is_coordinator(session.coordinator("first")))
    again = maestro(
        *start_words(tasks_file, "--integration-base-branch", "integration/first")[3:], cwd=session.repo.path
    )
    assert names(again.json["launch"]) == ["b"], again.out
    work_all(again.json["launch"])
    assert session.wait(again.json["run_id"]).code == 0


def test_a_session_that_leaves_when_all_is_reported_loses_nothing(session: Session, tmp_path: Path) -> None:
    go = tmp_path / "go"
    tasks_file = session.tasks_file([{"id": "a"}])
    words = [word for word in start_words(tasks_file, "--run-id", "first") if word != "--no-tests"]
    start = shlex.join([*words, "--test-command", f'until [ -e "{go}" ]; do sleep 0.02; done'])
    claude = session_named_claude(
        f"{start} > {tmp_path}/said.tmp; mv {tmp_path}/said.tmp {tmp_path}/said", session.repo.path
    )
    try:
        until((tmp_path / "said").exists)
        work_all(json.loads((tmp_path / "said").read_text())["launch"])
    finally:
        claude.kill()
        claude.communicate()
    until(lambda: "nothing new is started" in session.log("first"))
    go.touch()
    ended = session.wait("first")
    assert (ended.code, ended.json["status"]) == (0, "completed")


def test_what_nobody_took_is_not_given_out_once_nothing_new_is_to_start(session: Session) -> None:
    said = session.start([{"id": "a"}, {"id": "b"}]).json
    run = said["run_id"]
    second = by_task(said["launch"])[1]
    assert session.report("--task", "a", "--status", "failed", "--summary", "no").code == 0
    until((session.delegate_folder(run) / "offers" / "a.2.json").exists)
    os.kill(session.coordinator(run), signal.SIGINT)
    until((session.delegate_folder(run) / "ended" / "a.2").exists)
    asked = session.next("--run-id", run, wait=0).json
    assert (asked["launch"], asked["running"]) == ([], ["b"]), "who works may finish"
    work_all([second])
    assert session.wait(run).code == 130
    assert session.statuses(run) == {"a": "cancelled", "b": "landed"}


def test_a_coordinator_that_was_killed_is_said_and_nothing_hangs(session: Session) -> None:
    said = session.start([{"id": "a"}]).json
    run = said["run_id"]
    os.kill(session.coordinator(run), signal.SIGKILL)
    until(lambda: not is_coordinator(session.coordinator(run)))
    for words in (["delegate", "next", "--wait", "30"], ["report", "--task", "a", "--status", "done"]):
        answer = maestro(*words, "--json", cwd=session.repo.path)
        assert answer.code == 3
        assert "died before the end" in answer.json["error"]["message"]
        assert "maestro delegate start" in answer.json["error"]["hint"]
    # the report is kept, and its waiter has ended: nothing is left running
    until((session.runs / run / "attempts" / "a" / "1" / "exit").exists)
    again = session.start([{"id": "a"}], "--run-id", "again").json
    work_all(again["launch"])
    assert session.wait("again").code == 0
    maestro("clean", "--force", cwd=session.repo.path)


def test_status_tells_what_is_given_out(session: Session) -> None:
    said = session.start([{"id": "a"}, {"id": "b", "dependencies": ["a"]}]).json
    status = maestro("status", "--run-id", said["run_id"], cwd=session.repo.path)
    assert [line.split()[:3] for line in status.out.splitlines()[2:]] == [["a", "given", "out"], ["b", "pending", "0"]]
    newest = maestro("status", "--json", cwd=session.repo.path).json["runs"][0]
    assert newest["counts"] == {"given out": 1, "pending": 1}
    subagent(said["launch"][0]).communicate()
    work_all(session.next().json["launch"])
    assert session.wait(said["run_id"]).code == 0


def test_what_does_not_exist_in_the_session_falls_back_and_is_recorded(session: Session) -> None:
    tasks: list[dict[str, Any]] = [
        {"id": "a", "subagent_type": "wizard", "fallback_agents": ["builder"]},
        {"id": "b", "subagent_type": "wizard"},
        {"id": "c", "title": "Add a react component"},
    ]
    said = session.start(tasks, "--agents", "builder,flow:frontend-developer").json
    chosen = {one["task"]: (one["subagent_type"], one["wanted_subagent"]) for one in said["launch"]}
    assert chosen == {
        "a": ("builder", "wizard"),
        "b": ("general-purpose", "wizard"),
        "c": ("frontend-developer", None),
    }
    assert "'wizard' is not available" in by_task(said["launch"])[0]["why"]
    journal = (session.runs / said["run_id"] / "journal.jsonl").read_text().splitlines()
    starting = [event for event in map(json.loads, journal) if event.get("type") == "attempt_starting"]
    assert {event["task"]: event["subagent"] for event in starting} == {name: pair[0] for name, pair in chosen.items()}
    work_all(said["launch"])
    assert session.wait(said["run_id"]).code == 0


@pytest.mark.parametrize("reported_meanwhile", [False, True])
def test_a_run_whose_coordinator_was_killed_is_resumed_with_the_offers_it_had_made(
    session: Session, tmp_path: Path, reported_meanwhile: bool
) -> None:
    """Its waiters live on: a subagent may report before or after somebody goes on with the run, and it is heard."""
    said = session.start([{"id": "a"}, {"id": "b", "dependencies": ["a"]}]).json
    run, (first,) = said["run_id"], said["launch"]
    os.kill(session.coordinator(run), signal.SIGKILL)
    until(lambda: not is_coordinator(session.coordinator(run)))
    if reported_meanwhile:
        early = subagent(first)
        _, err = early.communicate(timeout=60)
        assert early.returncode == 3, err
        assert f"maestro resume --run-id {run}" in err
    with subprocess.Popen(
        command_line("resume", "--run-id", run, "--json"),
        cwd=session.repo.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as resumed:  # fmt: skip
        until(lambda: session.coordinator(run) == resumed.pid)
        if not reported_meanwhile:
            until(lambda: b"run_resumed" in (session.runs / run / "journal.jsonl").read_bytes())
            work_all([first])
        second = session.next("--run-id", run).json["launch"]
        assert names(second) == ["b"]
        work_all(second)
        out, err = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, err
    tasks = json.loads(out)["tasks"]
    assert {name: (task["status"], task["attempts"]) for name, task in tasks.items()} == {
        "a": ("landed", 1),
        "b": ("landed", 1),
    }
