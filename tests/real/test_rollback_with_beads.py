"""`maestro rollback` over real beads, both eras (E-9): closed issues are open again, with the epics above them."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.testing.commandline import Said, maestro
from tests.acceptance.conftest import WRITES_ONE_FILE
from tests.real.beads_repository import Beads, make_beads

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def beads(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Beads:
    """A repository with an empty database, for each era."""
    del bd
    return make_beads(tmp_path / "project", tmp_path_factory)


def call(beads: Beads, *args: str) -> Said:
    return maestro(*args, "--json", cwd=beads.repo.path, timeout_seconds=200)


def test_issues_and_their_epic_are_opened_again_and_resume_closes_them(beads: Beads) -> None:
    epic = beads.create("The epic", "-t", "epic")
    made = {
        name: beads.create(f"[P:Group-{group}] {name}", "--parent", epic)
        for name, group in (("a", "one"), ("b", "two"), ("c", "two"))
    }
    said = call(beads, "run", "--no-tests", "--run-id", "r", "--epic", epic, "--agent-command", WRITES_ONE_FILE)
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert {issue["status"] for issue in beads.all().values()} == {"closed"}
    ref = "refs/maestro/saved/r/rollback-group-two"

    # a person closes one of them with a word of their own: that stays
    beads("reopen", made["c"])
    beads("close", made["c"], "--reason=Done by hand after all")
    done = call(beads, "rollback", "--to", "group-two")
    assert done.code == 1, done.err
    assert list(done.json["refused"]) == [made["c"]]
    assert "Done by hand" in done.json["refused"][made["c"]]
    assert done.json["saved_refs"] == [ref]
    issues = beads.all()
    assert {name: issues[id_]["status"] for name, id_ in made.items()} == {"a": "closed", "b": "open", "c": "closed"}
    assert issues[epic]["status"] == "open", "what maestro closed with its last child is open with it"
    shown = beads.show(made["b"])
    assert not shown.get("assignee")
    assert "rolled back to group-two" in shown["notes"]
    assert ref in shown["notes"]
    assert made["b"] in beads.ready()

    resumed = call(beads, "resume", "--run-id", "r")
    statuses = resumed.statuses()
    assert statuses[made["b"]] == "landed", resumed.err
    assert beads.show(made["b"])["status"] == "closed"
    assert f"out-{made['b']}.txt" in beads.repo.files("integration/r")
