"""/flow:implement over beads of both eras, in the real claude: closed is what has landed, and only that (T-1, C-3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.testing.model_server import ModelServer
from tests.real.beads_repository import Beads, make_beads
from tests.real.played_session import PlayedSession
from tests.real.session_lab import Session, statuses

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(240)]


@pytest.fixture
def beads(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Beads:
    return make_beads(tmp_path / "project", tmp_path_factory)


@pytest.fixture
def session(tmp_path: Path, beads: Beads, real: dict[str, Path]) -> Iterator[Session]:
    model = PlayedSession()
    with ModelServer(default=model) as server:
        yield Session(beads.repo, tmp_path, real["claude"], server.url, model)


def test_a_group_is_done_by_subagents_and_what_landed_is_closed(session: Session, beads: Beads) -> None:
    behaviour = {"plain": "", "forgets": "", "dies": ""}
    ids = {
        how: beads.create(f"[P:Group-one] {how}", f"--description=behaves: {how}", "--priority=1") for how in behaviour
    }
    after = beads.create("after them", "--description=behaves: plain", needs=ids["plain"])
    stands = session.implement("--group-id", "one", "--tracker", "beads", "--no-tests", "--attempts", "1")
    assert statuses(stands) == {ids["plain"]: "landed", ids["forgets"]: "landed", ids["dies"]: "failed"}
    assert [len(launch) for launch in session.model.launches] == [3], "all in one message"
    found = beads.all()
    assert found[ids["plain"]]["status"] == found[ids["forgets"]]["status"] == "closed"
    assert found[ids["dies"]]["status"] in ("open", "blocked")
    assert found[after]["status"] == "open", "it is not of the group"
    assert after in beads.ready()
    assert "API Error" in beads("show", ids["dies"])
    landed = session.repo.files(stands["integration_branch"])
    assert {f"{ids['plain']}.txt", f"{ids['forgets']}.txt"} <= set(landed)
    assert f"{ids['dies']}.txt" not in landed
    assert session.repo.git("status", "--porcelain") == ""


def test_three_issues_of_an_epic_land_and_the_epic_is_closed(session: Session, beads: Beads) -> None:
    epic = beads.create("the epic", "--type=epic")
    ids = [beads.create(name, "--description=behaves: plain", f"--parent={epic}") for name in "abc"]
    stands = session.implement("--epic", epic, "--tracker", "beads", "--no-tests")
    assert statuses(stands) == dict.fromkeys(ids, "landed")
    assert [len(launch) for launch in session.model.launches] == [3]
    assert {beads.show(one)["status"] for one in (*ids, epic)} == {"closed"}
