"""What an answer says of its key."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from maestro.gateway.limits import is_about_the_key, rest_after_answer, rest_after_refusal

NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
LATER = "2026-03-04T12:00:20Z"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "17"}, b"", 17.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, b"", 0.25),
        ({"retry-after": "Wed, 04 Mar 2026 12:01:00 GMT"}, b"", 60.0),
        ({"retry-after": "0"}, b"", 0.05),
        ({"retry-after": "soon"}, b"", 5.0),
        ({"retry-after": "nan"}, b"", 5.0),
        ({"retry-after": "9999999"}, b"", 86400.0),
        ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": LATER}, b"", 20.0),
        ({}, b'{"error": {"details": [{"retryDelay": "34.5s"}]}}', 34.5),
        ({}, b'{"error": {"code": "insufficient_quota"}}', 3600.0),
        ({}, b"\xff\x00", 5.0),
    ],
)
def test_a_refusal(headers: dict[str, str], body: bytes, seconds: float) -> None:
    assert rest_after_refusal(429, headers, body, 1, NOW) == pytest.approx(seconds)


def test_refusals_that_name_no_time_rest_longer_each_time() -> None:
    assert [rest_after_refusal(429, {}, b"", n, NOW) for n in (1, 2, 3, 4, 5, 99)] == [5, 10, 20, 40, 60, 60]


def test_a_key_that_is_not_good_rests_long() -> None:
    assert rest_after_refusal(401, {"retry-after": "1"}, b"", 1, NOW) == 600.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": LATER}, 20.0),
        ({"anthropic-ratelimit-requests-remaining": "1", "anthropic-ratelimit-requests-reset": LATER}, None),
        ({"anthropic-ratelimit-requests-remaining": "0"}, None),
        ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "whenever"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5s"}, 1.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h0m1s"}, 3601.0),
        ({"retry-after": "17"}, None),
        ({}, None),
    ],
)
def test_an_answer(headers: dict[str, str], seconds: float | None) -> None:
    assert rest_after_answer(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


LOW = b'{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access"}}'


@pytest.mark.parametrize(
    ("status", "body", "about"),
    [
        (400, LOW, True),
        (403, LOW, True),
        (402, b"", True),
        (429, b"", True),
        (400, b'{"error": {"message": "max_tokens: required"}}', False),
        (403, b"", False),
        (500, LOW, False),
        (529, b"", False),
    ],
)
def test_another_key_may_have_credit_left(status: int, body: bytes, about: bool) -> None:
    assert is_about_the_key(status, body) is about
    if about and status != 429:
        assert rest_after_refusal(status, {}, body, 1, NOW) == 3600.0
