"""What a run that was killed leaves is found and done away with; all else is left alone (W-6, FIELD 1, 11, 12)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from maestro.proc.describe import program
from maestro.proc.family import census, identify, members, variable_of
from maestro.store.layout import Layout
from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.processes import until
from maestro.testing.repository import Repository, make_repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started, check_sound, checkout_of

Start = Callable[..., Started]
Bystander = Callable[..., int]

QUICK = {"MAESTRO_STOP_INTERRUPT_SECONDS": "0.3", "MAESTRO_STOP_TERMINATE_SECONDS": "0.3"}


@pytest.fixture
def clean_up(repo: Repository) -> Callable[..., Said]:
    """`cleanup-orphans --json` with these words, which must end with `code`."""

    def call(*args: str, code: int = 0, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Said:
        said = maestro("cleanup-orphans", "--json", *args, cwd=cwd or repo.path, env={**QUICK, **(env or {})})
        assert said.code == code, (said.out, said.err)
        return said

    return call


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[Bystander]:
    """A `sleep` of the user's, with more variables; its pid."""
    started = []

    def begin(cwd: Path | None = None, **env: str) -> int:
        started.append(subprocess.Popen(["sleep", "1000"], cwd=cwd or tmp_path, env={**os.environ, **env}))
        return started[-1].pid

    yield begin
    lived = [one.poll() is None for one in started]
    for one in started:
        one.kill()
        one.wait()
    assert all(lived), "a process of the user's was ended"


def agent_with_daemons(here: Path) -> str:
    """Works, commits, leaves a daemon in a session of its own and one that forked away, and stays; deaf to INT."""
    daemon = "trap '' INT TERM; while :; do sleep 50; done"
    return (
        f"{WRITES_ONE_FILE}; echo half > half.txt; "
        f'setsid sh -c "{daemon}" </dev/null >/dev/null 2>&1 & '
        f"(setsid setsid sleep 500 >/dev/null 2>&1 &); "
        f"touch '{here}'; while :; do sleep 50; done"
    )


@pytest.fixture
def killed(repo: Repository, start: Start, tmp_path: Path) -> str:
    """A run `dead` of one task, killed with its agent and two daemons alive; the marker of the attempt."""
    here = tmp_path / "here"
    started = start([{"id": "a"}], "--run-id", "dead", agent=agent_with_daemons(here))
    started.until(here)
    started.process.kill()
    started.end()
    (marker,) = [one for one in census() if "/dead/" in one and _is_of(repo, one)]
    until(lambda: sum(program(one.pid) == "sleep" for one in members(marker)) == 3)  # nobody is on the way any more
    return marker


def _is_of(repo: Repository, marker: str) -> bool:
    return any(variable_of(one.pid, "MAESTRO_REPOSITORY") == str(repo.path) for one in members(marker))


def kinds(said: Said, **wanted: Any) -> list[str]:
    return [one["kind"] for one in said.json["orphans"] if all(one[key] == value for key, value in wanted.items())]


