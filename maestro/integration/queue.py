"""The landing queue: one at a time per integration branch, in batches, judged as they will stand together.

A round takes what waits, stacks each landing commit on the one before (objects only), runs the gate once on
the top, and moves the branch there by compare-and-swap. What cannot be merged goes back at once; a red batch
is bisected. Work that collides only with another of its own batch waits for the next round: the other may
not land after all, and its next attempt would otherwise start from a base without it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from maestro.clock import Clock
from maestro.errors import GitError, MaestroError
from maestro.integration.bisect import first_red
from maestro.integration.branches import advance
from maestro.integration.gate import Gate
from maestro.integration.identity import identity
from maestro.integration.land import Empty, Stacked, stack, tree_of
from maestro.integration.overlaps import tasks_behind
from maestro.integration.referee import GateStopped, Judge, Referee, WriteEvent, is_green, is_of_the_machine
from maestro.integration.strategy import Strategy
from maestro.integration.verdicts import (
    LandedAs,
    LandingVerdict,
    SentBack,
    Submission,
    Unlandable,
    bad_tip_reason,
    conflict_reason,
    culprit_reason,
)
from maestro.model.conflict import Conflict
from maestro.model.events import ConflictSeen, Landed, Landing, Warned
from maestro.model.gate import GateResult
from maestro.model.outcome import FailureKind
from maestro.vcs.git import Git

log = logging.getLogger(__name__)

Deliver = Callable[[LandingVerdict], Awaitable[None]]

_LOCK_WAITS_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Another git process may hold the branch's lock for a moment; after these waits it is taken as stuck."""


@dataclass(eq=False)
class _Ticket:
    """A submission in the queue; `answered` once its one verdict is on its way."""

    submission: Submission
    answered: bool = False


@dataclass
class _Candidate:
    ticket: _Ticket
    stacked: Stacked


@dataclass
class _Pile:
    """A batch after stacking."""

    candidates: list[_Candidate] = field(default_factory=list)
    held: list[_Ticket] = field(default_factory=list)  # collides with a batch mate only
    empty: list[_Ticket] = field(default_factory=list)
    conflicts: list[tuple[_Ticket, Conflict, tuple[str, ...]]] = field(default_factory=list)  # …, tasks behind it
    broken: list[tuple[_Ticket, str]] = field(default_factory=list)


