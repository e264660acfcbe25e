"""What attempts used on a day, of all runs of a repository."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maestro.errors import StateError
from maestro.store.spent import SpentLists, SpentRecord, append

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


def record(name: str, at: datetime = NOON, cost: float | None = 0.5, tokens: int | None = 10) -> SpentRecord:
    return SpentRecord(at=at, run_id="r", attempt_id=name, cost_usd=cost, tokens=tokens)


def test_only_what_ended_since_counts_whatever_the_time_zone(tmp_path: Path) -> None:
    midnight = datetime.fromisoformat("2026-03-29T00:00:00+05:30")  # still the 28th in UTC
    for name, at in (("before", midnight - timedelta(seconds=1)), ("after", midnight), ("later", NOON)):
        append(tmp_path, record(name, at))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-03-28.jsonl", "2026-03-29.jsonl"]
    spent = SpentLists(tmp_path).since(midnight, NOON)
    assert (spent.cost_usd, spent.tokens) == (1.0, 20)


def test_what_another_run_adds_is_seen_at_the_next_look(tmp_path: Path) -> None:
    lists = SpentLists(tmp_path / "spent")
    assert lists.since(NOON, NOON).cost_usd is None
    append(tmp_path / "spent", record("a"))
    assert lists.since(NOON, NOON).cost_usd == 0.5
    append(tmp_path / "spent", record("b", cost=None))
    seen = lists.since(NOON, NOON)
    assert (seen.cost_usd, seen.tokens) == (0.5, 20)


def test_one_written_twice_counts_once(tmp_path: Path) -> None:
    append(tmp_path, record("a"))
    append(tmp_path, record("a"))
    assert SpentLists(tmp_path).since(NOON, NOON).tokens == 10


def test_a_torn_line_costs_only_itself_and_one_half_written_is_read_once_it_is_whole(tmp_path: Path) -> None:
    append(tmp_path, record("a"))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    lists = SpentLists(tmp_path)
    assert lists.since(NOON, NOON).tokens == 10
    append(tmp_path, record("b"))
    assert lists.since(NOON, NOON).tokens == 20
    second = whole.replace(b'"a"', b'"c"')
    with path.open("ab") as file:
        file.write(second[:-5])
    assert lists.since(NOON, NOON).tokens == 20
    with path.open("ab") as file:
        file.write(second[-5:])
    assert lists.since(NOON, NOON).tokens == 30


def test_a_list_that_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "2026-03-29.jsonl").mkdir()
    with pytest.raises(StateError, match="cannot be read"):
        SpentLists(tmp_path).since(NOON, NOON)
    with pytest.raises(StateError, match="cannot be written"):
        append(tmp_path, record("a"))
