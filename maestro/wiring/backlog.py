"""From settings to a planned backlog: what `plan` shows and `run` runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.model.masking import masked
from maestro.model.plan import Plan, PlanOptions
from maestro.model.task import Progress, Task
from maestro.planning.plan import make_plan
from maestro.store import landed
from maestro.store.layout import Layout
from maestro.trackers.base import Selecting, Tracker
from maestro.trackers.registry import choose as choose_tracker
from maestro.trackers.registry import open_tracker
from maestro.vcs.git import Git
from maestro.wiring.redaction import redactor_for


class Backlog(NamedTuple):
    """A planned backlog: what `plan` shows and `run` runs."""

    tracker: Tracker
    why: str  # how the tracker was chosen
    plan: Plan
    base: str
    base_branch: str
    landed: Mapping[str, landed.LandedRecord]  # landings of earlier runs over the same backlog, of other clones too

    @property
    def done_before(self) -> dict[str, str | None]:
        """Tasks that were done before, with the commit where maestro knows it."""
        return {task: self.landed[task].commit if task in self.landed else None for task in self.plan.done_before}


def open_backlog(
    git: Git, settings: Settings, *, standard_input: str | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Tracker, str]:
    """The tracker that the settings mean, and how it was chosen. BadInput where it cannot be opened."""
    kind = settings.tracker if standard_input is None else "todos"
    source = settings.tasks_file if standard_input is None else None
    opened = choose_tracker(kind, repository=git.directory, source=source)
    tracker = open_tracker(
        opened.kind,
        repository=git.directory,
        source=opened.source,
        write_back=settings.write_back,
        text=standard_input,
        environ=os.environ if environ is None else environ,
    )
    return tracker, opened.why


def plan_backlog(
    git: Git, settings: Settings, *, standard_input: str | None = None, environ: Mapping[str, str] | None = None
) -> Backlog:
    """Load the tracker and plan. Reads only. BadInput or TrackerError where the backlog cannot be read; what makes
    the plan impossible is in `plan.problems`."""
    environ = os.environ if environ is None else environ
    layout = Layout(git.directory)
    tracker, why = open_backlog(git, settings, standard_input=standard_input, environ=environ)
    tasks = tracker.load()
    base, base_branch = resolve_base(git, settings.integration_base_branch)
    before = _landings(tracker, tasks, landed.read(layout.landed, tracker.identity))
    options = PlanOptions(
        schedule=settings.schedule,
        group_ids=settings.group_id,
        selected=_selected(tracker, settings),
        allow_overlap=settings.allow_overlap,
        keep_going=settings.keep_going,
        resources=frozenset(settings.resources),
    )
    files = git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", base).stdout
    plan = make_plan(
        tasks,
        options,
        repository_files=[os.fsdecode(name) for name in files.split(b"\0") if name],
        history_minutes=landed.typical_minutes(layout.landed),
        landed_elsewhere=_landed_elsewhere(git, tasks, before, base, base_branch),
    )
    redactor = redactor_for(settings, environ)
    if redactor.words:  # a secret in the text of a task is nothing for prompts, titles or commit messages
        plan = masked(plan, redactor.mask_known)
    return Backlog(tracker, why, plan, base, base_branch, before)


def _selected(tracker: Tracker, settings: Settings) -> frozenset[str] | None:
    """The tasks that --epic and --label leave; None where all are meant. BadInput where the tracker has neither."""
    if settings.epic is None and not settings.label:
        return None
    if not isinstance(tracker, Selecting):
        flag = "--epic" if settings.epic is not None else "--label"
        raise BadInput(
            f"{flag} chooses among issues of beads, and this backlog is {tracker.kind}",
            hint="choose a group with --group-id, or the tracker with --tracker beads",
        )
    return tracker.selected(settings.epic, settings.label)


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


def _landings(
    tracker: Tracker, tasks: Iterable[Task], before: Mapping[str, landed.LandedRecord]
) -> dict[str, landed.LandedRecord]:
    """What earlier runs landed: those of this clone, and those that the tracker tells of, which are the last word."""
    tasks = [task for task in tasks if task.progress is Progress.DONE]
    told = {task.id: task.landed for task in tasks if task.landed is not None}
    by_hand = {task.id for task in tasks if task.done_by_hand}
    return {
        **{name: record for name, record in before.items() if name not in by_hand},
        **{
            name: landed.LandedRecord(
                backlog=tracker.identity, task=name, run_id=one.run_id, branch=one.branch, commit=one.commit
            )
            for name, one in told.items()
        },
    }


def _landed_elsewhere(
    git: Git, tasks: Iterable[Task], before: Mapping[str, landed.LandedRecord], base: str, base_branch: str
) -> dict[str, str]:
    """Done tasks that others wait for, whose commit is not in the base: a sentence each (P-4)."""
    tasks = list(tasks)
    wanted = {needed for task in tasks if task.progress is not Progress.DONE for needed in task.dependencies}
    elsewhere = {}
    for task in tasks:
        record = before.get(task.id)
        if task.progress is not Progress.DONE or task.id not in wanted or record is None or record.commit is None:
            continue
        known = git.commit_of(record.commit) is not None
        if known and git.is_ancestor(record.commit, base):
            continue
        elsewhere[task.id] = _where(git, record, record.commit, base_branch, is_known=known)
    return elsewhere


def _where(git: Git, record: landed.LandedRecord, commit: str, base_branch: str, *, is_known: bool) -> str:
    if not record.branch:  # the tracker tells the commit alone
        fetch = "" if is_known else ", and not even in this clone: fetch it first"
        return f"{record.task} landed as {commit[:12]}, which is not in {base_branch}{fetch}"
    run = f" (run {record.run_id})" if record.run_id else ""
    is_here = is_known or git.commit_of(record.branch) is not None
    fetch = "" if is_here else "fetch it from the clone that it landed in, and "
    return (
        f"{record.task} landed on {record.branch}{run}, which is not in {base_branch}; "
        f"{fetch}start from there with --integration-base-branch {record.branch}"
    )
