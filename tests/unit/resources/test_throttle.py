"""When the machine bears one more attempt: tables of readings, no machine (E-4, W-6)."""

from __future__ import annotations

import pytest

from maestro.resources.throttle import Limits, Reading, Scarce, shortage

MIB = 1 << 20
LIMITS = Limits(max_load=8.0, min_free_memory=512 * MIB, min_free_disk=512 * MIB, min_free_files=64)
FINE = Reading(
    load_per_core=0.5,
    waiting_percent=1.0,
    free_memory=8192 * MIB,
    stalled_percent=0.0,
    free_disk=8192 * MIB,
    disk="/ws",
    free_files=900,
)


@pytest.mark.parametrize(
    ("changed", "kind", "said"),
    [
        ({}, None, ""),
        ({"load_per_core": 8.0}, None, ""),
        ({"load_per_core": 9.0}, None, ""),  # nobody waits: it is over
        (
            {"load_per_core": 9.04, "waiting_percent": 97.0},
            Scarce.LOAD,
            "the load is 9.0 per core, the limit is 8",
        ),
        ({"load_per_core": 9.0, "waiting_percent": None}, Scarce.LOAD, "the load is 9.0"),  # a kernel that cannot say
        ({"load_per_core": 7.9, "waiting_percent": 99.0}, None, ""),  # busy, but not drowning
        ({"free_memory": 511 * MIB}, Scarce.MEMORY, "only 511 MiB of memory are free, the floor is 512 MiB"),
        ({"free_memory": 512 * MIB}, None, ""),
        ({"stalled_percent": 45.0}, Scarce.MEMORY, "stood still for want of memory in 45 %"),
        ({"free_disk": 3 * MIB}, Scarce.DISK, "only 3 MiB are free on the disk of /ws, the floor is 512 MiB"),
        ({"free_files": 63}, Scarce.FILES, "only 63 more files may be opened, the floor is 64"),
        ({"free_files": -5}, Scarce.FILES, "only 0 more files"),
        ({"free_disk": 3 * MIB, "free_memory": 0, "free_files": 0}, Scarce.DISK, "disk"),
    ],
)
def test_what_is_short_is_said(changed: dict[str, float], kind: Scarce | None, said: str) -> None:
    short = shortage(FINE.evolve(**changed), LIMITS)
    assert (short.kind if short else None) is kind
    assert said in (short.reason if short else "")


def test_what_cannot_be_known_stands_in_nobodys_way() -> None:
    assert shortage(Reading(), LIMITS) is None


def test_what_has_no_limit_is_not_looked_at() -> None:
    nothing = Reading(
        load_per_core=99.0, waiting_percent=100.0, free_memory=0, stalled_percent=100.0, free_disk=0, free_files=0
    )
    assert shortage(nothing, Limits()) is None


@pytest.mark.parametrize(
    ("kind", "short", "between", "enough"),
    [
        (Scarce.DISK, {"free_disk": 500 * MIB}, {"free_disk": 600 * MIB}, {"free_disk": 620 * MIB}),
        (Scarce.MEMORY, {"free_memory": 500 * MIB}, {"free_memory": 600 * MIB}, {"free_memory": 620 * MIB}),
        (Scarce.MEMORY, {"stalled_percent": 31.0}, {"stalled_percent": 28.0}, {"stalled_percent": 20.0}),
        (Scarce.FILES, {"free_files": 60}, {"free_files": 70}, {"free_files": 80}),
        (
            Scarce.LOAD,
            {"load_per_core": 8.5, "waiting_percent": 90.0},
            {"load_per_core": 7.0, "waiting_percent": 45.0},
            {"load_per_core": 6.0, "waiting_percent": 90.0},
        ),
    ],
)
def test_an_answer_does_not_flap(
    kind: Scarce, short: dict[str, float], between: dict[str, float], enough: dict[str, float]
) -> None:
    """A little more than the limit ends no shortage, and begins none."""
    first = shortage(FINE.evolve(**short), LIMITS)
    assert first is not None
    assert first.kind is kind
    still = shortage(FINE.evolve(**between), LIMITS, first.kind)
    assert still is not None
    assert still.kind is kind
    assert shortage(FINE.evolve(**between), LIMITS) is None
    assert shortage(FINE.evolve(**enough), LIMITS, kind) is None


def test_the_reason_stays_while_it_stands_though_a_worse_one_comes() -> None:
    both = FINE.evolve(free_files=70, free_memory=0)
    assert [found.kind for standing in (None, Scarce.FILES) if (found := shortage(both, LIMITS, standing))] == [
        Scarce.MEMORY,
        Scarce.FILES,
    ]


def test_a_full_disk_is_said_whatever_stood_before() -> None:
    both = FINE.evolve(free_files=70, free_disk=0)
    found = shortage(both, LIMITS, Scarce.FILES)
    assert found is not None
    assert found.kind is Scarce.DISK


def test_a_limit_below_one_goes_by_the_average_alone() -> None:
    found = shortage(FINE.evolve(load_per_core=0.3, waiting_percent=0.0), LIMITS.evolve(max_load=0.1))
    assert found is not None
    assert found.reason == "the load is 0.3 per core, the limit is 0.1"


def test_a_load_that_is_over_no_longer_counts() -> None:
    """The average lags a minute behind; whether anything waits is known within ten seconds."""
    assert shortage(FINE.evolve(load_per_core=20.0, waiting_percent=4.0), LIMITS, Scarce.LOAD) is None
