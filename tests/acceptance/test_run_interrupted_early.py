"""A signal while git is asked of the repository before the run begins: it is heard at once, however long git takes,
and no git stays behind (E-7)."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import Started
from tests.conftest import is_over

pytestmark = pytest.mark.usefixtures("unharmed")

GIT = """#!/bin/sh
case " $* " in *" {hangs} "*) echo $$ > {here}.new; mv {here}.new {here}; exec sleep 100;; esac
exec {git} "$@"
"""


@pytest.mark.parametrize("hangs", ["version", "rev-parse", "config", "status", "for-each-ref"])
def test_a_git_that_hangs_holds_no_interrupt_up(hangs: str, start: Callable[..., Started], tmp_path: Path) -> None:
    here, git = tmp_path / "here", tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(GIT.format(hangs=hangs, here=here, git=shutil.which("git")))
    git.chmod(0o755)
    started = start([{"id": "a"}], env={"PATH": f"{git.parent}:{os.environ['PATH']}"})
    started.until(here)
    started.send(signal.SIGTERM)
    said = started.end(20)
    # Python itself ends so where KeyboardInterrupt came while a dataclass was made; a shell calls both 130
    assert said.code in (130, -signal.SIGINT), said.err
    assert said.json["error"]["message"] == "Interrupted."
    assert "Traceback" not in said.err
    assert is_over(int(here.read_text()))
