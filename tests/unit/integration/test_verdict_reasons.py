from __future__ import annotations

import pytest

from maestro.integration.verdicts import bad_tip_reason, conflict_reason, culprit_reason
from maestro.model.conflict import Conflict
from maestro.model.gate import GatePassed, GateRed, GateResult, GateUnjudged, NotJudged

HANGS = GateUnjudged(why=NotJudged.TIMEOUT, reason="the tests did not end within 5 s")


def conflict(*paths: str, messages: tuple[str, ...] = ()) -> Conflict:
    return Conflict(paths=paths, ours="o", theirs="t", base="b", messages=messages)


@pytest.mark.parametrize(
    ("one", "against", "expected"),
    [
        (conflict("src/x.py"), ("b",), "conflicts with task b in src/x.py"),
        (conflict("x", "y"), ("b", "c"), "conflicts with tasks b, c in x, y"),
        (conflict("x"), (), "conflicts with the integration branch in x"),
        (conflict(*"abcdefg"), (), "conflicts with the integration branch in a, b, c, d, e and 2 more"),
        (conflict(messages=("no common commit",)), (), "conflicts with the integration branch: no common commit"),
    ],
)
def test_conflict_reasons(one: Conflict, against: tuple[str, ...], expected: str) -> None:
    assert conflict_reason(one, against) == expected


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (GateRed(seconds=1, failing=("a::b",)), "the tests are red with it and green without it: a::b"),
        (GateRed(seconds=1, exit_code=3), "the tests are red with it (exit code 3) and green without it"),
        (HANGS, "with it the tests did not end within 5 s; without it the tests are green"),
    ],
)
def test_culprit_reasons(result: GateResult, expected: str) -> None:
    assert culprit_reason(result) == expected


def test_bad_tip_reasons() -> None:
    red = bad_tip_reason(GateRed(seconds=1, failing=("a::b",)))
    assert red == "the tests are red on the integration branch without this task as well: a::b"
    assert "either: the tests did not end within 5 s" in bad_tip_reason(HANGS)


@pytest.mark.parametrize("reason", [culprit_reason, bad_tip_reason])
def test_a_pass_is_nobodys_fault(reason: object) -> None:
    assert callable(reason)
    with pytest.raises(ValueError, match="green"):
        reason(GatePassed(seconds=1))