def test_everything_a_killed_run_left_is_shown_and_then_gone(
    repo: Repository, killed: str, clean_up: Callable[..., Said], bystander: Bystander
) -> None:
    before = checkout_of(repo)
    bystander()
    bystander(MAESTRO_ATTEMPT="0badcafe/dead/a/1", MAESTRO_REPOSITORY="/somewhere/else")
    bystander(MAESTRO_ATTEMPT=f"0badcafe/{killed.partition('/')[2]}")
    family = members(killed)
    assert len(family) >= 4

    shown = clean_up()
    assert sorted(set(kinds(shown))) == ["branch", "claim", "port_lease", "process", "workspace"]
    processes = [one for one in shown.json["orphans"] if one["kind"] == "process"]
    assert {one["pid"] for one in processes} == {one.pid for one in family}
    said = {f"{one['what']}, {one['reason']}" for one in processes}
    assert any(line.startswith("process ") and "(sleep), started " in line for line in said), said
    assert all(line.endswith("by attempt 1 of task a of run dead, whose coordinator died") for line in said)
    assert shown.json["runs"] == [
        {"run_id": "dead", "standing": "unfinished", "resume": "maestro resume --run-id dead"}
    ]
    assert shown.json["counts"] == {"coordinator_died": len(shown.json["orphans"])}
    assert members(killed) == family, "looking ends nobody"
    assert clean_up("--dry-run", "--force").json == {**shown.json}

    done = clean_up("--force")
    assert {one["done"] for one in done.json["orphans"]} == {True}
    assert members(killed) == []
    (saved,) = [one["saved_ref"] for one in done.json["orphans"] if one["kind"] == "workspace"]
    assert saved == "refs/maestro/saved/dead/a"
    assert {"out-a.txt", "half.txt"} <= set(repo.files(saved))
    assert repo.git("for-each-ref", "refs/heads/maestro/") == ""
    layout = Layout(repo.path)
    assert list((layout.locks / "live").iterdir()) == []
    assert layout.journal("dead").exists()
    assert checkout_of(repo) == before
    check_sound(repo)
    again = clean_up("--force").json
    assert (again["orphans"], again["problems"]) == ([], [])


def test_words_for_people(repo: Repository, killed: str) -> None:
    said = maestro("cleanup-orphans", cwd=repo.path, env=QUICK)
    assert said.code == 0
    assert ", started " in said.out
    assert "`maestro cleanup-orphans --force` does away with them." in said.out.splitlines()[-1]
    assert "`maestro resume --run-id dead` would go on with run dead" in said.err
    said = maestro("cleanup-orphans", "--force", cwd=repo.path, env=QUICK)
    assert said.code == 0, said.err
    assert "saved as refs/maestro/saved/dead/a" in said.out
    assert said.out.splitlines()[-1].endswith("are gone.")
    assert members(killed) == []
    said = maestro("cleanup-orphans", "--force", cwd=repo.path)
    assert said.out == "Nothing is left of runs that died.\n"


def test_a_run_that_lives_is_never_touched(
    repo: Repository, killed: str, start: Start, tmp_path: Path, clean_up: Callable[..., Said]
) -> None:
    here, go = tmp_path / "live-here", tmp_path / "go"
    agent = f"touch '{here}'; until [ -e '{go}' ]; do sleep 0.02; done; {WRITES_ONE_FILE}"
    (tmp_path / "live").mkdir()
    tasks = tmp_path / "live" / "tasks.json"
    tasks.write_text(json.dumps({"tasks": [{"id": "b"}]}))
    lives = start([{"id": "b"}], "--run-id", "live", "--tasks-file", str(tasks), agent=agent)
    lives.until(here)
    refused = maestro("cleanup-orphans", "--force", "--run-id", "live", cwd=repo.path)
    assert (refused.code, "run live is under way" in refused.err.lower()) == (3, True)
    done = clean_up("--force")
    assert {one["run_id"] for one in done.json["orphans"]} == {"dead"}
    assert members(killed) == []
    # even where somebody removed the file by which it holds its name
    (Layout(repo.path).locks / "live" / "live.json").unlink()
    assert clean_up("--force").json["orphans"] == []
    go.touch()
    said = lives.end()
    assert said.code == 0, said.err
    assert said.statuses() == {"b": "landed"}


def test_a_process_that_got_the_pid_of_an_agent_is_not_taken_for_it(
    repo: Repository, killed: str, clean_up: Callable[..., Said], bystander: Bystander
) -> None:
    clean_up("--force")
    pid = bystander(cwd=repo.path)
    one = identify(pid)
    assert one is not None
    journal = Layout(repo.path).journal("dead")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line.get("type") == "attempt_spawned":
            line["pid"] = pid  # the kernel has given it to somebody else, who started at another time
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert clean_up("--force").json["orphans"] == []
    for line in lines:
        if line.get("type") == "attempt_spawned":
            line["pid_started"] = one.started  # not even this makes it ours: it has no marker
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert clean_up("--force").json["orphans"] == []


