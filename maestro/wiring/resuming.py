"""Which run is resumed, as what, and with which settings (E-6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from maestro.config.load import EITHER
from maestro.config.settings import Settings
from maestro.errors import BadInput, StateError
from maestro.integration.checkpoint import rollback_command
from maestro.model.events import Event, RunResumed
from maestro.model.folding import fold
from maestro.model.run import Run
from maestro.model.states import RunStatus, TaskState
from maestro.store.blueprint import NOT_KEPT, Blueprint, read_blueprint
from maestro.store.journal import Recovered, read_journal
from maestro.store.layout import Layout
from maestro.vcs.git import Git
from maestro.wiring.backlog import Backlog, open_backlog
from maestro.wiring.deadruns import unfinished_runs

if TYPE_CHECKING:
    from maestro.model.recovery import Leftover


class Past(NamedTuple):
    """A run as its files tell of it."""

    run_id: str
    blueprint: Blueprint
    events: tuple[Event, ...]
    torn_bytes: int

    @property
    def run(self) -> Run | None:
        """None where it died before its first event."""
        return fold(self.events) if self.events else None

    @property
    def lives(self) -> int:
        """How many coordinators it has had."""
        return 1 + sum(isinstance(event, RunResumed) for event in self.events)

    @property
    def left(self) -> Leftover:
        """What is open."""
        from maestro.model.recovery import leftover  # a run that begins has no past

        return leftover(self.events)


def choose_run(layout: Layout, run_id: str | None) -> str:
    """The run that is meant: the one named, else the only one that has not come to its end. BadInput otherwise."""
    if run_id is not None:
        if not layout.run(run_id).is_dir():
            raise BadInput(f"there is no run {run_id} in {layout.repository}", hint="`maestro list` lists the runs")
        return run_id
    unfinished = list(unfinished_runs(layout))
    if len(unfinished) == 1:
        return unfinished[0]
    if not unfinished:
        raise BadInput("no run here is unfinished", hint="`maestro list` lists the runs; name one with --run-id")
    shown = ", ".join(unfinished[-5:])
    raise BadInput(f"{len(unfinished)} runs here are unfinished: {shown}", hint="name one with --run-id")


def read_past(layout: Layout, run_id: str) -> Past:
    """The files of a run. StateError where they cannot be read, or tell of a rollback that was broken off."""
    blueprint = read_blueprint(layout.blueprint(run_id))
    journal = layout.journal(run_id)
    recovered = read_journal(journal) if journal.exists() else Recovered(events=(), good_bytes=0, torn_bytes=0)
    if not recovered.events and layout.attempts(run_id).exists():
        raise StateError(
            f"the journal {journal} is gone or empty, and run {run_id} had begun",
            hint="put it back, or start a new run; what has landed is on the run's integration branch",
        )
    past = Past(run_id, blueprint, recovered.events, recovered.torn_bytes)
    if (rollback := past.left.half_rollback) is not None:
        raise StateError(
            f"a rollback of run {run_id} was broken off",
            hint=f"complete it first: {rollback_command(run_id, rollback.checkpoint)}",
        )
    return past


def reopened(run: Run, *, retry_failed: bool) -> tuple[str, ...]:
    """Tasks that had an end and are tried again.

    What the run itself cut off always is. What waited for a person is, where the run had ended: the word to go on is
    that person's. A run that died in the middle goes on as if nothing had happened.
    """
    wanted = {TaskState.CANCELLED}
    if run.status is not RunStatus.RUNNING:
        wanted.add(TaskState.BLOCKED)
    if retry_failed:
        wanted |= {TaskState.FAILED, TaskState.BLOCKED}
    return tuple(task.id for task in run.tasks.values() if task.state in wanted)


def settings_to_go_on_with(
    blueprint: Blueprint, current: Settings, flags: Mapping[str, Any]
) -> tuple[Settings, dict[str, str]]:
    """Those of the run's start; what may hold secrets from the configuration as it is now (`current`), and what the
    user says differently (`flags`, a part of `current`). Also what that changes, in words."""
    values = {name: getattr(current, name) for name in NOT_KEPT}
    for one, other in (*EITHER, *((b, a) for a, b in EITHER)):
        if one in flags and other not in flags:
            values[other] = Settings.model_fields[other].get_default(call_default_factory=True)
    values |= {name: getattr(current, name) for name in flags}
    if "agent_command" in flags and "agent" not in flags:
        values["agent"] = "command"
    changed = {
        name: str(value)
        for name, value in values.items()
        if name in flags and value != getattr(blueprint.settings, name)
    }
    return blueprint.settings.model_copy(update=values), changed


def backlog_of(git: Git, settings: Settings, blueprint: Blueprint, environ: Mapping[str, str]) -> Backlog:
    """The backlog of a run that is resumed: its tasks as they were, in the tracker as it is. BadInput where that is
    not the same tracker any more."""
    same = settings.model_copy(update={"tracker": blueprint.tracker_kind})
    tracker, why = open_backlog(git, same, standard_input=blueprint.standard_input, environ=environ)
    if tracker.identity != blueprint.tracker_identity:
        raise BadInput(
            f"run {blueprint.run_id} works on {blueprint.tracker_identity}, and that is {tracker.identity} now",
            hint="put the backlog back where it was, or start a new run",
        )
    return Backlog(tracker, why, blueprint.plan, blueprint.base, blueprint.base_branch, {})
