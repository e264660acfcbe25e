"""What the machine has now, as it is read from the kernel."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from maestro.resources import machine
from maestro.resources.machine import MachineNow


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_this_machine_is_read(tmp_path: Path) -> None:
    reading = MachineNow([tmp_path / "not" / "there" / "yet"])()
    assert reading.free_memory is not None
    assert abs(reading.free_memory - psutil.virtual_memory().available) < 2 << 30
    assert reading.free_disk is not None
    assert reading.free_disk > 0
    assert reading.disk == str(tmp_path / "not" / "there" / "yet")
    assert reading.load_per_core is not None
    assert reading.load_per_core >= 0.0


def test_the_disk_with_least_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    much, little = tmp_path / "much", tmp_path / "little"
    much.mkdir()
    little.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 0, 7 if path == little else 9))
    reading = MachineNow([much, little])()
    assert (reading.free_disk, reading.disk) == (7, str(little))


def test_a_reading_is_good_for_a_second_and_the_disk_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free, load, now = [5], [1.0], [100.0]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 0, free[0]))
    monkeypatch.setattr(os, "getloadavg", lambda: (load[0], 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    look = MachineNow([tmp_path], lambda: now[0])
    look()
    free[0], load[0], now[0] = 6, 9.0, 100.9
    assert (look().free_disk, look().load_per_core) == (6, 1.0)
    now[0] = 101.1
    assert look().load_per_core == 9.0


def test_open_files_are_counted_against_the_limit(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(list(Path("/proc/self/fd").iterdir())) + 40
    files = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
        before = MachineNow([tmp_path])().free_files
        files = [open(os.devnull, "rb") for _ in range(20)]  # noqa: SIM115 - closed below
        after = MachineNow([tmp_path])().free_files
    finally:
        for file in files:
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert before is not None
    assert after is not None
    assert 30 <= before <= 42
    assert before - after == 20


def proc(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("line", "group", "files", "free"),
    [
        (
            "0::/a/b\n",
            "",
            {"a__memory.max": "1000\n", "a__memory.current": "900\n", "a__memory.stat": "inactive_file 50\n"},
            150,
        ),
        (  # what a build has read and written lies in the cache, and is no reason to wait for ever
            "0::/\n",
            "",
            {
                "memory.max": "1000\n",
                "memory.current": "990\n",
                "memory.stat": "anon 40\nactive_file 700\ninactive_file 50\nslab_reclaimable 100\n",
            },
            860,
        ),
        (
            "0::/\n",
            "",
            {
                "memory.max": "9000\n",
                "memory.high": "1000\n",
                "memory.current": "900\n",
                "memory.stat": "anon 900\n",
            },
            100,
        ),
        ("0::/\n", "", {"memory.max": "max\n"}, 4 << 30),
        ("0::/x\n", "", {}, 4 << 30),
        (
            "4:cpu,memory:/job\n",
            "memory",
            {
                "job__memory.limit_in_bytes": "5000\n",
                "job__memory.usage_in_bytes": "6000\n",
                "job__memory.stat": "cache 9\ntotal_inactive_file 1500\ntotal_active_file 300\n",
                "memory.limit_in_bytes": "9223372036854771712\n",
            },
            800,
        ),
    ],
)  # fmt: skip
def test_a_container_has_what_its_group_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, group: str, files: dict[str, str], free: int
) -> None:
    monkeypatch.setattr(
        machine, "_PROC", proc(tmp_path / "proc", self__cgroup=line, meminfo="MemAvailable: 4194304 kB\n")
    )
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "groups")
    proc(tmp_path / "groups" / group, **files)
    assert MachineNow([tmp_path])().free_memory == free


def test_a_limit_that_comes_later_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker update --memory` while the run goes on."""
    monkeypatch.setattr(
        machine, "_PROC", proc(tmp_path / "proc", self__cgroup="0::/\n", meminfo="MemAvailable: 4194304 kB\n")
    )
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "groups")
    group = {"memory.max": "max\n", "memory.current": "900\n", "memory.stat": "anon 900\n"}
    proc(tmp_path / "groups", **group)
    now = [100.0]
    look = MachineNow([tmp_path], lambda: now[0])
    assert look().free_memory == 4 << 30
    proc(tmp_path / "groups", **{"memory.max": "1000\n"})
    now[0] += 2
    assert look().free_memory == 100


def test_pressure_is_read_where_the_kernel_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some, full = "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\n", "full avg10=3.25 avg60=0.00 avg300=0.00 total=1\n"
    monkeypatch.setattr(
        machine,
        "_PROC",
        proc(
            tmp_path / "proc",
            pressure__cpu=some,
            pressure__io=some.replace("12.5", "62.5"),
            pressure__memory=some + full,
        ),
    )
    reading = MachineNow([tmp_path])()
    assert (reading.waiting_percent, reading.stalled_percent) == (62.50, 3.25)
    monkeypatch.setattr(machine, "_PROC", tmp_path / "none")
    reading = MachineNow([tmp_path])()
    assert (reading.waiting_percent, reading.stalled_percent, reading.free_memory) == (None, None, None)