class LandingQueue:
    """Lands submissions on one branch. Every submission gets exactly one verdict while `run` runs."""

    def __init__(
        self,
        *,
        git: Git,
        branch: str,
        tip: str,
        strategy: Strategy,
        gate: Gate | None,  # None: the user said --no-tests
        judge: Judge,
        record: WriteEvent,
        clock: Clock,
        deliver: Deliver,
        max_batch: int = 8,
    ) -> None:
        self._git = git
        self._branch = branch
        self._tip = tip
        self._tip_tree: str | None = None
        self._author: dict[str, str] | None = None
        self._strategy = strategy
        self._record = record
        self._clock = clock
        self._deliver = deliver
        self._max_batch = max_batch
        self._referee = None if gate is None else Referee(judge, record, clock, gate.title)
        self._waiting: deque[_Ticket] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._lost: str | None = None  # why the branch is not ours to move any more
        self._delivery_failed = False

    @property
    def tip(self) -> str:
        """The tip of the integration branch as landed by us."""
        return self._tip

    @property
    def waiting(self) -> int:
        """Submissions that no round has taken yet."""
        return len(self._waiting)

    async def submit(self, submission: Submission) -> None:
        """Queue finished work; its verdict comes through `deliver`."""
        if self._closed:
            raise RuntimeError("the landing queue is closed")
        self._waiting.append(_Ticket(submission))
        self._wake.set()

    async def close(self) -> None:
        """Take nothing more; `run` ends when what is queued has its verdicts."""
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        """Land until closed. A cancel stops a gate under way, but never between moving the branch and saying so."""
        while True:
            await self._wake.wait()
            while self._waiting:
                await self._guarded_round(self._take())
            if self._closed:
                return
            self._wake.clear()

    def _take(self) -> list[_Ticket]:
        """The next batch; one at a time on a branch known not to be green, where only a mending task can pass."""
        known = self._referee.known(self._tip_tree) if self._referee and self._tip_tree else None
        limit = 1 if known is not None and not is_green(known) else self._max_batch
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    async def _guarded_round(self, batch: list[_Ticket]) -> None:
        """One round; an error in it is the answer to all that have none yet."""
        try:
            await self._round(batch)
        except GateStopped as stopped:
            await self._all_unlandable(batch, stopped.result.reason, stopped.result)
        except Exception as error:
            if self._delivery_failed:
                raise
            if isinstance(error, MaestroError | OSError):
                reason = _explained(error)
            else:
                log.exception("a landing round failed")
                reason = f"internal error: {type(error).__name__}: {error}"
            await self._all_unlandable(batch, f"landing failed: {reason}")

    async def _round(self, batch: list[_Ticket]) -> None:
        if self._lost is not None:
            await self._all_unlandable(batch, self._lost)
            return
        if self._referee is not None:
            self._referee.forget_machine_trouble()
        pile = await asyncio.to_thread(self._stack_all, batch)
        await self._answer_unstacked(pile)
        rest = await self._land_green(pile.candidates) if pile.candidates else []
        again = {id(ticket) for ticket in (*rest, *pile.held)}
        self._requeue(ticket for ticket in batch if id(ticket) in again)

    def _requeue(self, tickets: Iterable[_Ticket]) -> None:
        self._waiting.extendleft(reversed(list(tickets)))

    # -- stacking ---------------------------------------------------------------------------------------------

    def _stack_all(self, batch: Sequence[_Ticket]) -> _Pile:
        """Stack what can be stacked, in order. Blocks; moves nothing."""
        if self._author is None:
            self._author = identity(self._git)
        if self._tip_tree is None:
            self._tip_tree = tree_of(self._git, self._tip)
        pile = _Pile()
        top, tree = self._tip, self._tip_tree
        for ticket in batch:
            try:
                shape = stack(self._git, top, ticket.submission, self._strategy, tip_tree=tree, author=self._author)
                behind = tasks_behind(self._git, top, shape) if isinstance(shape, Conflict) and top == self._tip else ()
            except (MaestroError, OSError) as error:
                pile.broken.append((ticket, _explained(error)))
                continue
            if isinstance(shape, Stacked):
                pile.candidates.append(_Candidate(ticket, shape))
                top, tree = shape.commit, shape.tree
            elif top != self._tip:
                pile.held.append(ticket)
            elif isinstance(shape, Empty):
                pile.empty.append(ticket)
            else:
                pile.conflicts.append((ticket, shape, behind))
        return pile

    async def _answer_unstacked(self, pile: _Pile) -> None:
        for ticket, conflict, behind in pile.conflicts:
            task = ticket.submission.task
            await self._record(ConflictSeen(at=self._clock.now(), task=task, conflict=conflict))
            reason = conflict_reason(conflict, behind)
            await self._answer(
                ticket, SentBack(task=task, reason=reason, failure=FailureKind.CONFLICT, conflict=conflict)
            )
        for ticket, reason in pile.broken:
            await self._unlandable(ticket, f"landing failed: {reason}")
        for ticket in pile.empty:
            await self._say_landed(ticket, None, "its changes were on the integration branch already")

    # -- judging ----------------------------------------------------------------------------------------------

    async def _land_green(self, candidates: list[_Candidate]) -> list[_Ticket]:
        """Land what is green; the tickets that need another round."""
        if self._referee is None:
            return await self._land(candidates)
        green = await self._green_prefix(self._referee, candidates)
        if green is None:
            return [candidate.ticket for candidate in candidates if not candidate.ticket.answered]
        if green and (again := await self._land(candidates[:green])):
            return again + [candidate.ticket for candidate in candidates[green:]]
        if self._lost is None and green < len(candidates):
            await self._send_back(self._referee, candidates[green])
        elif self._lost is not None:
            await self._all_unlandable([candidate.ticket for candidate in candidates[green:]], self._lost)
        return [candidate.ticket for candidate in candidates[green + 1 :] if not candidate.ticket.answered]

    async def _green_prefix(self, referee: Referee, candidates: list[_Candidate]) -> int | None:
        """How many of the stack are green; the next one, if any, is the culprit. None: not to be told from here,
        since the branch itself is not green (who could be answered was)."""
        count, low = len(candidates), 0
        while True:
            top = await (self._settled if count == 1 else self._judged)(referee, candidates, count)
            if is_green(top):
                return count
            if low == 0 and not await self._tip_is_green(referee, candidates, anew=is_of_the_machine(top)):
                return None
            culprit = await self._search(referee, candidates, low)
            if not is_green(await self._settled(referee, candidates, culprit + 1)):
                return culprit
            low = culprit + 1  # its tests were flaky; so may have been those of the top
            if low == count:
                return count
            referee.forget(candidates[-1].stacked.tree)

    async def _search(self, referee: Referee, candidates: list[_Candidate], low: int) -> int:
        search = first_red(len(candidates), low)
        try:
            length = next(search)
            while True:
                length = search.send(is_green(await self._judged(referee, candidates, length)))
        except StopIteration as found:
            return int(found.value)

    async def _tip_is_green(self, referee: Referee, candidates: list[_Candidate], *, anew: bool) -> bool:
        """Whether the branch is green without any of them, so that one of them is to blame. `anew`: whether it
        is so now, since a machine that worked for the tip an hour ago may be what fails.

        If not: where the machine is to blame, none can be judged; where the branch is, a single candidate has
        its answer, and several are tried one by one in later rounds, as one of them may mend the branch.
        """
        tree = self._tip_tree
        assert tree is not None, "stacking has looked it up"
        if anew:
            referee.forget(tree)
        tip = await referee.settled(self._tip, tree, ())
        if is_green(tip):
            return True
        if is_of_the_machine(tip) or len(candidates) == 1:
            for candidate in candidates:
                await self._unlandable(candidate.ticket, bad_tip_reason(tip), tip)
        return False

    async def _judged(self, referee: Referee, candidates: list[_Candidate], length: int) -> GateResult:
        top = candidates[length - 1].stacked
        return await referee.judged(top.commit, top.tree, _tasks(candidates[:length]))

    async def _settled(self, referee: Referee, candidates: list[_Candidate], length: int) -> GateResult:
        top = candidates[length - 1].stacked
        return await referee.settled(top.commit, top.tree, _tasks(candidates[:length]))

    # -- landing ----------------------------------------------------------------------------------------------

    async def _land(self, group: list[_Candidate]) -> list[_Ticket]:
        """Move the branch to the top of the group; the group's tickets where it must be stacked anew."""
        landing = asyncio.ensure_future(self._move_branch(group))
        try:
            return await asyncio.shield(landing)
        except asyncio.CancelledError:
            await asyncio.wait([landing])  # what has begun is finished and said
            raise

    async def _move_branch(self, group: list[_Candidate]) -> list[_Ticket]:
        top, expected = group[-1].stacked, self._tip
        await self._record(
            Landing(
                at=self._clock.now(),
                branch=self._branch,
                expected=expected,
                new_tip=top.commit,
                tasks=_tasks(group),
                commits=tuple(candidate.stacked.commit for candidate in group),
            )
        )
        for pause in (*_LOCK_WAITS_SECONDS, None):
            if await asyncio.to_thread(advance, self._git, self._branch, top.commit, expected):
                break
            actual = await asyncio.to_thread(self._git.commit_of, f"refs/heads/{self._branch}")
            if actual != expected:
                return await self._moved_by_others(group, actual)
            if pause is None:
                raise GitError(f"another git process holds the lock of the branch {self._branch}")
            await asyncio.sleep(pause)
        self._tip, self._tip_tree = top.commit, top.tree
        for candidate in group:
            await self._say_landed(candidate.ticket, candidate.stacked.commit)
        return []

    async def _moved_by_others(self, group: list[_Candidate], actual: str | None) -> list[_Ticket]:
        """Commits somebody added are adopted and judged with ours; a branch that lost what had landed is left alone."""
        if actual is not None and await asyncio.to_thread(self._git.is_ancestor, self._tip, actual):
            self._tip, self._tip_tree = actual, None
            message = f"somebody else added commits to {self._branch}: landing goes on from {actual[:12]}"
            await self._record(Warned(at=self._clock.now(), message=message))
            return [candidate.ticket for candidate in group]
        where = "was deleted" if actual is None else f"was set to {actual[:12]}, which does not hold what had landed"
        self._lost = f"the integration branch {self._branch} {where}; its last tip was {self._tip}"
        await self._all_unlandable([candidate.ticket for candidate in group], self._lost)
        return []

    # -- answering --------------------------------------------------------------------------------------------

    async def _say_landed(self, ticket: _Ticket, commit: str | None, remark: str = "") -> None:
        """It has landed, whatever happens to the record of it."""
        task = ticket.submission.task
        try:
            await self._record(
                Landed(at=self._clock.now(), task=task, commit=commit, branch=self._branch, remark=remark)
            )
        except Exception as error:
            log.warning("the landing of %s could not be recorded: %s", task, error)
            remark = f"it landed, but that could not be recorded: {error}"
        await self._answer(ticket, LandedAs(task=task, commit=commit, tip=self._tip, remark=remark))

    async def _send_back(self, referee: Referee, culprit: _Candidate) -> None:
        result = referee.known(culprit.stacked.tree)
        assert result is not None, "a culprit was judged"
        task, reason = culprit.ticket.submission.task, culprit_reason(result)
        await self._answer(culprit.ticket, SentBack(task=task, reason=reason, failure=FailureKind.GATE, gate=result))

    async def _all_unlandable(self, tickets: Iterable[_Ticket], reason: str, gate: GateResult | None = None) -> None:
        """The same answer for all that have none yet."""
        for ticket in tickets:
            if not ticket.answered:
                await self._unlandable(ticket, reason, gate)

    async def _unlandable(self, ticket: _Ticket, reason: str, gate: GateResult | None = None) -> None:
        await self._answer(ticket, Unlandable(task=ticket.submission.task, reason=reason, gate=gate))

    async def _answer(self, ticket: _Ticket, verdict: LandingVerdict) -> None:
        ticket.answered = True
        try:
            await self._deliver(verdict)
        except Exception:
            self._delivery_failed = True  # whoever waits for verdicts is broken: not to be hidden in a log
            raise


def _tasks(candidates: Iterable[_Candidate]) -> tuple[str, ...]:
    return tuple(candidate.ticket.submission.task for candidate in candidates)


def _explained(error: Exception) -> str:
    """The error with what to do about it."""
    hint = getattr(error, "hint", "")
    return f"{error} ({hint})" if hint else str(error)
