"""What the engine works with: collaborators as interfaces, choices as values. Built by wiring, read by the rest."""

# no `from __future__ import annotations`: see maestro.model.record

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from maestro.agents.base import Agent
from maestro.clock import Clock
from maestro.engine.heartbeat import Heartbeats
from maestro.engine.options import Options
from maestro.engine.recorder import Recorder
from maestro.executors.base import Executor
from maestro.model.note import Note
from maestro.model.plan import Plan
from maestro.model.redaction import Redactor
from maestro.model.report import BadReport, Report
from maestro.model.task import Task
from maestro.model.used import Failure
from maestro.resources.base import Locks, Provision
from maestro.resources.keysource import KeySource
from maestro.resources.throttle import Reading
from maestro.store.layout import Layout
from maestro.trackers.base import Tracker
from maestro.vcs.git import Git
from maestro.workspaces.base import Workspaces


class Chosen(NamedTuple):
    """Who does a task, and why."""

    agent: Agent
    subagent: str | None
    skills: tuple[str, ...]
    why: str


class Brief(NamedTuple):
    """All that goes into one attempt's prompt."""

    task: Task
    chosen: Chosen
    sibling_files: Mapping[str, tuple[str, ...]]  # task → files that others own
    own_files: tuple[str, ...]
    group_summary: str
    failures: tuple[Failure, ...]
    notes: tuple[Note, ...] = ()  # from the board of the run, the newest first
    session: str | None = None  # the conversation that is gone on with
    resources: tuple[str, ...] = ()  # the named ones that it holds (I-7)
    variables: Mapping[str, str] = {}  # that come with them


class RunContext(NamedTuple):
    """One run's collaborators."""

    run_id: str
    token: str  # random: makes the markers of this run's processes unique on the machine, whatever the run's name
    plan: Plan
    names: Mapping[str, str]  # task id → safe name
    options: Options
    git: Git
    base: str
    base_branch: str
    layout: Layout
    workspace_root: Path
    workspaces: Workspaces
    gate_workspaces: Workspaces
    tracker: Tracker
    executor: Executor
    recorder: Recorder
    clock: Clock
    environ: Mapping[str, str]  # the parent's, before the allow-list
    env_allow: Collection[str]
    choose: Callable[[Task], Chosen]
    compose: Callable[[Brief], str]
    read_report: Callable[[Path], Report | BadReport | None]
    metrics: Callable[[], dict[str, Any]]  # of the run so far, for its last event
    machine: Callable[[], Reading]  # what it has now
    heartbeats: Heartbeats  # of the attempts under way
    redactor: Redactor  # what is secret here
    on_settled: Callable[[bool], None] | None = None  # told whether all that can start now has started
    withdraw: Callable[[str, int], bool] | None = None  # keep an attempt (safe name, number) from who would take it up
    keys: KeySource | None = None  # where agents get API keys from; None: as the user's environment has them
    locks: Locks | None = None  # the named resources; None: there are none, and nobody waits
    provisions: tuple[Provision, ...] = ()  # what attempts and gates get beside their workspace, in this order

    def home_of(self, name: str) -> Path:
        """The folder that holds the workspace of a task, by its safe name (W-2)."""
        return self.workspace_root / f"task-{name}"

    def marker(self, *names: str) -> str:
        """The value of the environment variable that marks one family of processes."""
        return "/".join((self.token, self.run_id, *names))
