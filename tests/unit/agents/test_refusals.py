from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from maestro.agents.base import Claim
from maestro.agents.gemini_limits import is_limit
from maestro.agents.refusals import judge_refusal

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "status", "claim", "retryable"),
    [
        ("slow down", 429, Claim.LIMIT, True),
        ("HTTP 429: slow down", None, Claim.LIMIT, True),
        ("You exceeded your current quota, please check your plan and billing details.", None, Claim.LIMIT, True),
        ("RESOURCE_EXHAUSTED", None, Claim.LIMIT, True),
        ("Insufficient credits. Add more", None, Claim.LIMIT, True),
        ("The model is overloaded. Please try again later.", 503, Claim.LIMIT, True),
        ("Too Many Requests", None, Claim.LIMIT, True),
        ("You have reached your spending limit", None, Claim.LIMIT, True),
        ("Incorrect API key provided: sk-***", None, Claim.FAILED, False),
        ("Model foo/bar not found", None, Claim.FAILED, False),
        ("nothing here", 404, Claim.FAILED, False),
        ("Internal server error", 500, Claim.FAILED, True),
        ("a test failed in model.py: file not found", None, Claim.FAILED, True),
        ("", 502, Claim.FAILED, True),
    ],
)
def test_kinds(message: str, status: int | None, claim: Claim, retryable: bool) -> None:
    verdict = judge_refusal(message, NOW, status)
    assert (verdict.claim, verdict.retryable) == (claim, retryable)
    assert verdict.reason


def test_what_the_provider_says_of_its_return_comes_before_the_words() -> None:
    verdict = judge_refusal("try again in 5 minutes", NOW, 429, "retry after 60 seconds")
    assert verdict.reset_at == NOW + timedelta(seconds=60)
    assert judge_refusal("try again in 5 minutes", NOW, 429).reset_at == NOW + timedelta(minutes=5)
    assert judge_refusal("try again in 5 minutes", NOW, 500).reset_at is None, "only limits are waited for"


def test_a_disk_has_a_quota_too_and_it_is_no_account_s() -> None:
    assert judge_refusal("EDQUOT: disk quota exceeded, write", NOW).claim is Claim.FAILED
    assert not is_limit("[API Error: EDQUOT: disk quota exceeded, write]", None)
