"""scripts/test_parallel_zenflow.sh: which task it finds, what pytest gets of it, and what comes back (I-5)."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from maestro.planning.env_files import place_of, text_of, variables_of
from maestro.planning.ports import SERVICES
from maestro.store.shipped import TEST_SCRIPT, shipped
from maestro.testing.repository import Repository

TASK = "shop-9947"
TESTS = """
import json, os, signal

def test_green():
    with open(os.environ["SEEN"], "w") as file:
        json.dump({"env": dict(os.environ), "worker": os.environ.get("PYTEST_XDIST_WORKER")}, file)

def test_red():
    assert False

def test_interrupted():
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Project:
    """A repository that has the script and some tests."""

    def __init__(self, repo: Repository, folder: Path) -> None:
        self.top = repo.path
        self.git = repo.git
        self.seen = folder / "seen.json"
        self.script = self.top / TEST_SCRIPT
        self.script.parent.mkdir(exist_ok=True)
        shutil.copy(shipped(TEST_SCRIPT), self.script)
        (self.top / "test_sample.py").write_text(TESTS)
        self.tools = folder / "bin"
        self.tools.mkdir()
        self.add("pytest", f'exec "{sys.executable}" -m pytest -p no:cacheprovider -p no:randomly "$@"')
        self.path = f"{self.tools}{os.pathsep}/usr/bin{os.pathsep}/bin"

    def add(self, name: str, text: str) -> Path:
        program = self.tools / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return program

    def write_env(self, task: str, path: Path | None = None, **changes: str) -> dict[str, str]:
        path = path or self.top / place_of(task)
        path.parent.mkdir(parents=True, exist_ok=True)
        variables = {**variables_of(task, SERVICES, []), **changes}
        path.write_text(text_of(variables))
        return variables

    def run(
        self, *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.script, *argv],
            cwd=cwd or self.top,
            env={**os.environ, "PATH": self.path, "SEEN": str(self.seen), **(env or {})},
            capture_output=True,
            text=True,
        )

    def got(self) -> dict[str, str]:
        """The environment that the tests had."""
        found: dict[str, str] = json.loads(self.seen.read_text())["env"]
        return found


@pytest.fixture
def project(repo: Repository, tmp_path: Path) -> Project:
    return Project(repo, tmp_path)


@pytest.fixture
def recorder(project: Project) -> Path:
    """In place of pytest, a program that says what it was given."""
    return project.add("pytest", 'for each; do echo "<$each>"; done; env | grep _PORT= | sort')


def test_help_says_all_and_runs_nothing(project: Project) -> None:
    for word in ("--help", "-h"):
        done = project.run(word, env={"ZENFLOW_TASK_ID": TASK})
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: test_parallel_zenflow.sh")
        assert all(name in done.stdout for name in ("ZENFLOW_TASK_ID", "ZENFLOW_WORKERS", "PYTEST", "NO_COLOR"))
    assert not project.seen.exists()


