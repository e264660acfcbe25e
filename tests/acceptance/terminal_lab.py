"""A `maestro run` at a terminal, and what the terminal and the repository look like afterwards."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import termios
import threading
import time
from pathlib import Path
from typing import Any

from maestro.testing.commandline import command_line
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.acceptance.conftest import checkout_of
from tests.conftest import is_ending

AGENT = 'sleep 0.3; echo "$MAESTRO_TASK_ID" > "out-$MAESTRO_TASK_ID.txt"; git add -A; git commit -qm "work"; sleep 0.1'
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class AtTerminal:
    """One run whose controlling terminal is a pseudo-terminal; its result goes to a file."""

    def __init__(self, repo: Repository, folder: Path, run_id: str, tasks: list[dict[str, Any]]) -> None:
        self.repo, self.run_id = repo, run_id
        self.checkout = everything_in(repo.path)
        self.head = checkout_of(repo)
        folder.mkdir()
        (folder / "tasks.json").write_text(json.dumps(tasks))
        self._result = folder / "result.json"
        self._shown = bytearray()
        self.screen, end = pty.openpty()
        self._end = end  # stays open: else its settings could not be read afterwards
        self._settings = termios.tcgetattr(end)
        argv = command_line(
            "run", "--run-id", run_id, "--tasks-file", str(folder / "tasks.json"), "--agent-command", AGENT,
            "--test-command", "sleep 0.05", "--max-parallel", "3", "--json",
        )  # fmt: skip
        env = {**os.environ, "TERM": "xterm", "MAESTRO_STOP_INTERRUPT_SECONDS": "0.5"}
        with self._result.open("wb") as out:
            # the first terminal that the leader of a new session opens becomes its controlling one
            opening = ["sh", "-c", f'exec "$@" <{os.ttyname(end)} 2>{os.ttyname(end)}', "sh", *argv]
            self.process = subprocess.Popen(opening, cwd=repo.path, env=env, stdout=out, start_new_session=True)
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Until it is closed; nobody else may be reading then, or the terminal would live on."""
        while not self._closing.is_set():
            if select.select([self.screen], [], [], 0.02)[0]:
                try:
                    self._shown += os.read(self.screen, 65536)
                except OSError:
                    return

    def press_interrupt(self) -> None:
        """^C: the terminal sends SIGINT to every process of its foreground group, git among them."""
        os.write(self.screen, b"\x03")

    def send(self, what: str) -> None:
        """`^C`, or the name of a signal, to the coordinator alone."""
        if self.process.poll() is not None:
            return
        if what == "^C":
            self.press_interrupt()
        else:
            self.process.send_signal(signal.Signals[what])

    def wait(self, seconds: float = 60) -> int:
        """Its exit code."""
        try:
            code = self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        time.sleep(0.1)  # what it wrote last is on its way through the terminal
        return code

    @property
    def shown(self) -> str:
        return bytes(self._shown).decode(errors="replace")

    def result(self) -> Any:
        """The one object on standard output; None where there is nothing."""
        text = self._result.read_text()
        return json.loads(text) if text else None

    def close(self) -> None:
        """As when a window is closed: who still runs in it gets SIGHUP, and an error for each word it says."""
        if not self._closing.is_set():
            self._closing.set()
            self._reader.join()
            os.close(self._end)
            os.close(self.screen)

    def check_terminal(self) -> None:
        """Echo is on as before, and the cursor can be seen."""
        assert termios.tcgetattr(self._end) == self._settings
        until(lambda: self._shown.rfind(HIDE) <= self._shown.rfind(SHOW))  # the cursor can be seen
        assert "Traceback" not in self.shown, self.shown

    def check_repository(self) -> None:
        """The checkout byte by byte, no process, no lock, no worktree, and no branch but what may be there."""
        assert everything_in(self.repo.path) == self.checkout
        assert checkout_of(self.repo) == self.head
        assert not (left := processes_of(self.repo.path)), left
        locks = [path for path in (self.repo.path / ".git").rglob("*.lock") if path.parent.name != "maestro"]
        assert not locks, locks
        state = self.repo.path / ".flow/maestro"
        assert not list((state / "locks/live").glob("*.json"))
        assert not list(state.rglob("*.tmp"))
        assert len(self.repo.git("worktree", "list").splitlines()) == 1, self.repo.git("worktree", "list")
        fsck = subprocess.run(["git", "fsck", "--no-dangling"], cwd=self.repo.path, capture_output=True, text=True)
        assert fsck.returncode == 0, fsck.stderr

    def check_result(self, code: int) -> None:
        """What it says is so: what landed is on the branch, what was stopped is saved."""
        result = self.result()
        if result is None or "error" in result:  # before there was a run; another signal may have found it leaving
            by_signal = (-signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT)
            assert code in by_signal or (code == 130 and result["error"]["message"] == "Interrupted."), (code, result)
            return
        expected = {"interrupted": 130, "completed": 0}
        assert code == expected[result["status"]], result
        for task, entry in result["tasks"].items():
            if entry["status"] == "landed":
                assert f"out-{task}.txt" in self.repo.files(result["integration_branch"])
            elif entry.get("saved_ref"):
                assert self.repo.git("rev-parse", "--verify", entry["saved_ref"])


def everything_in(checkout: Path) -> dict[str, bytes]:
    """Every file of the checkout, and what of .git belongs to it; not maestro's own state."""
    found = {name: (checkout / ".git" / name).read_bytes() for name in ("HEAD", "index", "config")}
    for path in checkout.rglob("*"):
        inside = path.relative_to(checkout)
        if path.is_file() and inside.parts[0] not in (".git", ".flow"):
            found[str(inside)] = path.read_bytes()
    return found


def processes_of(repository: Path) -> list[str]:
    """Live processes of the runs in a repository: agents by their variables, the others by where they are."""
    found = []
    needle = f"MAESTRO_REPOSITORY={repository}\0".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.name) != os.getpid() and not is_ending(entry.name):
                inside = (entry / "cwd").readlink().is_relative_to(repository)
                if inside or needle in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except (OSError, IndexError):
            continue
    return found
