"""The limit that the model server enforces on each key."""

from __future__ import annotations

import pytest

from maestro.testing import key_limit
from maestro.testing.key_limit import KeyLimit


def test_a_sliding_window_per_key(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(key_limit.time, "monotonic", lambda: now)
    limit = KeyLimit(2, window_seconds=10.0)
    assert [limit.count("a").accepted for _ in range(3)] == [True, True, False]
    assert limit.count("b").accepted
    now = 1004.0
    refused = limit.count("a")
    assert not refused.accepted
    assert refused.headers["retry-after"] == "6"
    assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"] == "6000ms"
    now = 1010.0
    accepted = limit.count("a")
    assert accepted.accepted
    assert accepted.headers["anthropic-ratelimit-requests-remaining"] == "1"
    assert "retry-after" not in accepted.headers
    assert limit.most == {"a": 2, "b": 1}
    assert limit.refused == 2
