"""The formula of ports (I-1), with the example of the specification."""

from __future__ import annotations

import pytest

from maestro.errors import BadInput
from maestro.planning.ports import BLOCKS, SERVICES, base_of, block_of, candidates, ports_of, services_of, suffix_of

CASES = [
    # id, suffix, base, POSTGRES, REDIS, BACKEND, FRONTEND
    ("ci-suite-tests-parallele-zenflow-9947", 9947, 1947, 10947, 16947, 18947, 15947),
    ("task-0000", 0, 1000, 10000, 16000, 18000, 15000),
    ("task-0042", 42, 1042, 10042, 16042, 18042, 15042),
    ("7", 7, 1007, 10007, 16007, 18007, 15007),
    ("1.2", 12, 1012, 10012, 16012, 18012, 15012),
    ("a1-b2-c3", 123, 1123, 10123, 16123, 18123, 15123),
    ("8999", 8999, 9999, 10999, 16999, 18999, 15999),
    ("9000", 9000, 1000, 10000, 16000, 18000, 15000),
    ("bd-20231231", 1231, 2231, 10231, 16231, 18231, 15231),
    ("9947-later", 9947, 1947, 10947, 16947, 18947, 15947),
    ("no digits", 559, 1559, 10559, 16559, 18559, 15559),
    ("٣٤٥", 2369, 3369, 10369, 16369, 18369, 15369),  # digits, but none that a shell knows
    ("", 2610, 3610, 10610, 16610, 18610, 15610),
]


@pytest.mark.parametrize(("task_id", "suffix", "base", "postgres", "redis", "backend", "frontend"), CASES)
def test_the_formula(
    task_id: str, suffix: int, base: int, postgres: int, redis: int, backend: int, frontend: int
) -> None:
    assert suffix_of(task_id) == suffix
    assert base_of(task_id) == base
    assert ports_of(SERVICES, block_of(task_id)) == {
        "POSTGRES_PORT": postgres,
        "REDIS_PORT": redis,
        "BACKEND_PORT": backend,
        "FRONTEND_PORT": frontend,
    }


def test_all_blocks_are_candidates_the_formulas_first() -> None:
    blocks = list(candidates("x-9998"))
    assert blocks[:4] == [998, 999, 0, 1]
    assert sorted(blocks) == list(range(BLOCKS))


def test_the_configuration_adds_services_and_moves_them() -> None:
    services = services_of({"SEARCH_PORT": 20000, "REDIS_PORT": 30000})
    assert ports_of(services, 947) == {
        "POSTGRES_PORT": 10947,
        "REDIS_PORT": 30947,
        "BACKEND_PORT": 18947,
        "FRONTEND_PORT": 15947,
        "SEARCH_PORT": 20947,
    }
    assert services_of({}) == SERVICES
    assert services_of({"EDGE_PORT": 64536, "LOW_PORT": 1024})["EDGE_PORT"] == 64536


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ({"SEARCH_PORT": 10500}, r"POSTGRES_PORT \(10000 to 10999\) and SEARCH_PORT \(10500 to 11499\) share ports"),
        ({"SEARCH_PORT": 20000, "MAIL_PORT": 20999}, "SEARCH_PORT .* and MAIL_PORT .* share ports"),
        ({"BACKEND_PORT": 10000}, "share ports"),
        ({"SEARCH_PORT": 1023}, "must lie between 1024 and 65535"),
        ({"SEARCH_PORT": 64537}, "must lie between 1024 and 65535"),
        ({"SEARCH_PORT": -5}, "must lie between"),
        ({"search-port": 20000}, "'search-port' cannot be the variable of a port"),
        ({"DATABASE_URL": 20000}, "cannot be the variable of a port"),
        ({"MAESTRO_PORT": 20000}, "cannot be the variable of a port"),
        ({"A B": 20000}, "cannot be the variable of a port"),
    ],
)
def test_ranges_that_cannot_work_are_refused(configured: dict[str, int], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        services_of(configured)
    assert "SEARCH_PORT = 20000" in refused.value.hint


def test_ranges_may_touch() -> None:
    assert services_of({"SEARCH_PORT": 11000, "MAIL_PORT": 9000})["MAIL_PORT"] == 9000
