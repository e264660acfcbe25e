"""The command line as a process among others: pipes, full disks, closed terminals, odd file names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro.cli.config_template import CONFIG
from maestro.testing.repository import Repository, make_repository

MAESTRO = (sys.executable, "-m", "maestro")


def run(*argv: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([*MAESTRO, *argv], cwd=cwd, stderr=subprocess.PIPE, timeout=60, **options)


@pytest.mark.parametrize(("argv", "code"), [(("status",), 0), (("wait", "--run-id", "x"), 2), (("--help",), 1)])
def test_a_reader_that_leaves_early_is_no_error(repo: Repository, argv: tuple[str, ...], code: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run(*argv, cwd=repo.path, stdout=writer)
    os.close(writer)
    assert done.returncode == code
    assert b"Broken" not in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("argv", [("status",), ("--help",), ("status", "--json"), ("completion", "bash")])
def test_a_full_disk_behind_standard_output_is_said(repo: Repository, argv: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = run(*argv, cwd=repo.path, stdout=full)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) <= 2
    assert b"no space left on device" in done.stderr.splitlines()[0].lower()


@pytest.mark.parametrize("json_too", [True, False])
def test_words_that_nobody_can_read_change_no_result(repo: Repository, json_too: bool) -> None:
    """As in a terminal that was closed while the run came to its end: one result, and its exit code."""
    argv = ["run", "--agent-command", "echo x > x.txt", "--no-tests", "--tasks-file", "tasks.json"]
    (repo.path / "tasks.json").write_text('[{"id": "a"}]')
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*MAESTRO, *argv, *["--json"] * json_too], cwd=repo.path, stdout=subprocess.PIPE, stderr=full, timeout=60
        )
    assert done.returncode == 0, done.stdout
    if json_too:
        assert json.loads(done.stdout)["status"] == "completed"
    else:
        assert done.stdout.count(b"1 of 1 tasks landed") == 1


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_stream_that_is_closed_from_the_start(repo: Repository, stream: str) -> None:
    argv = "run --agent-command 'echo x > x.txt' --no-tests --tasks-file tasks.json"
    (repo.path / "tasks.json").write_text('[{"id": "a"}]')
    closed = f"exec {' '.join(MAESTRO)} {argv} {stream}>&-"
    done = subprocess.run(["sh", "-c", closed], cwd=repo.path, capture_output=True, timeout=60, check=False)
    assert (done.returncode, b"bug" in done.stderr) == (0, False), done.stderr


def test_who_starts_it_may_not_care_for_the_ends_of_children(repo: Repository) -> None:
    argv = "run --agent-command 'echo x > x.txt' --no-tests --tasks-file tasks.json"
    (repo.path / "tasks.json").write_text('[{"id": "a"}]')
    uncaring = f"trap '' CHLD; exec {' '.join(MAESTRO)} {argv}"
    done = subprocess.run(["sh", "-c", uncaring], cwd=repo.path, capture_output=True, timeout=60, check=False)
    assert (done.returncode, b"1 of 1 tasks landed" in done.stdout + done.stderr) == (0, True), done.stderr


def test_an_encoding_that_cannot_hold_the_names(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "größe")
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = run("init", "--dry-run", cwd=repo.path, env=env)
    assert (done.stderr.count(b"Traceback"), done.returncode) == (0, 0)
    assert done.stdout.isascii()
    assert b"/gr\\" in done.stdout


def test_python_m_and_dash_c_dir(repo: Repository, tmp_path: Path) -> None:
    done = run("-C", str(repo.path), "status", "--json", cwd=tmp_path)
    assert (json.loads(done.stdout), done.returncode) == ({"runs": [], "total_runs": 0}, 0)
    done = run("-C", repo.path.name, "init", "-q", cwd=tmp_path)
    assert done.returncode == 0
    assert (repo.path / ".flow/maestro/config.toml").read_text() == CONFIG


def test_no_environment_at_all(repo: Repository) -> None:
    done = run("status", cwd=repo.path, env={"PATH": os.environ["PATH"]})
    assert (done.stdout, done.returncode) == (b"No run yet.\n", 0)
