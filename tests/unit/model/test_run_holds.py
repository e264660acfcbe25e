"""Accounts on hold, folded from the journal (A-5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from maestro.model.events import AccountHeld, AccountReleased, RunStarted
from maestro.model.folding import apply, begin

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_an_account_rests_until_the_last_moment_said_and_no_longer_than_until_it_is_released() -> None:
    start = RunStarted(
        at=NOW, run_id="r", maestro_version="0", repository="/r", base="b", base_branch="main", tracker="t",
        integration_branch="i", schedule="dataflow", max_parallel=2, max_parallel_reason="", tasks=("a",),
    )  # fmt: skip
    run = apply(begin(start), AccountHeld(at=NOW, account="anthropic", until=NOW, reason="overloaded"))
    run = apply(run, AccountHeld(at=NOW, account="openai", until=NOW, reason="quota"))
    run = apply(run, AccountHeld(at=NOW, account="anthropic", until=LATER, reason="usage limit"))
    assert run.holds == {"openai": NOW, "anthropic": LATER}
    assert run.hold_reasons == {"openai": "quota", "anthropic": "usage limit"}
    run = apply(run, AccountReleased(at=LATER, account="anthropic"))
    assert (run.holds, run.hold_reasons) == ({"openai": NOW}, {"openai": "quota"})
