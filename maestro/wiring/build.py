"""Puts a prepared run together: the only place that knows all kinds of executors. What only a run that goes on needs is
imported from here, while its first workspaces are made already."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from maestro import __version__
from maestro.agents.base import Agent
from maestro.agents.report import read_report
from maestro.clock import Clock
from maestro.config.settings import Settings
from maestro.engine.branches import integration_branches
from maestro.engine.context import Chosen, RunContext
from maestro.engine.heartbeat import Heartbeats
from maestro.engine.options import Options
from maestro.engine.recorder import Recorder
from maestro.executors.local import LocalExecutor
from maestro.model.events import RunStarted
from maestro.model.ids import safe_names
from maestro.model.task import Task
from maestro.planning.choose_agent import DEFAULT_TABLE
from maestro.proc.family import ProcessId, start_time
from maestro.proc.ladder import Graces
from maestro.store.layout import Layout
from maestro.telemetry.metrics import Metrics
from maestro.vcs.git import Git
from maestro.wiring.backlog import Backlog
from maestro.wiring.delegate import choose as choose_subagent
from maestro.wiring.delegate import session_of, settled_teller, subagents_of, withdrawer
from maestro.wiring.keys import source_of
from maestro.wiring.named import named_resources_of
from maestro.wiring.preparing import Prepared
from maestro.wiring.provisions import provisions_of


class Built(NamedTuple):
    """A run ready to start."""

    context: RunContext
    start: RunStarted
    session: ProcessId | None = None  # whose end is that of the run


def build(
    prepared: Prepared,
    *,
    git: Git,
    settings: Settings,
    backlog: Backlog,
    recorder: Recorder,
    metrics: Metrics,
    run_id: str,
    token: str,
    clock: Clock,
    environ: Mapping[str, str],
) -> Built:
    """Put a run together; starts nothing."""
    layout = Layout(git.directory)
    context = RunContext(
        run_id=run_id,
        token=token,
        plan=backlog.plan,
        names=safe_names(backlog.plan.tasks),
        options=prepared.options,
        git=git,
        base=backlog.base,
        base_branch=backlog.base_branch,
        layout=layout,
        workspace_root=prepared.root,
        workspaces=prepared.workspaces,
        gate_workspaces=prepared.gate_workspaces,
        tracker=backlog.tracker,
        executor=LocalExecutor(_graces(settings)),
        recorder=recorder,
        clock=clock,
        environ={name: value for name, value in environ.items() if name not in prepared.withheld},
        env_allow=settings.env_allow,
        choose=_chooser(prepared.agent, settings),
        compose=prepared.compose,
        read_report=read_report,
        metrics=metrics.values,
        machine=prepared.machine,
        heartbeats=_heartbeats(prepared.options, clock),
        on_settled=settled_teller(prepared.agent, layout, run_id, environ),
        withdraw=withdrawer(prepared.agent, layout, run_id),
        redactor=prepared.redactor,
        keys=source_of(
            prepared.pools,
            family=f"{token}/{run_id}/",
            folder=layout.run(run_id) / "gateway",
            environ=environ,
            clock=clock,
            record=recorder.record,
        ),
        locks=named_resources_of(settings, layout, run_id, environ),
        provisions=provisions_of(
            settings, git=git, layout=layout, run_id=run_id, root=prepared.root, clock=clock, environ=environ
        ),
    )
    recorder.hide(prepared.redactor)
    return Built(context, _run_started(context, backlog), session_of(prepared.agent))


def _graces(settings: Settings) -> Graces:
    return Graces(interrupt_seconds=settings.stop_interrupt_seconds, terminate_seconds=settings.stop_terminate_seconds)


def _chooser(agent: Agent, settings: Settings) -> Callable[[Task], Chosen]:
    """Who does a task (P-9)."""
    available = subagents_of(agent)

    def choose(task: Task) -> Chosen:
        chosen = choose_subagent(task, available, settings.keywords or DEFAULT_TABLE)
        return Chosen(agent, chosen.subagent, task.applicable_skills, chosen.reason)

    return choose


def _heartbeats(options: Options, clock: Clock) -> Heartbeats:
    """Looks at the processes of all attempts."""
    return Heartbeats(
        suspect_seconds=options.suspect_seconds,
        memory_limit=options.attempt_memory_bytes,
        monotonic=clock.monotonic,
    )


def _run_started(context: RunContext, backlog: Backlog) -> RunStarted:
    plan = context.plan
    return RunStarted(
        at=context.clock.now(),
        run_id=context.run_id,
        maestro_version=__version__,
        repository=str(context.git.directory),
        base=backlog.base,
        base_branch=backlog.base_branch,
        integration_branch=integration_branches(context.run_id, plan)[0],
        tracker=backlog.tracker.identity,
        schedule=plan.schedule,
        max_parallel=context.options.max_parallel,
        max_parallel_reason=context.options.max_parallel_reason,
        tasks=tuple(plan.tasks),
        titles={task.id: task.title for task in plan.tasks.values()},
        dependencies=plan.dependencies,
        groups=plan.groups,
        levels=plan.levels,
        attempts_allowed=context.options.attempts,
        pid=os.getpid(),
        pid_started=start_time(os.getpid()) or 0.0,
    )
