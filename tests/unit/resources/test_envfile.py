"""The `.env.task` beside a workspace is there for as long as its ports are leased (I-3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import BadInput, MaestroError, StateError
from maestro.planning.env_files import parse
from maestro.resources.base import Need, Provided
from maestro.resources.envfile import EnvFile

PORTS = {"POSTGRES_PORT": "10001", "ZENFLOW_TASK_ID": "a-1"}


class Ports:
    """Gives the same to all, and counts who has it."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.given: list[str] = []
        self.file_at_the_end: bool | None = None

    def take(self, need: Need) -> Provided:
        self.given.append(need.marker)
        return Provided(env=self.env)

    def give_back(self, need: Need) -> None:
        self.given.remove(need.marker)
        self.file_at_the_end = (need.home / ".env.task").exists()


def a_need(home: Path) -> Need:
    return Need(task_id="a-1", marker="t/r/a-1/1", home=home, repo=home / "repo", agent="claude")


def test_the_file_has_what_was_given_and_goes_before_it(tmp_path: Path) -> None:
    ports = Ports(PORTS)
    provision, need, file = EnvFile(ports), a_need(tmp_path), tmp_path / ".env.task"
    for _ in range(2):  # a second time as for an attempt that is adopted
        assert provision.take(need).env == PORTS
        assert parse(file.read_text()) == PORTS
        assert file.stat().st_mode & 0o777 == 0o600
        ports.given = ports.given[:1]
    provision.give_back(need)
    assert (ports.given, ports.file_at_the_end, file.exists()) == ([], False, False)


def test_a_link_that_an_agent_left_leads_nowhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.env.task").symlink_to(precious)
    EnvFile(Ports(PORTS)).take(a_need(tmp_path / "home"))
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(("env", "error"), [(PORTS, StateError), ({"A": "two words"}, BadInput)])
def test_what_was_taken_is_given_back_where_there_can_be_no_file(
    tmp_path: Path, env: dict[str, str], error: type[MaestroError]
) -> None:
    ports = Ports(env)
    with pytest.raises(error):
        EnvFile(ports).take(a_need(tmp_path / "gone" if env is PORTS else tmp_path))
    assert ports.given == []


def test_giving_back_never_raises(tmp_path: Path) -> None:
    ports = Ports(PORTS)
    need = a_need(tmp_path / "gone")
    ports.take(need)
    EnvFile(ports).give_back(need)
    assert ports.given == []
