"""The queue with a real gate: pytest in a worktree of its own, as a run does it."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from maestro.clock import SystemClock
from maestro.executors.local import LocalExecutor
from maestro.integration.gates import Gate, run_gate
from maestro.integration.land import Strategy
from maestro.integration.queue import LandingQueue
from maestro.integration.verdicts import LandedAs, LandingVerdict, SentBack, Submission
from maestro.model.events import Event
from maestro.model.gate import GateRed, GateResult, TestTotals
from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import Git

BRANCH = "integration/r1"
GATE = Gate(command=f"{sys.executable} -m pytest -q -p no:randomly -p no:cacheprovider", timeout_seconds=60)


def land(repo: Repository, logs: Path, submissions: list[Submission]) -> dict[str, LandingVerdict]:
    bench, numbers = logs / "bench", count(1)
    repo.git("branch", BRANCH)
    repo.git("worktree", "add", "-q", "--detach", str(bench), "main")
    verdicts: dict[str, LandingVerdict] = {}

    async def judge(commit: str, tasks: tuple[str, ...]) -> GateResult:
        Repository(bench).git("checkout", "-q", "--force", "--detach", commit)
        number = next(numbers)
        return await run_gate(GATE, bench, dict(os.environ), logs / str(number), LocalExecutor(), f"r1/gate/{number}")

    async def record(event: Event) -> None:
        pass

    async def deliver(verdict: LandingVerdict) -> None:
        assert verdict.task not in verdicts
        verdicts[verdict.task] = verdict

    async def scenario() -> None:
        queue = LandingQueue(
            git=Git(repo.path), branch=BRANCH, tip=repo.head, strategy=Strategy.MERGE, gate=GATE, judge=judge,
            record=record, clock=SystemClock(), deliver=deliver,
        )  # fmt: skip
        for submission in submissions:
            await queue.submit(submission)
        await queue.close()
        await queue.run()

    asyncio.run(scenario())
    return verdicts


def test_green_alone_red_together_under_a_real_pytest(tmp_path: Path) -> None:
    """One task renames a function and its callers; the other adds a caller of the old name."""
    repo = make_repository(
        tmp_path / "project",
        {
            "app.py": "def total(values):\n    return sum(values)\n",
            "test_app.py": "import app\n\n\ndef test_total():\n    assert app.total([1, 2]) == 3\n",
        },
    )
    base = repo.head
    changes = {
        "rename": {
            "app.py": "def add_up(values):\n    return sum(values)\n",
            "test_app.py": "import app\n\n\ndef test_total():\n    assert app.add_up([1, 2]) == 3\n",
        },
        "caller": {"test_more.py": "import app\n\n\ndef test_more():\n    assert app.total([4]) == 4\n"},
        "other": {"notes.md": "words\n"},
    }
    submissions = []
    for task, files in changes.items():
        repo.git("checkout", "-q", "--detach", base)
        submissions.append(Submission(task=task, commit=repo.commit(files), base=base, run_id="r1"))
    repo.git("checkout", "-q", "main")

    verdicts = land(repo, tmp_path, submissions)

    assert {task for task, verdict in verdicts.items() if isinstance(verdict, LandedAs)} == {"rename", "other"}
    back = verdicts["caller"]
    assert isinstance(back, SentBack)
    assert back.reason == "the tests are red with it and green without it: test_more.py::test_more"
    assert isinstance(back.gate, GateRed)
    assert back.gate.totals == TestTotals(passed=1, failed=1)
    assert "has no attribute 'total'" in back.gate.output_tail
    assert set(repo.files(BRANCH)) == {"app.py", "test_app.py", "notes.md"}
    assert repo.git("status", "--porcelain", "--branch") == "## main"
