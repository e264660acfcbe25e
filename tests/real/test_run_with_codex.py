"""`maestro run --agent codex` with the real CLI and a scripted model: from tasks to landed commits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.agent_lab import Steps, prompt

pytestmark = [pytest.mark.real("codex"), pytest.mark.needs_namespaces, pytest.mark.timeout(180)]


def run(
    repo: Repository,
    server: ModelServer,
    real: dict[str, Path],
    tasks: list[dict[str, Any]],
    *args: str,
    sandbox: str = "workspace-write",
) -> Said:
    backlog, config = repo.path.parent / "tasks.json", repo.path.parent / "config.toml"
    backlog.write_text(json.dumps(tasks))
    config.write_text(
        "[agents.codex]\n"
        f'base_url = "{server.url}/v1"\n'
        'env_key = "LAB_KEY"\n'
        "max_retries = 0\n"
        f'sandbox = "{sandbox}"\n'
        "[agents.codex.config]\n"  # what lies below /tmp here must not be writable for that alone
        '"sandbox_workspace_write.exclude_slash_tmp" = true\n'
        '"sandbox_workspace_write.exclude_tmpdir_env_var" = true\n'
    )
    env = {"PATH": f"{real['codex'].parent}:{os.environ['PATH']}", "LAB_KEY": "fake-key"}
    return maestro(
        "--config", str(config), "run", "--tasks-file", str(backlog), "--agent", "codex", "--no-tests", "--json", *args,
        cwd=repo.path, env=env, timeout_seconds=150,
    )  # fmt: skip


def writes(name: str) -> Steps:
    return [
        {"write": {"path": name, "content": f"{name}\n"}},
        {"bash": f"git add -A && git commit -qm 'Add {name}'"},
        {"say": "done"},
    ]


REPORTS = 'printf \'%s\' \'{"status": "no_change", "summary": "it is there already"}\' > "$MAESTRO_REPORT_FILE"'


@pytest.mark.parametrize("workspace", ["worktree", "clone"])
def test_work_committed_in_the_sandbox_lands(
    repo: Repository, server: ModelServer, real: dict[str, Path], workspace: str
) -> None:
    tasks = [
        {"id": "a", "description": prompt(writes("a.txt"))},
        {"id": "b", "description": prompt(writes("b.txt")), "dependencies": ["a"]},
        {"id": "c", "description": prompt([{"bash": REPORTS}, {"say": "nothing to do"}])},
    ]
    said = run(repo, server, real, tasks, "--workspace", workspace)
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed", "b": "landed", "c": "landed"}
    assert {"a.txt", "b.txt"} <= set(repo.files(said.json["integration_branch"]))
    assert said.json["tasks"]["c"]["reason"] == "it is there already"
    assert {seen.api_key for seen in server.requests} == {"fake-key"}
    assert repo.git("status", "--porcelain") == ""


def test_a_sandbox_that_stopped_everything_is_found_out(
    repo: Repository, server: ModelServer, real: dict[str, Path]
) -> None:
    """The CLI says `turn.completed` and exits with 0; the missing commit says otherwise."""
    said = run(
        repo,
        server,
        real,
        [{"id": "a", "description": prompt(writes("a.txt"))}],
        "--attempts",
        "1",
        sandbox="read-only",
    )
    assert said.code == 1, said.err
    assert "without a new commit" in said.json["tasks"]["a"]["reason"]
    assert [seen.status for seen in server.requests] == [200, 200, 200]
