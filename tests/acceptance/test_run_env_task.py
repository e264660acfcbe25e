"""Every attempt of a run has an `.env.task` of its own, which tells what its environment has (I-2, I-3, I-5)."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from maestro.planning.env_files import parse
from maestro.store.shipped import TEST_SCRIPT, shipped
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run

TASKS = ("shop-9947", "cart-9947", "mail 9947")
ISOLATED = ("_PORT", "POSTGRES_DB", "DATABASE_URL", "COMPOSE_PROJECT_NAME", "ZENFLOW_TASK_ID")


@pytest.mark.parametrize("kind", ["worktree", "clone"])
def test_each_attempt_has_its_own_file_and_the_script_finds_it(
    repo: Repository, run: Run, tmp_path: Path, kind: str
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    script = shlex.quote(str(shipped(TEST_SCRIPT)))
    bare = 'env -i PATH="$PATH" PYTEST=env'  # as for a subagent, which has no variables of its attempt
    agent = (
        f'n={seen}/"$ZENFLOW_TASK_ID"; cat ../.env.task >"$n.file"; pwd >"$n.where"; env >"$n.env"; '
        f'{bare} ZENFLOW_WORKERS=0 {script} >"$n.script"; echo "$?" >"$n.code"; {WRITES_ONE_FILE}'
    )
    said = run([{"id": task} for task in TASKS], "--workspace", kind, "--max-parallel", "3", agent=agent)
    assert said.code == 0, said.err
    files = sorted(seen.glob("*.file"))
    assert len(files) == len(TASKS)
    ports: list[str] = []
    for file in files:
        variables = parse(file.read_text())
        assert {name for name in variables if name.endswith(ISOLATED)} == set(variables)
        for other in (".env", ".script"):
            assert parse(file.with_suffix(other).read_text()).items() >= variables.items()
        assert file.with_suffix(".code").read_text() == "0\n"
        assert not Path(file.with_suffix(".where").read_text().strip()).with_name(".env.task").exists()
        ports += [value for name, value in variables.items() if name.endswith("_PORT")]
    assert len(set(ports)) == len(ports) == 4 * len(TASKS)
    assert subprocess.run(["git", "-C", repo.path, "status", "--porcelain"], capture_output=True).stdout == b""
