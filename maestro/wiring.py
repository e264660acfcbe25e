"""From settings to a run: the only place that knows which trackers, agents, workspaces and executors there are."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from maestro import __version__
from maestro.agents.base import Agent
from maestro.agents.registry import make_agent
from maestro.agents.report import read_report
from maestro.clock import Clock
from maestro.config.settings import Settings
from maestro.engine.context import Chosen, Options, RunContext
from maestro.engine.landing import integration_branch
from maestro.engine.recorder import Recorder
from maestro.errors import BadInput, StateError
from maestro.executors.local import LocalExecutor
from maestro.integration.branches import check_land_on_base
from maestro.integration.discovery import find_test_command
from maestro.integration.gates import Gate
from maestro.integration.land import Strategy
from maestro.model.events import RunStarted
from maestro.model.ids import is_plain, safe_names
from maestro.model.plan import Plan, PlanOptions, ScheduleKind
from maestro.model.task import Progress, Task
from maestro.planning.choose_agent import choose_subagent
from maestro.planning.plan import make_plan
from maestro.proc.family import start_time
from maestro.proc.ladder import Graces
from maestro.prompting import composer
from maestro.resources.admission import admit, look
from maestro.store import landed
from maestro.store.layout import Layout
from maestro.telemetry.metrics import Metrics
from maestro.trackers.base import Tracker
from maestro.trackers.registry import open_tracker
from maestro.vcs.git import Git
from maestro.workspaces.base import Workspaces
from maestro.workspaces.environ import default_root
from maestro.workspaces.preflight import preflight
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.setup import SetupSpec


@dataclass(frozen=True)
class Backlog:
    """A planned backlog: what `plan` shows and `run` runs."""

    tracker: Tracker
    why: str  # how the tracker was chosen
    plan: Plan
    base: str
    base_branch: str
    landed: Mapping[str, landed.LandedRecord]  # landings of earlier runs over the same backlog

    @property
    def done_before(self) -> dict[str, str | None]:
        """Tasks that were done before, with the commit where maestro knows it."""
        return {task: self.landed[task].commit if task in self.landed else None for task in self.plan.done_before}


def plan_backlog(git: Git, settings: Settings, *, standard_input: str | None = None) -> Backlog:
    """Load the tracker and plan. Reads only. BadInput or TrackerError where the backlog cannot be read; what makes
    the plan impossible is in `plan.problems`."""
    layout = Layout(git.directory)
    opened = open_tracker(
        settings.tracker,
        repository=git.directory,
        source=settings.tasks_file,
        write_back=settings.write_back,
        text=standard_input,
    )
    tracker = opened.tracker
    tasks = tracker.load()
    base, base_branch = resolve_base(git, settings.integration_base_branch)
    before = landed.read(layout.landed, tracker.identity)
    options = PlanOptions(
        schedule=settings.schedule,
        group_ids=settings.group_id,
        allow_overlap=settings.allow_overlap,
        keep_going=settings.keep_going,
    )
    files = git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", base).stdout
    plan = make_plan(
        tasks,
        options,
        repository_files=[os.fsdecode(name) for name in files.split(b"\0") if name],
        landed_elsewhere=_landed_elsewhere(git, tasks, before, base, base_branch),
    )
    return Backlog(tracker, opened.why, plan, base, base_branch, before)


def resolve_base(git: Git, wished: str | None) -> tuple[str, str]:
    """(commit id, name) of what the run starts from: what the user says, else main, else what is checked out."""
    if wished is not None:
        commit = git.commit_of(wished)
        if commit is None:
            raise BadInput(
                f"there is no branch or commit {wished!r} to start from",
                hint="see `git branch --all` for what there is",
            )
        return commit, wished
    for branch in ("main", "HEAD"):
        commit = git.commit_of("refs/heads/main" if branch == "main" else branch)
        if commit is not None:
            return commit, branch if branch == "main" else _current_branch(git)
    raise BadInput("the repository has no commits yet", hint="make a first commit: agents start from one")


def _current_branch(git: Git) -> str:
    return git.text("symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1)) or "HEAD"


def _landed_elsewhere(
    git: Git, tasks: Iterable[Task], before: Mapping[str, landed.LandedRecord], base: str, base_branch: str
) -> dict[str, str]:
    """Done tasks that others wait for, whose commit is not in the base: a sentence each (P-4)."""
    tasks = list(tasks)
    wanted = {needed for task in tasks if task.progress is not Progress.DONE for needed in task.dependencies}
    elsewhere = {}
    for task in tasks:
        record = before.get(task.id)
        if task.progress is not Progress.DONE or task.id not in wanted or record is None:
            continue
        known = git.commit_of(record.commit) is not None
        if known and git.is_ancestor(record.commit, base):
            continue
        elsewhere[task.id] = (
            f"{task.id} landed on {record.branch} (run {record.run_id}), which is not in {base_branch}; "
            f"start from there with --integration-base-branch {record.branch}"
        )
    return elsewhere


@dataclass(frozen=True)
class Built:
    """A run ready to start."""

    context: RunContext
    start: RunStarted


def new_run_id(clock: Clock) -> str:
    """Date, time and four random hex digits: sorts by start, and two started in one second differ."""
    return f"{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def check_run_id(layout: Layout, run_id: str) -> None:
    """BadInput for a name that cannot stand in paths and branches, or that an earlier run has."""
    if not is_plain(run_id):
        raise BadInput(
            f"{run_id!r} cannot name a run", hint="use letters, digits, dots and hyphens, at most 60 of them"
        )
    if layout.journal(run_id).exists():
        raise BadInput(f"there is a run {run_id} already", hint="choose another --run-id, or leave it out")


def make_gate(git: Git, settings: Settings) -> Gate | None:
    """The check before landing. None only where the user said --no-tests; BadInput where nothing is found (M-4)."""
    if settings.no_tests:
        return None
    if settings.test_command is not None:
        return Gate(command=settings.test_command, timeout_seconds=settings.test_timeout, source="explicit")
    found = find_test_command(git.directory)
    if found is None:
        raise BadInput(
            "no test command was found in this repository",
            hint="say how its tests are run with --test-command CMD, or land unchecked with --no-tests",
        )
    return Gate(command=found.command, timeout_seconds=settings.test_timeout, source=f"found: {found.why}")


def make_options(settings: Settings, gate: Gate | None, root: Path) -> Options:
    """Limits and choices of a run, from the settings."""
    floor = settings.min_free_disk_mb << 20
    if settings.max_parallel is not None:
        count, reason = settings.max_parallel, "as you said"
    else:
        admitted = admit(look(root), floor)
        count, reason = admitted.agents, admitted.reason
    limit = settings.agent_limit(settings.agent)
    return Options(
        max_parallel=1 if settings.workspace == "none" else count,
        max_parallel_reason="one at a time, in place" if settings.workspace == "none" else reason,
        attempts=settings.attempts,
        task_timeout_seconds=settings.task_timeout,
        silent_timeout_seconds=settings.silent_timeout,
        exit_timeout_seconds=settings.exit_timeout,
        grace_seconds=settings.grace_seconds,
        setup_commands=settings.setup,
        setup_timeout_seconds=settings.setup_timeout,
        agent_limits={settings.agent: limit} if limit is not None else {},
        group_parallel=settings.group_parallel,
        keep_workspaces=settings.keep_workspaces,
        keep_going=settings.keep_going,
        min_free_bytes=floor,
        gate=gate,
        strategy=Strategy(settings.strategy),
        max_batch=settings.max_batch,
        land_on_base=settings.land_on_base,
        refresh_argv=refresh_argv(settings),
        refresh_timeout_seconds=settings.refresh_timeout,
    )


def refresh_argv(settings: Settings) -> tuple[str, ...] | None:
    """The command before each group: what is configured, `/flow:summary` where the agent is claude, else none (E-2)."""
    if settings.refresh_command is not None:
        return ("sh", "-c", settings.refresh_command)
    if settings.agent == "claude":
        executable = settings.agents.get("claude", {}).get("executable", "claude")
        return (str(executable), "-p", "/flow:summary", "--output-format", "json")
    return None


def _agent_options(settings: Settings) -> dict[str, object]:
    options: dict[str, object] = dict(settings.agents.get(settings.agent, {}))
    if settings.agent == "command":
        if settings.agent_command is None:
            raise BadInput("the agent `command` needs a command line", hint="give it with --agent-command 'CMD'")
        options["command"] = settings.agent_command
    return options


def open_agent(settings: Settings, environ: Mapping[str, str]) -> Agent:
    """The agent; BadInput when it is unknown or cannot be used here."""
    agent = make_agent(settings.agent, _agent_options(settings))
    found = agent.availability(environ)
    if not found.available:
        raise BadInput(f"the agent {settings.agent} cannot be used: {found.detail}", hint=found.hint)
    return agent


@dataclass(frozen=True)
class Prepared:
    """Everything that can be refused has not been."""

    agent: Agent
    options: Options
    root: Path
    workspaces: Workspaces
    gate_workspaces: Workspaces
    remarks: tuple[str, ...]


def prepare(git: Git, settings: Settings, backlog: Backlog, run_id: str, environ: Mapping[str, str]) -> Prepared:
    """Refuse (BadInput) whatever can be seen to fail from here; starts and writes nothing."""
    remarks = preflight(git)
    agent = open_agent(settings, environ)
    gate = make_gate(git, settings)
    if settings.land_on_base and (refused := check_land_on_base(git, backlog.base_branch)) is not None:
        raise BadInput(f"--land-on-base cannot work: {refused.reason}")
    root = (settings.workspace_root or default_root(git.directory, environ)) / run_id
    setup = SetupSpec(copy=settings.copy_files, symlink=settings.symlink)
    return Prepared(
        agent=agent,
        options=make_options(settings, gate, root),
        root=root,
        workspaces=open_workspaces(settings.workspace, git=git, root=root, setup=setup),
        gate_workspaces=open_workspaces("worktree", git=git, root=root, setup=setup),
        remarks=remarks,
    )


def agent_env_names(settings: Settings) -> tuple[str, ...]:
    """Variables of the parent's that the chosen agent needs."""
    return make_agent(settings.agent, _agent_options(settings)).env_names()