def test_the_tests_of_a_task_get_its_variables_and_workers(project: Project) -> None:
    variables = project.write_env(TASK)
    done = project.run("-k", "green", "-q", env={"ZENFLOW_TASK_ID": TASK, "ZENFLOW_WORKERS": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert project.got().items() >= variables.items()
    assert json.loads(project.seen.read_text())["worker"] == "gw0"
    shown = done.stdout.split()
    for name in ("POSTGRES_PORT", "REDIS_PORT", "BACKEND_PORT", "FRONTEND_PORT", "POSTGRES_DB", "COMPOSE_PROJECT_NAME"):
        assert shown[shown.index(name) + 1] == variables[name]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(("words", "code"), [(("-k", "red"), 1), (("-k", "nothing"), 5), (("missing.py",), 4)])
@pytest.mark.parametrize("task", [TASK, ""])
def test_the_exit_code_is_that_of_pytest(project: Project, words: tuple[str, ...], code: int, task: str) -> None:
    project.write_env(TASK)
    done = project.run(*words, env={"ZENFLOW_WORKERS": "0", "ZENFLOW_TASK_ID": task})
    assert done.returncode == code, done.stdout


def test_a_pytest_that_is_killed_counts_as_such(project: Project) -> None:
    done = project.run("-k", "interrupted", env={"ZENFLOW_WORKERS": "0"})
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)


def test_without_a_task_the_tests_run_and_this_is_said(project: Project) -> None:
    done = project.run("-k", "green", env={"ZENFLOW_WORKERS": "0"})
    assert done.returncode == 0
    assert done.stdout.startswith("No task: ZENFLOW_TASK_ID is not set")
    assert "ZENFLOW_TASK_ID" not in project.got()


@pytest.mark.parametrize(
    ("words", "env", "given"),
    [
        ((), {}, ["-n", "auto"]),
        (("tests/a b", "-k", "x or y", "*"), {}, ["-n", "auto", "tests/a b", "-k", "x or y", "*"]),
        (("--", "-x"), {}, ["-n", "auto", "-x"]),
        (("-x",), {"ZENFLOW_WORKERS": "4"}, ["-n", "4", "-x"]),
        (("-x",), {"ZENFLOW_WORKERS": "0"}, ["-x"]),
        (("-n", "2"), {}, ["-n", "2"]),
        (("-n2", "-x"), {}, ["-n2", "-x"]),
        (("--numprocesses=3",), {}, ["--numprocesses=3"]),
        (("-p", "no:xdist"), {}, ["-p", "no:xdist"]),
        (("-x", "--help"), {}, ["-n", "auto", "-x", "--help"]),
    ],
)
def test_arguments_go_on_as_they_are(
    project: Project, recorder: Path, words: tuple[str, ...], env: dict[str, str], given: list[str]
) -> None:
    done = project.run(*words, env=env)
    assert [line[1:-1] for line in done.stdout.splitlines() if line.startswith("<")] == given


def test_another_pytest_can_be_named(project: Project, recorder: Path) -> None:
    other = project.add("other", "echo other; exit 9")
    done = project.run(env={"PYTEST": str(other)})
    assert (done.returncode, done.stdout.splitlines()[-1]) == (9, "other")


def at_home(project: Project) -> None:
    project.write_env(TASK, project.top / ".env.task")


def beside(project: Project) -> None:
    project.write_env(TASK, project.top.parent / ".env.task")


def on_a_branch_of_a_run(project: Project) -> None:
    project.write_env(TASK)
    project.git("switch", "--quiet", "--create", f"maestro/r1/{TASK}")


def on_a_branch_of_its_name(project: Project) -> None:
    project.write_env(TASK)
    project.git("switch", "--quiet", "--create", TASK)


@pytest.mark.parametrize("named", [at_home, beside, on_a_branch_of_a_run, on_a_branch_of_its_name])
def test_a_task_that_is_not_named_is_found(project: Project, recorder: Path, named: object) -> None:
    assert callable(named)
    named(project)
    (project.top / "deep").mkdir()
    for cwd in (project.top, project.top / "deep"):
        done = project.run(cwd=cwd)
        assert f"Task {TASK}" in done.stdout, done.stdout
        assert "POSTGRES_PORT=10947" in done.stdout


@pytest.mark.parametrize("folder", [f"task-{TASK}/project", TASK])
def test_a_task_is_found_by_its_folder(project: Project, recorder: Path, tmp_path: Path, folder: str) -> None:
    project.write_env(TASK)
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "all")
    place = tmp_path / "elsewhere" / folder
    project.git("worktree", "add", "--quiet", "--detach", str(place))
    done = project.run(cwd=place)
    assert "POSTGRES_PORT=10947" in done.stdout, done.stdout + done.stderr


def test_a_task_that_is_named_is_stronger_than_any_that_is_found(project: Project, recorder: Path) -> None:
    at_home(project)
    project.write_env("cart-12")
    done = project.run(env={"ZENFLOW_TASK_ID": "cart-12"})
    assert "POSTGRES_PORT=10012" in done.stdout
    assert place_of("cart-12") in done.stdout


