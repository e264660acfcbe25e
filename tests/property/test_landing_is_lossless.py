"""Whatever conflicts, turns red, hangs, crashes or flakes: one verdict each, and the branch holds what landed."""

from __future__ import annotations

import asyncio
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
        repo = make_repository(Path(folder) / "project", dict.fromkeys("abcd", "start\n"))
        repo.git("branch", BRANCH)
        base = repo.head
        events: list[Event] = []
        verdicts: list[LandingVerdict] = []
        asked = 0

        def is_red(files: list[str]) -> bool:
            here = {int(name[3:]) for name in files if name.startswith("own")}
            return bool(here & red_alone) or (red_pair[0] != red_pair[1] and set(red_pair) <= here)

        async def judge(commit: str, tasks: tuple[str, ...]) -> GateResult:
            nonlocal asked
            mood = moods[asked % len(moods)]
            asked += 1
            match mood:
                case "crash":
                    raise RuntimeError("the bench broke")
                case "hang":
                    return GateUnjudged(why=NotJudged.TIMEOUT, reason="it hung")
                case "missing":
                    return GateUnjudged(why=NotJudged.MISSING_RUNNER, reason="no runner")
                case "flaky":
                    return GateRed(seconds=0, failing=("now and then",))
            return GateRed(seconds=0, failing=("red",)) if is_red(repo.files(commit)) else GatePassed(seconds=0)

        async def record(event: Event) -> None:
            events.append(event)

        async def deliver(verdict: LandingVerdict) -> None:
            verdicts.append(verdict)

        submissions = []
        for number, (shared, edits_shared) in enumerate(tasks):
            repo.git("checkout", "-q", "--detach", base)
            edits = {shared: f"by {number}\n"} if edits_shared else {}
            commit = repo.commit({f"own{number}": f"{number}\n", **edits})
            submissions.append(Submission(task=str(number), commit=commit, base=base, run_id="r1"))

        async def scenario() -> LandingQueue:
            queue = LandingQueue(
                git=Git(repo.path), branch=BRANCH, tip=base, strategy=strategy, gate=Gate(command="t"), judge=judge,
                record=record, clock=SystemClock(), deliver=deliver, max_batch=batch,
            )  # fmt: skip
            for submission in submissions:
                await queue.submit(submission)
            await queue.close()
            await queue.run()
            return queue

        queue = asyncio.run(scenario())
        assert sorted(verdict.task for verdict in verdicts) == sorted(one.task for one in submissions)
        tip = repo.git("rev-parse", BRANCH)
        assert queue.tip == tip
        landed = {verdict.task for verdict in verdicts if isinstance(verdict, LandedAs)}
        assert {name[3:] for name in repo.files(tip) if name.startswith("own")} == landed
        for task in landed:
            number = int(task)
            assert repo.show(tip, f"own{number}") == task
            if tasks[number][1]:
                assert repo.show(tip, tasks[number][0]) == f"by {number}"
        assert not is_red(repo.files(tip)), "whatever the bench did, nothing red has landed"
        assert {event.task for event in events if isinstance(event, Landed)} == landed
        announced = [task for event in events if isinstance(event, Landing) for task in event.tasks]
        assert sorted(announced) == sorted(landed)
        for event in events:
            if isinstance(event, Landing):
                green = [one for one in events if isinstance(one, GateEnded) and isinstance(one.result, GatePassed)]
                tree = repo.git("rev-parse", f"{event.new_tip}^{{tree}}")
                assert tree in {repo.git("rev-parse", f"{one.commit}^{{tree}}") for one in green}
