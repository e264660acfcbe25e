"""The one door to bd, with a program in its place that plays back what the real ones said."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from maestro.errors import BadInput, TrackerError
from maestro.store.claims import claim
from maestro.store.layout import Layout
from maestro.trackers.base import BulkTracker
from maestro.trackers.beads.client import Bd
from maestro.trackers.beads.tracker import Beads
from maestro.trackers.registry import open_tracker
from tests.unit.trackers.test_beads_answers import ERAS, RECORDED
from tests.unit.trackers.test_beads_place import dolt, sqlite


class Player:
    """A `bd` that answers each verb by a script, and keeps arguments and environment of each call."""

    def __init__(self, root: Path, era: str) -> None:
        self.folder = (sqlite if era == "0.47.1" else dolt)(root / "project" / ".beads")
        self.bin = root / "bin"
        self.bin.mkdir()
        self._answers = root / "answers"
        self._answers.mkdir()
        self._log = root / "log"
        self.say("version", f"cat {shlex.quote(str(RECORDED / era / 'version.json'))}")
        self.say("where", f"echo {shlex.quote(json.dumps({'path': str(self.folder)}))}")
        self.say("export", f"cat {shlex.quote(str(RECORDED / era / 'export.jsonl'))}")
        program = self.bin / "bd"
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\0" "$@" >>{self._log}\necho >>{self._log}\n(pwd; env) >{root}/env\n'
            f'for verb in "$@"; do case "$verb" in -*) ;; *) break ;; esac; done\n. {self._answers}/$verb\n'
        )
        program.chmod(0o755)
        self.root = root

    def say(self, verb: str, script: str) -> None:
        (self._answers / verb).write_text(script + "\n")

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": os.environ["HOME"]}

    def bd(self, pauses: list[float] | None = None, **environ: str) -> Bd:
        pause = pauses.append if pauses is not None else lambda _: None
        return Bd(
            self.folder, self.folder.parent, {**self.environ, **environ},
            timeout_seconds=10, lock_seconds=60, pause=pause,
        )  # fmt: skip

    def calls(self) -> list[list[str]]:
        return [line.split("\0")[:-1] for line in self._log.read_text().splitlines()]


@pytest.fixture(params=ERAS)
def player(request: pytest.FixtureRequest, tmp_path: Path) -> Player:
    return Player(tmp_path, request.param)


def test_a_recorded_database_is_loaded_by_one_call_after_the_probes(player: Player) -> None:
    tracker = Beads(player.folder.parent, None, player.environ)
    assert isinstance(tracker, BulkTracker)
    assert tracker.identity == f"beads:{player.folder}"
    assert tracker.own_files() == (str(player.folder),)
    assert len(tracker.load()) >= 9
    flags = ["--no-daemon"] if (player.folder / "beads.db").exists() else []
    assert player.calls() == [["version", "--json"], [*flags, "where", "--json"], [*flags, "export"]]


def test_the_environment_of_every_call(player: Player) -> None:
    bd = player.bd(CLAUDE_CODE="1", BD_AGENT_MODE="1", BD_JSON_ENVELOPE="1", BEADS_DIR="/elsewhere", BD_ACTOR="me")
    bd.write("version", actor="maestro/r1")
    where, *lines = (player.root / "env").read_text().splitlines()
    seen = dict(line.split("=", 1) for line in lines if "=" in line)
    assert where == str(player.folder.parent)
    assert {
        name: seen.get(name) for name in (*bd.environment("x"), "CLAUDE_CODE", "BD_AGENT_MODE", "BD_JSON_ENVELOPE")
    } == {
        **bd.environment("maestro/r1"),
        **dict.fromkeys(("CLAUDE_CODE", "BD_AGENT_MODE", "BD_JSON_ENVELOPE")),
    }
    assert (seen["BEADS_DIR"], seen["BEADS_ACTOR"], seen["BD_ACTOR"]) == (str(player.folder), *["maestro/r1"] * 2)
    assert (seen["BEADS_NO_DAEMON"], seen["BD_NON_INTERACTIVE"], seen["BD_NO_PAGER"]) == ("1", "1", "1")


def test_a_lock_is_waited_for_with_growing_pauses_and_not_for_ever(player: Player) -> None:
    pauses: list[float] = []
    count = player.root / "count"
    locked = 'echo "Error: failed to open database: database is locked" >&2; exit 1'
    player.say("list", f"echo x >>{count}; [ $(wc -l <{count}) -gt 3 ] || {{ {locked}; }}; echo '[]'")
    assert player.bd(pauses).read("list") == "[]\n"
    assert pauses == [0.1, 0.3, 1.0]
    player.say("list", locked)
    bd = Bd(player.folder, player.folder.parent, player.environ, timeout_seconds=10, lock_seconds=0.01)
    with pytest.raises(TrackerError, match="`bd list` failed: failed to open database: database is locked") as caught:
        bd.read("list")
    assert "locked by another process" in caught.value.hint


def test_a_call_that_dies_may_have_written_and_one_that_says_no_has_not(player: Player) -> None:
    bd = player.bd()
    player.say("close", "echo '[]'; kill -9 $$")
    answer = bd.write("close", actor="x")
    assert (answer.known, answer.ok, answer.timed_out) == (False, False, False)
    player.say("close", "echo 'Error: no' >&2; exit 1")
    answer = bd.write("close", actor="x")
    assert (answer.known, answer.ok, answer.error) == (True, False, "no")
    player.say("close", "true")  # 0.47 ends so when it did nothing
    assert not bd.write("close", actor="x").ok
    player.say("list", "kill -11 $$")
    with pytest.raises(TrackerError, match="`bd list` died of signal 11"):
        bd.read("list")


def test_another_database_than_the_one_meant_is_refused(player: Player) -> None:
    player.say("where", 'echo \'{"path": "/elsewhere/.beads"}\'')
    with pytest.raises(BadInput, match=r"bd uses the database in /elsewhere/\.beads, not the one in"):
        player.bd().read("list")


def test_what_a_run_of_this_checkout_left_is_free_once_it_is_dead(player: Player) -> None:
    issue = {"id": "demo-1", "status": "in_progress", "assignee": "maestro/before", "issue_type": "task"}
    player.say("export", f"echo {shlex.quote(json.dumps(issue))}")
    project = player.folder.parent
    layout = Layout(project)

    def is_runnable() -> bool:
        [task] = open_tracker("beads", repository=project, environ=player.environ).load()
        return task.is_runnable

    assert not is_runnable()  # a run of another clone, for all we know
    layout.run("before").mkdir(parents=True)
    layout.journal("before").touch()
    held = claim(layout.locks, run_id="before", since="now", backlog="x", tasks=["demo-1"], groups=[])
    assert not is_runnable()
    held.release()
    assert is_runnable()


def test_the_folder_that_detection_names_is_no_other_than_the_default(player: Player) -> None:
    clone = player.root / "clone" / ".beads"
    clone.mkdir(parents=True)
    environ = {**player.environ, "BEADS_DIR": str(player.folder)}
    tracker = open_tracker("auto", repository=clone.parent, environ=environ)
    assert tracker.identity == f"beads:{player.folder}"


def test_no_program(player: Player) -> None:
    with pytest.raises(BadInput, match="there is no `bd` on PATH"):
        player.bd(PATH="/nowhere").read("list")
