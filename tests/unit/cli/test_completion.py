"""The completion scripts are what the shells accept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(cli: Any, shell: str) -> None:
    said = cli("completion", shell)
    assert said.code == 0
    assert "_MAESTRO_COMPLETE" in said.out
    assert cli("completion", shell, "--json").json() == {"shell": shell, "script": said.out[:-1]}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_reads_the_script(cli: Any) -> None:
    done = subprocess.run(["bash", "-n"], input=cli("completion", "bash").out, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("maestro st", "plain,status\n"),
        ("maestro run --tracker task", "plain,taskmaster\nplain,taskfile\n"),
        ("maestro run --tasks-file ba", "file,ba\n"),
        ("maestro clean --workspace-root wo", "dir,wo\n"),
        ("maestro -C wo", "dir,wo\n"),
    ],
)
def test_words_are_completed(words: str, answer: str) -> None:
    cursor = str(len(words.split()) - 1)
    env = {**os.environ, "_MAESTRO_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": cursor}
    code = "from maestro.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == answer
