"""The landing queue on real repositories. The judge reads the candidate's files, as a test command would."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from maestro.clock import SystemClock
from maestro.integration.gates import Gate
from maestro.integration.land import Strategy
from maestro.integration.queue import LandingQueue
from maestro.integration.verdicts import LandedAs, LandingVerdict, SentBack, Submission, Unlandable
from maestro.model.events import ConflictSeen, Event, GateEnded, GateStarted, Landed, Landing, Warned
from maestro.model.gate import GatePassed, GateRed, GateResult, GateUnjudged, NotJudged
from maestro.model.outcome import FailureKind
from maestro.testing.repository import Repository
from maestro.vcs.git import Git

BRANCH = "integration/r1"
GREEN = GatePassed(seconds=0.1)
Rule = Callable[[set[str]], GateResult]


def red(*failing: str) -> GateRed:
    return GateRed(seconds=0.1, failing=failing, output_tail="assert 0")


def unjudged(why: NotJudged) -> GateUnjudged:
    return GateUnjudged(why=why, reason=f"because of {why}")


class Desk:
    """A queue with its surroundings: what it recorded and delivered, and what the judge was asked."""

    def __init__(
        self, repo: Repository, rule: Rule | None, strategy: Strategy = Strategy.MERGE, batch: int = 8
    ) -> None:
        self.repo = repo
        if not self.tip:
            repo.git("branch", BRANCH)
        self.base = self.tip
        self.rule = rule
        self.judged: list[set[str]] = []
        self.events: list[Event] = []
        self.verdicts: list[LandingVerdict] = []
        self.before_judging: Callable[[], Awaitable[None]] | None = None
        self.queue = LandingQueue(
            git=Git(repo.path),
            branch=BRANCH,
            tip=self.base,
            strategy=strategy,
            gate=None if rule is None else Gate(command="make test"),
            judge=self.judge,
            record=self.record,
            clock=SystemClock(),
            deliver=self.deliver,
            max_batch=batch,
        )

    async def judge(self, commit: str, tasks: tuple[str, ...]) -> GateResult:
        assert self.rule is not None, "nothing is judged with --no-tests"
        files = set(self.repo.files(commit))
        self.judged.append(files)
        if self.before_judging is not None:
            await self.before_judging()
        return self.rule(files)

    async def record(self, event: Event) -> None:
        if isinstance(event, Landing):
            assert self.tip != event.new_tip, "the journal is written before the branch moves"
        if isinstance(event, Landed) and event.commit:
            self.repo.git("merge-base", "--is-ancestor", event.commit, BRANCH)
        self.events.append(event)

    async def deliver(self, verdict: LandingVerdict) -> None:
        self.verdicts.append(verdict)

    @property
    def tip(self) -> str:
        return self.repo.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{BRANCH}")

    def work(self, task: str, files: dict[str, str] | None = None, base: str | None = None) -> Submission:
        """Commit files (by default one of the task's own name) on a base, away from any branch."""
        base = base or self.base
        self.repo.git("checkout", "-q", "--detach", base)
        commit = self.repo.commit(files or {task: f"{task}\n"})
        self.repo.git("checkout", "-q", "main")
        return Submission(task=task, title=f"title {task}", commit=commit, base=base, run_id="r1")

    def run(self, *submissions: Submission) -> dict[str, LandingVerdict]:
        """Submit all at once, land until all have their verdict; every one gets exactly one."""
        asyncio.run(self.arun(*submissions))
        return {verdict.task: verdict for verdict in self.verdicts}

    async def arun(self, *submissions: Submission) -> None:
        for submission in submissions:
            await self.queue.submit(submission)
        await self.queue.close()
        await self.queue.run()
        assert sorted(verdict.task for verdict in self.verdicts) == sorted(one.task for one in submissions)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def files(self) -> set[str]:
        return set(self.repo.files(BRANCH))


def landed(verdicts: dict[str, LandingVerdict]) -> set[str]:
    return {task for task, verdict in verdicts.items() if isinstance(verdict, LandedAs)}


def never(*bad: set[str]) -> Rule:
    """Red where all files of one of the sets are there; the names tell which."""

    def rule(files: set[str]) -> GateResult:
        found = [" with ".join(sorted(one)) for one in bad if one <= files]
        return red(*found) if found else GREEN

    return rule


def test_without_a_gate_all_land_each_as_a_commit_of_its_own(repo: Repository) -> None:
    desk = Desk(repo, None)
    verdicts = desk.run(*(desk.work(task) for task in "abc"))
    assert landed(verdicts) == {"a", "b", "c"}
    assert {"a", "b", "c"} <= desk.files
    commits = [verdict.commit for verdict in desk.verdicts if isinstance(verdict, LandedAs)]
    assert repo.git("rev-list", "--first-parent", f"main..{BRANCH}").splitlines() == commits[::-1]
    assert [type(event) for event in desk.events] == [Landing, Landed, Landed, Landed]
    assert repo.git("status", "--porcelain", "--branch") == "## main"


@pytest.mark.parametrize("strategy", Strategy)
def test_twenty_at_once_in_batches_of_eight(repo: Repository, strategy: Strategy) -> None:
    desk = Desk(repo, never(), strategy)
    verdicts = desk.run(*(desk.work(f"t{number}") for number in range(20)))
    assert len(landed(verdicts)) == 20
    assert len(desk.judged) == 3
    assert {f"t{number}" for number in range(20)} <= desk.files
    for number in range(20):
        assert repo.show(BRANCH, f"t{number}") == f"t{number}"


def test_green_alone_and_red_together_sends_back_exactly_one(repo: Repository) -> None:
    desk = Desk(repo, never({"a", "b"}))
    verdicts = desk.run(desk.work("a"), desk.work("b"))
    assert landed(verdicts) == {"a"}
    back = verdicts["b"]
    assert isinstance(back, SentBack)
    assert back.failure is FailureKind.GATE
    assert back.reason == "the tests are red with it and green without it: a with b"
    assert back.gate == red("a with b")
    assert "b" not in desk.files


def test_a_red_batch_lands_all_but_its_culprits(repo: Repository) -> None:
    desk = Desk(repo, never({"t2"}, {"t6"}))
    verdicts = desk.run(*(desk.work(f"t{number}") for number in range(8)))
    assert landed(verdicts) == {"t0", "t1", "t3", "t4", "t5", "t7"}
    assert {task for task, verdict in verdicts.items() if isinstance(verdict, SentBack)} == {"t2", "t6"}
    assert {"t0", "t7"} <= desk.files
    assert not {"t2", "t6"} & desk.files


def test_no_tree_is_judged_twice_but_a_red_one_before_blame(repo: Repository) -> None:
    desk = Desk(repo, never({"t5"}))
    desk.run(*(desk.work(f"t{number}") for number in range(8)))
    trees = [frozenset(files) for files in desk.judged]
    twice = {tree for tree in trees if trees.count(tree) > 1}
    assert all("t5" in tree for tree in twice)
    assert len(twice) == 1
    assert all(trees.count(tree) <= 2 for tree in trees)
    assert len(desk.of(GateStarted)) == len(desk.of(GateEnded)) == len(trees)


def test_a_conflict_is_sent_back_with_whom_and_where(repo: Repository) -> None:
    desk = Desk(repo, never())
    first, second, third = desk.work("a", {"src/x.py": "a\n"}), desk.work("b", {"src/x.py": "b\n"}), desk.work("c")
    verdicts = desk.run(first, second, third)
    assert landed(verdicts) == {"a", "c"}
    back = verdicts["b"]
    assert isinstance(back, SentBack)
    assert back.failure is FailureKind.CONFLICT
    assert back.reason == "conflicts with task a in src/x.py"
    assert back.conflict is not None
    assert back.conflict.paths == ("src/x.py",)
    assert [event.task for event in desk.of(ConflictSeen) if isinstance(event, ConflictSeen)] == ["b"]
    again = Desk(repo, never())
    assert landed(again.run(again.work("b", {"src/x.py": "a and b\n"}))) == {"b"}, "redone on the new base, it lands"
    assert repo.show(BRANCH, "src/x.py") == "a and b"


def test_a_conflict_with_a_batch_mate_that_does_not_land_is_none(repo: Repository) -> None:
    desk = Desk(repo, never({"bad"}))
    verdicts = desk.run(desk.work("a", {"x": "a\n", "bad": ""}), desk.work("b", {"x": "b\n"}))
    assert isinstance(verdicts["a"], SentBack)
    assert landed(verdicts) == {"b"}
    assert repo.show(BRANCH, "x") == "b"


def test_a_task_waits_for_its_mates_verdict_only_one_round(repo: Repository) -> None:
    desk = Desk(repo, None)
    verdicts = desk.run(*(desk.work(f"t{number}", {"x": f"{number}\n"}) for number in range(4)))
    assert landed(verdicts) == {"t0"}
    assert all(isinstance(verdicts[f"t{number}"], SentBack) for number in (1, 2, 3))


def test_work_that_is_there_already_has_landed_without_a_commit(repo: Repository) -> None:
    desk = Desk(repo, never())
    verdicts = desk.run(desk.work("a", {"same": "x\n"}), desk.work("b", {"same": "x\n"}))
    b = verdicts["b"]
    assert isinstance(b, LandedAs)
    assert b.commit is None
    assert b.tip == desk.tip
    assert "already" in b.remark


def test_a_branch_that_was_red_before_is_nobodys_fault(repo: Repository) -> None:
    repo.commit({"broken": "x"})
    desk = Desk(repo, never({"broken"}))
    verdicts = desk.run(desk.work("a"), desk.work("b"))
    for verdict in verdicts.values():
        assert isinstance(verdict, Unlandable)
        assert verdict.reason == "the tests are red on the integration branch without this task as well: broken"
        assert verdict.gate == red("broken")
    assert desk.tip == desk.base


def test_a_task_that_mends_a_red_branch_lands_and_those_after_it(repo: Repository) -> None:
    repo.commit({"broken": "x"})
    desk = Desk(repo, lambda files: never({"x"})(files) if "mended" in files else red("t"))
    verdicts = desk.run(desk.work("a"), desk.work("m", {"mended": ""}), desk.work("x"), desk.work("b"))
    assert isinstance(verdicts["a"], Unlandable)
    assert isinstance(verdicts["x"], SentBack)
    assert landed(verdicts) == {"m", "b"}


def test_a_task_that_mends_a_red_branch_takes_its_batch_along(repo: Repository) -> None:
    repo.commit({"broken": "x"})
    desk = Desk(repo, lambda files: GREEN if "mended" in files else red("t"))
    assert landed(desk.run(desk.work("a"), desk.work("m", {"mended": ""}))) == {"a", "m"}


def test_the_first_tests_land_with_what_they_test(repo: Repository) -> None:
    desk = Desk(repo, lambda files: GREEN if "tests" in files else unjudged(NotJudged.NONE_COLLECTED))
    verdicts = desk.run(desk.work("a"), desk.work("t", {"tests": ""}))
    assert landed(verdicts) == {"a", "t"}


def test_a_task_that_removes_the_tests_is_sent_back(repo: Repository) -> None:
    rule: Rule = lambda files: unjudged(NotJudged.NONE_COLLECTED) if "gone" in files else GREEN  # noqa: E731
    desk = Desk(repo, rule)
    verdicts = desk.run(desk.work("a"), desk.work("g", {"gone": ""}), desk.work("b"))
    assert landed(verdicts) == {"a", "b"}
    back = verdicts["g"]
    assert isinstance(back, SentBack)
    assert back.reason == "with it because of none_collected; without it the tests are green"


@pytest.mark.parametrize("why", [NotJudged.MISSING_RUNNER, NotJudged.SETUP, NotJudged.TIMEOUT])
def test_a_gate_that_cannot_judge_lands_nothing_and_blames_nobody(repo: Repository, why: NotJudged) -> None:
    desk = Desk(repo, lambda _: unjudged(why))
    verdicts = desk.run(*(desk.work(f"t{number}") for number in range(5)))
    for verdict in verdicts.values():
        assert isinstance(verdict, Unlandable)
        assert f"because of {why}" in verdict.reason
        assert verdict.gate == unjudged(why)
    assert desk.tip == desk.base
    assert len(desk.judged) <= 3


def test_a_task_that_hangs_the_tests_is_found_in_its_batch(repo: Repository) -> None:
    desk = Desk(repo, lambda files: unjudged(NotJudged.TIMEOUT) if "h" in files else GREEN)
    verdicts = desk.run(*(desk.work(task) for task in "abhc"))
    assert landed(verdicts) == {"a", "b", "c"}
    assert isinstance(verdicts["h"], SentBack)


def test_a_machine_that_breaks_later_blames_nobody(repo: Repository) -> None:
    """The branch was judged green once; when the gate cannot be set up any more, that is asked again."""
    full = False
    desk = Desk(repo, lambda _: unjudged(NotJudged.SETUP) if full else GREEN)

    async def scenario() -> None:
        nonlocal full
        running = asyncio.create_task(desk.queue.run())
        await desk.queue.submit(a)
        while not desk.verdicts:
            await asyncio.sleep(0.01)
        full = True
        await desk.queue.submit(b)
        await desk.queue.close()
        await running

    a, b = desk.work("a"), desk.work("b")
    asyncio.run(scenario())
    assert [type(verdict) for verdict in desk.verdicts] == [LandedAs, Unlandable]


def test_flaky_tests_are_named_and_nobody_is_sent_back(repo: Repository) -> None:
    tries: list[set[str]] = []

    def rule(files: set[str]) -> GateResult:
        tries.append(files)
        return red("tests/x.py::test_now_and_then") if tries.count(files) == 1 and "b" in files else GREEN

    desk = Desk(repo, rule)
    verdicts = desk.run(*(desk.work(task) for task in "abc"))
    assert landed(verdicts) == {"a", "b", "c"}
    warned = [event.message for event in desk.of(Warned) if isinstance(event, Warned)]
    assert warned
    assert all("flaky tests: tests/x.py::test_now_and_then" in message for message in warned)


def test_a_stopped_gate_answers_all_and_is_not_asked_again(repo: Repository) -> None:
    desk = Desk(repo, lambda _: unjudged(NotJudged.STOPPED))
    verdicts = desk.run(*(desk.work(task) for task in "abc"))
    for verdict in verdicts.values():
        assert isinstance(verdict, Unlandable)
        assert isinstance(verdict.gate, GateUnjudged)
        assert verdict.gate.why is NotJudged.STOPPED
    assert len(desk.judged) == 1


def test_a_judge_that_crashes_is_a_gate_that_cannot_judge(repo: Repository) -> None:
    def rule(files: set[str]) -> GateResult:
        raise RuntimeError("boom")

    desk = Desk(repo, rule)
    verdict = desk.run(desk.work("a"))["a"]
    assert isinstance(verdict, Unlandable)
    assert "the gate could not be run: boom" in verdict.reason


def test_commits_added_by_somebody_else_are_kept_and_judged_with_ours(repo: Repository) -> None:
    desk = Desk(repo, never())
    repo.git("checkout", "-q", "--detach")
    foreign = repo.commit({"foreign": "x"})
    repo.git("checkout", "-q", "main")

    async def push_once() -> None:
        desk.before_judging = None
        repo.git("update-ref", f"refs/heads/{BRANCH}", foreign)

    desk.before_judging = push_once
    verdicts = desk.run(desk.work("a"), desk.work("b"))
    assert landed(verdicts) == {"a", "b"}
    assert {"foreign", "a", "b"} <= desk.files
    assert {"foreign", "a", "b"} <= desk.judged[-1]
    assert any("somebody else added commits" in event.message for event in desk.events if isinstance(event, Warned))


@pytest.mark.parametrize("deleted", [False, True])
def test_a_branch_that_was_rewound_or_deleted_is_left_alone(repo: Repository, deleted: bool) -> None:
    repo.commit({"second": "x"})
    desk = Desk(repo, never())

    async def rewind() -> None:
        ref = f"refs/heads/{BRANCH}"
        repo.git(*(["update-ref", "-d", ref] if deleted else ["update-ref", ref, "main~1"]))

    desk.before_judging = rewind

    desk.run(*(desk.work(f"t{number}") for number in range(10)))
    for verdict in desk.verdicts:
        assert isinstance(verdict, Unlandable)
        assert f"the integration branch {BRANCH} was {'deleted' if deleted else 'set to'}" in verdict.reason
    assert len(desk.judged) == 1
    where = repo.git("rev-parse", "--verify", "-q", f"refs/heads/{BRANCH}", ok=False)
    assert where == ("" if deleted else repo.git("rev-parse", "main~1"))


def test_a_branch_the_user_looks_at_is_not_moved(repo: Repository) -> None:
    desk = Desk(repo, never())
    submission = desk.work("a")
    repo.git("checkout", "-q", BRANCH)
    verdict = desk.run(submission)["a"]
    assert isinstance(verdict, Unlandable)
    assert f"the branch {BRANCH} is checked out in {repo.path}" in verdict.reason
    assert repo.git("status", "--porcelain", "--branch") == f"## {BRANCH}"


def test_a_lock_held_for_a_moment_is_waited_for(repo: Repository) -> None:
    desk = Desk(repo, None)
    lock = repo.path / f".git/refs/heads/{BRANCH}.lock"
    lock.write_text("")
    submission = desk.work("a")

    async def scenario() -> None:
        asyncio.get_running_loop().call_later(0.2, lock.unlink)
        await desk.arun(submission)

    asyncio.run(scenario())
    assert isinstance(desk.verdicts[0], LandedAs)


def test_a_damaged_submission_does_not_hold_up_the_others(repo: Repository) -> None:
    desk = Desk(repo, never())
    bad = Submission(task="bad", commit="1" * 40, base=desk.base, run_id="r1")
    verdicts = desk.run(desk.work("a"), bad, desk.work("b"))
    assert landed(verdicts) == {"a", "b"}
    verdict = verdicts["bad"]
    assert isinstance(verdict, Unlandable)
    assert "not something we can merge" in verdict.reason


def test_a_repository_that_is_gone_is_said_to_all(repo: Repository, tmp_path: Path) -> None:
    desk = Desk(repo, never())
    submissions = [desk.work("a"), desk.work("b")]
    repo.path.rename(tmp_path / "elsewhere")
    desk.run(*submissions)
    assert [type(verdict) for verdict in desk.verdicts] == [Unlandable, Unlandable]
    assert all("does not exist" in verdict.reason for verdict in desk.verdicts if isinstance(verdict, Unlandable))


def test_a_journal_that_cannot_be_written_lands_nothing(repo: Repository) -> None:
    desk = Desk(repo, None)

    async def full(event: Event) -> None:
        raise OSError(28, "No space left on device")

    desk.queue._record = full
    verdict = desk.run(desk.work("a"))["a"]
    assert isinstance(verdict, Unlandable)
    assert "No space left on device" in verdict.reason
    assert desk.tip == desk.base


def test_whoever_cannot_take_a_verdict_is_not_hidden(repo: Repository) -> None:
    desk = Desk(repo, None)

    async def broken(verdict: LandingVerdict) -> None:
        raise ValueError("engine bug")

    desk.queue._deliver = broken
    with pytest.raises(ValueError, match="engine bug"):
        asyncio.run(desk.arun(desk.work("a")))


def test_a_cancelled_queue_stops_judging_and_moves_nothing(repo: Repository) -> None:
    desk = Desk(repo, never())
    submission = desk.work("a")

    async def scenario() -> None:
        begun = asyncio.Event()

        async def hang() -> None:
            begun.set()
            await asyncio.Event().wait()

        desk.before_judging = hang
        running = asyncio.create_task(desk.queue.run())
        await desk.queue.submit(submission)
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
    assert desk.verdicts == []
    assert desk.tip == desk.base


def test_a_cancel_between_moving_and_saying_waits_for_the_saying(repo: Repository) -> None:
    desk = Desk(repo, None)
    submission = desk.work("a")

    async def scenario() -> None:
        record = desk.record

        async def slow(event: Event) -> None:
            if isinstance(event, Landed):
                running.cancel()
                await asyncio.sleep(0)
            await record(event)

        desk.queue._record = slow
        running = asyncio.create_task(desk.queue.run())
        await desk.queue.submit(submission)
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
    assert [type(verdict) for verdict in desk.verdicts] == [LandedAs]
    assert desk.queue.tip == desk.tip


def test_a_closed_queue_takes_nothing(repo: Repository) -> None:
    desk = Desk(repo, None)
    asyncio.run(desk.queue.close())
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(desk.arun(desk.work("a")))
