"""Tokens name their attempt, and prove it."""

from __future__ import annotations

import pytest

from maestro.gateway.tokens import attempt_of, fingerprint, new_secret, token_of
from maestro.model.redaction import MASK, Redactor


@pytest.mark.parametrize("attempt", ["a1b2/run-1/task/1", "t/r/größe-é/12", "x"])
def test_a_token_is_always_the_same_and_names_its_attempt(attempt: str) -> None:
    secret = new_secret()
    token = token_of(secret, attempt)
    assert token == token_of(secret, attempt)
    assert token.isascii()
    assert attempt_of(secret, token) == attempt
    assert secret not in token


def test_no_other_token_is_taken() -> None:
    secret = new_secret()
    token, other = token_of(secret, "t/r/a/1"), token_of(secret, "t/r/b/1")
    name, _, proof = token.partition(".")
    forged = [token_of(new_secret(), "t/r/a/1"), f"{name}.{other.partition('.')[2]}", name, f"{name}.", f".{proof}"]
    for wrong in [*forged, "", "maestro-", "maestro-.", "maestro-%%.x", "sk-ant-api03-x", token + "0", token[:-1]]:
        assert attempt_of(secret, wrong) is None


def test_the_same_keys_have_the_same_fingerprint_and_it_holds_none() -> None:
    one = fingerprint("s", ("key-a", "key-b"))
    assert one == fingerprint("s", ("key-a", "key-b"))
    assert one != fingerprint("s", ("key-b", "key-a"))
    assert "key" not in one


def test_a_token_is_masked_wherever_it_is_printed() -> None:
    token = token_of(new_secret(), "0123abcd/20261121-120000-ab/a-task/1")
    assert Redactor().mask(f"ANTHROPIC_API_KEY={token} is set") == f"ANTHROPIC_API_KEY={MASK} is set"
