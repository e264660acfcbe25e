"""What `maestro resume` is told and says: which run, which settings, what it refuses, what is seen meanwhile (E-6)."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Started
from tests.acceptance.resuming import QUICK, Scene

CHAIN: list[dict[str, Any]] = [{"id": "a"}, {"id": "b", "dependencies": ["a"]}]


@pytest.fixture
def scene(repo: Repository, start: Callable[..., Started], tmp_path: Path) -> Scene:
    return Scene(repo, start, tmp_path)


def refused(scene: Scene, *flags: str) -> str:
    """Exit code 2 (or what a state that cannot be read is worth), one sentence, one hint, JSON; the sentence."""
    said = scene.resume(*flags)
    assert said.code in (1, 2, 3), said.err
    error = said.json["error"]
    assert set(error) == {"message", "hint"}
    assert error["hint"]
    assert "\n" not in error["message"]
    assert "Traceback" not in said.err
    return f"{said.code}: {error['message']} | {error['hint']}"


def interrupted(scene: Scene, tasks: list[dict[str, Any]], *flags: str, waits_for: tuple[str, ...] = ("a",)) -> None:
    """A run that ^C twice ended, its agents at work."""
    started = scene.begin(tasks, *flags, waits_for=waits_for, env=QUICK)
    started.send(signal.SIGINT)
    started.until_said("nothing new is started")
    started.send(signal.SIGINT)
    assert started.end().code == 130


# --- how the run had ended ---


def test_what_an_interrupt_cut_off_is_tried_again(scene: Scene) -> None:
    interrupted(scene, CHAIN)
    scene.let_go()
    before = scene.maestro("status", "--run-id", "it", "--json").json
    assert (before["status"], before["alive"]) == ("interrupted", False)
    said = scene.resume()
    assert (said.code, said.statuses(), said.json["status"]) == (0, {"a": "landed", "b": "landed"}, "completed")
    assert said.json["reason"] == ""
    assert "the run goes on; tried again: a" in said.err
    assert scene.starts() == ["a", "a", "b"]
    assert said.json["metrics"]["attempts"] == 3
    assert "saved_ref" not in said.json["tasks"]["a"]
    status = scene.maestro("status", "--run-id", "it", "--json").json
    assert (status["status"], status["alive"]) == ("completed", False)
    assert scene.maestro("wait", "--run-id", "it", "--json").code == 0


def test_what_an_interrupt_cut_off_is_tried_again_also_where_the_end_was_not_written(scene: Scene) -> None:
    """Killed right after the attempt had ended: what that came to does not bind whoever goes on."""
    interrupted(scene, CHAIN, "--attempts", "1")
    lines = scene.journal.read_bytes().splitlines(keepends=True)
    (last,) = [number for number, line in enumerate(lines) if b'"attempt_ended"' in line]
    scene.journal.write_bytes(b"".join(lines[: last + 1]))
    (scene.folder_of_run / "summary.json").unlink()
    scene.let_go()
    said = scene.resume()
    assert (said.code, said.statuses()) == (0, {"a": "landed", "b": "landed"}), said.err
    assert scene.starts() == ["a", "a", "b"]


def test_a_run_is_resumed_from_anywhere_in_its_repository(scene: Scene) -> None:
    """Paths that it was given are those of where it was given them."""
    below = scene.repo.path / "src" / "deep"
    below.mkdir(parents=True)
    (below / "tasks.json").write_text(json.dumps(CHAIN))
    argv = ["run", "--run-id", "it", "--no-tests", "--tasks-file", "tasks.json", "--workspace-root", "../../../ws"]
    started = Started([*argv, "--agent-command", scene.agent()], below, None)
    started.until(scene.folder / "here-a")
    scene.until(scene.pids)
    scene.kill(started)
    scene.let_go()
    said = scene.resume(cwd=scene.repo.path / "src")
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err


def test_a_completed_run_is_only_shown_again(scene: Scene) -> None:
    scene.let_go()
    scene.begin(CHAIN, waits_for=()).end()
    journal = scene.journal.read_bytes()
    said = scene.resume("--run-id", "it")
    assert (said.code, said.json) == (0, json.loads((scene.folder_of_run / "summary.json").read_text()))
    assert scene.journal.read_bytes() == journal
    assert scene.starts() == ["a", "b"]
    assert "no run here is unfinished" in refused(scene).lower()


def test_failed_tasks_are_tried_again_when_asked_for(scene: Scene) -> None:
    fails = f'[ -e "{scene.folder}/mended" ] || exit 9; {WRITES_ONE_FILE}'
    scene.let_go()
    said = scene.begin(CHAIN, "--attempts", "1", waits_for=(), agent=scene.agent(fails)).end()
    assert (said.code, said.statuses()) == (1, {"a": "failed", "b": "blocked"})
    (scene.folder / "mended").touch()
    again = scene.resume("--run-id", "it")
    assert (again.code, again.statuses()) == (1, {"a": "failed", "b": "blocked"})
    assert scene.starts() == ["a"]
    done = scene.resume("--run-id", "it", "--retry-failed")
    assert (done.code, done.statuses()) == (0, {"a": "landed", "b": "landed"}), done.err
    assert scene.starts() == ["a", "a", "b"]


def test_what_waited_for_a_person_is_tried_again_and_what_failed_is_not(scene: Scene) -> None:
    asks = f"""case $MAESTRO_TASK_ID in
        asks) if [ ! -e "{scene.folder}/answer" ]; then
                printf '{{"status": "blocked", "summary": "which colour?"}}' >"$MAESTRO_REPORT_FILE"; exit 0; fi;;
        bad) exit 9;; esac; {WRITES_ONE_FILE}"""
    tasks: list[dict[str, Any]] = [{"id": "asks"}, {"id": "after", "dependencies": ["asks"]}, {"id": "bad"}]
    scene.let_go()
    said = scene.begin(tasks, "--attempts", "1", waits_for=(), agent=scene.agent(asks)).end()
    assert said.statuses() == {"asks": "blocked", "after": "blocked", "bad": "failed"}
    (scene.folder / "answer").touch()
    said = scene.resume("--run-id", "it")
    assert (said.code, said.statuses()) == (1, {"asks": "landed", "after": "landed", "bad": "failed"}), said.err
    assert sorted(scene.starts()) == ["after", "asks", "asks", "bad"]


def test_a_gate_that_could_not_be_judged_may_be_mended(scene: Scene) -> None:
    scene.let_go()
    said = scene.begin(CHAIN, waits_for=(), tests="no-such-runner-here").end()
    assert said.code == 3, said.out
    assert said.json["status"] == "blocked"
    said = scene.resume("--test-command", "test -e out-a.txt")
    assert (said.code, said.statuses()) == (0, {"a": "landed", "b": "landed"}), said.err
    assert "test_command is test -e out-a.txt now" in said.err


# --- settings ---


def test_the_run_keeps_its_settings_but_for_what_is_said_now(scene: Scene) -> None:
    """Files and variables of today do not count; flags do, and put out what excludes them."""
    scene.dead([{"id": "a"}, {"id": "b"}, {"id": "c"}], "--max-parallel", "1", waits_for=("a",))
    (scene.state / "config.toml").write_text('max_parallel = 3\ntest_command = "false"\nagent_command = "exit 1"\n')
    scene.let_go()
    said = scene.resume(env={"MAESTRO_MAX_PARALLEL": "3", "MAESTRO_TEST_COMMAND": "false", "MAESTRO_ATTEMPTS": "1"})
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    running, most = 0, 0
    for event in scene.events("attempt_starting", "attempt_ended"):
        running += 1 if event["type"] == "attempt_starting" else -1
        most = max(most, running)
    assert most == 1
    (scene.state / "config.toml").unlink()


def test_flags_replace_what_the_run_was_told(scene: Scene) -> None:
    scene.dead([*CHAIN, {"id": "c", "dependencies": ["b"]}], waits_for=("a",))
    scene.let_go()
    other = f'echo other >"{scene.folder}/other-$MAESTRO_TASK_ID"; {WRITES_ONE_FILE}'
    said = scene.resume("--agent-command", other, "--test-command", f'echo x >>"{scene.folder}/tests"')
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert (scene.folder / "tests").read_text().split() == ["x"] * 3
    assert scene.starts() == ["a"], "the agent that lived is adopted, the others are the new one"
    assert (scene.folder / "other-b").exists()
    changed = scene.events("run_resumed")[0]["changed"]
    assert set(changed) == {"agent_command", "test_command"}
    kept = json.loads((scene.folder_of_run / "blueprint.json").read_text())["settings"]
    assert kept["agent_command"] == other, "the next resume would go on with it too"
    assert refused(scene, "--test-command", "true", "--no-tests").startswith("2:")
    assert refused(scene, "--max-parallel", "0").startswith("2:")
    assert refused(scene, "--schedule", "levels").startswith("2:")


# --- which run ---


def test_the_run_must_be_named_where_it_is_not_clear(scene: Scene, tmp_path: Path) -> None:
    assert refused(scene).startswith("2: No run here is unfinished")
    assert refused(scene, "--run-id", "nowhere").startswith("2: There is no run nowhere")
    assert refused(scene, "--run-id", "..").startswith("2: ")
    assert refused(scene, "--run-id", "").startswith("2: ")
    interrupted(scene, [{"id": "a"}])
    other = tmp_path / "other.json"
    other.write_text('[{"id": "z"}]')
    agent = scene.agent()
    argv = ["run", "--tasks-file", str(other), "--run-id", "two", "--no-tests", "--agent-command", agent]
    two = Started(argv, scene.repo.path, QUICK)
    two.until(tmp_path / "here-z")
    scene.kill(two)
    assert refused(scene).startswith("2: 2 runs here are unfinished: it, two. | Name one with --run-id")
    again = scene.maestro("run", "--tasks-file", str(other), "--run-id", "two", "--no-tests", "--json")
    assert again.code == 2
    assert "maestro resume --run-id two" in again.json["error"]["hint"]
    scene.let_go()
    assert scene.resume("--run-id", "two").code == 0
    assert scene.resume().code == 0


def test_another_run_over_the_backlog_waits_for_the_dead_ones_agents(scene: Scene) -> None:
    scene.dead(CHAIN, waits_for=("a",))
    argv = ["run", "--tasks-file", str(scene.tasks_file), "--no-tests", "--json", "--agent-command", WRITES_ONE_FILE]
    said = scene.maestro(*argv)
    assert said.code == 3
    assert said.json["error"]["message"].startswith("Run it over this backlog has died, and an agent of it still works")
    assert "maestro resume --run-id it" in said.json["error"]["hint"]
    assert "cleanup-orphans" in said.json["error"]["hint"]
    assert scene.maestro("cleanup-orphans", "--force", "--json", env=QUICK).code == 0
    said = scene.maestro(*argv)
    assert (said.code, said.statuses()) == (0, {"a": "landed", "b": "landed"}), said.err
    late = scene.resume("--run-id", "it")
    assert (late.code, set(late.statuses().values())) == (3, {"blocked"}), late.out
    assert "has landed it meanwhile" in late.json["tasks"]["a"]["reason"]
    assert scene.starts() == ["a"]


def test_of_two_dead_runs_that_whose_agents_live_is_gone_on_with_first(scene: Scene) -> None:
    """Two agents on one task help nobody, whoever starts the second."""
    scene.dead(CHAIN, waits_for=("a",))
    scene.reboot()
    (scene.folder / "here-a").unlink()
    argv = ["run", "--run-id", "second", "--tasks-file", str(scene.tasks_file), "--no-tests"]
    second = Started([*argv, "--agent-command", scene.agent()], scene.repo.path, None)
    second.until(scene.folder / "here-a")
    scene.kill(second)
    said = refused(scene, "--run-id", "it")
    assert said.startswith("3: Run second over this backlog has died, and an agent of it still works.")
    assert "maestro resume --run-id second" in said
    assert scene.starts() == ["a", "a"]
    scene.let_go()
    assert scene.resume("--run-id", "second").statuses() == {"a": "landed", "b": "landed"}
    late = scene.resume("--run-id", "it")
    assert (late.code, set(late.statuses().values())) == (3, {"blocked"}), late.err


def test_of_two_who_resume_at_once_one_wins(scene: Scene) -> None:
    scene.dead(CHAIN, waits_for=("a",))
    both = [Started(["resume", "--run-id", "it", "--json"], scene.repo.path, None) for _ in range(2)]
    scene.until(lambda: any(one.process.poll() is not None for one in both))
    (loser,) = [one for one in both if one.process.poll() is not None]
    said = loser.end()
    (winner,) = [one for one in both if one is not loser]
    assert said.code == 3
    assert said.json["error"]["message"].startswith(f"Run it (process {winner.process.pid}, since ")
    assert "maestro wait --run-id it" in said.json["error"]["hint"]
    status = scene.maestro("status", "--run-id", "it", "--json").json
    assert (status["status"], status["alive"]) == ("running", True)
    scene.let_go()
    assert winner.end().code == 0
    assert scene.starts() == ["a", "b"]


# --- what is seen of it ---


def test_everything_that_shows_runs_shows_one_that_goes_on(scene: Scene) -> None:
    """The end that was written before must not mislead while it is at work again."""
    grouped = [{**task, "title": "[P:Group-X]"} for task in CHAIN]
    interrupted(scene, grouped, "--schedule", "dataflow")
    for start in scene.folder.glob("here-*"):
        start.unlink()
    resumed = Started(["resume", "--json"], scene.repo.path, None)
    resumed.until(scene.folder / "here-a")
    scene.until(lambda: len(scene.events("attempt_spawned")) == 2)
    status = scene.maestro("status", "--run-id", "it", "--json").json
    assert (status["status"], status["alive"], status["reason"]) == ("running", True, "")
    assert status["tasks"]["a"]["state"] == "running"
    assert scene.maestro("wait", "--run-id", "it", "--timeout", "0.1", "--json").code == 124
    (group,) = [one for one in scene.maestro("list", "--json").json["groups"] if one["group_id"] == "X"]
    assert group["status"] == "in_progress"
    scene.let_go()
    waiting = Started(["wait", "--run-id", "it", "--json"], scene.repo.path, None)
    assert resumed.end().code == 0
    assert waiting.end().code == 0
    history = scene.maestro("history", "--json").json
    (row,) = [one for one in history["runs"] if one["run_id"] == "it"]
    assert row["status"] == "completed"
    logs = scene.maestro("logs", "a", "--run-id", "it", "--json")
    assert (logs.code, logs.json["attempt"]) == (0, 2)
    metadata = json.loads((scene.state / "parallel_groups/X/metadata.json").read_text())
    assert (metadata["status"], metadata["errors"]) == ("completed", [])


# --- what is gone, damaged or moved ---


def test_a_torn_journal_is_cut_and_that_is_said(scene: Scene) -> None:
    scene.dead(CHAIN, waits_for=("a",))
    with scene.journal.open("ab") as journal:
        journal.write(b'{"type":"warned","mess')
    scene.let_go()
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert "22 byte(s) were cut off" in said.json["warnings"][0]
    assert said.err.count("22 byte(s) were cut off") == 1
    assert scene.events("run_resumed")[0]["torn_bytes"] == 22


def test_files_of_the_run_that_cannot_be_read_are_refused_in_words(scene: Scene) -> None:
    scene.dead(CHAIN, waits_for=("a",))
    blueprint = scene.folder_of_run / "blueprint.json"
    was, journal = blueprint.read_bytes(), scene.journal.read_bytes()
    blueprint.rename(scene.folder / "kept")
    assert "was begun by an older maestro" in refused(scene, "--run-id", "it")
    blueprint.write_bytes(was[: len(was) // 2])
    assert "cannot be read" in refused(scene, "--run-id", "it")
    blueprint.write_bytes(was.replace(b'"version": 1', b'"version": 9', 1))
    assert "of version 9, this maestro reads version 1" in refused(scene, "--run-id", "it")
    blueprint.write_bytes(was)
    lines = journal.split(b"\n")
    scene.journal.write_bytes(b"\n".join([*lines[:2], b"{half", *lines[3:]]))
    assert "is damaged at byte" in refused(scene, "--run-id", "it")
    scene.journal.write_bytes(b"\n".join([lines[0].replace(b"1", b"7"), *lines[1:]]))
    assert "is of version 7, this maestro reads version 1" in refused(scene, "--run-id", "it")
    for empty in (True, False):
        scene.journal.write_bytes(b"")
        if not empty:
            scene.journal.unlink()
        assert "is gone or empty, and run it had begun" in refused(scene, "--run-id", "it")
        assert scene.journal.exists() is empty
    scene.journal.write_bytes(journal)
    assert scene.markers(), "nobody was harmed by all that"
    scene.let_go()
    assert scene.resume().code == 0
    assert scene.starts() == ["a", "b"]


def test_a_damaged_summary_of_another_run_hinders_nobody(scene: Scene) -> None:
    scene.let_go()
    scene.begin([{"id": "a"}], waits_for=()).end()
    (scene.folder_of_run / "summary.json").write_bytes(b"\0" * 100)
    other = scene.folder / "other.json"
    other.write_text('[{"id": "z"}]')
    argv = ["run", "--tasks-file", str(other), "--no-tests", "--json", "--agent-command", WRITES_ONE_FILE]
    said = scene.maestro(*argv)
    assert (said.code, said.statuses()) == (0, {"z": "landed"}), said.err


def test_a_backlog_that_changed_is_that_of_the_start(scene: Scene) -> None:
    """New tasks and other words are for the next run; one that is gone cannot be told of, which is said."""
    scene.dead(CHAIN, waits_for=("a",))
    moved = scene.folder / "moved.json"
    scene.tasks_file.rename(moved)
    assert "tasks.json" in refused(scene)
    scene.tasks_file.write_text(json.dumps([{"id": "a", "title": "other words"}, {"id": "new"}]))
    scene.let_go()
    said = scene.resume()
    assert said.statuses()["a"] == "landed", said.err
    assert "new" not in said.statuses()
    assert said.code == 3
    assert "no task 'b'" in said.json["tasks"]["b"]["reason"]


def test_workspaces_whose_disk_is_gone(scene: Scene) -> None:
    root = scene.folder / "disk" / "ws"
    scene.dead(CHAIN, "--workspace-root", str(root), waits_for=("a",))
    scene.reboot()
    (scene.folder / "disk").rename(scene.folder / "unplugged")
    scene.let_go()
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert scene.starts() == ["a", "a", "b"]
    shutil.rmtree(scene.folder / "unplugged")
    scene.repo.git("worktree", "prune")


@pytest.mark.parametrize("how", ["moved", "deleted", "checked out"])
def test_an_integration_branch_that_somebody_meddled_with(scene: Scene, how: str) -> None:
    repo, branch = scene.repo, "integration/it"
    scene.let_go("a")
    scene.dead(CHAIN, waits_for=("b",))
    tip = repo.git("rev-parse", branch)
    if how == "moved":
        repo.git("update-ref", f"refs/heads/{branch}", "main")
    elif how == "deleted":
        repo.git("update-ref", "-d", f"refs/heads/{branch}")
    else:
        repo.git("worktree", "add", "-q", str(scene.folder / "mine"), branch)
    scene.let_go()
    said = scene.resume()
    assert (said.code, said.json["status"]) == (3, "blocked"), said.err
    assert said.statuses()["b"] == "blocked"
    assert branch in said.json["reason"]
    repo.git("rev-parse", said.json["tasks"]["b"]["saved_ref"])
    if how == "checked out":
        repo.git("worktree", "remove", "--force", str(scene.folder / "mine"))
    else:
        repo.git("update-ref", f"refs/heads/{branch}", tip)
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert scene.on_branch() == {"out-a.txt", "out-b.txt"}


def test_a_base_branch_that_is_gone_is_not_needed_again(scene: Scene) -> None:
    repo = scene.repo
    repo.git("branch", "topic")
    scene.dead(CHAIN, "--integration-base-branch", "topic", waits_for=("a",))
    repo.git("branch", "-D", "topic")
    scene.let_go()
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err


def test_a_base_to_land_on_that_is_gone_is_refused_before_anything_starts(scene: Scene) -> None:
    scene.repo.git("branch", "topic")
    scene.dead(CHAIN, "--integration-base-branch", "topic", "--land-on-base", waits_for=("a",))
    scene.repo.git("branch", "-D", "topic")
    assert refused(scene).startswith("2: --land-on-base cannot work: topic is not a local branch")
    scene.repo.git("branch", "topic", "main")
    scene.let_go()
    assert scene.resume().code == 0
    assert "out-b.txt" in scene.repo.files("topic")


# --- what a person had to mend ---


def test_a_checkout_that_was_dirty_at_the_end_is_landed_on_once_it_is_clean(scene: Scene) -> None:
    """All has landed but on the base: that is left, and nothing else is done."""
    scene.let_go("a")
    started = scene.begin([*CHAIN], "--land-on-base", waits_for=("b",))
    mine = scene.repo.path / "README.md"
    was = mine.read_text()
    mine.write_text("half a thought\n")
    scene.let_go()
    said = started.end()
    assert (said.code, set(said.statuses().values())) == (3, {"landed"}), said.err
    assert refused(scene).startswith("2: --land-on-base cannot work: main is checked out")
    mine.write_text(was)
    said = scene.resume()
    assert (said.code, said.json["status"]) == (0, "completed"), said.err
    assert scene.starts() == ["a", "b"]
    assert {"out-a.txt", "out-b.txt"} <= set(scene.repo.files("main"))
    assert (scene.repo.path / "out-b.txt").exists()


def test_a_run_that_an_agents_leak_stopped_goes_on(scene: Scene) -> None:
    leak = scene.repo.path / "leak.txt"
    leaks = f'[ "$MAESTRO_TASK_ID" = b ] || echo x >"{leak}"; {WRITES_ONE_FILE}'
    scene.let_go()
    said = scene.begin([*CHAIN], waits_for=(), agent=scene.agent(leaks)).end()
    assert (said.code, said.statuses()) == (3, {"a": "landed", "b": "pending"}), said.err
    leak.unlink()
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert scene.starts() == ["a", "b"]