def build(
    prepared: Prepared,
    *,
    git: Git,
    settings: Settings,
    backlog: Backlog,
    recorder: Recorder,
    metrics: Metrics,
    run_id: str,
    clock: Clock,
    environ: Mapping[str, str],
) -> Built:
    """Put a run together; starts nothing."""
    layout = Layout(git.directory)
    graces = Graces(interrupt=settings.stop_interrupt_seconds, terminate=settings.stop_terminate_seconds)

    def choose(task: Task) -> Chosen:
        chosen = choose_subagent(task, None, settings.keywords or None)
        return Chosen(prepared.agent, chosen.subagent, task.applicable_skills, chosen.why)

    context = RunContext(
        run_id=run_id,
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
        executor=LocalExecutor(graces),
        recorder=recorder,
        clock=clock,
        environ=environ,
        env_allow=settings.env_allow,
        choose=choose,
        compose=composer(layout.root / "prompts"),
        read_report=read_report,
        metrics=metrics.values,
    )
    return Built(context, _run_started(context, backlog))


def _run_started(context: RunContext, backlog: Backlog) -> RunStarted:
    plan = context.plan
    first_level = 0 if plan.schedule is ScheduleKind.LEVELS else None
    return RunStarted(
        at=context.clock.now(),
        run_id=context.run_id,
        maestro_version=__version__,
        repository=str(context.git.directory),
        base=backlog.base,
        base_branch=backlog.base_branch,
        integration_branch=integration_branch(context.run_id, first_level),
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


def prepare_state(layout: Layout) -> None:
    """Make the state folders, each ignored by git from within (S-2). StateError when that cannot be done."""
    for folder in layout.state_dirs():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise StateError(
                f"the state folder {folder} cannot be written: {error.strerror}",
                hint="maestro keeps its journal there; make room, or make it writable",
            ) from error
