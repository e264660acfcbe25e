"""`maestro lock` at a terminal: its command has it, and hears ^C once (I-7)."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Iterator

import pytest

from maestro.testing.commandline import command_line
from maestro.testing.repository import Repository

SCRIPT = """
trap 'echo told >>heard' INT
echo ready
until [ -s heard ]; do sleep 0.02; done
read word
sleep 0.2
echo "got $word, $(wc -l <heard) time"
test -t 0 && exit 6
"""


class Terminal:
    """A pseudo-terminal with one command in it."""

    def __init__(self, repo: Repository) -> None:
        self.screen, end = pty.openpty()
        name = os.ttyname(end)
        # the first terminal that the leader of a new session opens becomes its controlling one
        opening = ["sh", "-c", f'exec "$@" <{name} >{name} 2>{name}', "sh"]
        command = command_line("lock", "tests", "--", "sh", "-c", SCRIPT)
        self.process = subprocess.Popen([*opening, *command], cwd=repo.path, start_new_session=True)
        self._end = end
        self.shown = ""

    def until(self, words: str) -> None:
        while words not in self.shown:
            assert select.select([self.screen], [], [], 30)[0], self.shown
            self.shown += os.read(self.screen, 4096).decode()

    def type(self, keys: bytes) -> None:
        os.write(self.screen, keys)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.screen)
        os.close(self._end)


@pytest.fixture
def terminal(repo: Repository) -> Iterator[Terminal]:
    terminal = Terminal(repo)
    yield terminal
    terminal.close()


def test_the_command_has_the_terminal_and_hears_an_interrupt_once(terminal: Terminal) -> None:
    terminal.until("ready")
    terminal.type(b"\x03")
    terminal.type(b"hello\n")
    terminal.until("got hello, 1 time")
    assert terminal.process.wait(30) == 6
    assert "Traceback" not in terminal.shown
