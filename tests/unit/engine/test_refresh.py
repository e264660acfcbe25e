"""What a refresh command answered, and how much of it is used (E-2)."""

from __future__ import annotations

import json

import pytest

from maestro.engine.refresh import read_refresh, shortened
from maestro.model.budget import tokens_of
from maestro.model.outcome import Usage


def result(**fields: object) -> str:
    return json.dumps({"type": "result", "is_error": False, "num_turns": 1, "result": "tea", **fields})


@pytest.mark.parametrize(
    ("code", "stdout", "text"), [(0, "tea\n", "tea"), (0, result(), "tea"), (0, '{"own": 1}', '{"own": 1}')]
)
def test_an_answer_is_taken_as_it_is(code: int, stdout: str, text: str) -> None:
    assert read_refresh(code, stdout, "").text == text
    assert read_refresh(code, stdout, "").completed


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "reason"),
    [
        (1, "", "a\nno key\n", "no key"),
        (7, "", "", "exit code 7"),
        (None, "", "", "exit code None"),
        (0, " \n", "", "it printed nothing"),
        (0, result(num_turns=0, result=""), "", "it answered nothing"),
        (0, result(is_error=True, result="API Error: 400 odd"), "", "API Error: 400 odd"),
        (
            0,
            result(num_turns=0, result="Unknown command: /flow:summary"),
            "",
            "Unknown command: /flow:summary (`maestro init` writes it, and the plugin brings it)",
        ),
    ],
)
def test_what_is_no_answer_is_named(code: int | None, stdout: str, stderr: str, reason: str) -> None:
    refreshed = read_refresh(code, stdout, stderr)
    assert (refreshed.completed, refreshed.reason, refreshed.text) == (False, reason, "")


def test_what_the_answer_cost_is_known() -> None:
    used = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 20}
    refreshed = read_refresh(0, result(total_cost_usd=0.25, usage=used), "")
    assert (refreshed.usage.cost_usd, tokens_of(refreshed.usage)) == (0.25, 120)
    failed = read_refresh(1, result(total_cost_usd=0.5, is_error=True), "")
    assert (failed.completed, failed.usage.cost_usd, tokens_of(failed.usage)) == (False, 0.5, None)
    odd = read_refresh(0, result(total_cost_usd="a lot", usage={"input_tokens": "many"}), "")
    assert (odd.text, odd.usage) == ("tea", Usage())
    assert read_refresh(0, "tea\n", "").usage == Usage()


def test_a_long_text_is_cut_at_a_line_and_says_how_much_is_missing() -> None:
    assert shortened("tea\n" * 3, 12) == "tea\n" * 3
    assert shortened("tea\ncoffee\nmilk", 12) == "tea\ncoffee\n[… 5 more characters left out]"
    assert shortened("x" * 30, 10) == "x" * 10 + "\n[… 20 more characters left out]"
