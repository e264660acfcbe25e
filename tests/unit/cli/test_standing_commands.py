"""status, list and logs: how things stand, told from the state directory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.store.layout import Layout
from maestro.telemetry.metadata import MetadataObserver
from maestro.testing.story import STORY

SUMMARY = {
    "run_id": "r1",
    "status": "failed",
    "reason": "",
    "integration_branch": "integration/r1",
    "base": "0" * 40,
    "tasks": {
        "a": {"status": "landed", "attempts": 1, "commit": "f" * 40, "reason": ""},
        "b": {"status": "failed", "attempts": 2, "commit": None, "reason": "conflict in m.py"},
    },
    "metrics": {},
}


def write_groups(layout: Layout, count: int = len(STORY)) -> None:
    observer = MetadataObserver(layout)
    for event in STORY[:count]:
        observer.notify(event)
    observer.close()


def test_no_run_yet(cli: Any) -> None:
    assert (cli("status").out, cli("status").code) == ("No run yet.\n", 0)
    assert (cli("list").out, cli("list").code) == ("No group yet.\n", 0)


def test_the_newest_runs_first(cli: Any, write_run: Callable[..., Path]) -> None:
    for number, name in enumerate(("r3", "r1", "r2")):
        folder = write_run(name, STORY[:1], {**SUMMARY, "run_id": name})
        os.utime(folder, (1000 + number, 1000 + number))
    said = cli("status")
    assert [line.split()[0] for line in said.out.splitlines()] == ["RUN", "r2", "r1", "r3"]
    assert said.out.splitlines()[1] == "r2   failed  1 landed, 1 failed"


def test_only_the_newest_ten_are_read(cli: Any, write_run: Callable[..., Path]) -> None:
    for number in range(12):
        folder = write_run(f"r{number}", [], SUMMARY if number > 1 else {})
        os.utime(folder, (1000 + number, 1000 + number))
        if number < 2:
            (folder / "summary.json").write_text("not read")
    said = cli("status", "--json").json()
    assert (len(said["runs"]), said["total_runs"]) == (10, 12)
    assert "… and 2 older runs" in cli("status").out


def test_one_finished_run(cli: Any, write_run: Callable[..., Path]) -> None:
    write_run("r1", [], SUMMARY)
    assert cli("status", "--run-id", "r1", "--json").json() == {**SUMMARY, "alive": False}
    assert cli("status", "--run-id", "r1").out == (
        "Run r1: failed\n"
        "Integration branch: integration/r1\n"
        "a  landed  1 attempt   ffffffffff\n"
        "b  failed  2 attempts              conflict in m.py\n"
    )


def test_a_run_under_way_and_one_that_died(
    cli: Any, write_run: Callable[..., Path], alive: Callable[[str], None]
) -> None:
    write_run("r1", STORY[:6])
    said = cli("status", "--run-id", "r1", "--json").json()
    assert (said["status"], said["alive"]) == ("interrupted", False)
    assert said["reason"] == "its coordinator died before the end"
    alive("r1")
    said = cli("status", "--run-id", "r1", "--json").json()
    assert (said["status"], said["alive"], said["reason"]) == ("running", True, "")
    assert said["tasks"]["a"] == {
        "status": "pending",
        "state": "running",
        "attempts": 1,
        "commit": None,
        "reason": "",
    }
    assert "a  running  1 attempt" in cli("status", "--run-id", "r1").out
    assert "2 running, 1 pending" in cli("status").out


def test_a_run_that_ended_but_wrote_no_summary_is_told_from_its_journal(
    cli: Any, write_run: Callable[..., Path]
) -> None:
    write_run("r1", STORY)
    said = cli("status", "--run-id", "r1", "--json").json()
    assert said["status"] == "failed"
    assert said["tasks"]["a"]["commit"] == "f" * 40


def test_a_run_that_has_not_begun_to_write(cli: Any, layout: Layout, alive: Callable[[str], None]) -> None:
    layout.run("r1").mkdir(parents=True)
    assert cli("status", "--run-id", "r1", "--json").json()["status"] == "interrupted"
    alive("r1")
    assert cli("status", "--run-id", "r1", "--json").json()["status"] == "running"


def test_status_is_quick_with_a_thousand_runs(cli: Any, layout: Layout) -> None:
    for number in range(1000):
        folder = layout.run(f"r{number:04}")
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps(SUMMARY))
    cli("status")
    began = time.process_time()  # of this process alone: what else the machine does is no matter of ours
    said = cli("status")
    assert time.process_time() - began < 0.2
    assert "… and 990 older runs" in said.out


def test_one_group(cli: Any, layout: Layout) -> None:
    write_groups(layout)
    assert cli("status", "--group-id", "X", "--json").json() == json.loads(layout.metadata("X").read_text())
    assert cli("status", "--group-id", "X").out == (
        "Parallel Group X: failed (post_execution)\n"
        "a  completed  backend-architect\n"
        "b  failed                        conflict in m.py\n"
        "Error: b: conflict in m.py\n"
    )


def test_a_group_whose_run_died_says_so(cli: Any, layout: Layout, alive: Callable[[str], None]) -> None:
    write_groups(layout, 5)
    assert "Run r1: its coordinator died before the end\n" in cli("status", "--group-id", "X").out
    assert [group["alive"] for group in cli("list", "--json").json()["groups"]] == [False, False]
    alive("r1")
    assert "died" not in cli("status", "--group-id", "X").out
    assert [group["alive"] for group in cli("list", "--json").json()["groups"]] == [True, True]


def test_groups_by_status(cli: Any, layout: Layout) -> None:
    write_groups(layout)
    assert cli("list").out == (
        "GROUP  STATUS   PHASE           LANDED  RUN\n"
        "X      failed   post_execution  1/2     r1\n"
        "Y      blocked  post_execution  0/1     r1\n"
    )
    assert cli("list", "--status").out == cli("list").out
    assert [group["group_id"] for group in cli("list", "--status", "failed", "--json").json()["groups"]] == ["X"]
    assert cli("list", "--status", "pending").out == "No group is pending.\n"


def test_a_damaged_file_is_an_error_and_not_an_empty_list(cli: Any, layout: Layout) -> None:
    write_groups(layout)
    layout.metadata("X").write_text("{")
    said = cli("list")
    assert said.code == 1
    assert "metadata.json cannot be read" in said.err
    layout.metadata("X").write_text("[]")
    assert "it holds no JSON object" in cli("status", "--group-id", "X").err


@pytest.fixture
def tried(write_run: Callable[..., Path]) -> Path:
    folder = write_run("r1", STORY[:1], SUMMARY)
    for attempt in (1, 2, 10):
        place = folder / "attempts" / "a" / str(attempt)
        place.mkdir(parents=True)
        (place / "stdout").write_bytes(f"out {attempt}\n".encode())
        (place / "stderr").write_bytes(b"err \xff\n")
        (place / "prompt.md").write_text("Do it.\n")
    return folder


@pytest.mark.usefixtures("tried")
def test_logs(cli: Any) -> None:
    assert cli("logs", "a").out == "out 10\n"
    assert cli("logs", "a", "--attempt", "2").out == "out 2\n"
    assert cli("logs", "a", "--prompt").out == "Do it.\n"
    said = cli("logs", "a", "--stderr", "--json").json()
    assert (said["run_id"], said["attempt"], said["stream"], said["text"]) == ("r1", 10, "stderr", "err \ufffd\n")


@pytest.mark.usefixtures("tried")
def test_logs_of_a_newer_run_that_never_tried_the_task(cli: Any, write_run: Callable[..., Path]) -> None:
    write_run("r2", STORY[:1])
    assert cli("logs", "a").out == "out 10\n"
    said = cli("logs", "a", "--run-id", "r2")
    assert (said.code, said.err.splitlines()[0]) == (2, "Error: Task a was not tried in run r2.")


@pytest.mark.usefixtures("tried")
def test_logs_follow_ends_with_the_run(cli: Any) -> None:
    assert cli("logs", "a", "--follow").out == "out 10\n"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("status", "--run-id", "nope"), "There is no run nope in "),
        (("status", "--run-id", "../.."), "There is no run ../.. in "),
        (("status", "--group-id", "nope"), "There is no group nope in "),
        (("status", "--group-id", "x", "--run-id", "y"), "--group-id and --run-id exclude each other."),
        (("list", "--status", "nope"), "Invalid value for '--status'"),
        (("logs",), "Missing argument 'TASK'."),
        (("logs", "nope"), "Task nope was not tried in any run here."),
        (("logs", "a", "--attempt", "0"), "Invalid value for '--attempt'"),
        (("logs", "a", "--attempt", "3"), "Task a has no attempt 3 in run r1."),
        (("wait",), "Give either --group-id or --run-id."),
        (("wait", "--group-id", "x", "--run-id", "y"), "Give either --group-id or --run-id."),
        (("wait", "--group-id", "nope"), "There is no group nope in "),
        (("wait", "--run-id", "nope"), "There is no run nope in "),
        (("wait", "--run-id", "r1", "--timeout", "-1"), "Invalid value for '--timeout'"),
        (("completion", "powershell"), "Invalid value for "),
        (("init", "extra"), "Got unexpected extra argument (extra)"),
    ],
)
@pytest.mark.usefixtures("tried")
def test_bad_input_is_one_sentence_and_exit_code_2(cli: Any, argv: tuple[str, ...], sentence: str) -> None:
    said = cli(*argv)
    first, *rest = said.err.splitlines()
    assert said.code == 2
    assert said.out == ""
    assert first.startswith(f"Error: {sentence}")
    assert [line.split()[0] for line in rest] == ["Hint:"]
    said = cli(*argv, "--json")
    assert (said.code, list(said.json()), list(said.json()["error"])) == (2, ["error"], ["message", "hint"])


@pytest.mark.parametrize("argv", [("status",), ("list",), ("wait", "--run-id", "r1"), ("logs", "a"), ("init",)])
def test_outside_of_a_repository(
    cli: Any, argv: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli(*argv)
    assert said.code == 2
    assert said.err == (
        f"Error: {tmp_path} is not inside a git repository.\nHint: Run maestro in a checkout, or use -C DIR.\n"
    )
