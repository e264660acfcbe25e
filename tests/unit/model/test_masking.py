"""Records without secrets."""

from __future__ import annotations

from datetime import UTC, datetime

from maestro.model.conflict import Conflict
from maestro.model.events import (
    AttemptEnded,
    AttemptStarting,
    Checkpoint,
    ModelUsed,
    RolledBack,
    RollingBack,
    RunResumed,
    RunStarted,
    TrackerClaimed,
    Warned,
)
from maestro.model.masking import masked
from maestro.model.outcome import Succeeded, Usage
from maestro.model.plan import Plan, ScheduleKind
from maestro.model.redaction import Redactor
from maestro.model.report import Discovery
from maestro.model.task import Task

AT = datetime(2026, 1, 2, tzinfo=UTC)
SECRET = "Pl4nted-secret"
MASK = Redactor([SECRET]).mask


def test_a_record_without_a_secret_is_the_very_same() -> None:
    event = Warned(at=AT, message="all is well")

    assert masked(event, MASK) is event


def test_words_are_masked_at_any_depth_and_names_are_not() -> None:
    outcome = Succeeded(
        commit="0" * 40,
        summary=f"done with {SECRET}",
        notes=("fine", f"note {SECRET}"),
        discovered=(Discovery(title=f"rotate {SECRET}"),),
    )
    event = AttemptEnded(at=AT, task=SECRET, attempt=1, attempt_id=SECRET, outcome=outcome, seconds=1.0)

    told = masked(event, MASK)

    assert (told.task, told.attempt_id) == (SECRET, SECRET)
    assert isinstance(told.outcome, Succeeded)
    assert told.outcome.summary == "done with ***"
    assert told.outcome.notes == ("fine", "note ***")
    assert told.outcome.discovered[0].title == "rotate ***"
    assert told.outcome.commit == "0" * 40
    assert event.outcome.summary == f"done with {SECRET}"  # type: ignore[union-attr]


def test_values_of_a_table_are_masked_and_its_keys_are_not() -> None:
    event = TrackerClaimed(at=AT, tasks=(), refused={SECRET: f"taken with {SECRET}"})

    assert masked(event, MASK).refused == {SECRET: "taken with ***"}


def test_what_cannot_be_written_as_json_is_looked_through_all_the_same() -> None:
    event = Warned(at=AT, message=f"\udcff {SECRET}")

    assert masked(event, MASK).message == "\udcff ***"


def test_the_first_event_of_a_run_keeps_its_structure() -> None:
    event = RunStarted(
        at=AT,
        run_id="r1",
        maestro_version="1",
        repository=f"/{SECRET}",
        base="b" * 40,
        base_branch="main",
        integration_branch="integration/r1",
        tracker="t",
        schedule="dataflow",
        max_parallel=1,
        max_parallel_reason="said so",
        tasks=("a",),
        titles={"a": f"use {SECRET}"},
        dependencies={"a": ()},
        groups={"X": ("a",)},
    )

    told = masked(event, MASK)

    assert told.titles == {"a": "use ***"}
    assert told == event.model_copy(update={"titles": told.titles})


def test_what_a_resumed_run_looks_up_stays_as_it_is() -> None:
    """A conversation that is gone on with, a checkpoint's name, a task that is reopened: masked, they would be none."""
    usage = Usage(session_id=SECRET)
    back = RollingBack(at=AT, checkpoint=SECRET, branch="b", expected="e", commit="c", tasks=(), saved_refs=(SECRET,))
    kept = [
        AttemptEnded(
            at=AT, task="a", attempt=1, attempt_id="i", outcome=Succeeded(commit="0" * 40, usage=usage), seconds=1.0
        ),
        Checkpoint(at=AT, name=SECRET, branch=SECRET, commit="c", group=SECRET),
        back,
        RolledBack(at=AT, checkpoint=SECRET),
        RunResumed(at=AT, maestro_version="1", reopened=(SECRET,)),
        ModelUsed(at=AT, asked_for="x", marker=SECRET, usage=usage),
    ]

    for event in kept:
        assert masked(event, MASK) == event
    sides = {**_sides(), "ours": SECRET, "theirs": SECRET}
    told = masked(Conflict(paths=(SECRET,), base=SECRET, messages=(SECRET,), **sides), MASK)
    assert (told.paths, told.ours, told.theirs, told.messages) == ((SECRET,), SECRET, SECRET, ("***",))


def test_a_plan_keeps_what_it_is_run_by() -> None:
    task = Task(
        id="a", title=f"t {SECRET}", description=f"d {SECRET}", files=(SECRET,), context={"x": [f"deep {SECRET}"]}
    )
    plan = Plan(schedule=ScheduleKind.DATAFLOW, tasks={"a": task}, files={"a": (SECRET,)}, rank={"a": 1.0})

    told = masked(plan, MASK)

    assert told.tasks["a"] == task.evolve(title="t ***", description="d ***", context={"x": ["deep ***"]})
    assert told.files == plan.files


def test_a_kept_field_does_not_keep_the_records_in_it() -> None:
    event = AttemptStarting(
        at=AT, task="a", attempt=1, attempt_id="i", agent="command", base="b", workspace=SECRET, branch=SECRET
    )

    assert masked(event, MASK) == event
    assert masked(Conflict(paths=("a.py",), base="b", **_sides()), MASK).paths == ("a.py",)


def _sides() -> dict[str, str]:
    names = [
        name for name, field in Conflict.model_fields.items() if field.is_required() and name not in ("paths", "base")
    ]
    return dict.fromkeys(names, "x")
