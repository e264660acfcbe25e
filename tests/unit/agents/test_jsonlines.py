from __future__ import annotations

import json

import pytest

from maestro.agents.jsonlines import JsonLines, as_dict, as_number, as_text


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_objects_come_out_however_the_output_is_cut(size: int) -> None:
    output = b'noise\n{"a": 1}\n[1]\n{"b": "\xc3\xbc"}\r\n{broken\n\n  {"c": 3}\n{"last": true}'
    lines = JsonLines()
    found = [event for start in range(0, len(output), size) for event in lines.feed(output[start : start + size])]
    assert found == [{"a": 1}, {"b": "ü"}, {"c": 3}]
    assert lines.rest() == [{"last": True}]
    assert lines.rest() == []


def test_what_can_be_no_event_is_passed_over() -> None:
    lines = JsonLines()
    assert lines.feed(b'{"a":' * 100_000 + b"\n" + b"\xff\xfe\n" + b'{"x": \xff}\n' + b'{"ok": 1}\n') == [{"ok": 1}]


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    lines = JsonLines()
    for _ in range(70):
        lines.feed(b"x" * 2**20)
    assert sum(map(len, lines._parts)) <= 2**26
    assert lines.feed(b'\n{"a": 1}\n') == [{"a": 1}]


def test_values_of_the_wrong_type_are_none_at_all() -> None:
    assert (as_dict([1]), as_text(None), as_number("3"), as_number(True)) == ({}, "", 0, 0)
    assert as_number(json.loads("1e999")) == 0
    assert (as_dict({"a": 1}), as_text("x"), as_number(2.5)) == ({"a": 1}, "x", 2.5)