def test_processes_whose_run_folder_is_gone_are_known_by_the_repository_they_name(
    repo: Repository, killed: str, clean_up: Callable[..., Said], tmp_path: Path
) -> None:
    subprocess.run(["rm", "-rf", repo.path / ".flow"], check=True)
    other = make_repository(tmp_path / "other")
    assert clean_up("--force", cwd=other.path).json["orphans"] == []
    shown = clean_up().json["orphans"]
    assert {one["cause"] for one in shown} == {"run_gone"}
    assert "whose folder is gone" in shown[0]["reason"]
    done = clean_up("--force")
    assert sorted(set(kinds(done, done=True))) == ["branch", "port_lease", "process", "workspace"]
    assert members(killed) == []
    assert {"out-a.txt", "half.txt"} <= set(repo.files("refs/maestro/saved/dead/a"))
    check_sound(repo)


def test_runs_that_an_agent_started_go_with_it(
    repo: Repository, start: Start, clean_up: Callable[..., Said], tmp_path: Path
) -> None:
    """Their agents carry marks of their own, and their coordinator is one of the agent's processes."""
    here = tmp_path / "here"
    inner = json.dumps([{"id": "inner-task"}])
    argv = [*command_line("run", "--run-id", "inner", "--tasks-file", "tasks.json", "--no-tests", "--agent-command")]
    begin = " ".join([*argv, f"'touch \"{here}\"; setsid sleep 500'"])
    agent = f"echo '{inner}' > tasks.json; git add -A; git commit -qm tasks; {begin}"
    started = start([{"id": "a"}], "--run-id", "outer", agent=agent)
    started.until(here)
    started.process.kill()
    started.end()
    shown = clean_up().json["orphans"]
    reasons = [one["reason"] for one in shown if one["kind"] == "process"]
    end = "by attempt 1 of task inner-task of run inner inside of a workspace of run outer, whose coordinator died"
    assert any(reason.endswith(end) for reason in reasons), reasons
    assert {one["done"] for one in clean_up("--force").json["orphans"]} == {True}
    assert "tasks.json" in repo.files("refs/maestro/saved/outer/a")


def test_a_workspace_in_which_somebody_stands_is_kept_and_that_is_a_failure(
    killed: str, clean_up: Callable[..., Said], bystander: Bystander
) -> None:
    workspace = Path(f"/proc/{members(killed)[0].pid}/cwd").resolve()
    pid = bystander(cwd=workspace)
    done = clean_up("--force", code=1)
    (kept,) = [one for one in done.json["orphans"] if not one["done"]]
    assert (kept["kind"], kept["why_it_stays"]) == ("workspace", f"it is in use: process {pid} (sleep) stands in it")
    assert workspace.is_dir()
    assert members(killed) == []


@pytest.mark.parametrize("after_seconds", [0.4, 0.8, 1.2, 1.6])
def test_a_cleanup_that_is_killed_is_finished_by_the_next(
    repo: Repository, killed: str, clean_up: Callable[..., Said], after_seconds: float
) -> None:
    argv = [sys.executable, "-m", "maestro", "cleanup-orphans", "--force"]
    first = subprocess.Popen(argv, cwd=repo.path, env={**os.environ, **QUICK}, stdout=subprocess.DEVNULL)
    try:
        first.wait(after_seconds)
    except subprocess.TimeoutExpired:
        first.send_signal(signal.SIGKILL)
        first.wait()
    clean_up("--force")
    assert members(killed) == []
    assert {"out-a.txt", "half.txt"} <= set(repo.files("refs/maestro/saved/dead/a"))
    assert clean_up().json["orphans"] == []
    check_sound(repo)


def test_the_next_run_does_all_of_it_again(
    repo: Repository, killed: str, clean_up: Callable[..., Said], run: Run
) -> None:
    clean_up("--force")
    said = run([{"id": "a"}])
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed"}
    until(lambda: not members(killed))
    assert clean_up().json["orphans"] == []


