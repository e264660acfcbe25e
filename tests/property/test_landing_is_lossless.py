"""Whatever conflicts, turns red, hangs, crashes or flakes: one verdict each, and the branch holds what landed."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.clock import SystemClock
from maestro.integration.gates import Gate
from maestro.integration.land import Strategy
from maestro.integration.queue import LandingQueue
from maestro.integration.verdicts import LandedAs, LandingVerdict, Submission
from maestro.model.events import Event, GateEnded, Landed, Landing
from maestro.model.gate import GatePassed, GateRed, GateResult, GateUnjudged, NotJudged
from maestro.testing.repository import make_repository
from maestro.vcs.git import Git

BRANCH = "integration/r1"
MOODS = st.lists(st.sampled_from(["honest"] * 6 + ["flaky", "crash", "hang", "missing"]), min_size=1, max_size=12)
TASKS = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=7)


class Arena:
    """One repository with finished work of some tasks, a bench in moods, and all that the queue said."""

    def __init__(self, folder: Path, moods: list[str], red_alone: set[int], red_pair: tuple[int, int]) -> None:
        self.repo = make_repository(folder / "project", dict.fromkeys("abcd", "start\n"))
        self.repo.git("branch", BRANCH)
        self.base = self.repo.head
        self.events: list[Event] = []
        self.verdicts: list[LandingVerdict] = []
        self._moods = itertools.cycle(moods)
        self._red_alone = red_alone
        self._red_pair = red_pair

    def is_red(self, revision: str) -> bool:
        """Whether the tests would be red on a revision, were the bench honest."""
        here = {int(name[3:]) for name in self.repo.files(revision) if name.startswith("own")}
        return bool(here & self._red_alone) or (self._red_pair[0] != self._red_pair[1] and set(self._red_pair) <= here)

    async def judge(self, commit: str, tasks: tuple[str, ...]) -> GateResult:
        match next(self._moods):
            case "crash":
                raise RuntimeError("the bench broke")
            case "hang":
                return GateUnjudged(why=NotJudged.TIMEOUT, reason="it hung")
            case "missing":
                return GateUnjudged(why=NotJudged.MISSING_RUNNER, reason="no runner")
            case "flaky":
                return GateRed(seconds=0, failing=("now and then",))
        return GateRed(seconds=0, failing=("red",)) if self.is_red(commit) else GatePassed(seconds=0)

    async def record(self, event: Event) -> None:
        self.events.append(event)

    async def deliver(self, verdict: LandingVerdict) -> None:
        self.verdicts.append(verdict)

    def work(self, tasks: list[tuple[str, bool]]) -> list[Submission]:
        """A commit for each task: a file of its own, and perhaps one that others edit as well."""
        submissions = []
        for number, (shared, edits_shared) in enumerate(tasks):
            self.repo.git("checkout", "-q", "--detach", self.base)
            edits = {shared: f"by {number}\n"} if edits_shared else {}
            commit = self.repo.commit({f"own{number}": f"{number}\n", **edits})
            submissions.append(Submission(task=str(number), commit=commit, base=self.base, run_id="r1"))
        return submissions

    async def land(self, submissions: list[Submission], strategy: Strategy, batch: int) -> LandingQueue:
        queue = LandingQueue(
            git=Git(self.repo.path), branch=BRANCH, tip=self.base, strategy=strategy, gate=Gate(command="t"),
            judge=self.judge, record=self.record, clock=SystemClock(), deliver=self.deliver, max_batch=batch,
        )  # fmt: skip
        for submission in submissions:
            await queue.submit(submission)
        await queue.close()
        await queue.run()
        return queue

    def check_content(self, tasks: list[tuple[str, bool]], tip: str, landed: set[str]) -> None:
        """The branch holds what landed, all of it, and nothing else."""
        assert {name[3:] for name in self.repo.files(tip) if name.startswith("own")} == landed
        for task in landed:
            shared, edits_shared = tasks[int(task)]
            assert self.repo.show(tip, f"own{task}") == task
            if edits_shared:
                assert self.repo.show(tip, shared) == f"by {task}"
        assert not self.is_red(tip), "whatever the bench did, nothing red has landed"

    def check_journal(self, landed: set[str]) -> None:
        """What landed was announced before and said after, and had passed the gate as a tree."""
        assert {event.task for event in self.events if isinstance(event, Landed)} == landed
        announced = [task for event in self.events if isinstance(event, Landing) for task in event.tasks]
        assert sorted(announced) == sorted(landed)
        passed = [
            one.commit for one in self.events if isinstance(one, GateEnded) and isinstance(one.result, GatePassed)
        ]
        green = {self.tree(commit) for commit in passed}
        assert all(self.tree(event.new_tip) in green for event in self.events if isinstance(event, Landing))

    def tree(self, commit: str) -> str:
        return self.repo.git("rev-parse", f"{commit}^{{tree}}")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tasks=TASKS,
    moods=MOODS,
    batch=st.integers(1, 8),
    strategy=st.sampled_from(Strategy),
    red_alone=st.sets(st.integers(0, 6), max_size=2),
    red_pair=st.tuples(st.integers(0, 6), st.integers(0, 6)),
)
def test_every_submission_gets_one_verdict_and_the_branch_holds_what_landed(
    tasks: list[tuple[str, bool]],
    moods: list[str],
    batch: int,
    strategy: Strategy,
    red_alone: set[int],
    red_pair: tuple[int, int],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        arena = Arena(Path(folder), moods, red_alone, red_pair)
        submissions = arena.work(tasks)
        queue = asyncio.run(arena.land(submissions, strategy, batch))
        assert sorted(verdict.task for verdict in arena.verdicts) == sorted(one.task for one in submissions)
        tip = arena.repo.git("rev-parse", BRANCH)
        assert queue.tip == tip
        landed = {verdict.task for verdict in arena.verdicts if isinstance(verdict, LandedAs)}
        arena.check_content(tasks, tip, landed)
        arena.check_journal(landed)