def test_the_file_is_stronger_than_what_the_shell_had(project: Project, recorder: Path) -> None:
    project.write_env(TASK, SEARCH_PORT="20947")
    done = project.run(env={"ZENFLOW_TASK_ID": TASK, "POSTGRES_PORT": "5432"})
    assert "POSTGRES_PORT=10947" in done.stdout
    assert done.stdout.split().count("SEARCH_PORT") == 1, "services of the configuration are shown too"


def test_what_a_run_put_beside_its_workspace_is_stronger_than_a_file_of_the_repository(
    project: Project, recorder: Path
) -> None:
    project.write_env(TASK)
    project.write_env(TASK, project.top.parent / ".env.task", POSTGRES_PORT="10002")
    assert "POSTGRES_PORT=10002" in project.run(env={"ZENFLOW_TASK_ID": TASK}).stdout
    project.write_env("cart-12", project.top.parent / ".env.task")
    assert "POSTGRES_PORT=10947" in project.run(env={"ZENFLOW_TASK_ID": TASK}).stdout


@pytest.mark.parametrize("task", [TASK, "a b/c"])
def test_what_a_run_has_leased_is_stronger_than_the_file(project: Project, recorder: Path, task: str) -> None:
    written = project.write_env(task)
    leased = {**written, "POSTGRES_PORT": "10002"}
    ours = {"MAESTRO_ATTEMPT": "token/r1/x/1", "MAESTRO_TASK_ID": task}
    done = project.run(env={**leased, **ours})
    assert "POSTGRES_PORT=10002" in done.stdout
    assert "leased by the run" in done.stdout
    done = project.run(env={**leased, **ours, "MAESTRO_TASK_ID": "another"})  # a script that an agent's tests start
    assert f"POSTGRES_PORT={written['POSTGRES_PORT']}" in done.stdout


def test_a_task_without_a_file_is_worked_out_by_maestro(project: Project, recorder: Path) -> None:
    project.add("maestro", f'exec "{sys.executable}" -m maestro "$@"')
    done = project.run(env={"ZENFLOW_TASK_ID": TASK})
    assert (done.returncode, done.stderr) == (0, "")
    assert "POSTGRES_PORT=10947" in done.stdout
    assert not (project.top / ".zenflow").exists()


def test_an_id_that_looks_like_an_option_is_one_all_the_same(project: Project, recorder: Path) -> None:
    project.add("maestro", f'exec "{sys.executable}" -m maestro "$@"')
    done = project.run(env={"ZENFLOW_TASK_ID": "-n 12"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "POSTGRES_PORT=10012" in done.stdout


def test_an_id_that_is_no_name_of_a_folder_has_its_file(project: Project, recorder: Path) -> None:
    project.write_env("Shop: the/odd 9947", POSTGRES_PORT="10001")
    done = project.run(env={"ZENFLOW_TASK_ID": "Shop: the/odd 9947"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "POSTGRES_PORT=10001" in done.stdout


def test_a_task_without_a_file_is_no_reason_to_use_the_users_own_database(project: Project) -> None:
    done = project.run("-k", "green", env={"ZENFLOW_TASK_ID": TASK})
    assert done.returncode == 2
    assert f"there is no .env.task of the task {TASK}" in done.stderr
    assert f"maestro workspace env {TASK} --write" in done.stderr
    assert not project.seen.exists()


def test_no_pytest_is_said(project: Project, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for tool in ("bash", "git", "env", "dirname", "basename", "cat"):
        (bare / tool).symlink_to(shutil.which(tool) or "")
    done = project.run(env={"PATH": str(bare)})
    assert done.returncode == 127
    assert "pytest was not found" in done.stderr


@pytest.mark.parametrize(("extra", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_for_terminals(project: Project, recorder: Path, extra: dict[str, str], is_coloured: bool) -> None:
    project.write_env(TASK)
    ours, theirs = pty.openpty()
    env = {**os.environ, "PATH": project.path, "ZENFLOW_TASK_ID": TASK, "TERM": "xterm", **extra}
    assert subprocess.run([project.script], cwd=project.top, env=env, stdout=theirs).returncode == 0
    os.close(theirs)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert (b"\x1b[1mTask shop-9947\x1b[0m" in shown) == is_coloured
    assert (b"\x1b" in shown) == is_coloured
