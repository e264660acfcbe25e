"""C-2: parallel_coordinator.py works however it is started, and holds no logic of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import maestro
from maestro.model.group import GroupMetadata
from maestro.store.layout import Layout
from maestro.store.shipped import SCRIPT, shipped
from maestro.testing.repository import Repository, make_repository

COPY = "0.0.0+copy"
"""The version of the copied package, so that a test can tell which one was used."""

TASKS = {
    "tasks": [
        {"id": "a", "title": "Write a [P:Group-auth-flow]", "files": ["a.txt"]},
        {"id": "b", "title": "Write b [P:Group-auth-flow]", "files": ["b.txt"]},
        {"id": "c", "title": "Write c"},
    ]
}


def start(*argv: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=100
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of maestro of another version than the one that is installed."""
    root = tmp_path / "checkout of maestro"
    package = Path(maestro.__file__).parent
    shutil.copytree(package, root / "maestro", ignore=shutil.ignore_patterns("__pycache__"))
    init = root / "maestro" / "__init__.py"
    init.write_text(init.read_text().replace(maestro.__version__, COPY))
    script = root / SCRIPT
    script.parent.mkdir(parents=True)
    shutil.copy(shipped(SCRIPT), script)
    return root


@pytest.fixture
def other(tmp_path: Path) -> Repository:
    """A repository that is not maestro's, with a task file and the script alone."""
    repository = make_repository(tmp_path / "other")
    script = repository.path / SCRIPT
    script.parent.mkdir(parents=True)
    shutil.copy(shipped(SCRIPT), script)
    repository.commit({"tasks.json": json.dumps(TASKS)})
    return repository


def test_the_script_is_short() -> None:
    assert len(shipped(SCRIPT).read_text().splitlines()) <= 40


def test_nothing_beside_the_script_looks_like_a_package() -> None:
    flow = shipped(SCRIPT).parents[2]
    assert not list(flow.rglob("__init__.py"))


@pytest.mark.parametrize("place", [".", ".flow/maestro/scripts", ".flow/maestro", ".flow", "/"])
def test_started_from_anywhere_it_uses_the_checkout_it_lies_in(checkout: Path, place: str) -> None:
    done = start(str(checkout / SCRIPT), "--version", cwd=checkout / place)
    assert (done.stdout, done.stderr, done.returncode) == (f"maestro {COPY}\n", "", 0)


@pytest.mark.parametrize("place", [".", ".flow/maestro/scripts", ".flow"])
def test_started_by_a_relative_path(checkout: Path, place: str) -> None:
    relative = os.path.relpath(checkout / SCRIPT, checkout / place)
    done = start(relative, "--version", cwd=checkout / place)
    assert (done.stdout, done.returncode) == (f"maestro {COPY}\n", 0)


def test_started_through_a_symlink(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "coordinate"
    link.symlink_to(checkout / SCRIPT)
    done = start(str(link), "--version", cwd=tmp_path)
    assert (done.stdout, done.returncode) == (f"maestro {COPY}\n", 0)


def test_started_as_a_program(checkout: Path) -> None:
    script = checkout / SCRIPT
    assert os.access(shipped(SCRIPT), os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env python3\n")


@pytest.mark.parametrize("place", [".", ".flow/maestro/scripts", ".flow", "/"])
def test_imported(checkout: Path, place: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str((checkout / SCRIPT).parent)!r})\n"
        "from parallel_coordinator import ParallelCoordinator, GroupMetadata, TaskMetadata, GroupPhase, TaskStatus\n"
        "import maestro\n"
        "tasks = [{'id': 'a', 'title': 'x [P:Group-auth-flow]'}, {'id': 'b'}]\n"
        "groups = ParallelCoordinator().detect_groups(tasks)\n"
        "assert groups['auth-flow'][0] is tasks[0]\n"
        "print(maestro.__version__, list(groups), [p.value for p in GroupPhase], [s.value for s in TaskStatus])\n"
        "print([hasattr(ParallelCoordinator, m) for m in ('execute_parallel_group', 'refresh_context_before_group',"
        " 'wait_for_group_completion')])\n"
    )
    done = start("-c", code, cwd=checkout / place)
    assert done.stderr == ""
    phases = ["pre_execution", "concurrent_execution", "coordination", "post_execution"]
    statuses = ["pending", "in_progress", "completed", "failed", "blocked"]
    first, second = done.stdout.splitlines()
    assert first == f"{COPY} {['auth-flow', '_sequential']} {phases} {statuses}"
    assert second == "[True, True, True]"


