"""`maestro run` with the real claude CLI and a scripted model: from a TaskMaster file to landed commits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]


def environment(server: ModelServer, real: dict[str, Path]) -> dict[str, str]:
    return {
        "PATH": f"{real['claude'].parent}:{os.environ['PATH']}",
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "fake-key",
        "IS_SANDBOX": "1",
    }


def run_claude(repo: Repository, server: ModelServer, real: dict[str, Path], tasks: Path) -> Said:
    return maestro(
        "run", "--tasks-file", str(tasks), "--agent", "claude", "--no-tests", "--json",
        cwd=repo.path, env=environment(server, real), timeout_seconds=150,
    )  # fmt: skip


def script(*steps: dict[str, Any]) -> str:
    return f"Do it.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"


def writes(name: str) -> str:
    return script(
        {"write": {"path": name, "content": f"{name}\n"}},
        {"bash": f"git add -A && git commit -qm 'Add {name}'"},
        {"say": "done"},
    )


def test_ten_taskmaster_tasks_on_three_levels_land_and_their_statuses_are_written_back(
    repo: Repository, server: ModelServer, real: dict[str, Path]
) -> None:
    depends: dict[int, list[int]] = {n: [] for n in (1, 2, 3, 4)}
    depends |= {5: [1], 6: [1, 2], 7: [3], 8: [5, 6], 9: [7], 10: [4, 7]}
    tasks = [
        {
            "id": number,
            "title": f"Add file {number}",
            "description": writes(f"file-{number}.txt"),
            "status": "pending",
            "dependencies": depends[number],
            "priority": "high",
            "myOwnField": {"kept": [number]},
        }
        for number in range(1, 11)
    ]
    content = {"master": {"tasks": tasks, "metadata": {"created": "2026-01-01"}}, "other": {"tasks": [], "x": "ü"}}
    path = repo.path / ".taskmaster" / "tasks" / "tasks.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "Plan")
    said = maestro(
        "run", "--tracker", "taskmaster", "--agent", "claude", "--no-tests", "--max-parallel", "3", "--json",
        cwd=repo.path, env=environment(server, real), timeout_seconds=150,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert set(said.statuses().values()) == {"landed"}
    assert len(said.statuses()) == 10
    branch = said.json["integration_branch"]
    assert {f"file-{number}.txt" for number in depends} <= set(repo.files(branch))
    after = json.loads(path.read_text())
    for task in after["master"]["tasks"]:
        assert task.pop("status") == "done"
    for task in content["master"]["tasks"]:  # type: ignore[call-overload]
        task.pop("status")
    assert json.dumps(after) == json.dumps(content)
    assert said.json["metrics"]["cost_usd"] > 0
    assert {seen.api_key for seen in server.requests} == {"fake-key"}
    assert repo.git("status", "--porcelain").strip() == "M .taskmaster/tasks/tasks.json"


def test_a_lying_claude_is_found_out_and_told_so_in_its_next_prompt(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    tasks = [
        {"id": "liar", "description": script({"say": "All done, committed and tested!"})},
        {"id": "honest", "description": writes("a.txt")},
        {"id": "limited", "description": script({"status": 400, "times": 0})},
    ]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(tasks))
    said = run_claude(repo, server, real, path)
    assert said.code == 1, said.err
    assert said.statuses() == {"liar": "failed", "honest": "landed", "limited": "failed"}
    assert "without a new commit" in said.json["tasks"]["liar"]["reason"]
    prompts = sorted((repo.path / ".flow" / "maestro" / "runs").glob("*/attempts/liar/*/prompt.md"))
    assert len(prompts) == 2
    assert "without a new commit" not in prompts[0].read_text()
    assert "without a new commit" in prompts[1].read_text()


def test_the_context_is_refreshed_before_a_group_and_goes_into_its_prompts(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    repo.commit(
        {".claude/commands/flow/summary.md": script({"say": "The shop sells tea since Monday."})}, "Add the summary"
    )
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"id": "a", "title": "[P:Group-one] first", "description": writes("a.txt")}]))
    said = run_claude(repo, server, real, path)
    assert said.code == 0, said.err
    metadata = json.loads((repo.path / ".flow/maestro/parallel_groups/one/metadata.json").read_text())
    assert metadata["pre_group_refresh_completed"] is True
    (prompt,) = (repo.path / ".flow" / "maestro" / "runs").glob("*/attempts/a/1/prompt.md")
    assert "The shop sells tea since Monday." in prompt.read_text()


def test_a_repository_without_the_summary_command_is_warned_about_and_goes_on(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"id": "a", "title": "[P:Group-one] first", "description": writes("a.txt")}]))
    said = run_claude(repo, server, real, path)
    assert said.code == 0, said.err
    metadata = json.loads((repo.path / ".flow/maestro/parallel_groups/one/metadata.json").read_text())
    assert metadata["pre_group_refresh_completed"] is False
    (warning,) = (one for one in said.json["warnings"] if "was not refreshed" in one)
    assert "Unknown command: /flow:summary (`maestro init` writes it" in warning


def test_a_claude_that_never_answers_is_stopped_by_its_clock_and_leaves_nothing(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"id": "a", "description": script({"hang": True, "times": 0})}]))
    said = maestro(
        "run", "--tasks-file", str(path), "--agent", "claude", "--no-tests", "--attempts", "1", "--json",
        cwd=repo.path, env={**environment(server, real), "MAESTRO_SILENT_TIMEOUT": "4"}, timeout_seconds=120,
    )  # fmt: skip
    assert said.code == 1, said.err
    assert "no output for 4 s" in said.json["tasks"]["a"]["reason"]
