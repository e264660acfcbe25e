"""cleanup-orphans over real beads, both eras: what a killed run had claimed is free again for everybody (W-6, T-1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.testing.commandline import maestro
from tests.acceptance.conftest import Started
from tests.real.beads_repository import make_beads

pytestmark = pytest.mark.timeout(240)


def test_claims_of_a_killed_run_are_given_back(
    bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    del bd
    beads, here = make_beads(tmp_path / "project", tmp_path_factory), tmp_path / "here"
    task, other = beads.create("A task"), beads.create("Somebody's own")
    beads("update", other, "--status", "in_progress")
    agent = f"echo half > half.txt; touch '{here}'; while :; do sleep 50; done"
    argv = ["run", "--json", "--no-tests", "--run-id", "dead", "--tracker", "beads", "--agent-command", agent]
    started = Started(argv, beads.repo.path, {"MAESTRO_MAX_PARALLEL": "1"})
    started.until(here)
    started.process.kill()
    started.end()
    assert beads.show(task)["status"] == "in_progress"
    env = {"MAESTRO_STOP_INTERRUPT_SECONDS": "0.3", "MAESTRO_STOP_TERMINATE_SECONDS": "0.3"}
    shown = maestro("cleanup-orphans", "--json", cwd=beads.repo.path, env=env)
    held = [one for one in shown.json["orphans"] if one["kind"] == "tracker"]
    assert [(one["task"], one["reason"]) for one in held] == [(task, "held for run dead, whose coordinator died")]
    done = maestro("cleanup-orphans", "--force", "--json", cwd=beads.repo.path, env=env)
    assert done.code == 0, done.out
    stands = {id_: (one["status"], one.get("assignee") or "") for id_, one in beads.all().items()}
    assert stands[task] == ("open", "")
    assert stands[other][0] == "in_progress"
    assert task in beads.ready()
    assert "half.txt" in beads.repo.files(f"refs/maestro/saved/dead/{task}")