def test_alone_in_another_repository_it_uses_the_package_that_is_installed(other: Repository) -> None:
    done = start(SCRIPT, "--version", cwd=other.path)
    assert (done.stdout, done.stderr, done.returncode) == (f"maestro {maestro.__version__}\n", "", 0)


def test_without_the_package_it_says_so(other: Repository) -> None:
    done = start("-I", "-S", SCRIPT, "--version", cwd=other.path)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.splitlines()[0].endswith("has no module maestro.")
    assert done.stderr.splitlines()[1] == "Hint: Install maestro for it: pip install flow-maestro."


def test_detect(other: Repository) -> None:
    done = start(SCRIPT, "detect", "--tasks-file", "tasks.json", cwd=other.path)
    assert (done.stdout, done.returncode) == ("auth-flow    a, b\n_sequential  c\n", 0)
    done = start(SCRIPT, "detect", "--tasks-file", "tasks.json", "--json", cwd=other.path)
    assert json.loads(done.stdout) == {"groups": {"auth-flow": ["a", "b"], "_sequential": ["c"]}}


def test_execute_lands_the_group_and_status_list_and_wait_tell_so(other: Repository, tmp_path: Path) -> None:
    agent = 'echo "$MAESTRO_TASK_ID" > "$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm "work"'
    env = {"MAESTRO_AGENT_COMMAND": agent, "MAESTRO_NO_TESTS": "1", "MAESTRO_WORKSPACE_ROOT": str(tmp_path / "w")}
    argv = (SCRIPT, "execute", "--group-id", "auth-flow", "--tasks-file", "tasks.json")
    done = start(*argv, "--json", cwd=other.path, env=env)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {task: one["status"] for task, one in result["tasks"].items()} == {"a": "landed", "b": "landed"}
    assert {"a.txt", "b.txt"} <= set(other.files(result["integration_branch"]))
    metadata = GroupMetadata.model_validate_json(Layout(other.path).metadata("auth-flow").read_text())
    assert metadata.status == "completed"
    assert other.git("status", "--porcelain") == ""

    done = start(SCRIPT, "status", "--group-id", "auth-flow", cwd=other.path)
    assert done.stdout.startswith("Parallel Group auth-flow: completed (post_execution)\na  completed")
    done = start(SCRIPT, "list", "--status", "completed", cwd=other.path)
    assert done.stdout.splitlines()[1].split()[:2] == ["auth-flow", "completed"]
    done = start(SCRIPT, "wait", "--group-id", "auth-flow", "--timeout", "5", cwd=other.path)
    assert (done.stdout, done.returncode) == ("group auth-flow: completed\n", 0)


@pytest.mark.parametrize(
    "argv",
    [
        ("detect", "--tasks-file", "missing.json"),
        ("execute", "--tasks-file", "tasks.json"),
        ("execute", "--group-id", "nope", "--tasks-file", "tasks.json"),
        ("status", "--group-id", "nope"),
        ("wait", "--group-id", "nope", "--timeout", "1"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(other: Repository, argv: tuple[str, ...]) -> None:
    done = start(SCRIPT, *argv, cwd=other.path, env={"MAESTRO_AGENT_COMMAND": "true", "MAESTRO_NO_TESTS": "1"})
    assert (done.stdout, done.returncode) == ("", 2)
    assert [line.split()[0] for line in done.stderr.splitlines()] in (["Error:"], ["Error:", "Hint:"])
