"""The list of landings (P-4, P-5)."""

from __future__ import annotations

from pathlib import Path

from maestro.store.landed import LandedRecord, append, kinds, read, typical_minutes


def record(task: str, backlog: str = "b", **more: object) -> LandedRecord:
    fields = {"backlog": backlog, "task": task, "run_id": "r", "branch": "integration/r", "commit": "c", **more}
    return LandedRecord.model_validate(fields)


def test_the_last_landing_of_each_task_of_the_backlog_counts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "landed.jsonl"
    assert read(path, "b") == {}
    for one in (
        record("a", commit="1"),
        record("a", commit="2"),
        record("x", backlog="other"),
        record("ü\n", commit=None),
    ):
        append(path, one)
    found = read(path, "b")
    assert {task: one.commit for task, one in found.items()} == {"a": "2", "ü\n": None}


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "landed.jsonl"
    append(path, record("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20] + b"\n\xff\n" + whole.replace(b'"a"', b'"z"'))
    assert set(read(path, "b")) == {"a", "z"}


def test_the_typical_time_of_a_kind_is_the_median_over_all_backlogs(tmp_path: Path) -> None:
    path = tmp_path / "landed.jsonl"
    for backlog, minutes in (("b", 1.0), ("b", 2.0), ("other", 60.0)):
        append(path, record("a", backlog=backlog, kind="docs", minutes=minutes))
    append(path, record("a", kind="task"))
    assert typical_minutes(path) == {"docs": 2.0}


def test_a_line_that_was_torn_at_its_end_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "landed.jsonl"
    append(path, record("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    append(path, record("z"))
    assert set(read(path, "b")) == {"a", "z"}


def test_names_may_hold_anything_that_ends_a_line_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "landed.jsonl"
    for task in ("one\u2028two", "one\x85two", "\udcff", "last"):
        append(path, record(task))
    assert {"one\u2028two", "one\x85two", "last"} <= set(read(path, "b"))


def test_what_was_rolled_back_counts_as_never_landed_until_it_lands_again(tmp_path: Path) -> None:
    path = tmp_path / "landed.jsonl"
    first = record("a", kind="docs", minutes=2.0)
    append(path, first)
    append(path, record("b", kind="docs", minutes=4.0))
    append(path, first.evolve(undone=True))
    assert set(read(path, "b")) == {"b"}
    assert typical_minutes(path) == {"docs": 3.0}
    append(path, record("a", run_id="r2", kind="docs", minutes=6.0))
    assert read(path, "b")["a"].run_id == "r2"
    assert kinds(path) == {"r": {"a": "docs", "b": "docs"}, "r2": {"a": "docs"}}
