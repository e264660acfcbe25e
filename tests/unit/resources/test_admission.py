"""How many agents at once, when the user does not say (E-4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.resources import admission
from maestro.resources.admission import DISK_PER_AGENT, MEMORY_PER_AGENT, MOST, Machine, admit, look

PLENTY = 1 << 50


@pytest.mark.parametrize(
    ("machine", "agents", "words"),
    [
        (Machine(cores=2, memory=PLENTY, disk=PLENTY), 8, "2 core"),
        (Machine(cores=64, memory=PLENTY, disk=PLENTY), MOST, "ceiling"),
        (Machine(cores=64, memory=3 * MEMORY_PER_AGENT, disk=PLENTY), 3, "memory"),
        (Machine(cores=64, memory=PLENTY, disk=5 * DISK_PER_AGENT), 4, "disk"),
        (Machine(cores=1, memory=0, disk=0), 1, "memory"),
    ],
)
def test_the_scarcest_decides_and_is_named(machine: Machine, agents: int, words: str) -> None:
    admitted = admit(machine, floor_bytes=DISK_PER_AGENT)
    assert admitted.agents == agents
    assert words in admitted.reason


def test_in_a_container_its_limits_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which sees the cores and the memory of the whole machine."""
    monkeypatch.setattr("maestro.resources.machine.MachineNow._memory", lambda _: 2 << 30)
    monkeypatch.setattr(admission, "usable_cores", lambda: 3)
    assert (look(tmp_path).cores, look(tmp_path).memory) == (3, 2 << 30)
    monkeypatch.setattr("maestro.resources.machine.MachineNow._memory", lambda _: None)
    assert "memory" not in admit(look(tmp_path), floor_bytes=0).reason, "what nobody knows decides nothing"


def test_the_machine_is_looked_at_also_where_the_folder_is_not_made_yet(tmp_path: Path) -> None:
    machine = look(tmp_path / "not" / "there")
    assert machine.cores >= 1
    assert machine.memory > 0
    assert machine.disk > 0
