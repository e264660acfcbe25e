"""The folder where a delegate run and a session meet."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maestro.errors import BadInput, StateError
from maestro.model.ids import hashed_name
from maestro.model.offer import Offer
from maestro.model.report import Report
from maestro.store.offers import Offers, deliver, has_reported, ring, write_report_once

START = datetime(2026, 1, 1, tzinfo=UTC)
DONE = Report(status="done", summary="all")


@pytest.fixture
def offers(tmp_path: Path) -> Offers:
    made = Offers(tmp_path / "delegate")
    made.open()
    return made


def offer(folder: Path, task: str = "a", attempt: int = 1, name: str | None = None, second: int = 0) -> Offer:
    return Offer(
        run_id="r", task=task, name=name or task, attempt=attempt, attempt_id=f"x/{task}/{attempt}", title="",
        subagent_type="s", wanted_subagent=None, why="", description="", prompt="p", workspace=folder,
        report_file=folder / f"{attempt}.json", doorbell=folder / "bell", offered_at=START + timedelta(seconds=second),
    )  # fmt: skip


def test_a_run_without_the_folder_offers_nothing(tmp_path: Path) -> None:
    offers = Offers(tmp_path / "none")
    assert not offers.exists()
    assert not offers.is_settled()
    assert (offers.ready(), offers.running(), offers.states(), offers.session()) == ([], [], {}, None)
    assert offers.latest("a") is None


def test_an_offer_is_given_out_once_then_runs_then_is_over(offers: Offers, tmp_path: Path) -> None:
    one = offer(tmp_path)
    offers.add(one)
    assert offers.ready() == [one]
    assert offers.states() == {"a": "offered"}
    assert offers.hand(one)
    assert not offers.hand(one)
    assert (offers.ready(), offers.running()) == ([], [one])
    assert offers.states() == {"a": "given out"}
    write_report_once(one.report_file, DONE)
    assert offers.states() == {"a": "reported"}
    offers.end(one.key)
    assert (offers.ready(), offers.running(), offers.states()) == ([], [], {})
    assert offers.is_handed(one)
    assert offers.is_ended(one)


def test_what_is_over_is_not_given_out(offers: Offers, tmp_path: Path) -> None:
    offers.add(offer(tmp_path))
    offers.end(offer(tmp_path).key)
    assert offers.ready() == []


def test_offers_come_in_the_order_they_were_made(offers: Offers, tmp_path: Path) -> None:
    made = [offer(tmp_path, name, second=second) for second, name in enumerate("cab")]
    for one in made:
        offers.add(one)
    assert offers.ready() == made


def test_of_many_who_take_an_offer_one_gets_it(offers: Offers, tmp_path: Path) -> None:
    one = offer(tmp_path)
    offers.add(one)
    got: list[bool] = []
    threads = [threading.Thread(target=lambda: got.append(offers.hand(one))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 15 + [True]


def test_the_newest_attempt_of_a_task_is_found_by_its_id(offers: Offers, tmp_path: Path) -> None:
    """Also where ids differ in case only and are told apart by a hash, and where one name begins like another."""
    first, second = offer(tmp_path, attempt=1), offer(tmp_path, attempt=2)
    upper = offer(tmp_path, "A", name=hashed_name("A"))
    lower = offer(tmp_path, "q", name=hashed_name("q"))
    dotted = offer(tmp_path, "a.1", attempt=3)
    for one in (first, second, upper, lower, dotted):
        offers.add(one)
    assert offers.latest("a") == second
    assert offers.offer("a", 1) == first
    assert offers.offer("a", 3) is None
    assert (offers.latest("A"), offers.latest("q"), offers.latest("a.1")) == (upper, lower, dotted)


def test_files_on_their_way_are_no_offers(offers: Offers, tmp_path: Path) -> None:
    (tmp_path / "delegate" / "offers" / ".a.1.json.x.tmp").write_text("{")
    (tmp_path / "delegate" / "offers" / ".a.1.json").write_text("{")
    assert offers.ready() == []


def test_a_damaged_offer_is_an_error_not_nothing(offers: Offers, tmp_path: Path) -> None:
    (tmp_path / "delegate" / "offers" / "a.1.json").write_text("{")
    with pytest.raises(StateError, match=r"a\.1\.json cannot be read"):
        offers.ready()


def test_settled_is_said_and_taken_back(offers: Offers) -> None:
    for settled in (True, True, False, False, True):
        offers.set_settled(settled)
        assert offers.is_settled() is settled


def test_a_report_is_taken_once(offers: Offers, tmp_path: Path) -> None:
    one = offer(tmp_path)
    assert not has_reported(one)
    deliver(one, DONE)
    assert has_reported(one)
    with pytest.raises(BadInput, match="there is a report already"):
        deliver(one, Report(status="failed"))
    assert Report.model_validate_json(one.report_file.read_bytes(), strict=False) == DONE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.json", "delegate"], "nothing is left beside it"


def test_a_report_to_a_workspace_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the attempt is over"):
        deliver(offer(tmp_path / "gone"), DONE)


def test_ringing_never_waits(tmp_path: Path) -> None:
    """Nobody there, no doorbell, and one that is full."""
    bell = tmp_path / "bell"
    ring(bell)
    os.mkfifo(bell)
    ring(bell)
    fd = os.open(bell, os.O_RDWR | os.O_NONBLOCK)
    for _ in range(70_000):
        ring(bell)
    assert os.read(fd, 1) == b"\n"
    os.close(fd)
