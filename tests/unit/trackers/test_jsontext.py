"""One member of JSON text changed, every other byte kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.errors import BadInput
from maestro.trackers.jsontext import parse, set_member


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ('[{"id": "a", "status": "x"}]', '[{"id": "a", "status": "done"}]'),
        ('[ {"status" :"x" , "id":"a"} ]\n', '[ {"status" :"done" , "id":"a"} ]\n'),
        ('[{"id": "a", "b": 1}]', '[{"id": "a", "b": 1, "status": "done"}]'),
        ('[{"id":"a","b":1}]', '[{"id":"a","b":1,"status":"done"}]'),
        ('[{"id": "a"}]', '[{"id": "a", "status": "done"}]'),
        ('[{"id":"a"}]', '[{"id":"a","status":"done"}]'),
        ("[{}]", '[{"status": "done"}]'),
        (
            '[\r\n\t{\r\n\t\t"id": 1.0e2,\r\n\t\t"n": "\\u00e9{\\""\r\n\t}\r\n]',
            '[\r\n\t{\r\n\t\t"id": 1.0e2,\r\n\t\t"n": "\\u00e9{\\"",\r\n\t\t"status": "done"\r\n\t}\r\n]',
        ),
        ('[{"status": "x", "status": {"y": 1}}]', '[{"status": "x", "status": "done"}]'),
    ],
)
def test_set_member(text: str, changed: str) -> None:
    assert set_member(text, (0,), "status", "done") == changed


def test_deep_place() -> None:
    text = (
        '{"a": [1, {"tasks": []}], "master": {"x": {}, "tasks": [[], {"id": 2, "subtasks": [{"id": 1}, {"id": 2}]}]}}'
    )
    place = ("master", "tasks", 1, "subtasks", 1)
    assert set_member(text, place, "status", "é") == text.replace(
        '[{"id": 1}, {"id": 2}', '[{"id": 1}, {"id": 2, "status": "\\u00e9"}'
    )


@pytest.mark.parametrize("text", ["[1", "{'a': 1}", "[NaN]", "[1] [2]", "", "[" * 100_000, '["\t"]'])
def test_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"^tasks\.json is n") as caught:
        parse(text, "tasks.json")
    assert "\n" not in caught.value.message


def test_position_is_said() -> None:
    with pytest.raises(BadInput, match=r"line 11, column 4"):
        parse("[\n 1 2]", "tasks.json", first_line=10)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=4) | st.just("status"), values, max_size=4)


@settings(deadline=None, max_examples=150)
@given(
    entries=st.lists(objects, min_size=1, max_size=4),
    data=st.data(),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    ascii_only=st.booleans(),
    word=st.text(max_size=6),
)
def test_only_that_member_changes(
    entries: list[dict[str, Any]], data: st.DataObject, indent: Any, ascii_only: bool, word: str
) -> None:
    index = data.draw(st.integers(0, len(entries) - 1))
    text = json.dumps({"x": 1, "tasks": entries}, indent=indent, ensure_ascii=ascii_only)
    changed = set_member(text, ("tasks", index), "status", word)
    wanted = [dict(entry) for entry in entries]
    wanted[index]["status"] = word
    assert json.loads(changed) == {"x": 1, "tasks": wanted}
    assert list(json.loads(changed)["tasks"][index]) == list(wanted[index])