def test_resume_still_works_after_a_cleanup(
    repo: Repository, start: Start, clean_up: Callable[..., Said], tmp_path: Path
) -> None:
    """The agent that was at work is lost to the run, its work is saved, its task is tried again; what landed stays."""
    here, go = tmp_path / "here", tmp_path / "go"
    agent = (
        f'if [ "$MAESTRO_TASK_ID" = b ] && [ ! -e "{go}" ]; then echo half > half.txt; touch "{here}"; '
        f"while :; do sleep 50; done; fi; {WRITES_ONE_FILE}"
    )
    started = start(
        [{"id": "a"}, {"id": "b", "dependencies": ["a"]}], "--run-id", "dead", "--attempts", "1", agent=agent
    )
    started.until(here)
    started.process.kill()
    started.end()
    done = clean_up("--force")
    assert [one["resume"] for one in done.json["runs"]] == ["maestro resume --run-id dead"]
    assert "half.txt" in repo.files("refs/maestro/saved/dead/b")
    go.touch()
    said = maestro("resume", "--run-id", "dead", "--json", cwd=repo.path)
    assert said.code == 0, (said.out, said.err)
    assert said.statuses() == {"a": "landed", "b": "landed"}
    assert repo.show(said.json["integration_branch"], "out-b.txt") == "b"
    assert "half.txt" in repo.files("refs/maestro/saved/dead/b")
    assert clean_up().json["orphans"] == []
    check_sound(repo)


def test_a_checkout_that_was_lent_to_an_agent_comes_back(
    repo: Repository, start: Start, clean_up: Callable[..., Said], tmp_path: Path
) -> None:
    before, here = checkout_of(repo), tmp_path / "here"
    agent = f"{WRITES_ONE_FILE}; echo half > half.txt; touch '{here}'; while :; do sleep 50; done"
    started = start([{"id": "a"}], "--run-id", "dead", "--workspace", "none", agent=agent)
    started.until(here)
    started.process.kill()
    started.end()
    assert checkout_of(repo) != before
    shown = clean_up().json["orphans"]
    assert any("the loan of your checkout of task a of run dead" in one["reason"] for one in shown)
    assert {one["done"] for one in clean_up("--force").json["orphans"]} == {True}
    assert checkout_of(repo) == before
    assert {"out-a.txt", "half.txt"} <= set(repo.files("refs/maestro/saved/dead/a"))


def test_cleanup_and_resume_in_the_same_moment(
    repo: Repository, start: Start, clean_up: Callable[..., Said], tmp_path: Path
) -> None:
    """Whoever comes first does its work whole; nothing is lost, and the run comes to its end."""
    here, go = tmp_path / "here", tmp_path / "go"
    agent = f"{WRITES_ONE_FILE}; touch '{here}'; until [ -e '{go}' ]; do sleep 0.02; done"
    started = start([{"id": "a"}], "--run-id", "dead", agent=agent)
    started.until(here)
    started.process.kill()
    started.end()
    env = {**os.environ, **QUICK}
    both = [
        subprocess.Popen(
            command_line(*words), cwd=repo.path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for words in (("resume", "--run-id", "dead", "--json"), ("cleanup-orphans", "--force", "--json"))
    ]
    go.touch()
    (resumed, _), (_, said) = (one.communicate(timeout=90) for one in both)
    assert both[1].returncode == 0, said
    if both[0].returncode == 3:
        assert "run dead is being cleaned up" in json.loads(resumed)["error"]["message"].lower()
        again = maestro("resume", "--run-id", "dead", "--json", cwd=repo.path)
        assert again.code == 0, again.err
    else:
        assert both[0].returncode == 0, resumed
    assert repo.show("integration/dead", "out-a.txt") == "a"
    assert clean_up().json["orphans"] == []
    check_sound(repo)
