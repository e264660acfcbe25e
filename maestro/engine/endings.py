"""Endings: what follows an attempt that is over and work that came back from landing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import assert_never

from maestro.engine.attempt import Ended
from maestro.engine.closing import Closing
from maestro.engine.context import RunContext
from maestro.engine.crew import Crew
from maestro.engine.holds import Holds
from maestro.engine.landing import LandingDesk
from maestro.engine.lookahead import Lookahead
from maestro.engine.messages import Message, StillOurs
from maestro.engine.phases import GroupPhases
from maestro.engine.putaway import put_away
from maestro.engine.settle import Settling
from maestro.errors import MaestroError
from maestro.integration.verdicts import LandedAs, LandingVerdict, SentBack, Submission, Unlandable
from maestro.model.gate import GateUnjudged, NotJudged
from maestro.model.outcome import Succeeded
from maestro.model.retry import AskPerson, GiveUp, Hold, Retry, Stop, Submit, decide, decide_sent_back, named_end


class Endings:
    """Asks the policy what follows, and carries it out."""

    def __init__(
        self,
        context: RunContext,
        *,
        settling: Settling,
        closing: Closing,
        phases: GroupPhases,
        holds: Holds,
        desk: LandingDesk,
        crew: Crew,
        tell: Callable[[Message], None],
        stop_dispatch: Callable[[str], Awaitable[None]],
    ) -> None:
        self._context = context
        self._settling = settling
        self._closing = closing
        self._phases = phases
        self._holds = holds
        self._desk = desk
        self._crew = crew
        self._tell = tell
        self._stop_dispatch = stop_dispatch
        self._lookahead = Lookahead(context)
        self.asking: dict[str, Ended] = {}  # good work; whether the tracker still has it as ours
        self.theirs: dict[str, str] = {}  # tasks that somebody else has done while they ran, and who

    async def attempt_over(self, ended: Ended, bases: dict[str, str]) -> None:
        """Decide what follows an attempt; `bases` are those of the attempts that still run."""
        outcome, task = ended.outcome, ended.task
        if task in self.theirs:
            await self._holds.ended(ended.account, task, outcome)
            self._key_given_back(task, None)
            await self._settling.taken(task, self.theirs.pop(task), await self._put_away(ended))
            return
        self._settling.counted(task, outcome, ended.saved_ref)
        decision = decide(outcome, self._settling.counts(task))
        if not isinstance(decision, Hold):
            await self._holds.ended(ended.account, task, outcome)
            self._key_given_back(task, None)
        match decision:
            case Submit():
                if self._closing.is_shared:
                    self.asking[task] = ended
                    self._crew.spawn(self._ask(ended), f"ask whether {task} is still ours")
                else:
                    await self._submit(ended, bases)
            case Hold(reset_at=reset_at, reason=reason):
                await self._hold(ended, reset_at, reason)
            case Retry(reason=reason):
                await self._settling.again(task, reason, ended.saved_ref)
            case GiveUp(reason=reason):
                await self._settling.failed(task, reason, ended.saved_ref)
            case AskPerson(reason=reason):
                await self._settling.blocked(task, reason, ended.saved_ref)
            case Stop(reason=reason):
                await self._settling.cancelled(task, reason, ended.saved_ref)
            case _ as never:
                assert_never(never)

    async def _ask(self, ended: Ended) -> None:
        """Ask the tracker, before anything lands: a person may have closed or taken the task while it ran."""
        self._tell(StillOurs(ended, await self._closing.taken(ended.task)))

    async def answered(self, ended: Ended, taken: str | None, bases: dict[str, str]) -> None:
        """The tracker has answered."""
        del self.asking[ended.task]
        if taken is None:
            await self._submit(ended, bases)
            return
        await self._settling.taken(ended.task, taken, await self._put_away(ended))

    async def put_all_away(self) -> None:
        """The run cannot go on: good work that waits for an answer is saved."""
        for ended in self.asking.values():
            with suppress(MaestroError):
                await self._put_away(ended)

    async def _put_away(self, ended: Ended) -> str | None:
        """Save work that does not go on to landing; the ref it is saved under."""
        if ended.workspace is None:
            return ended.saved_ref
        return await put_away(self._context, ended.workspace, ended.task)

    async def _submit(self, ended: Ended, bases: dict[str, str]) -> None:
        outcome, task = ended.outcome, ended.task
        assert isinstance(outcome, Succeeded)
        if outcome.no_change or outcome.commit is None:
            await self._settling.unchanged(task, self._context.recorder.run.branch, outcome.summary)
            return
        if self._context.options.conflict_detection and bases:
            look = self._lookahead.look(task, outcome.commit, bases)
            self._crew.spawn(look, f"look ahead from {task}")
        await self._desk.submit(self._submission(ended, outcome, outcome.commit), ended.workspace)
        await self._phases.task_moved(task)

    def _submission(self, ended: Ended, outcome: Succeeded, commit: str) -> Submission:
        return Submission(
            task=ended.task,
            title=self._context.redactor.mask(self._context.plan.tasks[ended.task].title),
            commit=commit,
            base=ended.base,
            run_id=self._context.run_id,
            attempt=len(self._context.recorder.run.tasks[ended.task].attempts),
            summary=outcome.summary,
        )

    async def _hold(self, ended: Ended, reset_at: datetime | None, reason: str) -> None:
        if (keys := self._context.keys) is not None:
            now, rest = self._context.clock.now(), timedelta(seconds=self._context.options.hold_seconds)
            self._key_given_back(ended.task, named_end(reset_at, now) or now + rest)
            if (reset_at := keys.rests_until()) is None:
                await self._holds.ended(ended.account, ended.task, ended.outcome)
                await self._settling.again(ended.task, f"another key takes over: {reason}", ended.saved_ref)
                return
        waiting = self._settling.ready() + 1
        until = await self._holds.hold(ended.account, ended.task, reset_at, reason, waiting=waiting)
        why = f"{ended.account} is on hold until {until:%H:%M:%S} UTC: {reason}"
        await self._settling.again(ended.task, why, ended.saved_ref)

    def _key_given_back(self, task: str, limited_until: datetime | None) -> None:
        """A limit lets the key rest that the attempt had, and not the account while there are others."""
        if self._context.keys is not None:
            self._context.keys.ended(self._context.recorder.run.tasks[task].attempts[-1].attempt_id, limited_until)

    async def landing_over(self, verdict: LandingVerdict) -> bool:
        """Settle what came back from landing; whether a group has ended with it."""
        match verdict:
            case LandedAs(task=task, commit=commit):
                self._desk.landed(task)
                return await self._settling.landed_as(task, commit)
            case SentBack():
                await self._sent_back(verdict)
            case Unlandable(task=task, reason=reason, gate=gate):
                saved = await self._desk.not_landed(task)
                if isinstance(gate, GateUnjudged) and gate.why is NotJudged.STOPPED:
                    await self._settling.cancelled(task, reason, saved)
                else:
                    await self._settling.blocked(task, reason, saved)
                    await self._stop_dispatch(f"nothing can land: {reason}")
            case _ as never:
                assert_never(never)
        return False

    async def _sent_back(self, verdict: SentBack) -> None:
        task, reason = verdict.task, verdict.reason
        saved = await self._desk.not_landed(task)
        self._settling.sent_back(verdict, saved)
        match decide_sent_back(verdict.failure, reason, self._settling.counts(task)):
            case Retry():
                await self._settling.again(task, reason, saved)
            case AskPerson(reason=why):
                await self._settling.blocked(task, why, saved)
            case _:
                await self._settling.failed(task, reason, saved)
