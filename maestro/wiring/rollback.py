"""`maestro rollback` (E-9): a run's integration branch and its tracker, put back to a checkpoint.

In this order, so that the same command completes what a kill or a full disk broke off, and nothing is ever lost:
    1. refs keep what is on the branches          refs/maestro/saved/<run>/rollback-<checkpoint>
    2. the journal says what is about to happen   rolling_back: from here on those tasks wait again
    3. the branches are put back                  compare-and-swap, never under a checkout
    4. the tracker opens the tasks again, and the list of landings forgets them
    5. metadata.json and the summary of the run follow
    6. the journal says that it is done           rolled_back
The claim of the run is held throughout: no run over the same tasks begins meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from maestro.clock import Clock, as_z
from maestro.engine.branches import integration_branches
from maestro.errors import BadInput, Busy
from maestro.integration.branches import advance, checked_out_at, checked_out_words
from maestro.integration.checkpoint import rollback_command
from maestro.integration.message import RUN_TRAILER
from maestro.model.events import Checkpoint, Event, Landed, RolledBack, RollingBack
from maestro.model.folding import fold
from maestro.model.ids import safe_name
from maestro.model.recovery import leftover
from maestro.model.run import Run
from maestro.model.states import TaskState
from maestro.store.blueprint import Blueprint, read_blueprint
from maestro.store.claims import claim
from maestro.store.journal import Journal, read_journal
from maestro.store.layout import Layout
from maestro.store.standing import is_alive, known_run
from maestro.vcs.git import Git
from maestro.wiring.putback import TakenBack, foreseen_refusals, put_back_records
from maestro.workspaces.saving import save_commit


@dataclass(frozen=True)
class Rollback:
    """What a rollback has done, or would do. `is_needed` is False where all is at the checkpoint already."""

    run_id: str
    event: RollingBack
    commits: Mapping[str, str | None]  # of the tasks that wait again
    groups: tuple[str, ...]
    completes: bool  # one that was broken off
    refused: Mapping[str, str]  # tasks that the tracker did not (or would not) open again, a clause each
    others: Mapping[str, str]  # commits of others that leave the branch too, and are saved with it → their subjects

    @property
    def is_needed(self) -> bool:
        event = self.event
        return bool(self.completes or event.tasks or event.removed or event.expected != event.commit)


def roll_back(
    git: Git, layout: Layout, run_id: str, to: str, *, environ: Mapping[str, str], clock: Clock, dry_run: bool
) -> Rollback:
    """Put a run back to a checkpoint, or with `dry_run` say what that would do.

    BadInput for a run or checkpoint that is not there; Busy, with nothing changed, where a person must act first.
    """
    known_run(layout, run_id)
    if is_alive(layout, run_id):
        raise Busy(
            f"run {run_id} is under way",
            hint=f"wait for its end (maestro wait --run-id {run_id}), or interrupt it with ^C first",
        )
    if not layout.blueprint(run_id).exists():
        raise BadInput(
            f"run {run_id} has no checkpoints: it is of an older maestro", hint="revert its commits with git"
        )
    blueprint = read_blueprint(layout.blueprint(run_id))
    if dry_run:
        return _foreseen(git, layout, blueprint, to, environ, clock)
    held = claim(
        layout.locks,
        run_id=run_id,
        since=as_z(clock.now()),
        backlog=blueprint.tracker_identity,
        tasks=blueprint.plan.tasks,
        groups=blueprint.plan.groups,
    )
    try:
        planned = _foreseen(git, layout, blueprint, to, environ, clock)
        return _carried_out(git, layout, blueprint, planned, environ, clock) if planned.is_needed else planned
    finally:
        held.release()


def checkpoints_of(layout: Layout, run_id: str) -> list[tuple[Checkpoint, int]]:
    """The checkpoints of a run, in the order in which they were made, each with how many tasks have landed since."""
    path = layout.journal(known_run(layout, run_id))
    events = read_journal(path).events if path.exists() else ()
    if not events:
        return []
    run = fold(events)
    return [(one, len(_landed_since(events, run, one))) for one in run.checkpoints.values()]


# -- what is to be done ---------------------------------------------------------------------------------------


def _foreseen(
    git: Git, layout: Layout, blueprint: Blueprint, to: str, environ: Mapping[str, str], clock: Clock
) -> Rollback:
    """What would be done, with what the tracker would refuse: one that cannot be used is met before a branch moves."""
    events = _events(layout, blueprint.run_id)
    planned = _planned(git, blueprint, events, to, clock)
    return replace(
        planned,
        refused=foreseen_refusals(TakenBack(git, layout, blueprint, events, planned.event, environ)),
        others=_of_others(git, blueprint.run_id, planned.event),
    )


def _events(layout: Layout, run_id: str) -> tuple[Event, ...]:
    path = layout.journal(run_id)
    events = read_journal(path).events if path.exists() else ()
    if not events:
        raise BadInput(f"run {run_id} never began, so there is nothing to go back to")
    return events


def _planned(git: Git, blueprint: Blueprint, events: Sequence[Event], to: str, clock: Clock) -> Rollback:
    run_id = blueprint.run_id
    run, left = fold(events), leftover(events)
    if (half := left.half_rollback) is not None:
        if to != half.checkpoint:
            raise Busy(
                f"a rollback of run {run_id} to {half.checkpoint} was broken off",
                hint=f"complete it first: {rollback_command(run_id, half.checkpoint)}",
            )
        return _rollback(run_id, run, half, events, completes=True)
    checkpoint = _checkpoint(run, to)
    if left.open_attempts or left.unanswered or left.half_landing is not None:
        raise Busy(
            f"run {run_id} died in the middle of its work",
            hint=f"let it come to an end first: maestro resume --run-id {run_id} (^C ends it, and saves what is there)",
        )
    tasks = _landed_since(events, run, checkpoint)
    tips = {checkpoint.branch: checkpoint.commit, **_tips(events)}
    removed = _check_branches(git, blueprint, checkpoint, tips)
    _refuse_on_base(git, blueprint, run, checkpoint, tasks)
    event = RollingBack(
        at=clock.now(),
        checkpoint=checkpoint.name,
        branch=checkpoint.branch,
        expected=tips[checkpoint.branch],
        commit=checkpoint.commit,
        tasks=tasks,
        removed=removed,
    )
    return _rollback(run_id, run, event, events, completes=False)


def _rollback(run_id: str, run: Run, event: RollingBack, events: Sequence[Event], *, completes: bool) -> Rollback:
    commits = {one.task: one.commit for one in events if isinstance(one, Landed)}
    groups = tuple(group.id for group in run.groups.values() if not set(group.tasks).isdisjoint(event.tasks))
    return Rollback(run_id, event, {task: commits[task] for task in event.tasks}, groups, completes, {}, {})


def _of_others(git: Git, run_id: str, event: RollingBack) -> dict[str, str]:
    """What somebody else had put on the branches, so that landing went on from it (newest first)."""
    tips = [tip for tip in (event.expected, *event.removed.values()) if tip != event.commit]
    if not tips:
        return {}
    form = f"--format=%H%x00%s%x00%(trailers:key={RUN_TRAILER},valueonly,separator=%x2C)"
    words = git.text("log", "-z", "--no-show-signature", "--first-parent", form, *tips, f"^{event.commit}").split("\0")
    return {
        commit: subject
        for commit, subject, run in zip(words[::3], words[1::3], words[2::3], strict=False)
        if run.strip() != run_id
    }


def _checkpoint(run: Run, to: str) -> Checkpoint:
    if (found := run.checkpoints.get(to)) is not None:
        return found
    names = ", ".join(run.checkpoints) or "none"
    raise BadInput(f"run {run.start.run_id} has no checkpoint {to!r}", hint=f"its checkpoints are {names}")


def _landed_since(events: Sequence[Event], run: Run, checkpoint: Checkpoint) -> tuple[str, ...]:
    """What has landed after the checkpoint and still counts as landed, in the order of the branch."""
    place = max(number for number, event in enumerate(events) if event == checkpoint)
    found: dict[str, None] = {}
    for event in events[place:]:
        if isinstance(event, Landed):
            found.pop(event.task, None)  # an earlier rollback has taken that one back
            found[event.task] = None
    return tuple(task for task in found if run.tasks[task].state is TaskState.LANDED)


def _tips(events: Sequence[Event]) -> dict[str, str]:
    """Branch → the commit at which the run left it."""
    tips: dict[str, str] = {}
    for event in events:
        match event:
            case Checkpoint(group=None):
                tips[event.branch] = event.commit
            case Landed(commit=str(commit)):
                tips[event.branch] = commit
            case RollingBack():
                tips[event.branch] = event.commit
                tips = {branch: tip for branch, tip in tips.items() if branch not in event.removed}
            case _:
                pass
    return tips


def _check_branches(git: Git, blueprint: Blueprint, checkpoint: Checkpoint, tips: Mapping[str, str]) -> dict[str, str]:
    """The branches of later levels, which go; Busy where somebody has moved or checked out one that is to be moved."""
    branches = integration_branches(blueprint.run_id, blueprint.plan)
    later = {}
    for branch in branches[branches.index(checkpoint.branch) :]:
        actual = git.commit_of(f"refs/heads/{branch}")
        if branch not in tips or (actual is None and branch != checkpoint.branch):
            continue  # the run never came to it, or it is gone
        _refuse_moved(branch, actual, tips[branch])
        _refuse_checked_out(git, branch)
        if branch != checkpoint.branch and actual is not None:
            later[branch] = actual
    return later


def _refuse_moved(branch: str, actual: str | None, expected: str) -> None:
    if actual == expected:
        return
    where = "was deleted" if actual is None else f"is at {actual[:12]}"
    raise Busy(
        f"{branch} {where}, and the run left it at {expected[:12]}: somebody else has moved it",
        hint=f"keep what they did on a branch of its own, then put it back: git branch -f {branch} {expected}",
    )


def _refuse_checked_out(git: Git, branch: str) -> None:
    if (place := checked_out_at(git, branch)) is not None:
        message, hint = checked_out_words(branch, place)
        raise Busy(message, hint=hint)


def _refuse_on_base(git: Git, blueprint: Blueprint, run: Run, checkpoint: Checkpoint, tasks: Sequence[str]) -> None:
    """What has reached the base is history of others by now: it can only be reverted there."""
    base = blueprint.base_branch
    ref = f"refs/heads/{base}"
    commits = [commit for task in tasks if (commit := run.tasks[task].commit) is not None]
    if not commits or git.commit_of(ref) is None or not git.is_ancestor(commits[0], ref):
        return
    last = next(commit for commit in reversed(commits) if git.is_ancestor(commit, ref))
    how = f"git revert --no-edit -m 1 $(git rev-list --first-parent {checkpoint.commit[:12]}..{last[:12]})"
    raise Busy(f"what landed after {checkpoint.name} is on {base} already", hint=f"revert it there: {how}")


# -- doing it -------------------------------------------------------------------------------------------------


def _carried_out(
    git: Git, layout: Layout, blueprint: Blueprint, planned: Rollback, environ: Mapping[str, str], clock: Clock
) -> Rollback:
    event, path = planned.event, layout.journal(blueprint.run_id)
    if not planned.completes:
        event = event.evolve(at=clock.now(), saved_refs=_saved(git, blueprint.run_id, event))
        asyncio.run(_write(layout, blueprint.run_id, event))
    _move(git, event)
    events = read_journal(path).events
    refused = put_back_records(TakenBack(git, layout, blueprint, events, event, environ))
    done = RolledBack(at=clock.now(), checkpoint=event.checkpoint, refused=refused)
    asyncio.run(_write(layout, blueprint.run_id, done))
    return replace(planned, event=event, refused=refused)


def _saved(git: Git, run_id: str, event: RollingBack) -> tuple[str, ...]:
    """The refs that keep every tip which is taken away."""
    tips = dict.fromkeys(tip for tip in (event.expected, *event.removed.values()) if tip != event.commit)
    name = f"rollback-{safe_name(event.checkpoint)}"
    return tuple(dict.fromkeys(save_commit(git, run_id, name, tip) for tip in tips))


def _move(git: Git, event: RollingBack) -> None:
    """Put the branches back; what stands there already stays."""
    actual = git.commit_of(f"refs/heads/{event.branch}")
    if actual != event.commit:
        _refuse_moved(event.branch, actual, event.expected)
        _refuse_checked_out(git, event.branch)
        if not advance(git, event.branch, event.commit, event.expected):
            raise Busy(f"{event.branch} was moved at this moment, or another git holds its lock", hint="try again")
    for branch, tip in event.removed.items():
        actual = git.commit_of(f"refs/heads/{branch}")
        if actual is None:
            continue
        _refuse_moved(branch, actual, tip)
        _refuse_checked_out(git, branch)
        git.run("update-ref", "-m", "maestro", "-d", f"refs/heads/{branch}", tip)


async def _write(layout: Layout, run_id: str, event: Event) -> None:
    journal = Journal(layout.journal(run_id))
    try:
        await journal.record(event)
    finally:
        await journal.close()
