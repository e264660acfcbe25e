"""Keeps `parallel_groups/<group>/metadata.json` of a run's groups true (S-1). A fold of the run, never its source.

The event loop only folds; a thread writes, so that no agent waits for a disk, and many quick changes of one group
become one file.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from maestro.model.events import Event, GroupMoved, RollingBack, RunEnded, RunStarted
from maestro.model.folding import apply, begin
from maestro.model.group import GroupMetadata, TaskMetadata, TaskStatus, group_name
from maestro.model.run import GroupRun, Run, TaskRun
from maestro.model.states import GroupStatus, RunStatus, TaskState
from maestro.store.atomic import write_atomically
from maestro.store.layout import Layout

_STATUS = {
    TaskState.PENDING: TaskStatus.PENDING,
    TaskState.RUNNING: TaskStatus.IN_PROGRESS,
    TaskState.SUBMITTED: TaskStatus.IN_PROGRESS,
    TaskState.LANDED: TaskStatus.COMPLETED,
    TaskState.FAILED: TaskStatus.FAILED,
    TaskState.BLOCKED: TaskStatus.BLOCKED,
    TaskState.CANCELLED: TaskStatus.BLOCKED,
}


class MetadataObserver:
    """An Observer. When `close` has returned, every file is on disk; a write that failed is raised there or earlier."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._run: Run | None = None
        self._groups_of: dict[str, list[str]] = {}
        self._started: dict[str, datetime] = {}
        self._ended: dict[str, datetime] = {}
        self._changed = threading.Condition()
        self._waiting: dict[str, tuple[Run, GroupRun]] = {}  # the newest state of each group not yet written
        self._closing = False
        self._failure: Exception | None = None
        self._writer: threading.Thread | None = None

    def notify(self, event: Event) -> None:
        """Fold one event; the files of the groups it touched follow at once."""
        if (run := self.fold(event)) is not None and run.groups:
            self._hand_over(run, self._touched(run, event))

    def follow(self, event: Event, run: Run) -> None:
        """The same, with the run after the event."""
        self._run = run
        if (run := self._take(event, run)).groups:
            self._hand_over(run, self._touched(run, event))

    def fold(self, event: Event) -> Run | None:
        """Take one event and write nothing; the run after it."""
        if isinstance(event, RunStarted):
            self._run = begin(event)
        elif self._run is not None:
            self._run = apply(self._run, event)
        return None if self._run is None else self._take(event, self._run)

    def _take(self, event: Event, run: Run) -> Run:
        """What an event means for groups and their times; the run as they are to show it."""
        if isinstance(event, RunStarted):
            for group, members in event.groups.items():
                for member in members:
                    self._groups_of.setdefault(member, []).append(group)
        if not run.groups:
            return run
        if isinstance(event, GroupMoved):
            self._note_times(event.group, event.status, event.at)
        elif isinstance(event, RunEnded | RollingBack):
            self._run = run = _leave_behind(run)
            for each in run.groups.values():
                self._note_times(each.id, each.status, event.at)
        return run

    def close(self) -> None:
        """Wait for the last write."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._writer is not None:
            self._writer.join()
        if self._failure is not None:
            raise self._failure

    def _note_times(self, group: str, status: GroupStatus, at: datetime) -> None:
        if status is GroupStatus.IN_PROGRESS:
            self._started.setdefault(group, at)
            self._ended.pop(group, None)  # a run that was resumed takes it up again
        elif status is not GroupStatus.PENDING:
            self._ended.setdefault(group, at)

    def _touched(self, run: Run, event: Event) -> Iterable[str]:
        if isinstance(event, RunStarted | RunEnded | RollingBack):
            return run.groups
        if isinstance(event, GroupMoved):
            return (event.group,)
        return self._groups_of.get(getattr(event, "task", None) or "", ())

    def _hand_over(self, run: Run, groups: Iterable[str]) -> None:
        if self._failure is not None:
            raise self._failure
        with self._changed:
            self._waiting |= {group: (run, run.groups[group]) for group in groups}
            if self._waiting and self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="metadata.json", daemon=True)
                self._writer.start()
            self._changed.notify()

    def _write_all(self) -> None:
        try:
            while True:
                with self._changed:
                    while not self._waiting and not self._closing:
                        self._changed.wait()
                    waiting, self._waiting = self._waiting, {}
                if not waiting:
                    return
                for run, group in waiting.values():
                    self.write(run, group)
        except Exception as error:
            self._failure = error  # raised to the fan-out by the next call, which logs it and goes on without us

    def write(self, run: Run, group: GroupRun) -> None:
        """Write the file of a group."""
        metadata = GroupMetadata(
            group_id=group.id,
            group_name=group_name(group.id),
            phase=group.phase,
            tasks=group.tasks,
            created_at=run.start.at,
            started_at=self._started.get(group.id),
            completed_at=self._ended.get(group.id) if group.status is not GroupStatus.IN_PROGRESS else None,
            status=group.status,
            results=tuple(result_of(run.tasks[task], run.start.run_id) for task in group.tasks),
            errors=group.errors,
            pre_group_refresh_completed=group.refreshed,
        )
        write_atomically(self._layout.metadata(group.id), metadata.to_json().encode())


def write_groups(layout: Layout, events: Iterable[Event]) -> None:
    """Let the files of a run's groups say what its events say. A group that another run has taken up since is left to
    that one."""
    observer, run = MetadataObserver(layout), None
    for event in events:
        run = observer.fold(event)
    for group in run.groups.values() if run is not None else ():
        if run is not None and _run_of(layout.metadata(group.id)) in (None, run.start.run_id):
            observer.write(run, group)


def _run_of(path: Path) -> str | None:
    """The run that a group's file tells of; None where there is no file that can be read."""
    try:
        return GroupMetadata.model_validate_json(path.read_bytes()).run_id
    except (OSError, ValueError):
        return None


def _leave_behind(run: Run) -> Run:
    """What the run leaves unfinished will not be moved by anybody any more: it is blocked, and nobody waits for it."""
    reason = run.reason or ("the run was interrupted" if run.status is RunStatus.INTERRUPTED else "the run has ended")
    groups = {
        group.id: group.model_copy(update={"status": GroupStatus.BLOCKED, "errors": (*group.errors, reason)})
        if group.status in (GroupStatus.PENDING, GroupStatus.IN_PROGRESS)
        else group
        for group in run.groups.values()
    }
    return run.model_copy(update={"groups": groups})


def result_of(task: TaskRun, run_id: str) -> TaskMetadata:
    """One task as an entry of `results`."""
    first = task.attempts[0] if task.attempts else None
    last = task.attempts[-1] if task.attempts else None
    return TaskMetadata(
        task_id=task.id,
        subagent=last.subagent if last else None,
        skills_applied=last.skills if last else (),
        status=_STATUS[task.state],
        started_at=first.started_at if first else None,
        completed_at=task.ended_at,
        attempts=len(task.attempts),
        commit=task.commit,
        reason=task.reason,
        run_id=run_id,
    )
