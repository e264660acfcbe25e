"""Ports leased by many processes at the same moment, some of which are killed (I-2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from maestro.clock import SystemClock
from maestro.planning.ports import SERVICES
from maestro.proc.request import MARKER
from maestro.resources.base import Need
from maestro.resources.ports.leases import PortLeases
from maestro.resources.ports.listing import LeaseState, list_leases

BLOCKS_FROM_947 = [10000 + number % 1000 for number in range(947, 1047)]

LEASES_FIVE = """
import json, subprocess, sys
from pathlib import Path
from maestro.clock import SystemClock
from maestro.planning.ports import SERVICES
from maestro.resources.base import Need
from maestro.resources.ports.leases import PortLeases

machine, name = Path(sys.argv[1]), sys.argv[2]
provider = PortLeases(
    machine, SERVICES, run_id=name, repository=machine, clock=SystemClock(), are_free=lambda ports: True
)
needs = [Need(task_id=f"{name}-{n}-9947", marker=f"t/{name}/{n}", home=machine, repo=machine, agent="a")
         for n in range(5)]
print("ready", flush=True)
sys.stdin.readline()
env = [provider.take(need).env for need in needs]
print(json.dumps([[int(one[service]) for service in SERVICES] for one in env]), flush=True)
sys.stdin.readline()
for need in needs:
    provider.give_back(need)
"""


def test_a_hundred_leases_of_twenty_processes_at_once(tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    holders = [holder(machine, f"p{number}") for number in range(20)]
    try:
        for one in holders:
            assert line(one) == "ready"
        for one in holders:
            go(one)
        blocks = [block for one in holders for block in json.loads(line(one))]
        assert len(blocks) == 100
        assert set(Counter(port for block in blocks for port in block).values()) == {1}
        assert {min(block) for block in blocks} == set(BLOCKS_FROM_947)
        assert Counter(seen.state for seen in list_leases(machine)) == {LeaseState.HELD: 100}
        for one in holders[:10]:
            one.kill()
        for one in holders[10:]:
            one.communicate("\n", timeout=60)
        for one in holders[:10]:
            one.communicate()
        assert Counter(seen.state for seen in list_leases(machine)) == {LeaseState.STALE: 50}
    finally:
        for one in holders:
            one.kill()
            one.communicate()
    later = Later(machine)
    assert [later.lease() for _ in range(100)] == BLOCKS_FROM_947  # the dead keep nobody from anything
    later.end()
    assert list_leases(machine) == []


def test_the_agents_of_the_dead_keep_their_ports_until_they_end(tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    one = holder(machine, "p")
    assert line(one) == "ready"
    go(one)
    line(one)
    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: "t/p/0/deeper"}) as agent:
        one.kill()
        one.communicate()
        states = {seen.lease.marker: seen.state for seen in list_leases(machine)}
        assert states == {f"t/p/{n}": LeaseState.OUTLIVED if n == 0 else LeaseState.STALE for n in range(5)}
        later = Later(machine)
        assert later.lease() == 10948
        agent.kill()
    assert later.lease() == 10947


def holder(machine: Path, name: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", LEASES_FIVE, str(machine), name]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(one: subprocess.Popen[str]) -> None:
    assert one.stdin is not None
    one.stdin.write("go\n")
    one.stdin.flush()


def line(one: subprocess.Popen[str]) -> str:
    assert one.stdout is not None
    return one.stdout.readline().strip()


class Later:
    """A coordinator that comes after the others."""

    def __init__(self, machine: Path) -> None:
        self.machine = machine
        self.provider = PortLeases(
            machine, SERVICES, run_id="later", repository=machine, clock=SystemClock(), are_free=lambda _: True
        )
        self.needs: list[Need] = []

    def lease(self) -> int:
        name, machine = f"later-{len(self.needs)}-9947", self.machine
        need = Need(task_id=name, marker=f"t/later/{name}", home=machine, repo=machine, agent="a")
        self.needs.append(need)
        return int(self.provider.take(need).env["POSTGRES_PORT"])

    def end(self) -> None:
        for need in self.needs:
            self.provider.give_back(need)
