"""Workspaces that are used again in a run: what `keep` names comes along, gates included, and nothing else (W-5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run

SETUP = 'setup = ["test -e deps/ready || {{ echo x >> {made}; mkdir deps; touch deps/ready; }}"]\n'
AGENT = "test -e deps/ready || exit 9; test ! -e litter || exit 8; "


@pytest.mark.parametrize("kind", ["worktree", "clone"])
def test_dependencies_are_made_once(kind: str, repo: Repository, run: Run, tmp_path: Path) -> None:
    made = tmp_path / "made"
    config = repo.path / ".flow" / "maestro" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('keep = ["deps"]\n' + SETUP.format(made=made))
    tasks = [{"id": f"T-{number}"} for number in range(4)]
    said = run(
        tasks, "--workspace", kind, "--max-parallel", "1", agent=AGENT + WRITES_ONE_FILE + "; mkdir -p litter/empty"
    )
    assert said.code == 0, said.err
    assert made.read_text() == "x\n"
    branch = said.json["integration_branch"]
    assert repo.files(branch) == ["README.md", *(f"out-T-{number}.txt" for number in range(4))]


def test_what_no_task_will_want_is_removed_while_others_are_at_work(repo: Repository, run: Run, tmp_path: Path) -> None:
    looks = f"""
        has_come() {{ n=0; until eval "$1" || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; }}
        if [ "$MAESTRO_TASK_ID" = c ]; then
            touch {tmp_path}/begun
            has_come "[ ! -e ../../task-b ]"
            ls -A ../.. > seen
        else
            has_come "[ -e {tmp_path}/begun ]"
        fi; """
    said = run([{"id": "b"}, {"id": "c"}], "--max-parallel", "2", agent=looks + WRITES_ONE_FILE)
    assert said.code == 0, said.err
    seen = repo.git("show", f"{said.json['integration_branch']}:seen").split()
    assert "task-c" in seen
    assert [name for name in seen if name != "task-c" and not name.startswith(".removing-")] == []


def test_a_pattern_that_names_nothing_is_refused_with_a_hint(repo: Repository, run: Run) -> None:
    said = run([{"id": "a"}], env={"MAESTRO_KEEP": "../deps"})
    assert said.code == 2
    assert "keep: '../deps' names nothing in a workspace" in said.json["error"]["message"]
    assert ".venv" in said.json["error"]["hint"]
    assert repo.git("branch", "--list", "integration/*") == ""
