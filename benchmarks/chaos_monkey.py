"""Starts a coordinator, kills it at random moments, fills its disk, and resumes it until the run has ended."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass

from chaos_scene import Scene, say
from contenders import find_maestro

MOST_ENDS = 12
"""So often a coordinator may end by itself without the run being over, as on a full disk; then it is called stuck."""

KILLS = ("kill", "kill with its git", "kill with its agents")
"""The coordinator alone; with what it calls, which leaves locks of git; with its agents too, as if the power went."""

FULL_SECONDS = (0.5, 2.5)
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Act:
    """What is done to the coordinator next: when so many more tasks have landed, and a moment later."""

    kind: str  # one of KINDS, perhaps after "fill and "
    landings: int
    delay_seconds: float


class Monkey(threading.Thread):
    """One run, from its first start to its end."""

    def __init__(
        self,
        scene: Scene,
        run_id: str,
        flags: list[str],
        tasks: int,
        acts: list[str],
        *,
        seed: str,
        env: dict[str, str],
        options: list[str] | None = None,
    ) -> None:
        """`flags` are those of `run`, `options` those before any command, `acts` what it suffers, in this order."""
        super().__init__(name=f"monkey of {run_id}", daemon=True)
        self.scene = scene
        self.run_id = run_id
        self.tasks = tasks
        self.kills = self.fills = self.starts = self.ends = 0
        self.failure = ""
        self.exit_code: int | None = None
        self.seconds = 0.0
        self._flags = flags
        self._env = env
        self._options = options or []
        self._acts = deque(acts)
        self._dice = random.Random(f"{seed}/{run_id}")
        self._journal = scene.repository / ".flow/maestro/runs" / run_id / "journal.jsonl"
        self.errors = scene.root / f"errors-{run_id}.txt"

    def run(self) -> None:
        """Errors of the benchmark itself become the failure of the run."""
        begun = time.monotonic()
        try:
            while not self._is_over():
                self._one_coordinator()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
        self.seconds = time.monotonic() - begun

    def _is_over(self) -> bool:
        if self.exit_code is None:
            return False
        if self._result().get("status") in ("completed", "failed"):
            return True
        self.ends += 1
        if self.ends > MOST_ENDS:
            self.failure = f"stuck: the coordinator ended {self.ends} times; last with exit code {self.exit_code}: "
            self.failure += self.errors.read_text(errors="replace")[-600:]
            return True
        return False

    def _result(self) -> dict[str, object]:
        try:
            return dict(json.loads(self._journal.with_name("summary.json").read_text()))
        except (OSError, ValueError):
            return {}

    def _one_coordinator(self) -> None:
        """From a start to the end of that process."""
        self.exit_code = None
        process = self._start()
        while self._acts:
            act = self._draw()
            if not self._wait_for(act, process):
                break
            self._acts.popleft()
            if self._carry_out(act, process):
                return
        self.exit_code = process.wait()
        say(f"{self.run_id}: ended with exit code {self.exit_code}")

    def _start(self) -> subprocess.Popen[bytes]:
        """The first time it is a run; also when it was killed before it had written anything down."""
        self.starts += 1
        command = ["resume", "--run-id", self.run_id, "--json"]
        if not self._has_begun():
            command = ["run", "--run-id", self.run_id, "--json", *self._flags]
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                [str(find_maestro()), *self._options, *command], cwd=self.scene.repository, env=self._env,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
            )  # fmt: skip

    def _has_begun(self) -> bool:
        try:
            return b'"type":"run_started"' in self._journal.read_bytes()
        except OSError:
            return False

    def landed(self) -> int:
        """Landings that the journal tells of."""
        try:
            return self._journal.read_bytes().count(b'"type":"landed"')
        except OSError:
            return 0

    def _draw(self) -> Act:
        """Half of the acts come soon after a start, the others spread over what is left of the run."""
        kind = self._acts[0]
        if kind not in KILLS or self._dice.random() < 0.5:
            most = int(0.8 * (self.tasks - self.landed()) / len(self._acts))
            return Act(kind, self._dice.randint(0, max(most, 0)), self._dice.uniform(0, 0.4))
        return Act(kind, 0, self._dice.uniform(0.02, 1.5))

    def _wait_for(self, act: Act, process: subprocess.Popen[bytes]) -> bool:
        """Whether its moment came while the coordinator was alive."""
        goal = self.landed() + act.landings
        while self.landed() < goal:
            if process.poll() is not None:
                return False
            time.sleep(LOOK_SECONDS)
        time.sleep(act.delay_seconds)
        return process.poll() is None

    def _carry_out(self, act: Act, process: subprocess.Popen[bytes]) -> bool:
        """Whether the coordinator is dead now."""
        if "fill" in act.kind:
            self.fills += 1
            say(f"{self.run_id}: the disk is full")
            self.scene.disk.fill()
            time.sleep(self._dice.uniform(*FULL_SECONDS))
        if "kill" in act.kind:
            self._kill(act.kind, process)
            self.kills += 1
            say(f"{self.run_id}: {act.kind}, the {self.kills}. time, {self.landed()} of {self.tasks} landed")
        if "fill" in act.kind:
            self.scene.disk.free()
        return "kill" in act.kind

    def _kill(self, kind: str, process: subprocess.Popen[bytes]) -> None:
        if "with" in kind:
            os.killpg(process.pid, signal.SIGKILL)  # its own session: agents have others
        else:
            process.kill()
        process.wait()
        if "agents" in kind:
            for pid in self.scene.agents(self.run_id):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
