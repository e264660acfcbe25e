"""A plan: what can run, in which order, at the same time as what, and why not."""

# no `from __future__ import annotations`: see maestro.model.record

from enum import StrEnum

from pydantic import Field

from maestro.model.record import Record
from maestro.model.task import Task


class ScheduleKind(StrEnum):
    """The schedules of P-3; AUTO is resolved while planning."""

    AUTO = "auto"
    STAGES = "stages"
    LEVELS = "levels"
    DATAFLOW = "dataflow"


class Overlap(Record):
    """Two tasks that would write the same files and so never run at the same time."""

    tasks: tuple[str, str]
    files: tuple[str, ...]


class BlockedTask(Record):
    """A task that cannot start in this run, and why."""

    task: str
    reason: str


class ProblemKind(StrEnum):
    """What makes a plan impossible."""

    CYCLE = "cycle"
    UNKNOWN_DEPENDENCY = "unknown_dependency"
    DUPLICATE_ID = "duplicate_id"
    SELF_DEPENDENCY = "self_dependency"
    MARKER_CONFLICT = "marker_conflict"
    RESERVED_GROUP = "reserved_group"  # a group named `_sequential`
    UNKNOWN_GROUP = "unknown_group"  # --group-id names no group of the backlog
    UNKNOWN_RESOURCE = "unknown_resource"  # a task wants one that is not configured
    STAGE_ORDER = "stage_order"  # stages whose dependencies form a cycle between stages
    EMPTY = "empty"  # nothing to do at all


class Problem(Record):
    """One reason why a plan is impossible; exit code 2."""

    kind: ProblemKind
    tasks: tuple[str, ...]
    message: str


class PlanOptions(Record):
    """What the user chose for planning."""

    schedule: ScheduleKind = ScheduleKind.AUTO
    group_ids: tuple[str, ...] = ()  # empty: the whole backlog
    selected: frozenset[str] | None = None  # only these tasks; None: all of them
    allow_overlap: bool = False
    keep_going: bool = False
    resources: frozenset[str] | None = None  # the named ones there are; None: whatever tasks want is there


class Plan(Record):
    """The whole plan, as data; `tasks` holds those to run, in given order."""

    schedule: ScheduleKind  # never AUTO
    tasks: dict[str, Task] = Field(default_factory=dict)  # to run in this plan, in the given order
    done_before: tuple[str, ...] = ()  # closed before the run; they satisfy dependencies
    dependencies: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # among `tasks`, explicit ones only
    stages: tuple[tuple[str, ...], ...] = ()  # STAGES and LEVELS: barriers in order; DATAFLOW: empty
    levels: tuple[tuple[str, ...], ...] = ()  # waves under this schedule, for people and for `plan --json`
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # marker group → its tasks in this plan
    files: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # task → what it would write: paths and globs (P-6)
    resources: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # task → the named ones it holds (I-7)
    allow_overlap: bool = False  # shared files are listed, but hold nobody up
    overlaps: tuple[Overlap, ...] = ()
    overlaps_unlisted: int = 0  # at most so many further pairs: the list is cut, what is enforced is not
    blocked: tuple[BlockedTask, ...] = ()  # known before the start
    set_aside: tuple[str, ...] = ()  # of the blocked, those that the tracker itself says not to run
    problems: tuple[Problem, ...] = ()
    critical_path: tuple[str, ...] = ()
    rank: dict[str, float] = Field(default_factory=dict)  # longest remaining path, weighted (P-5)
    max_parallel: int = 0
    theoretical_speedup: float = 0.0
    predicted_sequential_minutes: float | None = None
    predicted_parallel_minutes: float | None = None

    @property
    def total_tasks(self) -> int:
        """Tasks this run would take up, blocked ones included."""
        return len(self.tasks)

    @property
    def is_all_done(self) -> bool:
        """Nothing to do because all of it is done: no mistake, although there is a problem of the kind EMPTY."""
        kinds = {problem.kind for problem in self.problems}
        return bool(self.done_before) and kinds == {ProblemKind.EMPTY}
