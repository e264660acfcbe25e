"""Blocks of ports, leased machine-wide (I-2); who is on a port is told by the test, so other tests are in no way."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from maestro.clock import SystemClock
from maestro.errors import Busy, StateError
from maestro.planning.ports import SERVICES
from maestro.proc.request import MARKER
from maestro.resources.base import Need
from maestro.resources.ports.bytelocks import ByteLocks
from maestro.resources.ports.leases import PortLeases
from maestro.resources.ports.listing import LeaseState, list_leases, remove_stale
from maestro.resources.ports.records import Records

EXAMPLE = "ci-suite-tests-parallele-zenflow-9947"


def need(marker: str, task_id: str = EXAMPLE) -> Need:
    nowhere = Path("/nowhere")
    return Need(task_id=task_id, marker=marker, home=nowhere, repo=nowhere, agent="command")


def nobody_is_on(*ports: int) -> Callable[[Collection[int]], bool]:
    return lambda asked: not set(asked) & set(ports)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    folder = tmp_path / "machine"
    folder.mkdir(0o700)
    return folder


def leases(machine: Path, *taken: int, run_id: str = "r", repository: str = "/repo", **more: int) -> PortLeases:
    return PortLeases(
        machine,
        {**SERVICES, **more},
        run_id=run_id,
        repository=Path(repository),
        clock=SystemClock(),
        are_free=nobody_is_on(*taken),
    )


def postgres(provider: PortLeases, one: Need) -> int:
    return int(provider.take(one).env["POSTGRES_PORT"])


def test_the_formula_is_the_first_choice_and_the_next_blocks_follow(machine: Path) -> None:
    one = leases(machine)
    assert {name: one.take(need("m/0")).env[name] for name in SERVICES} == {
        "POSTGRES_PORT": "10947",
        "REDIS_PORT": "16947",
        "BACKEND_PORT": "18947",
        "FRONTEND_PORT": "15947",
    }
    assert [postgres(one, need(f"m/{number}")) for number in range(1, 4)] == [10948, 10949, 10950]


def test_another_coordinator_gets_others(machine: Path) -> None:
    first, second = leases(machine), leases(machine, run_id="s")
    assert [postgres(first, need("m")), postgres(second, need("n"))] == [10947, 10948]
    first.give_back(need("m"))
    assert postgres(second, need("n/2")) == 10947


def test_one_port_in_use_moves_the_whole_block(machine: Path) -> None:
    env = leases(machine, 18947, 15948).take(need("m")).env
    assert [env[name] for name in SERVICES] == ["10949", "16949", "18949", "15949"]


def test_tables_that_cross_never_meet(machine: Path) -> None:
    turned = leases(machine, POSTGRES_PORT=16000, REDIS_PORT=30000)
    assert postgres(leases(machine), need("m")) == 10947
    assert postgres(turned, need("n")) == 16948  # the other's redis has 16947


def test_what_is_asked_for_again_is_the_same(machine: Path) -> None:
    one = leases(machine)
    assert one.take(need("m")).env == one.take(need("m")).env


def test_giving_back_what_was_never_had_does_nothing(machine: Path) -> None:
    leases(machine).give_back(need("m"))
    assert list(machine.iterdir()) == []


def test_what_was_given_back_leaves_nothing(machine: Path) -> None:
    one = leases(machine)
    one.take(need("m"))
    one.give_back(need("m"))
    one.give_back(need("m"))
    assert {path.name for path in machine.rglob("*")} == {"ports", "lock", "leases", "by-port"}
    assert list_leases(machine) == []


def test_the_names_of_services_tell_repositories_apart(machine: Path) -> None:
    here, there = leases(machine), leases(machine, repository="/other")
    one, other = here.take(need("m", "1")).env, there.take(need("n", "1")).env
    assert one["COMPOSE_PROJECT_NAME"] != other["COMPOSE_PROJECT_NAME"]
    assert one["POSTGRES_DB"] != other["POSTGRES_DB"]
    assert one["ZENFLOW_TASK_ID"] == other["ZENFLOW_TASK_ID"] == "1"
    assert one["DATABASE_URL"].endswith(f":{one['POSTGRES_PORT']}/{one['POSTGRES_DB']}")


def test_all_thousand_blocks_are_given_out_and_then_it_is_said(machine: Path) -> None:
    asked: list[int] = []

    def only_the_last(ports: Collection[int]) -> bool:
        asked.append(min(ports))
        return min(ports) == 10946

    one = PortLeases(machine, SERVICES, run_id="r", repository=Path("/r"), clock=SystemClock(), are_free=only_the_last)
    assert postgres(one, need("m")) == 10946
    assert len(set(asked)) == 1000
    with pytest.raises(Busy, match=f"no ports are left for task {EXAMPLE}: of each service all 1,000"):
        one.take(need("n"))
    one.give_back(need("m"))
    assert postgres(one, need("n")) == 10946  # whoever was refused has kept no lock


def test_a_probe_that_fails_leaves_no_lock_and_is_said(machine: Path) -> None:
    def out_of_files(ports: Collection[int]) -> bool:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    broken = PortLeases(
        machine, SERVICES, run_id="r", repository=Path("/r"), clock=SystemClock(), are_free=out_of_files
    )
    with pytest.raises(StateError, match="cannot be used: Too many open files"):
        broken.take(need("m"))
    assert postgres(leases(machine), need("m")) == 10947


def test_a_machine_folder_that_was_tidied_up_is_made_again(machine: Path) -> None:
    machine.rmdir()
    assert postgres(leases(machine), need("m")) == 10947
    assert machine.stat().st_mode & 0o777 == 0o700


def test_a_machine_folder_that_others_may_write_is_refused(machine: Path) -> None:
    machine.chmod(0o777)
    with pytest.raises(StateError, match="may be written by others"):
        leases(machine).take(need("m"))


def test_a_folder_that_cannot_be_used_is_said(machine: Path) -> None:
    (machine / "ports").write_text("")
    with pytest.raises(StateError, match=r"leases of ports in .* cannot be used: File exists"):
        leases(machine).take(need("m"))


def test_the_list_says_who_has_what_since_when(machine: Path) -> None:
    one = leases(machine)
    assert list_leases(machine) == []
    one.take(need("token/r/a/1", "a-5"))
    [seen] = list_leases(machine)
    assert seen.state is LeaseState.HELD
    lease = seen.lease
    assert (lease.task, lease.run_id, lease.repository, lease.pid) == ("a-5", "r", "/repo", os.getpid())
    assert lease.ports["POSTGRES_PORT"] == 10005
    assert abs((SystemClock().now() - lease.since).total_seconds()) < 60
    assert not remove_stale(machine, lease)
    assert [seen.state for seen in list_leases(machine)] == [LeaseState.HELD]


def test_a_lease_whose_owner_is_dead_is_stale_and_given_out_again(machine: Path) -> None:
    one = leases(machine)
    one.take(need("dead/r/a/1"))
    [held] = one._held.values()
    held.locks.close()  # as the kernel does it when the coordinator dies
    [seen] = list_leases(machine)
    assert seen.state is LeaseState.STALE
    assert postgres(leases(machine), need("new")) == 10947
    assert [seen.lease.marker for seen in list_leases(machine)] == ["new"]


def test_giving_back_takes_away_what_a_dead_coordinator_had_for_the_attempt(machine: Path) -> None:
    one, later = leases(machine), leases(machine)
    one.take(need("t/r/a/1"))
    later.give_back(need("t/r/a/1"))
    assert [seen.state for seen in list_leases(machine)] == [LeaseState.HELD]  # it is not dead
    [held] = one._held.values()
    held.locks.close()
    later.give_back(need("t/r/a/1"))
    assert list_leases(machine) == []


def test_a_stale_lease_can_be_taken_away(machine: Path) -> None:
    one = leases(machine)
    one.take(need("dead/r/a/1"))
    [held] = one._held.values()
    held.locks.close()
    assert remove_stale(machine, held.lease)
    assert list_leases(machine) == []
    assert not remove_stale(machine, held.lease)


@pytest.mark.parametrize("left", [b"", b"{", b'{"marker": 1}', b"\xff"])
def test_a_torn_lease_holds_nothing(machine: Path, left: bytes) -> None:
    one = leases(machine)
    one.take(need("dead"))
    [held] = one._held.values()
    held.locks.close()
    [path] = (Records(machine).folder / "leases").iterdir()
    path.write_bytes(left)
    assert list_leases(machine) == []
    assert postgres(leases(machine), need("new")) == 10947


def test_a_lock_file_that_was_taken_away_is_made_anew(machine: Path) -> None:
    one, other = leases(machine), leases(machine)
    one.take(need("m"))
    Records(machine).lock.unlink()
    assert postgres(other, need("n", "x-1")) == 10001
    assert postgres(one, need("o", "x-1")) == 10002


def test_an_attempt_that_gets_other_ports_than_a_dead_coordinator_had_leaves_the_old_ones_alone(machine: Path) -> None:
    dead, later = leases(machine), leases(machine)
    dead.take(need("t/r/a/1"))
    [held] = dead._held.values()
    held.locks.close()
    somebody = ByteLocks(Records(machine).lock)
    somebody.take([10947])  # looks at it just now
    assert postgres(later, need("t/r/a/1")) == 10948
    somebody.close()
    alive = subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: "t/r/a/1"})
    try:
        assert postgres(leases(machine), need("other")) == 10947
    finally:
        alive.kill()
        alive.wait()


def test_names_that_are_no_text_are_kept(machine: Path) -> None:
    one = leases(machine, repository="/b\udce9d")
    env = one.take(need("m", "t\udce9-42")).env
    [seen] = list_leases(machine)
    assert (seen.lease.repository, seen.lease.task) == ("/b\udce9d", "t\udce9-42")
    assert all(value.isascii() for value in env.values())


def test_bytes_are_taken_all_or_none(tmp_path: Path) -> None:
    one, other = ByteLocks(tmp_path / "lock"), ByteLocks(tmp_path / "lock")
    assert one.take([5])
    assert not other.take([4, 5, 6])
    assert one.take([4, 6])
    one.close()
    assert other.take([4, 5, 6])
    other.close()
    other.close()


def test_the_file_that_was_locked_is_the_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    one, other = ByteLocks(path), ByteLocks(path)
    path.unlink()
    assert one.take([5])
    assert not other.take([5])
    one.close()
    other.close()


RECORD = (
    '{"marker": "x/0", "task": "t", "run_id": "r", "repository": "/r", "ports": {"A": %s}, "pid": 1, "pid_started": 1, '
    '"since": "2026-01-01T00:00:00%s"}'
)
JUNK: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder with something in it": lambda path: (path / "in").mkdir(parents=True),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "no text": lambda path: path.write_bytes(b"\xff\0"),
    "brackets without end": lambda path: path.write_text("[" * 100_000),
    "a number that is no port": lambda path: path.write_text(RECORD % ("1" + "0" * 30, "Z")),
    "a time without a zone": lambda path: path.write_text(RECORD % ("10947", "")),
}


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("place", ["leases/junk.json", "by-port/10947"])
def test_junk_among_the_leases_is_in_nobodys_way(place: str, junk: str, machine: Path) -> None:
    """An agent can write there; nobody waits for what it left, and nothing of it is believed."""
    Records(machine).make()
    JUNK[junk](machine / "ports" / place)
    assert list_leases(machine) == []
    provider = leases(machine)
    assert postgres(provider, need("m/0")) == 10947
    assert [one.lease.marker for one in list_leases(machine)] == ["m/0"]
    assert postgres(leases(machine), need("m/1")) == 10948
    provider.give_back(need("m/0"))
    assert postgres(leases(machine), need("m/2")) == 10947


def test_a_pipe_in_the_place_of_the_lock_keeps_nobody_waiting(machine: Path) -> None:
    Records(machine).make()
    os.mkfifo(machine / "ports" / "lock")
    assert list_leases(machine) == []
